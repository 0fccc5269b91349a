"""Drop what is damaged, and write what is kept into full shards. For the holder of the write lock; leaves orphans."""

import logging
from collections.abc import Iterable

import numpy as np

from .._progress import OnProgress
from .._words import counted
from ._features import map_features
from ._inventory import find_doubts, put_inventories
from ._points import Codes, PointsPart
from ._records import ANEW
from ._rows import replace_shard
from ._shards import Shard, delete_shards, drop_points, insert_shard, next_number, write_shard
from ._soundness import points_problem, sound_slots
from ._store import Store

_IMAGES = 2048  # pictures in a shard that compact writes

_log = logging.getLogger(__name__)


def points_of(store: Store, shard: Shard, slots: Iterable[int]) -> list[Codes | None]:
    """The points in some slots of a shard, None where nobody has looked for any. Raises StoreDamaged."""
    if shard.points is None:
        return [None for _ in slots]
    part = PointsPart(store.folder, shard.points, shard.n_images, store.settings.point_bytes)
    return [part[slot] for slot in slots]


def repair(store: Store, on_progress: OnProgress) -> int:
    """What of a collection is not as it was committed goes; returns how many pictures must be indexed again."""
    on_progress(0, 0, "checking points")
    _drop_damaged_points(store)
    shards, n_lost = store.list_shards(), 0
    for i, shard in enumerate(shards):
        on_progress(i, len(shards), "mending shards")
        n_lost += _keep_sound(store, shard)
    _tell_anew(store)
    on_progress(len(shards), len(shards), "mending shards")
    return n_lost


def _tell_anew(store: Store) -> None:
    """Write again what shards hold, where that is not what the catalogue says, which is believed here."""
    with store.catalogue.writing() as db:
        put_inventories(store.path, db, [doubt.shard for doubt in find_doubts(store.path, db)])


def _drop_damaged_points(store: Store) -> None:
    damaged = [shard for shard in store.list_shards() if points_problem(store.folder, shard, store.settings)]
    if not damaged:
        return
    with store.catalogue.writing() as db:
        for shard in damaged:
            drop_points(db, shard.id)
    n = counted(sum(shard.n_images for shard in damaged), "picture")
    _log.warning("%s: the points of %s were damaged and are dropped; %s", store.path, n, ANEW)


def _keep_sound(store: Store, shard: Shard) -> int:
    """Keep what of a shard is sound, where that is not all, in one of its own; how many pictures are lost."""
    slots = sound_slots(store, shard)
    if slots is None:
        return 0
    new = None
    if len(slots):
        features = map_features(store.folder, shard.regions, (shard.n_images, *store.settings.shape))[slots]
        points = points_of(store, shard, slots.tolist())
        with store.catalogue.reading() as db:
            number = next_number(db)
        new = write_shard(store.folder, number, features, points, store.settings.point_bytes)
    with store.catalogue.writing() as db:
        n_lost = replace_shard(db, shard.id, new, slots.tolist())
        put_inventories(store.path, db, [] if new is None else [new.id])
    return n_lost


def compact(store: Store, long_ago: float, on_progress: OnProgress) -> None:
    """Write live pictures, and those set aside after long_ago (seconds since 1970), into full shards; drop the rest.

    on_progress hears of pictures.
    """
    snapshot, old = store.snapshot(), [shard.id for shard in store.list_shards()]
    with store.catalogue.writing() as db:
        db.execute("DELETE FROM aside WHERE since <= ?", (long_ago,))
        aside = [row[0] for row in db.execute("SELECT image FROM aside")]
        number = next_number(db)
    positions = np.flatnonzero(snapshot.live | np.isin(snapshot.ids, aside))
    shards: list[Shard] = []
    for low in range(0, len(positions), _IMAGES):
        on_progress(low, len(positions), "copying pictures into new shards")
        chosen = positions[low : low + _IMAGES]
        features, points = snapshot.features(chosen).astype(np.float16), snapshot.kept_points(chosen)
        shards.append(write_shard(store.folder, number + len(shards), features, points, store.settings.point_bytes))
    on_progress(len(positions), len(positions), "copying pictures into new shards")
    with store.catalogue.writing() as db:
        db.execute("DELETE FROM image WHERE removed AND id NOT IN (SELECT image FROM aside)")
        for shard in shards:
            insert_shard(db, shard)
        places = [
            (shards[i // _IMAGES].id, i % _IMAGES, int(image_id)) for i, image_id in enumerate(snapshot.ids[positions])
        ]
        db.executemany("UPDATE image SET shard = ?, slot = ? WHERE id = ?", places)
        delete_shards(db, old)
        put_inventories(store.path, db, [shard.id for shard in shards])
