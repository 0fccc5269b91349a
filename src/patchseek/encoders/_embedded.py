"""The default encoder: EfficientNet-Lite0 that ships in the package. `tools/export_embedded.py` makes its file.

Features of the last convolution, generalized-mean pooled (p = 3; Radenovic et al. 2018), of unit length. The file takes
pixels and does all of that, so this one only finds an engine for it, and a way of computing that gives the features of
float32 on this processor. FAST is the same network in 8 bits, fed with smaller patches.
"""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError, MissingExtra
from ..patches import Feed, Patches
from ._engines import fastest, is_x86
from ._network import NetworkEncoder
from ._onnx_bytes import of_side, with_outputs
from ._onnxruntime import OnnxRuntimeNetwork
from ._openvino import PRECISIONS, OpenVinoNetwork, chosen_precision
from ._probes import agreement, make_probes
from ._protocol import CellEncoder, Cells, EncoderIdentity, Features, check_patches

BATCH = 1
# patches that go through the network together: as fast as 8, and nothing is computed for a short last batch
CALL = 32
# patches in a call of encode


FAST = "embedded-fast"
POWER = 3.0
# p of the generalized mean; see the export tool
LEAST = {"embedded": 0.999, FAST: 0.995}
# cosine with the features of float32 that a way of computing must reach

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Way:
    """A way of computing the network on OpenVINO."""

    why: str
    # for people
    precision: str = "f32"
    words: str = ""
    # how, as `runs_on` says it; by default the precision
    in_float: bool = False
    streams: int | None = None


class OpenNetwork(Protocol):
    """Opens the network on some engine: for images of so many pixels a side, with these tensors as its answers."""

    def __call__(self, outputs: Sequence[str], side: int) -> OpenVinoNetwork | OnnxRuntimeNetwork: ...


