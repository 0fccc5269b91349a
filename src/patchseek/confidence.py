"""How sure a match is: its score beside what pieces of the collection find in pictures that are not theirs.

A likeness of 0.7 means nothing by itself; it differs between encoders and collections. So random regions of the
collection are used as queries, and the best stranger that each finds is noted. The confidence of a match is the share
of such finds that score less, by a normal distribution through their median and their median deviation.

Libraries are full of copies, resized ones, edited ones, bursts. What shows the very thing that a region shows is no
stranger, whatever picture it is in: it is told by details that fit, and passed over.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from .encoders import Encoder
from .errors import ImageError, QueryError
from .indexes import Index
from .originals import open_original
from .rerank import Refiner, need
from .search import FoundBox, Match, Query, Rows, encode_query, find_rows
from .store import Image, Snapshot, Store

N_REGIONS = 32
"""Random regions that are searched for; fewer than MIN_REGIONS usable ones, or so few pictures, say nothing."""
MIN_REGIONS = 8
SAME_THING = 0.2
"""Fit of details from which a find shows the very thing that was asked for; benchmarks/copies.py prints both sides."""
OUTLIER = 4.0
"""Spreads by which a copy of a picture stands out, see `_others`; benchmarks/copies.py prints both sides."""
ROUNDS = 5
"""The best 1, 2, 4, 8, 16 finds of a region are looked at in turn till a stranger is among them."""
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
    passes_over_copies: bool = True
    # False as earlier versions measured, who took a copy for a stranger

    def to_json(self) -> str:
        """As text, for the catalogue."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Background | None":
        """What `to_json` wrote; None for what an earlier version wrote, which judged by other evidence."""
        fields = json.loads(text)
        if "fitting" not in fields:
            return None
        of_today = fields.get("passes_over_copies", False)
        return cls(tuple(fields["likeness"]), tuple(fields["fitting"]), fields["n_images"], of_today)

    def is_of(self, n_images: int) -> bool:
        """Whether it can stand for a collection that holds so many pictures now: no more than a quarter is new."""
        return self.passes_over_copies and abs(n_images - self.n_images) <= self.n_images / 4

    def confidence(self, likeness: float, evidence: float | None = None) -> float:
        """In [0, 1]: for the likeness of a region, or for the evidence of a refined box where there is one."""
        median, spread = self.likeness if evidence is None else self.fitting
        value = likeness if evidence is None else evidence
        return 0.5 * (1 + math.erf((value - median) / spread / math.sqrt(2)))


def measure_background(index: Index, snapshot: Snapshot, store: Store, encoder: Encoder) -> Background | None:
    """What strangers score; None where too few can be asked."""
    found = find_strangers(index, snapshot, store, encoder)
    if len(found) < MIN_REGIONS:
        return None
    likenesses, evidence = [match.likeness for _, match, _ in found], [box.evidence for _, _, box in found]
    return Background(_robust(likenesses), _robust(evidence), snapshot.n_live)


def find_strangers(
    index: Index, snapshot: Snapshot, store: Store, encoder: Encoder, n: int = N_REGIONS
) -> list[tuple[Image, Match, FoundBox]]:
    """Search for n random regions in other pictures: the picture of each, and the best stranger with its finer box.

    The regions are those above level 0, where there are any: a whole picture is no object. Which they are, only the
    bytes of the pictures decide, so that copies of what is there change little. Fewer where pictures have gone or
    find nothing but themselves; none of a collection of less than MIN_REGIONS pictures.
    """
    levels = store.settings.pyramid.level_of[: snapshot.n_regions]
    inner = np.flatnonzero(levels > 0) if levels.any() else np.arange(snapshot.n_regions)
    found: list[tuple[Image, Match, FoundBox]] = []
    images = store.sample(3 * n)  # some may have gone, and some show only what all others show
    for image, region in _regions(images, inner, n) if len(images) >= MIN_REGIONS else ():
        if len(found) == n:
            break
        try:
            box = store.settings.pyramid.boxes_of(image.width, image.height)[region]
            query = encode_query(open_original(image, need=need(encoder)), encoder, box)
        except (ImageError, QueryError):  # moved or changed since it was indexed, or nothing that can be asked for
            continue
        rows = find_rows(query.feature, index, snapshot, store, 2 * 2**ROUNDS)
        stranger = _best_stranger(query, _others(image, rows, snapshot), encoder)
        if stranger:
            found.append((image, *stranger))
    return found


def _regions(images: Sequence[Image], inner: NDArray[np.int64], n: int) -> Iterator[tuple[Image, int]]:
    """Pictures, each with a region: a first one of each, and where there are fewer than n, further ones in turn."""
    seeds = [(int(image.sha256[:16], 16), image.page) for image in images]
    orders = [np.random.default_rng(seed).permutation(inner).tolist() for seed in seeds]
    for i in range(min(max(1, -(-n // len(images))), len(inner))):
        for image, order in zip(images, orders, strict=True):
            yield image, order[i]


def _others(own: Image, rows: Rows, snapshot: Snapshot) -> list[Match]:
    """The matches without `own` and without those pictures that are alike to it as no other of them is.

    How alike two pictures are: the mean, over the regions of one, of the cosine of the most similar region of the
    other. Copies stand out among what one query finds, by more than OUTLIER robust spreads. Of files with the same
    bytes, only the first is among them.
    """
    distinct = {(row[0].image.sha256, row[0].image.page): row for row in reversed(rows)}
    distinct.pop((own.sha256, own.page), None)
    others = list(distinct.values())[::-1][: 2**ROUNDS]
    features = snapshot.features(np.array([position for _, position, _ in others], np.int64))
    mine = snapshot.features(np.flatnonzero(snapshot.ids == own.id))
    if not len(mine) or not others:
        return [match for match, _, _ in others]
    cosines = features @ mine[0].T
    alike = np.maximum(cosines.max(axis=1).mean(axis=1), cosines.max(axis=2).mean(axis=1))
    median, spread = _robust(alike.tolist())
    return [match for (match, _, _), value in zip(others, alike, strict=True) if value < median + OUTLIER * spread]


def _best_stranger(query: Query, matches: Sequence[Match], encoder: Encoder) -> tuple[Match, FoundBox] | None:
    """The first find, in the given order, that does not show the query's very thing, and its finer box.

    None where there is none among them. An encoder that shows no details knows nothing of that: the first one counts.
    """
    refiner = Refiner(query, encoder)
    for low in (2**i - 1 for i in range(ROUNDS)):
        part = matches[low : 2 * low + 1]
        for match, refined in zip(part, refiner.refine_matches(part), strict=True):
            if refined is not None and refined.fit < SAME_THING:
                return match, refined
    return None


def _robust(values: Sequence[float]) -> tuple[float, float]:
    """Median, and the spread that the median deviation of a normal distribution stands for."""
    median = float(np.median(values))
    return median, max(1.4826 * float(np.median(np.abs(np.asarray(values) - median))), LEAST_SPREAD)
