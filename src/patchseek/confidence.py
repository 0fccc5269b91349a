"""How sure a match is: its evidence beside what pieces of the collection find in pictures that are not theirs.

A likeness of 0.7 means nothing by itself; it differs between encoders and collections. So random regions of the
collection are used as queries, and the best stranger that each finds is noted, with its evidence of each kind. The
confidence of a match is the share of such finds whose evidence is less, by a normal distribution through their median
and their median deviation. Lookalikes are alike in every kind: kinds are averaged, never multiplied.

Libraries are full of copies, resized ones, edited ones, bursts. What shows the very thing that a region shows is no
stranger, whatever picture it is in: it is told by details that fit, and passed over.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ._progress import OnProgress, unheard
from .encoders import Encoder
from .errors import ImageError, QueryError
from .indexes import Index
from .lays import TURNED
from .originals import open_original
from .rank import COLOUR, DEPTH, FITTING, LIKENESS, POINTS, Candidate, Refinement, SecondLook, StoreView, View, rank
from .rerank import need
from .search import Query, encode_query
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
MEASURING = "measuring confidence"
LEAST_OF_POINTS = 0.5
"""Of points, which say nothing at all of most strangers, so that their spread is not known."""
DOUBTFUL = 0.8
"""Confidence of the first match below which the object is probably not there; see benchmarks/points.py."""
_OF_LIKENESS = (LIKENESS, FITTING)
# kinds of evidence in which a likeness is added up


@dataclass(frozen=True)
class Background:
    """What strangers score in a collection."""

    kinds: Mapping[str, tuple[float, float]]
    # median and spread of each kind of evidence, see rank.Candidate
    n_images: int
    # pictures in the collection when it was measured
    passes_over_copies: bool = True
    # False as earlier versions measured, who took a copy for a stranger

    def to_json(self) -> str:
        """As text, for the catalogue."""
        return json.dumps({**self.kinds, "n_images": self.n_images, "passes_over_copies": self.passes_over_copies})

    @classmethod
    def from_json(cls, text: str) -> "Background | None":
        """What `to_json` wrote; None for what an early version wrote, which judged by other evidence."""
        fields = json.loads(text)
        if FITTING not in fields:
            return None
        kinds = {kind: (value[0], value[1]) for kind, value in fields.items() if isinstance(value, list)}
        return cls(kinds, fields["n_images"], fields.get("passes_over_copies", False))

    def is_of(self, n_images: int, *, has_points: bool) -> bool:
        """Whether it can stand for a collection that holds so many pictures now, and points: no more than a quarter of
        the pictures is new, and points were measured where there are some.

        One without colours is of an earlier version, whose boxes fitted less well: more strangers pass it.
        """
        is_of_today = self.passes_over_copies and COLOUR in self.kinds and (POINTS in self.kinds) == has_points
        return is_of_today and abs(n_images - self.n_images) <= self.n_images / 4

    def lowered(self, by: float) -> "Background":
        """What strangers score to a query that is so much less like to all of them."""
        moved = {kind: (median - by * (kind in _OF_LIKENESS), spread) for kind, (median, spread) in self.kinds.items()}
        return replace(self, kinds=moved)

    def confidence(self, evidence: Mapping[str, float]) -> float | None:
        """In [0, 1], for evidence by kind; None where none of these kinds was measured.

        How many spreads each lies above its median, averaged. Were the kinds independent, the sum over the root of
        their number would be as unusual (Stouffer et al. 1949); but what looks like the query does so in all of them,
        and many more absent objects would be called sure.
        """
        known = [(value, *self.kinds[kind]) for kind, value in evidence.items() if kind in self.kinds]
        if not known:
            return None
        above = sum((value - median) / spread for value, median, spread in known) / len(known)
        return 0.5 * (1 + math.erf(above / math.sqrt(2)))


def measure_background(
    index: Index, snapshot: Snapshot, store: Store, encoder: Encoder, on_progress: OnProgress = unheard
) -> Background | None:
    """What strangers score; None where too few can be asked. on_progress hears of regions."""
    found = [stranger for _, stranger in find_strangers(index, snapshot, store, encoder, on_progress=on_progress)]
    if len(found) < MIN_REGIONS:
        return None
    values: dict[str, list[float]] = {LIKENESS: [stranger.likeness for stranger in found]}
    for stranger in found:
        for kind, value in stranger.evidence.items():
            if kind != LIKENESS:
                values.setdefault(kind, []).append(value)
    least = {POINTS: LEAST_OF_POINTS}
    kinds = {kind: _robust(each, least.get(kind, LEAST_SPREAD)) for kind, each in values.items()}
    return Background(kinds, snapshot.n_live)


def find_strangers(
    index: Index,
    snapshot: Snapshot,
    store: Store,
    encoder: Encoder,
    n: int = N_REGIONS,
    *,
    on_progress: OnProgress = unheard,
) -> list[tuple[Image, Candidate[Image]]]:
    """Search for n random regions in other pictures: the picture of each, and the best stranger, refined.

    The regions are those above level 0, where there are any: a whole picture is no object. Which they are, only the
    bytes of the pictures decide, so that copies of what is there change little. Fewer where pictures have gone or
    find nothing but themselves; none of a collection of less than MIN_REGIONS pictures.
    """
    levels = store.settings.pyramid.level_of[: snapshot.n_regions]
    inner = np.flatnonzero(levels > 0) if levels.any() else np.arange(snapshot.n_regions)
    found: list[tuple[Image, Candidate[Image]]] = []
    on_progress(0, n, MEASURING)
    view, looks = StoreView(index, snapshot, store), [SecondLook(DEPTH)] if snapshot.has_points else []
    images = store.sample(3 * n)  # some may have gone, and some show only what all others show
    for image, region in _regions(images, inner, n) if len(images) >= MIN_REGIONS else ():
        if len(found) == n:
            break
        try:
            box = store.settings.pyramid.boxes_of(image.width, image.height)[region]
            picture = open_original(image, need=need(encoder))
            query = encode_query(picture, encoder, box, points=snapshot.has_points, lays=TURNED)
        except (ImageError, QueryError):  # moved or changed since it was indexed, or nothing that can be asked for
            continue
        best = rank(query, view, (*looks, _Others(image), _BestStranger(encoder)), 1)[:1]
        found += [(image, each) for each in best if each.finer]  # else none of those looked at is a stranger
        on_progress(len(found), n, MEASURING)
    return found


def _regions(images: Sequence[Image], inner: NDArray[np.int64], n: int) -> Iterator[tuple[Image, int]]:
    """Pictures, each with a region: a first one of each, and where there are fewer than n, further ones in turn."""
    seeds = [(int(image.sha256[:16], 16), image.page) for image in images]
    orders = [np.random.default_rng(seed).permutation(inner).tolist() for seed in seeds]
    for i in range(min(max(1, -(-n // len(images))), len(inner))):
        for image, order in zip(images, orders, strict=True):
            yield image, order[i]


@dataclass(frozen=True)
class _Others:
    """A Step: leaves out `own`, and those pictures that are alike to it as no other candidate is.

    How alike two pictures are: the mean, over the regions of one, of the cosine of the most similar region of the
    other. Copies stand out among what one query finds, by more than OUTLIER robust spreads. Of files with the same
    bytes, only the first stays.
    """

    own: Image
    n: int = 2 * 2**ROUNDS

    def look(self, _: Query, view: View[Image], candidates: Sequence[Candidate[Image]]) -> list[Candidate[Image]]:
        """See Step."""
        own, snapshot = self.own, view.snapshot
        distinct = {(each.picture.sha256, each.picture.page): each for each in reversed(candidates)}
        distinct.pop((own.sha256, own.page), None)
        others = list(distinct.values())[::-1][: 2**ROUNDS]
        features = snapshot.features(np.array([each.position for each in others], np.int64))
        mine = snapshot.features(np.flatnonzero(snapshot.ids == own.id))
        if not len(mine) or not others:
            return others
        cosines = features @ mine[0].T
        alike = np.maximum(cosines.max(axis=1).mean(axis=1), cosines.max(axis=2).mean(axis=1))
        median, spread = _robust(alike.tolist())
        return [each for each, value in zip(others, alike, strict=True) if value < median + OUTLIER * spread]


@dataclass(frozen=True)
class _BestStranger:
    """A Step: of the candidates, only the first that does not show the query's very thing, refined.

    None where there is none among them. An encoder that shows no details knows nothing of that: the first one counts.
    """

    encoder: Encoder
    n: int = 2**ROUNDS - 1

    def look(self, query: Query, view: View[Image], candidates: Sequence[Candidate[Image]]) -> list[Candidate[Image]]:
        """See Step."""
        for low in (2**i - 1 for i in range(ROUNDS)):
            part = candidates[low : 2 * low + 1]
            for each in Refinement(self.n, self.encoder).look(query, view, part):
                if each.finer is not None and each.finer.fit < SAME_THING:
                    return [each]
        return []


def _robust(values: Sequence[float], least: float = LEAST_SPREAD) -> tuple[float, float]:
    """Median, and the spread, no less than `least`, that the median deviation of a normal distribution stands for."""
    median = float(np.median(values))
    return median, max(1.4826 * float(np.median(np.abs(np.asarray(values) - median))), least)
