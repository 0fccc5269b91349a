"""The default encoder: EfficientNet-Lite0 that ships in the package. `tools/export_embedded.py` makes its file.

Features of the last convolution, generalized-mean pooled (p = 3; Radenovic et al. 2018), of unit length. The file takes
pixels and does all of that, so this one only finds an engine for it.
"""

import hashlib
import json
from importlib.resources import files
from pathlib import Path

from ..errors import EncoderError, MissingExtra
from ..patches import Feed
from . import EncoderIdentity
from ._network import NetworkEncoder
from ._onnxruntime import OnnxRuntimeNetwork
from ._openvino import OpenVinoNetwork

BATCH = 1
# patches that go through the network together: as fast as 8, and nothing is computed for a short last batch
CALL = 32
# patches in a call of encode


class EmbeddedEncoder(NetworkEncoder):
    """EfficientNet-Lite0 on the CPU: on OpenVINO, or on ONNX Runtime where that is not to be had."""

    def __init__(self, engine: str = "auto", precision: str = "auto", streams: int | None = None) -> None:
        """engine: auto, openvino or onnxruntime. precision: auto, f32 or bf16 (OpenVINO). streams: calls at once.

        Raises EncoderError when the model file is not the one that was recorded, MissingExtra without any engine.
        """
        folder = Path(str(files(__package__) / "embedded"))
        manifest = json.loads((folder / "manifest.json").read_text())
        model = folder / manifest["file"]
        sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        if sha256 != manifest["sha256"]:
            raise EncoderError(f"{model}: not the file that was shipped (SHA-256 differs); install patchseek again")
        self.identity = EncoderIdentity(
            "embedded", manifest["size"], manifest["dim"], sha256, manifest["preprocessing"]
        )
        self.feed = Feed(manifest["size"])
        self._network = _open_network(model, engine, precision, streams)

    @property
    def batch(self) -> int:
        """Patches in a call that keep the machine busiest."""
        return CALL


def _open_network(
    model: Path, engine: str, precision: str, streams: int | None
) -> OpenVinoNetwork | OnnxRuntimeNetwork:
    if engine == "openvino":
        return OpenVinoNetwork(model, BATCH, precision, streams)
    if engine == "onnxruntime":
        return OnnxRuntimeNetwork(model)
    if engine != "auto":
        raise EncoderError(f"engine must be auto, openvino or onnxruntime, found {engine!r}")
    try:
        return OpenVinoNetwork(model, BATCH, precision, streams)
    except MissingExtra:
        return OnnxRuntimeNetwork(model)
