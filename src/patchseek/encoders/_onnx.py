"""An image model of one's own in an ONNX file. Leaves computing to an engine's private file.

The model has one input, float32 (B, 3, S, S) or uint8 (B, S, S, 3), and answers (B, D), which is brought to unit length
here. S is the input's, or `size` where that may vary. A file of the same name that ends in .json may hold any of

    {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "interpolation": "bicubic", "size": 224}

which are the defaults (ImageNet's), for pixels in [0, 1]. A uint8 model normalises pixels itself: no mean, no std.
Its weights may lie in further files of its folder and those below; an .xml of OpenVINO's with its .bin will do, too.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._home import expanded
from ..errors import EncoderError, MissingExtra
from ..patches import Feed, Patches
from ._model_files import hash_files, list_files
from ._onnxruntime import OnnxRuntimeNetwork
from ._onnxruntime import describe_input as describe_for_onnxruntime
from ._opening import Opening
from ._openvino import OpenVinoNetwork
from ._openvino import describe_input as describe_for_openvino
from ._protocol import EncoderIdentity, Features, check_patches
from ._spec import FEED_OPTIONS, INTERPOLATIONS, Spec

OPTIONS = FEED_OPTIONS
DEFAULTS: dict[str, Any] = {
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "interpolation": "bicubic",
    "size": None,
}


class OnnxEncoder:
    """An ONNX file on OpenVINO or ONNX Runtime."""

    cells = words = regions = None

    def __init__(self, spec: Spec, opening: Opening) -> None:
        """spec.model: the path. engine: auto, openvino or onnxruntime. Raises EncoderError, MissingExtra."""
        engine, batch = opening.engine, opening.batch
        path, others = _find(expanded(spec.model))
        if engine not in ("auto", "openvino", "onnxruntime"):
            raise EncoderError(f"engine must be auto, openvino or onnxruntime for an ONNX file, found {engine!r}")
        engine, shape, kind = _describe(path, engine)
        layout, size = _layout(path, shape, kind)
        options = read_options(path.with_suffix(".json"))
        size = size or spec.size or options["size"]
        if size is None:
            raise EncoderError(f"{path}: its input has no fixed size; give it, as in onnx:FILE?size=224")
        if spec.size not in (None, size):
            raise EncoderError(f"{path}: its input is {size} px, found size={spec.size}")
        self._fixed = shape[0]
        self._layout = layout
        self.feed = Feed(size, spec.fit, spec.interpolation or options["interpolation"], exact=True)
        self._mean, self._std = (np.asarray(options[name], np.float32) * 255 for name in ("mean", "std"))
        if engine == "openvino":
            self._network: OpenVinoNetwork | OnnxRuntimeNetwork = OpenVinoNetwork(
                path,
                self._fixed or batch or 8,
                opening.precision,
                shape=(3, size, size) if layout == "float" else (size, size, 3),
            )
        else:
            self._network = OnnxRuntimeNetwork(path)
        self.batch = self._fixed or batch or self._network.batch
        self.streams = self._network.streams
        self.runs_on = self._network.runs_on
        words = "pixels as they are"
        if layout == "float":
            mean, std = (" ".join(f"{x:.4g}" for x in options[name]) for name in ("mean", "std"))
            words = f"mean {mean}, std {std}"
        self.identity = EncoderIdentity(
            str(replace(spec, model=str(path))),
            size,
            self._answer(np.zeros((1, size, size, 3), np.uint8)).shape[1],
            hash_files(path, others),
            f"{spec.fit}, {self.feed.interpolation}, {words}",
        )

    def encode(self, patches: Patches) -> Features:
        """See Encoder."""
        check_patches(patches, self.identity.size)
        if not len(patches):
            return np.empty((0, self.identity.dim), np.float32)
        features = self._answer(patches)
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        unit: Features = features / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit

    def _answer(self, patches: Patches) -> NDArray[np.float32]:
        """What the model says of patches (n, S, S, 3), in batches of its own where it knows no other."""
        parts = [self._inputs(patches[i : i + self.batch]) for i in range(0, len(patches), self.batch)]
        answers = []
        for part in parts:
            n = len(part)
            if self._fixed and n < self._fixed:
                part = np.concatenate([part, np.repeat(part[-1:], self._fixed - n, axis=0)])
            answers.append(self._network(part)[:n])
        if answers[0].ndim != 2:
            raise EncoderError(f"the model answers with shape {answers[0].shape}, not with one vector a patch")
        return np.concatenate(answers).astype(np.float32, copy=False)

    def _inputs(self, patches: Patches) -> NDArray[Any]:
        if self._layout == "uint8":
            return patches
        return np.ascontiguousarray(((patches - self._mean) / self._std).transpose(0, 3, 1, 2))


def _find(given: Path) -> tuple[Path, list[Path]]:
    """A model's first file, links followed, and the others that it is made of. Raises EncoderError.

    Where these are not beside what a link points to, they are beside the link, as in the hub's cache.
    """
    path = given.resolve()
    if not path.is_file():
        raise EncoderError(f"{path}: no such file")
    try:
        return path, list_files(path)
    except EncoderError:
        here = given.absolute()
        if here == path:
            raise
        return here, list_files(here)


def read_options(path: Path) -> dict[str, Any]:
    """The options of the JSON file beside a model, with DEFAULTS. Raises EncoderError for what is none of them."""
    if not path.is_file():
        return dict(DEFAULTS)
    try:
        options = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path}: cannot be read as JSON") from error
    if not isinstance(options, dict) or not options.keys() <= DEFAULTS.keys():
        raise EncoderError(f"{path}: known are {', '.join(DEFAULTS)}")
    merged = DEFAULTS | options
    for name in ("mean", "std"):
        numbers = merged[name] if isinstance(merged[name], list) else []
        if (
            len(numbers) != 3
            or not all(isinstance(x, int | float) for x in numbers)
            or (name == "std" and 0 in numbers)
        ):
            raise EncoderError(f"{path}: mean and std are three numbers each, std without zero")
    if merged["size"] is not None and not (isinstance(merged["size"], int) and 0 < merged["size"] <= 4096):
        raise EncoderError(f"{path}: size must be a number of pixels, found {merged['size']!r}")
    if merged["interpolation"] not in INTERPOLATIONS:
        raise EncoderError(f"{path}: interpolation must be one of {', '.join(INTERPOLATIONS)}")
    return merged


def _describe(path: Path, engine: str) -> tuple[str, list[int | None], str]:
    """The engine to use, the input's shape and its type."""
    if engine == "onnxruntime":
        return (engine, *describe_for_onnxruntime(path))
    try:
        return ("openvino", *describe_for_openvino(path))
    except MissingExtra:
        if engine == "openvino":
            raise
        return ("onnxruntime", *describe_for_onnxruntime(path))


def _layout(path: Path, shape: list[int | None], kind: str) -> tuple[str, int | None]:
    """float or uint8, and S where it is fixed. Raises EncoderError for an input that is neither of the two."""
    if len(shape) == 4 and kind in ("f32", "float") and shape[1] == 3 and shape[2] == shape[3]:
        return "float", shape[2]
    if len(shape) == 4 and kind in ("u8", "uint8") and shape[3] == 3 and shape[1] == shape[2]:
        return "uint8", shape[1]
    raise EncoderError(
        f"{path}: its input must be float32 (B, 3, S, S) or uint8 (B, S, S, 3), found {kind} {tuple(shape)}"
    )
