"""Run a network on OpenVINO, the only file that imports it. Knows nothing of what the network means.

Importing OpenVINO reports to its makers (2026.4.1: an event to google-analytics.com, an identifier under ~/intel). Here
it is imported as if its telemetry package were not installed, and then uses a stub. The runtime itself sends nothing.
"""

import re
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._platform import n_cores, temporary_folder
from ..errors import EncoderError, MissingExtra
from ._compiled import compiled

FIRST_USE = threading.Lock()
# OpenVINO's binding sets itself up at its first inference, and two threads that are both first block each other for
# ever (one holds the interpreter's lock, one that of the C++ static). So the first one is made here, alone.

PRECISIONS = ("auto", "f32", "bf16")
_EXACT = '<attribute name="precise" version="0" />'


class OpenVinoNetwork:
    """A network of one input (B, ...), compiled for one B; several threads may call it.

    Its answers are one vector each, (B, D), and maybe others, or the tensors asked for by name, each (B, ...).
    """

    def __init__(
        self,
        model: Path | Any,
        batch: int,
        precision: str = "auto",
        streams: int | None = None,
        shape: tuple[int, ...] | None = None,
        outputs: Sequence[str] = (),
        n_exact: int = 0,
        in_float: bool = False,
        kept: str = "",
    ) -> None:
        """model: an ONNX file, or a model of OpenVINO's own. precision: one of PRECISIONS or f16; "auto" is bf16
        where the CPU has it, else f32.

        batch is fixed, since dynamic shapes have corrupted memory when several threads used them (2026.4.1). streams:
        batches computed at once, each on its share of the cores; by default one a core. shape: of one input, where the
        model leaves it open or takes others. outputs: names of tensors inside the model to answer with. n_exact: how
        many of the first convolutions stay in f32 whatever the precision. in_float: compute a network of 8 bits as what
        its kernels stand for: numbers rounded to 8 bits and multiplied in float32, slower, on one stream. kept: a hash
        of the model, by which its compiled form is kept for the next start; "": it is not.
        Raises MissingExtra, or EncoderError for a model or precision that cannot be used.
        """
        core = import_openvino().Core()
        if precision not in (*PRECISIONS, "f16"):
            raise EncoderError(f"precision must be one of {', '.join(PRECISIONS)}, found {precision!r}")
        if precision == "auto":
            precision = "bf16" if "BF16" in capabilities() else "f32"
        streams = 1 if in_float else streams or n_cores()  # in float, several have given nonsense (2026.4.1)
        self.batch, self.streams = batch, streams
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": self.streams,
            "INFERENCE_NUM_THREADS": max(self.streams, n_cores()),
            "ENABLE_CPU_PINNING": False,  # else several processes all begin at the first core, and share it
        }
        if in_float:
            options["LP_TRANSFORMS_MODE"] = False

        def build() -> Any:
            network = core.read_model(model) if isinstance(model, Path) else model
            if outputs:
                network = _with_outputs(network, outputs)
            network.reshape([batch, *(shape or list(network.input(0).partial_shape)[1:])])
            if n_exact and precision != "f32":
                network = _keep_exact(network, n_exact)
            return core.compile_model(network, "CPU", options)

        try:
            key = f"{import_openvino().__version__} {kept} {batch} {shape} {tuple(outputs)} {n_exact}"
            self._compiled = compiled(core, key, options, build) if kept else build()
            self._shapes = [tuple(output.shape) for output in self._compiled.outputs]
            # what was asked for is a hint: a CPU without bf16 computes in f32, and does not say so by itself
            self.precision = self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        except RuntimeError as error:
            raise refusal(error) from error
        answer = self._shapes[0]
        if not outputs and (len(answer) != 2 or answer[0] != batch):
            raise EncoderError(f"an image model gives one vector a patch, (batch, D); this one gives {list(answer)}")
        self.dim = int(answer[1])
        self._idle: SimpleQueue[Any] = SimpleQueue()
        with FIRST_USE:
            for _ in range(2 * self.streams):  # one computes while another is filled
                request = self._compiled.create_infer_request()
                answers = [request.get_output_tensor(i).data for i in range(len(self._shapes))]
                slot = request, request.get_input_tensor(0).data, answers
                slot[1][:] = 0
                request.infer()
                self._idle.put(slot)

    cuts = False

    @property
    def runs_on(self) -> str:
        """Engine, device and precision in words."""
        return f"OpenVINO CPU {self.precision}"

    def __call__(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """The first output (n, ...) float32 of inputs (n, ...); see `run`."""
        return self.run(inputs, 1)[0]

    def run(self, inputs: NDArray[Any], n_outputs: int | None = None) -> list[NDArray[np.float32]]:
        """The first outputs, by default all, (n, ...) float32 of inputs (n, ...), any n.

        One call keeps all streams busy; several share them.
        """
        outputs = [np.empty((len(inputs), *shape[1:]), np.float32) for shape in self._shapes[:n_outputs]]
        under_way: deque[tuple[Any, int]] = deque()

        def finish_oldest() -> None:
            slot, start = under_way.popleft()
            try:
                slot[0].wait()
                for output, answer in zip(outputs, slot[2], strict=False):
                    output[start : start + self.batch] = answer[: len(inputs) - start]
            finally:
                self._idle.put(slot)

        try:
            for start in range(0, len(inputs), self.batch):
                while True:
                    try:  # never wait for other calls while keeping slots that they may be waiting for
                        slot = self._idle.get(block=not under_way)
                        break
                    except Empty:
                        finish_oldest()
                part = inputs[start : start + self.batch]
                slot[1][: len(part)] = part  # the shape is fixed: behind a short last part are leftovers, never read
                slot[0].start_async()
                under_way.append((slot, start))
        finally:
            while under_way:
                finish_oldest()
        return outputs


def _with_outputs(network: Any, names: Sequence[str]) -> Any:
    """The network as one that answers with these tensors and nothing else."""
    openvino = import_openvino()
    added = [network.add_outputs(name)[0] for name in names]
    return openvino.Model(added, network.get_parameters())


def _keep_exact(network: Any, n: int) -> Any:
    """The network with all that comes before its convolution number n marked to be computed in float32.

    OpenVINO reads the mark from its own format alone: Python cannot put it on. So the network goes through a file.
    """
    openvino = import_openvino()
    with temporary_folder() as folder:
        path = Path(folder) / "network.xml"
        openvino.serialize(network, path)
        text, weights = path.read_text(encoding="utf-8"), path.with_suffix(".bin").read_bytes()
    ends = [match.start() for match in re.finditer(r'<layer [^>]*type="(?:Group)?Convolution"', text)]
    end = ends[n] if n < len(ends) else len(text)
    marked = text[:end].replace("<rt_info>", "<rt_info>" + _EXACT) + text[end:]
    return openvino.Core().read_model(marked.encode(), weights)


def capabilities() -> list[str]:
    """What OpenVINO can compute with on this CPU, in its own words: FP32, BF16, FP16, INT8 and others."""
    found: list[str] = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return found


def chosen_precision() -> str:
    """What OpenVINO computes in on this CPU unless told otherwise: f32, bf16 or f16."""
    chosen = import_openvino().Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
    return chosen if chosen in ("bf16", "f16") else "f32"


def refusal(error: RuntimeError) -> EncoderError:
    """What OpenVINO says of a model that it cannot run, in a line."""
    return EncoderError(f"OpenVINO cannot run the model: {' '.join(str(error).split())[-300:]}")


def import_openvino() -> ModuleType:
    """The package openvino, imported without its telemetry. Raises MissingExtra where it is not installed."""
    with FIRST_USE, without_telemetry():
        try:
            import openvino
        except ImportError as error:
            raise MissingExtra("openvino", None) from error
    return openvino  # type: ignore[no-any-return]


@contextmanager
def without_telemetry() -> Iterator[None]:
    """What is imported here finds no openvino_telemetry, unless the program has imported that already."""
    hidden = "openvino_telemetry" not in sys.modules
    if hidden:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing it fails
    try:
        yield
    finally:
        if hidden:
            del sys.modules["openvino_telemetry"]


def from_torch(traced: Any) -> Any:
    """A model of OpenVINO's own, of a module that torch has traced.

    The frontend is called itself: `openvino.convert_model`, which does the same, reports to its makers that it did.
    As there, constants are folded after it: 8-bit weights can only be made of weights that stand as one constant.
    """
    import_openvino()
    from openvino._offline_transformations import apply_moc_transformations
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)  # named, so that it lives until all is converted
    model = frontend.convert(frontend.load(decoder))
    apply_moc_transformations(model, cf=True)
    return model


def describe_input(model: Path) -> tuple[list[int | None], str]:
    """The shape of an ONNX file's input, None where it may vary, and its type, e.g. ([None, 3, 224, 224], "f32").

    Raises EncoderError when the file cannot be read or has more than one input.
    """
    openvino = import_openvino()
    try:
        inputs = openvino.Core().read_model(model).inputs
    except RuntimeError as error:
        reason = " ".join(str(error).split())[-200:]
        raise EncoderError(f"{model}: cannot be read as an ONNX model: {reason}") from error
    if len(inputs) != 1:
        raise EncoderError(f"{model}: an image model has one input, found {len(inputs)}")
    shape = inputs[0].partial_shape
    if shape.rank.is_dynamic:
        raise EncoderError(f"{model}: its input has no known number of axes")
    dims = [None if axis.is_dynamic else axis.get_length() for axis in shape]
    return dims, inputs[0].element_type.get_type_name()
