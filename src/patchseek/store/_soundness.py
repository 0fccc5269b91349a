"""Whether a collection is whole: every byte as committed, every feature a number. Finds what is not, mends nothing."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._progress import OnProgress, unheard
from .._words import counted
from ..encoders import flaw
from ..errors import StoreDamaged
from ._catalogue import has_table, setting_of
from ._features import flawed_slots, map_features
from ._files import Part, problem_of
from ._inventory import find_doubts
from ._records import Settings
from ._saved import damaged_queries
from ._shards import Shard, look_at_points, read_shards

if TYPE_CHECKING:
    from ._store import Store

_CHECKING = "checking shards"


def find_problems(store: "Store", on_progress: OnProgress = unheard) -> list[str]:
    """What is wrong, a line each: shards against their hashes, slots against counts, SQLite against itself, pictures
    whose features are no numbers, which earlier versions let in, and saved queries. on_progress hears of each shard.
    """
    query = "SELECT shard, count(*), max(slot) + 1 FROM image GROUP BY shard"
    with store.catalogue.reading() as db:
        found = [f"catalogue: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        shards, counts = read_shards(db), {number: (n, end) for number, n, end in db.execute(query)}
        settings = Settings.from_json(setting_of(db, "settings") or "")  # of this moment: points come and go
    for shard in shards:
        n, end = counts.get(shard.id, (0, 0))
        if not shard.n_images == n == end:
            found.append(
                f"shard {shard.id}: {counted(shard.n_images, 'slot')}, {counted(n, 'picture')} up to slot {end}"
            )
    with store.catalogue.reading() as db:
        found += [doubt.text for doubt in find_doubts(store.path, db)]
    for i, shard in enumerate(shards):
        on_progress(i, len(shards), _CHECKING)
        problem = features_problem(store.folder, shard, settings)
        found += [problem] if problem else _flaws(store, shard)
        found += filter(None, [points_problem(store.folder, shard, settings)])
    on_progress(len(shards), len(shards), _CHECKING)
    return found + damaged_queries(store)


def features_problem(folder: Path, shard: Shard, settings: Settings) -> str | None:
    """What is wrong with a shard's features as a whole, in one line; None when they are those that were committed."""

    def look(folder: Path, part: Part) -> None:
        map_features(folder, part, (shard.n_images, *settings.shape))

    try:
        return problem_of(folder, shard.regions, look)
    except StoreDamaged as error:
        return str(error)


def points_problem(folder: Path, shard: Shard, settings: Settings) -> str | None:
    """What is wrong with a shard's points, in one line; None when they are those that were committed, or none."""
    if shard.points is None:
        return None
    if settings.points is None:
        return f"{shard.points.file}: points, in a collection that has none"
    look = partial(look_at_points, n_images=shard.n_images, width=settings.points.n_bytes)
    return problem_of(folder, shard.points, look)


def _flaws(store: "Store", shard: Shard) -> list[str]:
    """What is wrong with the features of a whole shard's pictures, a line each, but those that are gone for good."""
    encoder, shape = store.settings.encoder, (shard.n_images, *store.settings.shape)
    slots = np.flatnonzero(flawed_slots(store.folder, shard.regions, shape)).tolist()
    if not slots:
        return []
    features = map_features(store.folder, shard.regions, shape)
    with store.catalogue.reading() as db:
        kept = "NOT removed" + (" OR image.id IN (SELECT image FROM aside)" if has_table(db, "aside") else "")
        query = (
            f"SELECT slot, root.path, image.path FROM image JOIN root ON root.id = root WHERE shard = ? AND ({kept})"
        )
        places = {slot: f"{store.root_of(root)}/{path}" for slot, root, path in db.execute(query, (shard.id,))}
    words = f"of the encoder {encoder.name}, so it is never found"
    return [f"{places[slot]}: {flaw(features[slot])} {words}" for slot in slots if slot in places]


def sound_slots(store: "Store", shard: Shard) -> NDArray[np.intp] | None:
    """The slots of a shard that are to be kept, where those are not all: of a damaged one none."""
    if features_problem(store.folder, shard, store.settings):
        return np.empty(0, np.intp)
    flaws = flawed_slots(store.folder, shard.regions, (shard.n_images, *store.settings.shape))
    return np.flatnonzero(~flaws) if flaws.any() else None
