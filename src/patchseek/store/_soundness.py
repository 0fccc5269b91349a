"""Whether a collection is whole: every byte as committed, every feature a number. Finds what is not, mends nothing."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..encoders import flaw
from ._catalogue import has_table
from ._shards import Shard, flawed_slots, map_shard, problem_of

if TYPE_CHECKING:
    from ._store import Store


def find_problems(store: "Store") -> list[str]:
    """What is wrong, a line each: shards against their hashes, slots against counts, SQLite against itself, and
    pictures whose features are no numbers, which earlier versions let in.
    """
    n_regions, dim = store.settings.pyramid.n_regions, store.settings.encoder.dim
    with store.catalogue.reading() as db:
        found = [f"catalogue: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        counts = db.execute(
            "SELECT file, n_images, count(image.id), coalesce(max(slot), -1) + 1 FROM shard "
            "LEFT JOIN image ON shard = shard.id GROUP BY shard.id"
        ).fetchall()
    found += [f"{f}: {n} slots, {c} pictures up to slot {m}" for f, n, c, m in counts if not n == c == m]
    for shard in store.list_shards():
        problem = problem_of(store.folder, shard, n_regions, dim)
        found += [problem] if problem else _flaws(store, shard)
    return found


def _flaws(store: "Store", shard: Shard) -> list[str]:
    """What is wrong with the features of a whole shard's pictures, a line each, but those that are gone for good."""
    encoder, shape = store.settings.encoder, (store.settings.pyramid.n_regions, store.settings.encoder.dim)
    slots = np.flatnonzero(flawed_slots(store.folder, shard, *shape)).tolist()
    if not slots:
        return []
    features = map_shard(store.folder, shard, *shape)
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
    shape = store.settings.pyramid.n_regions, store.settings.encoder.dim
    if problem_of(store.folder, shard, *shape):
        return np.empty(0, np.intp)
    flaws = flawed_slots(store.folder, shard, *shape)
    return np.flatnonzero(~flaws) if flaws.any() else None
