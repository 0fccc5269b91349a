"""How sure a match is: its score beside what pieces of the collection find in pictures that are not theirs.

A likeness of 0.7 means nothing by itself; it differs between encoders and collections. So random regions of the
collection are used as queries, and the best stranger that each finds is noted. The confidence of a match is the share
of such finds that score less, by a normal distribution through their median and their median deviation.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from .encoders import Encoder
from .errors import ImageError
from .images import read
from .indexes import Index
from .rerank import Refiner, need
from .search import Query, encode_query, find_rows
from .store import Snapshot, Store

N_REGIONS = 32
"""Random regions that are searched for; fewer than MIN_REGIONS usable ones say nothing."""
MIN_REGIONS = 8
LEAST_SPREAD = 0.02
DOUBTFUL = 0.5
"""Confidence of the first match below which the object is probably not there; benchmarks/localisation.py."""


@dataclass(frozen=True)
class Background:
    """What strangers score in a collection: medians and spreads."""

    likeness: tuple[float, float]
    # of a region and the query
    fitting: tuple[float, float]
    # of the evidence of refined boxes
    n_images: int
    # pictures in the collection when it was measured

    def to_json(self) -> str:
        """As text, for the catalogue."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Background | None":
        """What `to_json` wrote; None for what an earlier version wrote, which judged by other evidence."""
        fields = json.loads(text)
        if "fitting" not in fields:
            return None
        return cls(tuple(fields["likeness"]), tuple(fields["fitting"]), fields["n_images"])

    def confidence(self, likeness: float, evidence: float | None = None) -> float:
        """In [0, 1]: for the likeness of a region, or for the evidence of a refined box where there is one."""
        median, spread = self.likeness if evidence is None else self.fitting
        value = likeness if evidence is None else evidence
        return 0.5 * (1 + math.erf((value - median) / spread / math.sqrt(2)))


def measure_background(
    index: Index, snapshot: Snapshot, store: Store, encoder: Encoder, *, n: int = N_REGIONS, seed: int = 0
) -> Background | None:
    """Search for n random regions of the collection in its other pictures; None where too few can be.

    The regions are those above level 0, where there are any: a whole picture is no object.
    """
    rng = np.random.default_rng(seed)
    live = np.flatnonzero(snapshot.live)
    levels = store.settings.pyramid.level_of[: snapshot.n_regions]
    inner = np.flatnonzero(levels > 0) if levels.any() else np.arange(snapshot.n_regions)
    chosen = rng.choice(live, min(n, len(live)), replace=False)
    likenesses, evidence = [], []
    for position, region in zip(chosen, rng.choice(inner, len(chosen)), strict=True):
        image = store.images([int(snapshot.ids[position])])[0]
        try:
            if image is None:
                continue
            picture = read(image.file, page=image.page, need=need(encoder))
            query = encode_query(picture, encoder, store.settings.pyramid.boxes[region])
            found = _best_stranger(query, image.id, index, snapshot, store, encoder)
        except ImageError:  # moved or changed since it was indexed
            continue
        if found:
            likenesses.append(found[0])
            evidence.append(found[1])
    if len(likenesses) < MIN_REGIONS:
        return None
    return Background(_robust(likenesses), _robust(evidence), snapshot.n_live)


def _best_stranger(
    query: Query, own: int, index: Index, snapshot: Snapshot, store: Store, encoder: Encoder
) -> tuple[float, float] | None:
    """Likeness and evidence of the best picture that is not `own`; None where there is no other."""
    matches = [match for match, _, _ in find_rows(query.feature, index, snapshot, store, 2) if match.image.id != own]
    if not matches:
        return None
    best = matches[0]
    picture = read(best.image.file, page=best.image.page, need=need(encoder))
    refined = next(Refiner(query, encoder).refine([picture], np.array([best.box])))
    return best.score, refined.evidence if refined else best.score


def _robust(values: Sequence[float]) -> tuple[float, float]:
    """Median, and the spread that the median deviation of a normal distribution stands for."""
    median = float(np.median(values))
    return median, max(1.4826 * float(np.median(np.abs(np.asarray(values) - median))), LEAST_SPREAD)
