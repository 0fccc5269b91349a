"""Are the clusters of a PostgreSQL index still those of the pictures of now? Is given its connection.

IVFFLAT finds its clusters when it is built and keeps them. So a comment on the index notes of what it was built, and
later pictures are held against those; see `_outgrown`. PostgreSQL does not tell where its clusters are.
"""

import json
from typing import Any

import numpy as np

from ..store import Snapshot
from ._outgrown import DISTANCE, Sample, Trained, is_soon_done, sample, strangeness, why_outgrown
from ._postgres_recipe import PostgresRecipe
from ._protocol import Refit

_MOST_ROWS = 1 << 40  # PostgreSQL takes a sample of all rows, however many


def note(db: Any, name: str, snapshot: Snapshot, seconds: float) -> None:
    """Note of which pictures an index was just built, and how long that took."""
    ids = snapshot.ids[snapshot.live]
    built = {"n_live": len(ids), "last": int(ids.max(initial=0)), "seconds": round(seconds, 1)}
    db.execute(f"COMMENT ON INDEX {name} IS '{json.dumps(built)}'")


def judge(db: Any, name: str, recipe: PostgresRecipe, snapshot: Snapshot, refit: Refit) -> tuple[str | None, bool]:
    """Why an index no longer fits, None where it does, and whether to build it anew."""
    if recipe.kind != "IVFFLAT":
        return None, False
    (comment,) = db.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", [name]).fetchone()
    ids = snapshot.ids[snapshot.live]
    try:
        built = json.loads(comment)
        if (built["n_live"], built["last"]) == (len(ids), int(ids.max(initial=0))):
            return None, False
        outgrown, seconds = _why_outgrown(built["n_live"], built["last"], recipe, snapshot), float(built["seconds"])
    except (TypeError, ValueError, KeyError):
        outgrown, seconds = "nothing says which pictures its clusters are of", 0.0
    may = refit is not Refit.WHERE_SOON_DONE or is_soon_done(snapshot, seconds)
    return outgrown, refit is Refit.WHERE_CHANGED or (outgrown is not None and may)


def _why_outgrown(n_live: int, last: int, recipe: PostgresRecipe, snapshot: Snapshot) -> str | None:
    """n_live, last: how many pictures it was built of, and the highest id among them."""
    live = np.flatnonzero(snapshot.live)
    own, new = live[snapshot.ids[live] <= last], live[snapshot.ids[live] > last]
    errors = strangeness(sample(snapshot, own, None), sample(snapshot, new, None)) if len(own) else ()
    samples = [Sample(len(part), {DISTANCE: e}) for part, e in zip((own, new), errors, strict=False)]
    own_sample, new_sample = samples or (Sample(0, {}), Sample(len(new), {}))
    trained = Trained(n_live, n_live * snapshot.n_regions, {})
    return why_outgrown(trained, own_sample, new_sample, snapshot.n_regions, recipe.lists(trained.n_rows), _MOST_ROWS)
