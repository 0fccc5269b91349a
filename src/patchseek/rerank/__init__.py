"""Finer boxes, and a better order, for the first pictures of a ranked list. Changes no index and trains nothing.

A cell of a grid seldom fits an object. So the neighbourhood of a picture's winning region is looked at once, at higher
resolution: every rectangle of its map is compared with the query, and the best few are encoded as patches of their
own, then shifted and stretched a little, until that helps no more; half of the pictures get a first turn of that, the
better half of those a second. What a patch scores is its likeness to the query
as a whole, and how far the two agree part by part: likeness alone prefers fragments.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..boxes import Boxes, clip, suppress
from ..encode import map_ahead
from ..encoders import CellEncoder, Encoder
from ..images import Picture
from ..patches import Feed, Patches, crop
from ..search import Query
from ._agreement import agreement
from ._neighbourhoods import propose, surround

T = TypeVar("T")
U = TypeVar("U")

N_PROPOSED = 3
"""Rectangles of a neighbourhood that are encoded as patches."""
STEPS = (0.12, 0.08)
"""Shares of a side by which boxes are shifted and stretched, round by round, with cells to compare."""
BLIND_STEPS = (0.3, 0.15, 0.08)
"""The same without: there is no map to start from, so that it begins with longer steps."""
AGREEMENT = 4.8
"""Weight of agreement beside likeness; benchmarks/localisation.py prints the figures of others."""
CHUNK = 32
"""Pictures in memory at a time."""
N_SEEDS, MAX_COPIES, COPY_SHARE = 6, 12, 0.6
"""Of `find_copies`: neighbourhoods looked at, copies returned, and the score of a copy against the best."""


@dataclass(frozen=True)
class Refined:
    """A box in a picture and how well it answers the query."""

    box: tuple[float, float, float, float]
    # x0 y0 x1 y1 in [0, 1]
    score: float
    # with agreement: (likeness + AGREEMENT * agreement) / (1 + AGREEMENT); without: the likeness; at most 1


def refine(
    query: Query, pictures: Iterable[Picture | None], regions: Boxes, encoder: Encoder
) -> Iterator[Refined | None]:
    """A finer box for each picture, starting from its region (N, 4), in order; None for None.

    Batches are filled across CHUNK pictures, and no more of them are held at once.
    """
    left = iter(pictures)
    for start in range(0, len(regions), CHUNK):
        part = list(islice(left, CHUNK))
        here = [i for i, picture in enumerate(part) if picture is not None]
        found = _refine(query, [part[i] for i in here], regions[start:][here], encoder)  # type: ignore[misc]  # not None
        refined = dict(zip(here, found, strict=True))
        yield from (refined.get(i) for i in range(len(part)))


def find_copies(
    query: Query, picture: Picture, heat: NDArray[np.float32], regions: Boxes, encoder: Encoder
) -> list[Refined]:
    """All places of a picture that answer the query about as well as the best does, best first; at most MAX_COPIES.

    heat (R,): likeness of the picture's regions (R, 4). The neighbourhoods of its best regions, far enough apart, are
    looked at; what is found there is encoded, overlaps are suppressed, and what scores COPY_SHARE of the best stays.
    """
    seeds = regions[suppress(regions, heat, max_iou=0.1, n=N_SEEDS)]
    candidates = [seeds]
    if isinstance(encoder, CellEncoder):
        candidates += _look_around(query, [picture] * len(seeds), surround(seeds), encoder, 2 * N_PROPOSED, max_iou=0.2)
    boxes = np.concatenate(candidates)
    scores = score_patches(query, crop(picture, boxes, encoder.feed), encoder)
    kept = suppress(boxes, scores, max_iou=0.2, n=MAX_COPIES)
    kept = kept[scores[kept] >= COPY_SHARE * scores[kept[0]]]
    tried = [np.concatenate([boxes[i : i + 1], _shifted(boxes[i], STEPS[0])]) for i in kept]
    boxes, scores = _best(query, [picture] * len(kept), tried, encoder)
    kept = suppress(boxes, scores, max_iou=0.3)
    return [_refined(boxes[i], scores[i]) for i in kept]


def _refine(query: Query, pictures: Sequence[Picture], regions: Boxes, encoder: Encoder) -> list[Refined]:
    sees_cells = isinstance(encoder, CellEncoder) and bool(query.cells)
    if not pictures:
        return []
    candidates = [region[None] for region in regions]
    if isinstance(encoder, CellEncoder):
        proposed = _look_around(query, pictures, surround(regions), encoder)
        candidates = [np.concatenate(pair) for pair in zip(candidates, proposed, strict=True)]
    boxes, scores = _best(query, pictures, candidates, encoder)
    rising = np.arange(len(pictures))
    for turn, step in enumerate(STEPS if sees_cells else BLIND_STEPS, 1):
        rising = rising[np.argsort(-scores[rising], kind="stable")][: -(-len(pictures) // 2**turn)]
        if not len(rising):
            break
        tried = [_shifted(boxes[i], step) for i in rising]
        found, better = _best(query, [pictures[i] for i in rising.tolist()], tried, encoder)
        rose = better > scores[rising]
        rising = rising[rose]
        boxes[rising], scores[rising] = found[rose], better[rose]
    return [_refined(box, score) for box, score in zip(boxes, scores, strict=True)]


def _refined(box: NDArray[np.float64], score: np.float32) -> Refined:
    x0, y0, x1, y1 = box.tolist()
    return Refined((x0, y0, x1, y1), float(score))


def _look_around(
    query: Query,
    pictures: Sequence[Picture],
    windows: Boxes,
    encoder: CellEncoder,
    n: int = N_PROPOSED,
    max_iou: float = 0.5,
) -> list[Boxes]:
    """The boxes (<= n, 4) of each picture that one pass over its window (N, 4) finds most alike the query."""
    feed = Feed(encoder.window, encoder.feed.fit, encoder.feed.interpolation)
    views = _in_threads(lambda i: crop(pictures[i], windows[i : i + 1], feed), range(len(pictures)), encoder)
    maps = encoder.encode_map(np.concatenate(views))
    found = _in_threads(
        lambda i: propose(maps[i], encoder.power, query.feature, n, max_iou)[0], range(len(pictures)), encoder
    )
    low, sides = windows[:, :2], windows[:, 2:] - windows[:, :2]
    return [clip(np.tile(low[i], 2) + boxes * np.tile(sides[i], 2)) for i, boxes in enumerate(found)]


def _best(
    query: Query, pictures: Sequence[Picture], boxes: Sequence[Boxes], encoder: Encoder
) -> tuple[Boxes, NDArray[np.float32]]:
    """The best of the boxes (n_i, 4) of each picture: boxes (N, 4), scores (N,). All are encoded in one call."""
    feed, items = encoder.feed, list(zip(pictures, boxes, strict=True))
    patches: list[Patches] = _in_threads(lambda item: crop(item[0], item[1], feed), items, encoder)
    scores = score_patches(query, np.concatenate(patches), encoder)
    ends = np.cumsum([len(each) for each in boxes])
    winners = [int(part.argmax()) for part in np.split(scores, ends[:-1])]
    firsts = ends - [len(each) for each in boxes]
    return np.array([each[i] for each, i in zip(boxes, winners, strict=True)]), scores[firsts + winners]


def score_patches(query: Query, patches: Patches, encoder: Encoder) -> NDArray[np.float32]:
    """How well patches (B, S, S, 3) answer the query, (B,) at most 1; see Refined.score."""
    if not query.cells or not isinstance(encoder, CellEncoder):
        return np.asarray(encoder.encode(patches) @ query.feature, np.float32)
    features, cells = encoder.encode_cells(patches)
    agreed = np.max([agreement(own, cells) for own in query.cells], axis=0)
    return np.asarray((features @ query.feature + AGREEMENT * agreed) / (1 + AGREEMENT), np.float32)


def _shifted(box: NDArray[np.float64], step: float) -> Boxes:
    """Eight boxes (8, 4): each edge of this one moved out and in by `step` of its side."""
    x0, y0, x1, y1 = box
    dx, dy = step * (x1 - x0), step * (y1 - y0)
    moves = np.array([[dx, 0, 0, 0], [0, dy, 0, 0], [0, 0, dx, 0], [0, 0, 0, dy]])
    return clip(np.concatenate([box + moves, box - moves]))


def _in_threads(function: Callable[[T], U], items: Sequence[T], encoder: Encoder) -> list[U]:
    """function(item) for all items, on as many threads as the encoder has streams."""
    return list(map_ahead(function, items, encoder.streams, 2 * encoder.streams))
