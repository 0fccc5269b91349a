"""The default encoder: EfficientNet-Lite0 that ships in the package. `tools/export_embedded.py` makes its file.

Features of the last convolution, generalized-mean pooled (p = 3; Radenovic et al. 2018), of unit length. The file takes
pixels and does all of that, so this one only finds an engine for it. FAST is the same network in 8 bits, fed with
smaller patches.
"""

import functools
import hashlib
import json
import threading
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError, MissingExtra
from ..patches import Feed, Patches
from . import Cells, EncoderIdentity, Features, check_patches
from ._network import NetworkEncoder
from ._onnxruntime import OnnxRuntimeNetwork
from ._openvino import OpenVinoNetwork

BATCH = 1
# patches that go through the network together: as fast as 8, and nothing is computed for a short last batch
CALL = 32
# patches in a call of encode


FAST = "embedded-fast"
POWER = 3.0
# p of the generalized mean; see the export tool


class EmbeddedEncoder(NetworkEncoder):
    """EfficientNet-Lite0 on the CPU, on ONNX Runtime: where OpenVINO is not to be had."""

    _network: OpenVinoNetwork | OnnxRuntimeNetwork

    def __init__(self, network: OpenVinoNetwork | OnnxRuntimeNetwork, manifest: Mapping[str, Any]) -> None:
        self._network = network
        self.identity = EncoderIdentity(
            manifest["name"], manifest["size"], manifest["dim"], manifest["sha256"], manifest["preprocessing"]
        )
        self.feed = Feed(manifest["size"], interpolation=manifest["interpolation"])

    @property
    def batch(self) -> int:
        """Patches in a call that keep the machine busiest."""
        return CALL


class EmbeddedCellEncoder(EmbeddedEncoder):
    """EfficientNet-Lite0 on OpenVINO, which can also answer with what stands before the pooling. See CellEncoder."""

    power = POWER

    def __init__(self, model: Path, manifest: Mapping[str, Any], precision: str, streams: int | None) -> None:
        network = OpenVinoNetwork(
            model, BATCH, precision, streams, outputs=("features", manifest["cells"], manifest["fine"])
        )
        super().__init__(network, manifest)
        self.window = int(manifest["window"])
        self._cell_network = network
        self._open_map = functools.partial(
            OpenVinoNetwork, model, BATCH, precision, streams, (self.window, self.window, 3), (manifest["map"],)
        )
        self._map_network: OpenVinoNetwork | None = None
        self._lock = threading.Lock()

    def encode_cells(self, patches: Patches) -> tuple[Features, Cells]:
        """See CellEncoder."""
        check_patches(patches, self.identity.size)
        features, coarse, fine = self._cell_network.run(patches)
        return features, Cells(_unit_cells(coarse), _unit_cells(fine))

    def encode_map(self, windows: Patches) -> NDArray[np.float32]:
        """See CellEncoder. Its network is made at the first call."""
        check_patches(windows, self.window)
        with self._lock:
            if self._map_network is None:
                self._map_network = self._open_map()
        return np.moveaxis(self._map_network(windows), 1, 3)


def _unit_cells(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cells (B, h, w, C) of unit length, of (B, C, h, w)."""
    lengths = np.linalg.norm(cells, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.moveaxis(cells / np.maximum(lengths, 1e-6), 1, 3)
    return unit


def open_embedded(
    engine: str = "auto", precision: str = "auto", streams: int | None = None, name: str = "embedded"
) -> EmbeddedEncoder:
    """engine: auto, openvino or onnxruntime. precision: auto, f32 or bf16 (OpenVINO). streams: calls at once.

    name: "embedded", or FAST, which runs on OpenVINO alone. Raises EncoderError when the model file is not the one that
    was recorded, MissingExtra without any engine.
    """
    folder = Path(str(files(__package__) / "embedded"))
    manifest = json.loads((folder / "manifest.json").read_text())
    if name == FAST:
        manifest |= json.loads((folder / "manifest-fast.json").read_text())
    model, *others = (folder / file for file in manifest["files"])
    content = b"".join(path.read_bytes() for path in (model, *others))
    if hashlib.sha256(content).hexdigest() != manifest["sha256"]:
        raise EncoderError(f"{model}: not the file that was shipped (SHA-256 differs); install patchseek again")
    engines = ("auto", "openvino") if name == FAST else ("auto", "openvino", "onnxruntime")
    if engine not in engines:
        raise EncoderError(f"engine must be one of {', '.join(engines)}, found {engine!r}")
    if engine != "onnxruntime":
        try:
            return EmbeddedCellEncoder(model, manifest, precision, streams)
        except MissingExtra:
            if engine == "openvino" or name == FAST:
                raise
    return EmbeddedEncoder(OnnxRuntimeNetwork(model), manifest)
