"""Finer boxes, and a better order, for the first pictures of a ranked list. Changes no index and trains nothing.

A cell of a grid seldom fits an object. So the neighbourhood of a picture's winning region is looked at once, at higher
resolution: every rectangle of its map is compared with the query, and the best few are encoded as patches of their
own, then shifted and stretched a little, until that helps no more; half of the pictures get a first turn of that, the
better half of those a second. What a patch scores is its likeness to the query as a whole, and how far the two agree
part by part: likeness alone prefers fragments. Of the best box of each picture, the details are compared as well.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..boxes import Boxes, clip, suppress
from ..encode import map_ahead
from ..encoders import CellEncoder, Cells, Encoder, Features, check_answer, flawed
from ..images import Picture
from ..indexes import n_cores
from ..patches import Patches, crop, joined
from ..search import FoundBox, Query
from ._agreement import agreement
from ._geometry import fit, locate
from ._neighbourhoods import propose, surround

_log = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")
OnStep = Callable[[], None]
"""Called, in any thread, before a picture is opened or cut and a batch encoded; what it raises ends the work."""


def go_on() -> None:
    """The OnStep of work that nothing ends."""


@dataclass(frozen=True)
class Recipe:
    """How much is tried. benchmarks/localisation.py prints the figures of this one and of others."""

    n_proposed: int = 3
    # rectangles of a neighbourhood's map that are encoded as patches
    turns: int = 2
    # how often boxes are moved to where the details of the best say, in the better half of the pictures
    blind_steps: tuple[float, ...] = (0.3, 0.15, 0.08)
    # where an encoder has no cells: shares of a side by which boxes are shifted and stretched, turn by turn
    agreement: float = 4.8
    # weight of agreement beside likeness
    fit: float = 1.0
    # weight, beside both together, of how well the details of the best box fit
    n_seeds: int = 10
    # neighbourhoods of a picture looked at when all copies are wanted
    max_copies: int = 12
    # of which so many are kept at most
    rough_share: float = 0.4
    # and only what scores this share of the best, before boxes are moved
    copy_share: float = 0.6
    # and after that


MOST_THREADS = 8
"""For what is cut and compared on the CPU, beside an encoder that is not there."""
CHUNK = 32
"""Pictures in memory at a time."""
_GAP = 1.25  # see `crop`: what is tried a hundred times is cut roughly
_SAME_COPY = 0.5  # a box that lies by more than this in a better one, or holds as much of it, is the same copy
_THINNEST = 0.01  # share of a picture's side that a box must have: what lies beyond the picture is clipped away
_OVERSIZE = 4  # patches a side that a picture is read at: what the boxes of a deep pyramid need


def need(encoder: Encoder) -> int:
    """The side in pixels to `read` pictures at that are to be refined with this encoder."""
    return _OVERSIZE * encoder.identity.size


@dataclass(frozen=True)
class Refiner:
    """Looks for one query in pictures that are known to be good."""

    query: Query
    encoder: Encoder
    recipe: Recipe = Recipe()
    on_step: OnStep = go_on

    def refine(self, pictures: Iterable[Picture | None], regions: Boxes) -> Iterator[FoundBox | None]:
        """A finer box for each picture, starting from its region (N, 4), in order; None for None, and where the encoder
        answers with nothing but what is no number.

        Batches are filled across CHUNK pictures, and no more of them are held at once.
        """
        left = iter(pictures)
        for start in range(0, len(regions), CHUNK):
            part = list(islice(left, CHUNK))
            here = {i: picture for i, picture in enumerate(part) if picture is not None}
            found = self._refine(list(here.values()), regions[start:][list(here)]) if here else []
            refined = dict(zip(here, found, strict=True))
            yield from (refined.get(i) for i in range(len(part)))

    def find_copies(self, picture: Picture, heat: NDArray[np.float32], regions: Boxes) -> list[FoundBox]:
        """All places of a picture that answer the query about as well as the best does, best first, at least one where
        the encoder has numbers for any.

        heat (R,): likeness of the picture's regions (R, 4). The neighbourhoods of its best regions, far enough apart,
        are looked at; what is found there is encoded, overlaps are suppressed, and what scores well is shifted once.
        """
        recipe = self.recipe
        seeds = regions[suppress(regions, heat, max_iou=0.1, n=recipe.n_seeds)]
        boxes = np.concatenate([seeds, *self._look_around([picture] * len(seeds), seeds, 2 * recipe.n_proposed, 0.2)])
        scores, likeness, fine = self._score(crop(picture, boxes, self.encoder.feed))
        kept = suppress(boxes, scores, max_iou=0.2, n=recipe.max_copies, max_containment=_SAME_COPY)
        kept = kept[np.isfinite(scores[kept])]
        if not len(kept):
            return []
        kept = kept[scores[kept] >= recipe.rough_share * scores[kept[0]]]
        best = _Best(boxes, scores, likeness, fine)[kept]
        self._improve([picture] * len(kept), best, len(kept))
        found = self._finish(best)
        boxes, scores = np.array([each.box for each in found]), np.array([each.score for each in found])
        kept = suppress(boxes, scores, max_iou=0.3, max_containment=_SAME_COPY)
        return [found[i] for i in kept if scores[i] >= recipe.copy_share * scores[kept[0]]]

    def score(self, patches: Patches) -> NDArray[np.float32]:
        """How well patches (B, S, S, 3) answer the query, (B,), at most 1.

        (likeness + w * agreement) / (1 + w), w the recipe's weight; the likeness alone where there are no cells. -inf
        where the encoder answers with what is no number.
        """
        return self._score(patches)[0]

    @property
    def _has_cells(self) -> bool:
        """Whether there is more to compare than features."""
        return isinstance(self.encoder, CellEncoder) and bool(self.query.cells)

    def _score(self, patches: Patches) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """What `score` gives (B,), likenesses (B,), and fine cells (B, h, h, E), with h = 0 where there are none."""
        self.on_step()
        encoder, identity = self.encoder, self.encoder.identity
        shape = len(patches), identity.dim
        if not isinstance(encoder, CellEncoder) or not self._has_cells:
            features = check_answer(encoder.encode(patches), shape, identity.name)
            likeness = self._likeness(features, flawed(features))
            return likeness, likeness, np.empty((len(patches), 0, 0, 0), np.float32)
        answer, cells = encoder.encode_cells(patches)
        features = check_answer(answer, shape, identity.name)
        lost = flawed(features) | ~cells.are_finite
        if lost.any():
            cells = Cells(*(np.where(lost[:, None, None, None], 0, part) for part in (cells.coarse, cells.fine)))
        likeness = self._likeness(features, lost)
        agreed = np.max([agreement(own.coarse[0], cells.coarse) for own in self.query.cells], axis=0)
        weight = self.recipe.agreement
        return np.asarray((likeness + weight * agreed) / (1 + weight), np.float32), likeness, cells.fine

    def _likeness(self, features: Features, lost: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Inner products (B,) of features (B, D) with the query's; -inf for those that are lost."""
        likeness = np.asarray(np.where(lost[:, None], 0, features) @ self.query.feature, np.float32)
        likeness[lost] = -np.inf
        return likeness

    def _refine(self, pictures: Sequence[Picture], regions: Boxes) -> list[FoundBox | None]:
        proposed = self._look_around(pictures, regions, self.recipe.n_proposed, 0.5)
        candidates = [np.concatenate([region[None], more]) for region, more in zip(regions, proposed, strict=True)]
        best = self._best(pictures, candidates)
        self._improve(pictures, best, -(-len(pictures) // 2))
        n_lost = int(np.isneginf(best.scores).sum())
        if n_lost:
            name = self.encoder.identity.name
            _log.warning("the encoder %s has no numbers for %d pictures looked at more closely", name, n_lost)
        return [found if np.isfinite(found.score) else None for found in self._finish(best)]

    def _improve(self, pictures: Sequence[Picture], best: "_Best", n: int) -> None:
        """Try boxes beside the best, turn by turn: of the n best pictures, then of those alone that rose by it."""
        n_turns = self.recipe.turns if self._has_cells else len(self.recipe.blind_steps)
        rising = np.arange(len(pictures))
        for turn in range(n_turns):
            n_kept = n if self._has_cells else -(-n // 2**turn)
            rising = rising[np.argsort(-best.scores[rising], kind="stable")][:n_kept]
            tried = self._moved(best[rising], turn)
            rising, tried = rising[[len(boxes) > 0 for boxes in tried]], [boxes for boxes in tried if len(boxes)]
            if not len(rising):
                break
            found = self._best([pictures[i] for i in rising.tolist()], tried)
            rose = found.scores > best.scores[rising]
            rising = rising[rose]
            for known, new in zip(vars(best).values(), vars(found).values(), strict=True):
                known[rising] = new[rose]

    def _moved(self, best: "_Best", turn: int) -> list[Boxes]:
        """Of each picture, boxes (n, 4) near the best one that may be better; maybe none."""
        if not self._has_cells:
            return [_shifted(box, self.recipe.blind_steps[turn]) for box in best.boxes]
        low, sides = np.tile(best.boxes[:, :2], 2), np.tile(best.boxes[:, 2:] - best.boxes[:, :2], 2)
        places = np.stack([locate(own.fine[0], best.fine) for own in self.query.cells], axis=1)
        moved = clip((low[:, None] + sides[:, None] * places).reshape(-1, 4)).reshape(places.shape)
        kept = (places != (0, 0, 1, 1)).any(axis=2) & ((moved[..., 2:] - moved[..., :2]).min(axis=2) > _THINNEST)
        return [boxes[chosen] for boxes, chosen in zip(moved, kept, strict=True)]

    def _look_around(self, pictures: Sequence[Picture], regions: Boxes, n: int, max_iou: float) -> list[Boxes]:
        """The boxes (<= n, 4) most alike the query that one pass over each region's neighbourhood finds; maybe none."""
        encoder = self.encoder
        if not isinstance(encoder, CellEncoder) or not self._has_cells:
            return [np.empty((0, 4))] * len(pictures)
        power, target = encoder.power, self.query.feature
        if power is None:
            cells = np.concatenate([own.coarse.reshape(-1, own.coarse.shape[-1]) for own in self.query.cells])
            power, target = 1.0, cells.mean(axis=0)
            target /= max(float(np.linalg.norm(target)), 1e-12)
        windows, feed = surround(regions), replace(encoder.feed, size=encoder.window, keep=1.0, exact=False)
        indices = range(len(pictures))
        seen = joined(self._in_threads(lambda i: crop(pictures[i], windows[i : i + 1], feed, _GAP), indices))
        self.on_step()
        maps = encoder.encode_map(seen)
        finite = [bool(np.isfinite(each).all()) for each in maps]
        found = self._in_threads(
            lambda i: propose(maps[i], power, target, n, max_iou)[0] if finite[i] else np.empty((0, 4)), indices
        )
        low, sides = windows[:, :2], windows[:, 2:] - windows[:, :2]
        return [clip(np.tile(low[i], 2) + boxes * np.tile(sides[i], 2)) for i, boxes in enumerate(found)]

    def _best(self, pictures: Sequence[Picture], boxes: Sequence[Boxes]) -> "_Best":
        """The best of the boxes (n_i, 4) of each picture. All are encoded in one call."""
        items, gap = list(zip(pictures, boxes, strict=True)), _GAP if self._has_cells else 2.0
        patches = self._in_threads(lambda item: crop(item[0], item[1], self.encoder.feed, gap), items)
        scores, likeness, fine = self._score(joined(patches))
        starts = np.cumsum([0] + [len(each) for each in boxes[:-1]])
        winners = starts + [int(each.argmax()) for each in np.split(scores, starts[1:])]
        return _Best(np.concatenate(boxes)[winners], scores[winners], likeness[winners], fine[winners])

    def _finish(self, best: "_Best") -> list[FoundBox]:
        """Compare the details too: the score becomes (score + w * fit) / (1 + w), where there are cells."""
        fits = np.zeros(len(best.scores), np.float32)
        scores, weight = best.scores, self.recipe.fit
        if best.fine.size:
            fits = np.max([fit(own.fine[0], best.fine) for own in self.query.cells], axis=0)
            scores = (scores + weight * fits) / (1 + weight)
        corners = [(x0, y0, x1, y1) for x0, y0, x1, y1 in best.boxes.tolist()]
        columns = zip(corners, scores.tolist(), best.likeness.tolist(), fits.tolist(), strict=True)
        return [FoundBox(*column) for column in columns]

    def _in_threads(self, function: Callable[[T], U], items: Sequence[T]) -> list[U]:
        """function(item) for all items, on as many threads as there are cores, or the encoder has streams."""

        def step(item: T) -> U:
            self.on_step()
            return function(item)

        n_threads = max(self.encoder.streams, min(n_cores(), MOST_THREADS))
        return list(map_ahead(step, items, n_threads, 2 * n_threads))


@dataclass(frozen=True, eq=False)
class _Best:
    """The best box of each of N pictures."""

    boxes: Boxes
    # (N, 4)
    scores: NDArray[np.float32]
    # (N,), as Refiner.score gives
    likeness: NDArray[np.float32]
    # (N,)
    fine: NDArray[np.float32]
    # (N, h, h, E)

    def __getitem__(self, index: NDArray[np.intp]) -> "_Best":
        """Those of some of the pictures."""
        return _Best(*(values[index] for values in vars(self).values()))


def _shifted(box: NDArray[np.float64], step: float) -> Boxes:
    """Eight boxes (8, 4): each edge of this one moved out and in by `step` of its side."""
    x0, y0, x1, y1 = box
    dx, dy = step * (x1 - x0), step * (y1 - y0)
    moves = np.array([[dx, 0, 0, 0], [0, dy, 0, 0], [0, 0, dx, 0], [0, 0, 0, dy]])
    return clip(np.concatenate([box + moves, box - moves]))
