"""The network that finds points: XFeat, which ships in the package. `tools/export_points.py` makes its file.

Potje et al., "XFeat: Accelerated Features for Lightweight Image Matching", CVPR 2024. Which of the points are kept,
`_extract` says. Where the processor has bfloat16, what points look like is computed in it, and where they are in
float32: in bfloat16 throughout, one point in forty would be another one.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..encoders._onnxruntime import OnnxRuntimeNetwork
from ..encoders._openvino import capabilities
from ..encoders._openvino_sizes import OpenVinoSizesNetwork
from ..encoders._probes import make_probes
from ..errors import EncoderError, MissingExtra, PatchseekError

STEP = 32
"""Both sides of what the network is given are multiples of that many pixels."""
LEAST = 0.999
"""Cosine with the descriptors of float32 that a way of computing must reach, and share of the same points."""

_PROBE = 96
# pixels a side of each of the four pictures that the network is tried with, side by side
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Maps:
    """What the network says of a picture of (H, W) pixels."""

    likelihoods: NDArray[np.float32]
    # (H, W) in [0, 1]: the probability that a point is there
    reliabilities: NDArray[np.float32]
    # (H / 8, W / 8) in [0, 1]: whether what is there can be found again
    descriptors: NDArray[np.float32]
    # (H / 8, W / 8, 64) of unit length


class _Engine(Protocol):
    @property
    def runs_on(self) -> str: ...

    def run(self, inputs: NDArray[Any]) -> list[NDArray[np.float32]]: ...


class PointNetwork:
    """XFeat on some engine. Several threads may call it."""

    def __init__(self, engine: _Engine, weights: str) -> None:
        self._engine = engine
        self.weights = weights
        # SHA-256 (hex) of the model file

    @property
    def runs_on(self) -> str:
        """Engine, device and precision in words."""
        return self._engine.runs_on

    def __call__(self, pixels: NDArray[np.uint8]) -> Maps:
        """The maps of grey pixels (H, W) uint8, H and W multiples of STEP."""
        return Maps(*self._engine.run(pixels))


_OPEN: dict[str, PointNetwork] = {}
_OPENING = threading.Lock()


def open_network(engine: str = "auto") -> PointNetwork:
    """The network, opened once in a process. engine: auto, openvino or onnxruntime.

    A way of computing that gives other points is passed over with a warning. Raises EncoderError when the model file is
    not the one that was recorded or nothing here computes it rightly, MissingExtra without any engine.
    """
    with _OPENING:
        if engine not in _OPEN:
            _OPEN[engine] = _open(engine)
        return _OPEN[engine]


def _open(engine: str) -> PointNetwork:
    folder = Path(str(files(__package__) / "embedded"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    model = folder / manifest["file"]
    if hashlib.sha256(model.read_bytes()).hexdigest() != manifest["sha256"]:
        raise EncoderError(f"{model}: not the file that was shipped (SHA-256 differs); install patchseek again")
    probe = make_probe()
    ways: list[tuple[str, Callable[[], _Engine]]] = [
        ("openvino", lambda: _in_bf16(model, probe, manifest["normalised"])),
        ("openvino", lambda: OpenVinoSizesNetwork(model, probe)),
        ("onnxruntime", lambda: OnnxRuntimeNetwork(model)),
    ]
    engines = dict.fromkeys(name for name, _ in ways)
    if engine not in ("auto", *engines):
        raise EncoderError(f"engine must be one of auto, {', '.join(engines)}, found {engine!r}")
    with np.load(folder / manifest["probe"], allow_pickle=False) as recorded:
        expected = dict(recorded)
    failed: PatchseekError = EncoderError("xfeat: nothing on this processor gives the points it should")
    for make in [make for name, make in ways if engine in ("auto", name)]:
        try:
            network = PointNetwork(make(), manifest["sha256"])
        except (MissingExtra, EncoderError) as error:
            failed = error
            continue
        found = agreement(network(probe), expected)
        if found >= LEAST:
            return network
        _log.warning("xfeat on %s: agrees to %.4f with its own points, below %s", network.runs_on, found, LEAST)
    raise failed


def _in_bf16(model: Path, probe: NDArray[np.uint8], seam: str) -> _Engine:
    if "BF16" not in capabilities():
        raise EncoderError("OpenVINO has no bfloat16 on this processor")
    return OpenVinoSizesNetwork(model, probe, seam)


def make_probe() -> NDArray[np.uint8]:
    """A picture (192, 192) uint8 made by integers alone: a texture, shades with a disc, tiles, stripes."""
    tiles = make_probes(_PROBE)[..., 1]
    return np.ascontiguousarray(np.concatenate([np.concatenate(tiles[:2], axis=1), np.concatenate(tiles[2:], axis=1)]))


def agreement(maps: Maps, expected: Mapping[str, NDArray[Any]]) -> float:
    """How far maps of the probe are those recorded: the least of the cosines, and of the share of likelihoods alike."""
    cosines = (maps.descriptors * expected["descriptors"].astype(np.float32)).sum(axis=2)
    alike = np.abs(maps.likelihoods - expected["likelihoods"].astype(np.float32)) < 0.01
    return float(min(cosines.min(), alike.mean()))
