"""The image half of any OpenCLIP model, and its text half for queries in words. The only file that imports it.

A model is fed squashed to a square, as the others, unless the name says fit=center-crop (OpenCLIP's own way) or pad.
Features lie in the space that pictures and texts share.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import EncoderError, MissingExtra
from ..patches import Feed
from ._calibration import read_calibration, words_for
from ._checkpoint import load_weights
from ._network import NetworkEncoder
from ._opening import Opening
from ._protocol import EncoderIdentity, Features, TextEncoder
from ._spec import FEED_OPTIONS, Spec
from ._torch import Pixels, hash_weights, measure, torch, unit
from ._torch_engines import open_network
from ._weights import Published, check_file, locate

try:
    import open_clip
except ImportError as error:
    raise MissingExtra("open_clip_torch", "openclip") from error

OPTIONS = FEED_OPTIONS


class OpenClipEncoder(NetworkEncoder):
    """A model of OpenCLIP that encodes patches, and texts that can be compared with them."""

    def __init__(self, spec: Spec, opening: Opening) -> None:
        """spec.model: MODEL/PRETRAINED, or MODEL with weights. Raises EncoderError, MissingExtra."""
        architecture, _, tag = spec.model.partition("/")
        path = check_file(opening.weights) if opening.weights else locate(source(spec))
        self._model, sha256 = load(architecture, tag, path, spec.size)
        asked = open_clip.get_model_preprocess_cfg(self._model)
        native = _side(asked["size"])
        interpolation = spec.interpolation or asked.get("interpolation", "bicubic")
        self.feed = Feed(native, spec.fit, interpolation if interpolation != "random" else "bicubic", exact=True)
        self._tokenizer: Any = None
        self._architecture = architecture
        pixels = Pixels(ImageHalf(self._model), asked["mean"], asked["std"]).eval()
        mean, std = (" ".join(f"{x:.4g}" for x in asked[name]) for name in ("mean", "std"))
        ranges = read_calibration(opening.calibration, self.feed) if opening.calibration else None
        self.identity = EncoderIdentity(
            str(replace(spec, model=f"{architecture}/{tag}" if tag else architecture)),
            native,
            measure(pixels, native),
            sha256,
            f"{spec.fit}, {self.feed.interpolation}, mean {mean}, std {std}{words_for(opening.precision, ranges)}",
        )
        self._network = open_network(pixels, native, opening, ranges)
        self.feed = replace(self.feed, late=self._network.cuts)

    @property
    def words(self) -> TextEncoder:
        """Itself."""
        return self

    def encode_text(self, texts: Sequence[str]) -> Features:
        """Features (len(texts), D) float32 of unit length of texts, to be compared with those of patches."""
        if self._tokenizer is None:
            self._tokenizer = open_clip.get_tokenizer(self._architecture)
        tokens = self._tokenizer(list(texts)).to(next(self._model.parameters()).device)
        with torch.inference_mode():
            return unit(self._model.encode_text(tokens))


class ImageHalf(torch.nn.Module):  # type: ignore[misc]  # torch is not followed
    """images (B, 3, S, S) float32 -> vectors (B, D)."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.model.encode_image(images)


def source(spec: Spec) -> Published:
    """Where the weights of MODEL/PRETRAINED are published. Raises EncoderError for a pair OpenCLIP does not have."""
    architecture, _, tag = spec.model.partition("/")
    if architecture not in open_clip.list_models():
        raise EncoderError(f"OpenCLIP has no model {architecture!r}; see open_clip.list_models()")
    known = open_clip.list_pretrained_tags_by_model(architecture)
    if tag not in known:
        words = ", ".join(known) or "none"
        raise EncoderError(f"{spec.model}: name is openclip:MODEL/PRETRAINED or takes --weights FILE; known: {words}")
    hub = open_clip.get_pretrained_cfg(architecture, tag).get("hf_hub", "")
    repository, _, file = (
        hub.rstrip("/").rpartition("/") if hub and not hub.endswith("/") else (hub.rstrip("/"), "", "")
    )
    return Published(spec.model, repository, file or "open_clip_model.safetensors")


def load(architecture: str, tag: str, path: Path, size: int | None) -> tuple[torch.nn.Module, str]:
    """The model in float32 on the CPU, and the hash of its weights. Raises EncoderError where the file does not fit."""
    published = open_clip.get_pretrained_cfg(architecture, tag) or {} if tag else {}
    chosen = {name: published[name] for name in ("mean", "std", "interpolation") if name in published}
    create = partial(
        open_clip.create_model,
        architecture,
        precision="fp32",
        device="cpu",
        force_image_size=size,
        force_quick_gelu=bool(published.get("quick_gelu")),
        force_preprocess_cfg=chosen,
        weights_only=True,
    )

    def load_file(file: Path) -> tuple[torch.nn.Module, str]:
        try:
            sha256 = hash_weights(open_clip.factory.load_state_dict(str(file), weights_only=True))
            return create(pretrained=str(file)).eval().requires_grad_(False), sha256
        except Exception as error:  # many libraries below, many kinds
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise EncoderError(f"{file}: does not fit {architecture}: {reason}") from error

    def expected() -> dict[str, Any]:
        with _quietly():  # it warns that these weights are random, as they are meant to be
            return dict(create(pretrained=None, load_weights=False).state_dict())

    return load_weights(path, load_file, expected, ("state_dict",))


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what this thread says to the root logger."""
    own = threading.get_ident()

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.thread != own

    logging.root.addFilter(is_of_others)
    try:
        yield
    finally:
        logging.root.removeFilter(is_of_others)


def _side(size: int | Sequence[int]) -> int:
    return size if isinstance(size, int) else int(size[0])
