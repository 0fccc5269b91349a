"""Any image model of timm, the only file that imports it: SigLIP, DINOv2, DINOv3, CLIP and a thousand others.

A model is fed as its own configuration says (size, mean, std, interpolation), except that a patch is squashed to a
square unless the name says fit=center-crop or pad. Another size resizes position embeddings as timm does. The
classifier is dropped, and with it CLIP's projection into the space it shares with text.
"""

import difflib
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..boxes import WHOLE
from ..errors import EncoderError, MissingExtra
from ..patches import Feed, Patches
from ._calibration import read_calibration, words_for
from ._cells import WithCells, takes, with_cells
from ._checkpoint import load_weights
from ._dense import attention, attention_pool, cell_shares, gem_pool, mean_pool
from ._network import Network, NetworkEncoder
from ._opening import Opening
from ._positions import blanks, position_basis, without
from ._protocol import CellEncoder, Cells, DenseEncoder, EncoderIdentity, Features, check_patches
from ._spec import Spec
from ._torch import Pixels, hash_weights, measure, torch
from ._torch_engines import open_network
from ._torch_network import TorchNetwork
from ._weights import Published, check_file, locate

try:
    import timm
    import timm.data
except ImportError as error:
    raise MissingExtra("timm", "timm") from error


class TimmEncoder(NetworkEncoder):
    """A model of timm that encodes each patch in a pass of its own."""

    def __init__(self, spec: Spec, opening: Opening) -> None:
        """Weights: see `_checkpoint`. Raises EncoderError, MissingExtra."""
        spec, config = resolve(spec)
        path = check_file(opening.weights) if opening.weights else locate(source(spec, config))
        model, sha256 = load(spec, config, path)
        asked = timm.data.resolve_model_data_config(model)
        size, interpolation = spec.size or asked["input_size"][1], spec.interpolation or asked["interpolation"]
        # what is the model's own is not said in the name
        spec = replace(
            spec,
            size=spec.size if spec.size != asked["input_size"][1] else None,
            interpolation=spec.interpolation if spec.interpolation != asked["interpolation"] else None,
        )
        keep = size / math.floor(size / asked["crop_pct"])  # timm rounds down
        self.feed = Feed(size, spec.fit, interpolation, keep, exact=True)
        pooled = Pooled(model, spec)
        self.shown = with_cells(pooled, size) if spec.mode == "crops" and spec.fit == "squash" else None
        pixels = Pixels(self.shown or pooled, asked["mean"], asked["std"]).eval()
        ranges = read_calibration(opening.calibration, self.feed) if opening.calibration else None
        words = _words(self.feed, asked, pooled.pool, spec.mode) + words_for(opening.precision, ranges)
        self.identity = EncoderIdentity(str(spec), size, measure(pixels, size), sha256, words)
        if spec.mode == "dense":
            if opening.engine == "openvino":
                raise EncoderError("mode=dense runs on the torch engine, found engine openvino")
            opening = replace(opening, engine="torch")
        self._network = open_network(pixels, size, opening, ranges)
        self.feed = replace(self.feed, late=self._network.cuts)
        self.open_map = partial(
            self._open_map,
            partial(Pixels, mean=asked["mean"], std=asked["std"]),
            replace(opening, precision="auto" if opening.precision == "int8" else opening.precision, batch=1),
        )

    def _open_map(self, pixels: Callable[[Any], Pixels], opening: Opening, window: int) -> Network:
        """A network that answers with the cells of windows of this size, as coarse ones. It is made when needed."""
        assert self.shown, "only an encoder of cells has a map"
        return open_network(pixels(self.shown.of_windows()).eval(), window, opening)


