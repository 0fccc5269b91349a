"""A benchmark's gallery as features, and the cache in which they are kept. Ranks nothing.

The cache is a folder of collections, one for each gallery and way of encoding. What is in one may be more than is asked
for: pictures of tars that were asked for once, or under another filter. An answer holds what is asked for now.
"""

import hashlib
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .._progress import OnProgress, unheard
from .._words import counted
from ..datasets import Dataset, DistractorTar, open_shards
from ..encode import add_files, add_stream
from ..encoders import Encoder
from ..errors import DatasetError, PatchseekError, StoreError, StoreMismatch
from ..points import PointsIdentity
from ..regions import MAX_LEVEL, Pyramid
from ..store import Image, Settings, Snapshot, Store, take_lock
from ._copies import Copies, find_copies


@dataclass(frozen=True)
class Gallery:
    """A benchmark's gallery as features of a cumulative pyramid."""

    store: Store
    snapshot: Snapshot
    ids: Mapping[int, tuple[str, ...]]
    # position -> gallery ids; several where a benchmark lists a picture several times
    sizes: Mapping[int, tuple[int, int]]
    # position -> width, height in pixels
    copies: Copies = field(default_factory=dict)
    # pictures that are byte for byte those of queries
    shards: Sequence[DistractorTar] = ()
    # the tars of further pictures

    def at_level(self, level: int) -> "Gallery":
        """The same gallery with the regions of levels 0..level alone. Raises PatchseekError for a level it lacks."""
        if level not in (known := self.store.settings.pyramid.levels):
            raise PatchseekError(f"level must be one of {', '.join(map(str, known))}, found {level}")
        n_regions = int((self.store.settings.pyramid.level_of <= level).sum())
        return replace(self, snapshot=self.snapshot.first_regions(n_regions))


def encode_gallery(
    dataset: Dataset,
    encoder: Encoder,
    pyramid: Pyramid,
    cache: Path,
    on_progress: OnProgress = unheard,
    distractors: Sequence[Path] = (),
    keep: Container[str] | None = None,
    points: PointsIdentity | None = None,
) -> Gallery:
    """The features of a benchmark's gallery, from the cache where they are there already, also beside higher levels.

    points: what points are to be kept beside the features; None for none.
    distractors: webdataset tars of further pictures, which are streamed and never unpacked; keep: the keys wanted.
    Where two tars have one name, the ids of their pictures begin with the folders that tell them apart.

    The cache may hold more than is asked for: it is keyed by the gallery's files and by what makes a feature, and of
    the rest only pictures that are in the tars now, under these names, with these bytes, and wanted, are in the answer.
    An interrupted run goes on where it stopped. Raises DatasetError when a picture cannot be read (a figure over a part
    of a benchmark would not be comparable), StoreLocked while another run fills the same cache, StoreError,
    StoreMismatch for a cache that is something else.
    """
    shards = open_shards(distractors)
    files, folder = [picture.image for picture in dataset.gallery], dataset.folder
    settings = _kept(cache, dataset, encoder, pyramid, points, [shard.root for shard in shards])
    path = _place(cache, dataset, encoder, settings)
    relative = [file.relative_to(folder).as_posix() for file in files]
    with take_lock(path / "filling"):  # all the way: each step would let another run in between
        store = _open(path, settings)
        report = add_files(store, folder, dict.fromkeys(relative), encoder, on_progress=on_progress)
        if report.failed:
            first, n_failed = report.failed[0], counted(len(report.failed), "picture")
            raise DatasetError(f"{dataset.name}: {n_failed} cannot be read, first {first.path}: {first.reason}")
        known = store.known(folder)
        asked = [known[name].id for name in dict.fromkeys(relative)]
        for shard in shards:
            asked += _add_shard(store, shard, keep, encoder, on_progress)
        snapshot = _only(store.snapshot(), asked)
        images = store.images(snapshot.ids.tolist())
    names: dict[str, list[str]] = {}
    for name, picture in zip(relative, dataset.gallery, strict=True):
        names.setdefault(name, []).append(picture.id)
    found = {position: image for position, image in enumerate(images) if image is not None}
    tars = {shard.root: shard for shard in shards}
    ids = {position: _ids(image, names, tars) for position, image in found.items()}
    copies = find_copies(dataset, ((name, image.sha256) for p, image in found.items() for name in ids[p]))
    sizes = {position: (image.width, image.height) for position, image in found.items()}
    gallery = Gallery(store, snapshot, ids, sizes, copies, shards)
    return gallery if settings.pyramid.levels == pyramid.levels else gallery.at_level(pyramid.levels[-1])