class EmbeddedEncoder(NetworkEncoder):
    """EfficientNet-Lite0 on the CPU. See CellEncoder."""

    power = POWER
    _network: OpenVinoNetwork | OnnxRuntimeNetwork
    why: str
    # the reason for this way of computing, for people

    def __init__(self, open_it: OpenNetwork, manifest: Mapping[str, Any], why: str, words: str = "") -> None:
        """words: how it computes, where the network's own precision does not say it."""
        self.why = why
        self.identity = EncoderIdentity(
            manifest["name"], manifest["size"], manifest["dim"], manifest["sha256"], manifest["preprocessing"]
        )
        self.feed = Feed(manifest["size"], interpolation=manifest["interpolation"])
        self._network = open_it(("features", manifest["cells"], manifest["fine"]), manifest["size"])
        self._network.precision = words or self._network.precision
        self.window = int(manifest["window"])
        self._open_map = partial(open_it, (manifest["map"],), self.window)
        self._map_network: OpenVinoNetwork | OnnxRuntimeNetwork | None = None
        self._lock = threading.Lock()

    @property
    def batch(self) -> int:
        """Patches in a call that keep the machine busiest."""
        return CALL

    def measure(self, seconds: float = 1.0) -> float:
        """Patches a second, while nothing else is done: the best of what calls of `encode` reach in so many seconds."""
        patches = np.tile(make_probes(self.identity.size), (CALL // 4, 1, 1, 1))
        end, fastest = time.perf_counter() + seconds, 0.0
        while (began := time.perf_counter()) < end:
            self.encode(patches)
            fastest = max(fastest, len(patches) / (time.perf_counter() - began))
        return fastest

    @property
    def cells(self) -> CellEncoder:
        """Itself."""
        return self

    def encode_cells(self, patches: Patches) -> tuple[Features, Cells]:
        """See CellEncoder."""
        check_patches(patches, self.identity.size)
        features, coarse, fine = self._network.run(patches)
        return features, Cells(_unit_cells(coarse), _unit_cells(fine))

    def encode_map(self, windows: Patches) -> NDArray[np.float32]:
        """See CellEncoder. Its network is made at the first call."""
        check_patches(windows, self.window)
        with self._lock:
            if self._map_network is None:
                self._map_network = self._open_map()
        return np.moveaxis(self._map_network(windows), 1, 3)


def _on_openvino(
    model: Path, manifest: Mapping[str, Any], way: Way, outputs: Sequence[str], side: int
) -> OpenVinoNetwork:
    return OpenVinoNetwork(
        *(model, BATCH, way.precision, way.streams),
        shape=(side, side, 3),
        outputs=outputs,
        n_exact=manifest["n_exact"],
        in_float=way.in_float,
        kept=manifest["sha256"],
    )


def _on_onnxruntime(model: Path, manifest: Mapping[str, Any], outputs: Sequence[str], side: int) -> OnnxRuntimeNetwork:
    inner = tuple(name for name in outputs if name != "features")
    content = with_outputs(of_side(model.read_bytes(), manifest["size"], side), inner)
    return OnnxRuntimeNetwork(content, outputs, CALL)


def _unit_cells(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cells (B, h, w, C) of unit length, of (B, C, h, w)."""
    lengths = np.linalg.norm(cells, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.moveaxis(cells / np.maximum(lengths, 1e-6), 1, 3)
    return unit


def open_embedded(
    engine: str = "auto", precision: str = "auto", streams: int | None = None, name: str = "embedded"
) -> EmbeddedEncoder:
    """engine: auto, openvino or onnxruntime. precision: auto, f32 or bf16 (OpenVINO). streams: calls at once.

    name: "embedded", or FAST, which runs on OpenVINO alone. A way of computing that gives other features than float32
    is passed over with a warning. Raises EncoderError when the model file is not the one that was recorded or nothing
    here computes it rightly, MissingExtra without any engine.
    """
    folder = Path(str(files(__package__) / "embedded"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if name == FAST:
        manifest |= json.loads((folder / "manifest-fast.json").read_text(encoding="utf-8"))
    model, *others = (folder / file for file in manifest["files"])
    content = b"".join(path.read_bytes() for path in (model, *others))
    if hashlib.sha256(content).hexdigest() != manifest["sha256"]:
        raise EncoderError(f"{model}: not the file that was shipped (SHA-256 differs); install patchseek again")
    engines = ("auto", "openvino") if name == FAST else ("auto", "openvino", "onnxruntime")
    if engine not in engines:
        raise EncoderError(f"engine must be one of {', '.join(engines)}, found {engine!r}")
    expected = np.load(folder / manifest["probes"], allow_pickle=False)

    def on_openvino() -> EmbeddedEncoder:
        ways = _ways(name, precision, streams)
        opens = [(partial(_on_openvino, model, manifest, way), way) for way in ways]
        return _first_right([partial(EmbeddedEncoder, it, manifest, way.why, way.words) for it, way in opens], expected)

    def on_onnxruntime(why: str) -> EmbeddedEncoder:
        return _first_right(
            [partial(EmbeddedEncoder, partial(_on_onnxruntime, model, manifest), manifest, why)], expected
        )

    if engine == "onnxruntime":
        return on_onnxruntime("it was asked for")
    if engine == "openvino" or name == FAST:
        return on_openvino()
    if precision == "auto" and not is_x86():
        why = "it is faster than OpenVINO on this machine"
        return fastest(name, {"openvino": on_openvino, "onnxruntime": lambda: on_onnxruntime(why)})
    try:
        return on_openvino()
    except MissingExtra:
        return on_onnxruntime("OpenVINO is not installed")


def _ways(name: str, precision: str, streams: int | None) -> list[Way]:
    """Ways of computing on this processor, the fastest first. Raises EncoderError for a precision that is none."""
    if name == FAST:
        simulated = Way("f32 was asked for", words="f32 in steps of 8 bits", in_float=True)
        if precision not in ("auto", "f32"):
            raise EncoderError(f"{FAST} computes in 8 bits: precision must be auto or f32, found {precision!r}")
        if precision == "f32":
            return [simulated]
        why = "the 8-bit kernels of this processor give other features"
        in_8_bits = Way("what this network is made for", words="8 bits", streams=streams)
        return [in_8_bits, replace(simulated, why=why)]
    if precision not in PRECISIONS:
        raise EncoderError(f"precision must be one of {', '.join(PRECISIONS)}, found {precision!r}")
    if precision != "auto":
        return [Way(f"{precision} was asked for", precision, streams=streams)]
    chosen = chosen_precision()
    if chosen == "f32":
        return [Way("this processor computes in nothing shorter", streams=streams)]
    why = f"this processor computes in {chosen}, and the features are those of float32"
    other = f"{chosen} gives other features on this processor"
    return [Way(why, chosen, streams=streams), Way(other, streams=streams)]


def _first_right(openers: Sequence[Callable[[], EmbeddedEncoder]], expected: Features) -> EmbeddedEncoder:
    """The first encoder whose features of the probes are those expected (4, D).

    Raises EncoderError for none, and what the last one raises when it cannot be opened.
    """
    for open_it in openers:
        try:
            encoder = open_it()
        except EncoderError as error:
            if open_it is openers[-1]:
                raise
            _log.warning("%s; trying another way", error)
            continue
        name, least = encoder.identity.name, LEAST[encoder.identity.name]
        found = agreement(encoder, expected)
        if found >= least:
            return encoder
        _log.warning("%s on %s: cosine %.4f with its own features, below %s", name, encoder.runs_on, found, least)
    raise EncoderError(
        f"{name}: nothing on this processor gives the features it should (cosine {found:.4f} instead of {least}); "
        "another release of openvino may, or --engine onnxruntime"
    )