class TimmCellEncoder(NetworkEncoder):
    """A model of timm that also shows what is where; see CellEncoder. Its features are those of TimmEncoder."""

    power = None

    def __init__(self, opened: TimmEncoder, cells: WithCells) -> None:
        """opened and its cells, which are not None."""
        self.identity, self.feed, self._network = opened.identity, opened.feed, opened._network
        self._open_map, self._lock = opened.open_map, threading.Lock()
        size = opened.identity.size
        self.window = 2 * size if cells.staged and takes(cells, 2 * size) else size
        self._map_network: Network | None = None if cells.staged else self._network
        self._bases: list[NDArray[np.float32]] | None = None

    @property
    def cells(self) -> CellEncoder:
        """Itself."""
        return self

    def encode_cells(self, patches: Patches) -> tuple[Features, Cells]:
        """See CellEncoder. At the first call, a transformer is asked for what its cells say of where they stand."""
        check_patches(patches, self.identity.size)
        features, coarse, fine, *heard = self._network.run(patches)
        coarse, fine = self._unplaced([coarse, fine])
        return features, Cells(coarse, fine, heard[0].reshape(coarse.shape[:3]) if heard else None)

    def encode_map(self, windows: Patches) -> NDArray[np.float32]:
        """See CellEncoder. The network of a convolutional model is made at the first call."""
        check_patches(windows, self.window)
        with self._lock:
            if self._map_network is None:
                self._map_network = self._open_map(self.window)
        _, *cells = self._map_network.run(windows, 3)
        return self._unplaced(cells)[1] if self._map_network is self._network else cells[0]

    def _unplaced(self, cells: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Coarse and fine cells without their positions; those of convolutions, which know none, as they are."""
        if self._map_network is not self._network:
            return cells
        with self._lock:
            if self._bases is None:
                self._bases = [position_basis(seen) for seen in self._network.run(blanks(self.identity.size), 3)[1:]]
        return [without(each, basis) for each, basis in zip(cells, self._bases, strict=True)]


def open_timm(spec: Spec, opening: Opening) -> TimmEncoder | TimmCellEncoder:
    """A model as its spec says: of a pass for each picture, or for each patch, then with cells if it has any."""
    if spec.mode == "dense":
        return DenseTimmEncoder(spec, opening)
    opened = TimmEncoder(spec, opening)
    return TimmCellEncoder(opened, opened.shown) if opened.shown else opened


class DenseTimmEncoder(TimmEncoder):
    """A model of timm that takes a whole picture in one pass and pools the cells of each region."""

    @property
    def regions(self) -> DenseEncoder:
        """Itself."""
        return self

    def encode_regions(self, pictures: Patches, boxes: ArrayLike) -> Features:
        """See DenseEncoder."""
        check_patches(pictures, self.identity.size)
        network = self._network
        assert isinstance(network, TorchNetwork), "dense mode opens no other"
        pixels, n_boxes = network.module, len(np.asarray(boxes))
        if not len(pictures) or not n_boxes:
            return np.empty((len(pictures), n_boxes, self.identity.dim), np.float32)

        def pooled(patches: torch.Tensor) -> torch.Tensor:
            vectors = pixels.network.regions(pixels.normalise(patches), boxes)
            return torch.nn.functional.normalize(vectors.float(), dim=-1)

        return network.each(pictures, pooled, 1)[0]


class Pooled(torch.nn.Module):  # type: ignore[misc]  # torch is not followed
    """A model of timm whose answer is one vector: (B, 3, S, S) float32 -> (B, D) float32."""

    def __init__(self, model: torch.nn.Module, spec: Spec) -> None:
        super().__init__()
        self.model = model
        self.n_prefix = int(getattr(model, "num_prefix_tokens", 0))
        self.pool = spec.pool
        has_latent = hasattr(getattr(model, "attn_pool", None), "latent")
        if spec.mode == "dense" and spec.pool == "head":  # a class token has no region: the mean stands in for it
            self.pool = "map" if has_latent else "mean"
        self.pools_by_attention = has_latent and self.pool == "head"
        if spec.pool == "cls" and not (self.n_prefix and getattr(model, "cls_token", None) is not None):
            raise EncoderError(f"{spec.model} has no class token: choose pool=head, mean or gem")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """One vector an image, as `pool` says."""
        return self.model(images) if self.pool == "head" else self.pool_features(self.model.forward_features(images))

    def pool_features(self, features: torch.Tensor) -> torch.Tensor:
        """The same of the model's last features."""
        if self.pool == "head":
            return self.model.forward_head(features)
        if self.pool == "cls":
            return self._norm(features[:, 0])
        return self._pool_regions(self._tokens(features), [WHOLE])[:, 0]

    def regions(self, images: torch.Tensor, boxes: ArrayLike) -> torch.Tensor:
        """(B, R, D) of images and the boxes (R, 4) of their regions, for the pools that have cells."""
        return self._pool_regions(self._tokens(self.model.forward_features(images)), boxes)

    def grid(self, features: torch.Tensor) -> torch.Tensor:
        """The model's last features as cells (B, C, g, g)."""
        cells = self._tokens(features)[:, self.n_prefix :]
        side = self._side(int(cells.shape[1]))
        return cells.transpose(1, 2).unflatten(2, (side, side))

    def attention(self, features: torch.Tensor) -> torch.Tensor:
        """The share of attention (B, N) that the model's own pooling gives each cell of its last features."""
        tokens = self._tokens(features)
        skipped = 0 if self._pools_prefix() else self.n_prefix
        return attention(self.model.attn_pool, tokens[:, skipped:])[:, self.n_prefix - skipped :]

    def _pool_regions(self, tokens: torch.Tensor, boxes: ArrayLike) -> torch.Tensor:
        cells = tokens[:, self.n_prefix :]
        shares = cell_shares(boxes, self._side(int(cells.shape[1]))).to(cells.device)  # a tensor while torch traces
        if self.pool == "map":
            skipped = 0 if self._pools_prefix() else self.n_prefix
            return self._norm(
                attention_pool(self.model.attn_pool, tokens[:, skipped:], shares, self.n_prefix - skipped)
            )
        pool = mean_pool if self.pool == "mean" else gem_pool
        return self._norm(pool(cells.float(), shares))

    def _side(self, n_cells: int) -> int:
        side = math.isqrt(n_cells)
        if side * side != n_cells:
            raise EncoderError(f"the network has {n_cells} cells, which are no square: choose pool=head")
        return side

    def _tokens(self, features: torch.Tensor) -> torch.Tensor:
        """Tokens (B, n_prefix + N, C), or the cells of a convolutional network, row by row."""
        if features.ndim == 4:
            last = getattr(self.model, "output_fmt", "NCHW") == "NHWC"
            features = features.flatten(1, 2) if last else features.flatten(2).transpose(1, 2)
        if features.ndim != 3:
            raise EncoderError(
                f"the network's features have shape {tuple(features.shape)}, not cells: choose pool=head"
            )
        return features

    def _pools_prefix(self) -> bool:
        """Whether the model's attention pooling sees the class token too. Models without the switch always do."""
        return bool(getattr(self.model, "pool_include_prefix", True))

    def _norm(self, pooled: torch.Tensor) -> torch.Tensor:
        """The normalisation that some models keep for after the pooling."""
        norm = getattr(self.model, "fc_norm", None)
        return pooled if norm is None else norm(pooled)


def resolve(spec: Spec) -> tuple[Spec, Any]:
    """The spec with the model's full name, and timm's configuration of it (None where timm has none).

    Raises EncoderError for a model that timm does not have.
    """
    architecture, _, tag = spec.model.partition(".")
    if not timm.is_model(architecture):
        close = difflib.get_close_matches(architecture, timm.list_models(), 3)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise EncoderError(f"timm {timm.__version__} has no model {architecture!r}{hint}")
    try:
        config = timm.get_pretrained_cfg(spec.model, allow_unregistered=False)
    except RuntimeError as error:
        tags = ", ".join(timm.list_pretrained(f"{architecture}.*")) or "none"
        raise EncoderError(f"timm {timm.__version__} has no {spec.model!r}; known: {tags}") from error
    tag = tag or getattr(config, "tag", None) or ""
    return replace(spec, model=f"{architecture}.{tag}" if tag else architecture), config


def source(spec: Spec, config: Any) -> Published:
    """Where the weights of a resolved spec are published."""
    published = config is not None and config.has_weights
    repository = (config.hf_hub_id or f"timm/{spec.model}") if published else ""
    return Published(spec.model, repository, (published and config.hf_hub_filename) or "model.safetensors")


def load(spec: Spec, config: Any, path: Path) -> tuple[torch.nn.Module, str]:
    """The model without its classifier, and the hash of its weights. Raises EncoderError for a file that does not fit.

    The classifier is loaded first and dropped then, so that timm compares every name: a half-loaded model looks well.
    """

    def expected() -> dict[str, torch.Tensor]:
        return dict(_create(spec, config, {}, getattr(config, "num_classes", 1000)).state_dict())

    chosen = ("state_dict_ema", "model_ema", "state_dict", "model")
    return load_weights(path, partial(_load_file, spec, config), expected, chosen)


def _load_file(spec: Spec, config: Any, path: Path) -> tuple[torch.nn.Module, str]:
    """The same of one file whose names are the model's own."""
    try:
        weights = timm.models.load_state_dict(str(path), weights_only=True)
        sha256 = hash_weights(weights)
    except Exception as error:  # many libraries below, many kinds
        raise EncoderError(f"{path}: cannot be read as weights: {_first_line(error)}") from error
    classifier = getattr(config, "classifier", None)
    own = weights.get(f"{classifier}.weight") if isinstance(classifier, str) else None
    counts = [len(own)] if own is not None else list(dict.fromkeys([getattr(config, "num_classes", 1000), 0]))
    del weights
    problem: Exception | None = None
    for n_classes in counts:
        overlay = {"file": str(path), "custom_load": False, "num_classes": n_classes, "label_offset": 0}
        try:
            model = _create(spec, config, {"pretrained": True, "pretrained_cfg_overlay": overlay}, n_classes)
        except Exception as error:
            problem = problem or error
        else:
            model.reset_classifier(0)
            return model.eval().requires_grad_(False), sha256
    raise EncoderError(f"{path}: does not fit {spec.model}: {_first_line(problem)}") from problem


def _create(spec: Spec, config: Any, options: dict[str, Any], n_classes: int) -> torch.nn.Module:
    if spec.size is None or (config is not None and spec.size == config.input_size[1]):
        return timm.create_model(spec.model, num_classes=n_classes, **options)
    try:
        return timm.create_model(spec.model, num_classes=n_classes, img_size=spec.size, **options)
    except TypeError as error:
        if "img_size" not in str(error):
            raise
    return timm.create_model(spec.model, num_classes=n_classes, **options)  # convolutions take any size


def _first_line(error: Exception | None) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _words(feed: Feed, asked: dict[str, Any], pool: str, mode: str) -> str:
    mean, std = (" ".join(f"{x:.4g}" for x in asked[name]) for name in ("mean", "std"))
    keep = f" {asked['crop_pct']:g}" if feed.fit == "center-crop" else ""
    dense = ", dense" if mode == "dense" else ""
    return f"{feed.fit}{keep}, {feed.interpolation}, mean {mean}, std {std}, pool {pool}{dense}"