def _ids(image: Image, names: Mapping[str, Sequence[str]], tars: Mapping[Path, DistractorTar]) -> tuple[str, ...]:
    """What a benchmark calls a picture: by the gallery's list, or by its tar."""
    if image.root in tars:
        return (tars[image.root].name + "/" + image.path.partition("/")[2],)
    return tuple(names.get(image.path, [image.path]))


def _kept(
    cache: Path,
    dataset: Dataset,
    encoder: Encoder,
    pyramid: Pyramid,
    points: PointsIdentity | None,
    tars: Collection[Path],
) -> Settings:
    """The settings of the cache's collection that holds this cumulative pyramid, or the lowest above it; else its own.

    One above it is taken where it holds the gallery and all tars, or else more than was asked for would be encoded.
    """
    n_files = len({picture.image for picture in dataset.gallery})
    for top in range(pyramid.levels[-1], MAX_LEVEL + 1):
        settings = Settings.of(encoder, replace(pyramid, levels=tuple(range(top + 1))), points)
        path = _named(cache, dataset, encoder, settings)
        if Store.exists(path) and top == pyramid.levels[-1]:
            return settings
        if Store.exists(path) and len(store := Store.open(path)) >= n_files and set(tars) <= set(store.roots()):
            return settings
    return Settings.of(encoder, pyramid, points)


def _only(kept: Snapshot, asked: Sequence[int]) -> Snapshot:
    """The pictures with these ids, in this order, and nothing beside them that would train or weigh an engine.

    An engine's training depends on the order, which must not be that of an earlier run.
    """
    by_id = np.argsort(kept.ids)
    positions = by_id[np.searchsorted(kept.ids, np.array(asked, np.int64), sorter=by_id)]
    is_all = len(positions) == kept.n_positions and bool((np.diff(positions) == 1).all())
    return kept if is_all else kept.in_order(positions)


def _place(cache: Path, dataset: Dataset, encoder: Encoder, settings: Settings) -> Path:
    """The folder of the cache for a gallery and an encoder, made where there is none. Raises StoreError."""
    if Store.exists(cache):
        raise StoreError(f"{cache}: this is a collection, not a cache of features; name another folder")
    path = _named(cache, dataset, encoder, settings)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot keep features here ({error.strerror}); name another folder") from error
    return path


def _named(cache: Path, dataset: Dataset, encoder: Encoder, settings: Settings) -> Path:
    """Where that folder is, whether or not it is there.

    runs_on is in its name since a precision or a device may change figures a little, though features can be compared.
    """
    files = [str(picture.image) for picture in dataset.gallery]
    made_of = "\n".join([settings.to_json(), encoder.runs_on, dataset.data_hash, *files])
    return cache / f"{dataset.name}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"


def _open(path: Path, settings: Settings) -> Store:
    store = Store.open(path) if Store.exists(path) else Store.create(path, settings)
    if store.settings != settings:
        difference = store.settings.difference(settings) or "the grids of long pictures"
        raise StoreMismatch(f"{path}: not what this cache made ({difference}); delete it, or name another cache")
    return store


def _add_shard(
    store: Store, shard: DistractorTar, keep: Container[str] | None, encoder: Encoder, on_progress: OnProgress
) -> list[int]:
    """The ids of the wanted pictures of a tar, in its order; each is encoded unless it is known with the same bytes."""
    names: list[str] = []

    def seen() -> Iterator[tuple[str, bytes]]:
        for name, content in shard.pictures(keep):
            names.append(name)
            yield name, content

    report = add_stream(store, shard.root, seen(), encoder, on_progress=on_progress)
    for failure in report.failed:
        shard.unreadable[f"{shard.name}/{failure.path.partition('/')[2]}"] = failure.reason
    failed, known = {failure.path for failure in report.failed}, store.known(shard.root)
    return [known[name].id for name in dict.fromkeys(names) if name not in failed and name in known]
