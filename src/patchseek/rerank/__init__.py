"""Finer boxes, and a better order, for the first pictures of a ranked list. Changes no index and trains nothing.

Of each picture the places are tried that something said before, cut out as the query is said to lie there, turned back.
Where details do not fit well, the neighbourhood of the likeliest place is looked at once, at higher resolution: every
rectangle of its map is compared with the query, and the best few are encoded as patches of their own. Then patches are
moved to where their details say that the whole lies, turned and slanted as need be, until that helps no more. What a
patch scores is its likeness to the query as a whole, and how far the two agree part by part: likeness alone prefers
fragments. Of the best patch of each picture, the details and the colours are compared as well.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .._ahead import map_ahead
from .._platform import n_cores
from .._words import counted
from ..boxes import Boxes, clip, suppress
from ..encoders import CellEncoder, Encoder, Features, check_answer, flawed
from ..images import Picture
from ..lays import UPRIGHT, Lay
from ..patches import Patches, crop, joined
from ..search import SMALL, FoundBox, Query
from ._agreement import agreement
from ._colours import colour_likeness
from ._cutting import cut_out
from ._geometry import fit, locate
from ._looks import Best, Looks
from ._maps import Maps as Maps
from ._maps import around, within
from ._maps import composed as composed
from ._maps import enclosing as enclosing
from ._maps import of_boxes as of_boxes
from ._maps import of_outline as of_outline
from ._maps import outlines as outlines
from ._maps import turn as turn
from ._neighbourhoods import propose, surround
from ._recipe import Recipe as Recipe
from ._settings import keep as keep
from ._settings import recipe_of as recipe_of

_log = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")
OnStep = Callable[[], None]
"""Called, in any thread, before a picture is opened or cut and a batch encoded; what it raises ends the work."""


def go_on() -> None:
    """The OnStep of work that nothing ends."""


MOST_THREADS = 8
"""For what is cut and compared on the CPU, where the encoder computes elsewhere and asks for no more streams."""
CHUNK = 32
"""Pictures in memory at a time."""
_GAP = 1.25  # see `crop`: what is tried a hundred times is cut roughly
_SAME_COPY = 0.5  # a box that lies by more than this in a better one, or holds as much of it, is the same copy
_THINNEST = 0.01  # share of a picture's side that a box must have: what lies beyond the picture is clipped away
_NO_BOXES: Boxes = np.empty((0, 4))
_OVERSIZE = 4  # patches a side that a picture is read at: what the boxes of a deep pyramid need


def need(encoder: Encoder) -> int:
    """The side in pixels to `read` pictures at that are to be refined with this encoder."""
    return _OVERSIZE * encoder.identity.size


@dataclass(frozen=True)
class Refiner:
    """Looks for one query in pictures that are known to be good."""

    query: Query
    encoder: Encoder
    given: Recipe | None = None
    # None: that of the encoder
    on_step: OnStep = go_on

    @cached_property
    def recipe(self) -> Recipe:
        """How much is tried."""
        return self.given or recipe_of(self.encoder.identity.name)

    def refine(
        self, pictures: Iterable[Picture | None], starts: Sequence[Maps], before: Sequence[float] | None = None
    ) -> Iterator[FoundBox | None]:
        """A finer box for each picture, in order; None for None, and where the encoder answers with nothing but what is
        no number.

        starts: of each picture maps (n, 2, 3) that are tried, n > 0, the likeliest first: its neighbourhood is what may
        be looked at. before: the scores that the pictures come with, where they tell who is likely to hold the object.
        Batches are filled across CHUNK pictures, and no more of them are held at once.
        """
        left = iter(pictures)
        for start in range(0, len(starts), CHUNK):
            part = list(islice(left, CHUNK))
            here = {i: picture for i, picture in enumerate(part) if picture is not None}
            rows = [start + i for i in here]
            scores = None if before is None else np.array([before[row] for row in rows])
            found = self._refine(list(here.values()), [starts[row] for row in rows], scores) if here else []
            refined = dict(zip(here, found, strict=True))
            yield from (refined.get(i) for i in range(len(part)))

    def find_copies(
        self,
        picture: Picture,
        heat: NDArray[np.float32],
        regions: Boxes,
        known: Sequence[NDArray[np.float64]] = (),
        lay: Lay = UPRIGHT,
        best_known: FoundBox | None = None,
    ) -> list[FoundBox]:
        """All places of a picture that answer the query about as well as the best does, best first, at least one where
        the encoder has numbers for any.

        heat (R,): likeness of the picture's regions (R, 4). known: maps (2, 3) where the query lies, as far as known.
        lay: in which the regions are like the query. These maps, the best regions, far enough apart, and what is found
        in their neighbourhoods, as boxes and so laid, are encoded, overlaps are suppressed, and what scores well is
        moved once. best_known: a place that was refined before, and is one of those found unless a better one is there.
        """
        recipe = self.recipe
        # where it may be: the best regions, what is found around them, and what is known
        seeds = regions[suppress(regions, heat, max_iou=0.1, n=recipe.n_seeds)]
        near = self._look_around([picture] * len(seeds), seeds, 2 * recipe.n_proposed, 0.2)
        placed = of_boxes(np.concatenate([seeds, *near]))
        laid = [] if lay == UPRIGHT else [composed(placed, lay.map)]
        maps = np.concatenate([placed, *laid, np.reshape(known, (-1, 2, 3))])
        # which of these answer the query, one for each place
        looks = self._score(cut_out(picture, maps, self.encoder.feed))
        scores, boxes = looks.scores, enclosing(maps)
        kept = suppress(boxes, scores, max_iou=0.2, n=recipe.max_copies, max_containment=_SAME_COPY)
        kept = kept[np.isfinite(scores[kept])]
        if not len(kept):
            return [] if best_known is None else [best_known]
        kept = kept[scores[kept] >= recipe.rough_share * scores[kept[0]]]
        # moved, and compared by their details and colours
        best = Best(maps, looks)[kept]
        self._improve([picture] * len(kept), best, len(kept))
        found = self._finish([picture] * len(kept), best) + ([] if best_known is None else [best_known])
        # again one for each place, as far as they answer it about as well as the best
        boxes, scores = np.array([each.box for each in found]), np.array([each.score for each in found])
        kept = suppress(boxes, scores, max_iou=0.3, max_containment=_SAME_COPY)
        return [found[i] for i in kept if scores[i] >= recipe.copy_share * scores[kept[0]]]

    def score(self, patches: Patches) -> NDArray[np.float32]:
        """How well patches (B, S, S, 3) answer the query, (B,), at most 1.

        (likeness + w * agreement) / (1 + w), w the recipe's weight; the likeness alone where there are no cells. -inf
        where the encoder answers with what is no number.
        """
        return self._score(patches).scores

    @property
    def _cells(self) -> CellEncoder | None:
        """What shows cells, where the query has some to compare with; else there is no more than features."""
        return self.encoder.cells if self.query.cells else None

    def _score(self, patches: Patches) -> Looks:
        self.on_step()
        encoder, identity = self.encoder, self.encoder.identity
        shape = len(patches), identity.dim
        if self._cells is None:
            features = check_answer(encoder.encode(patches), shape, identity.name)
            likeness = self._likeness(features, flawed(features))
            return Looks(likeness, likeness, np.zeros_like(likeness), np.empty((len(patches), 0, 0, 0), np.float32))
        answer, cells = self._cells.encode_cells(patches)
        features = check_answer(answer, shape, identity.name)
        lost = flawed(features) | ~cells.are_finite
        if lost.any():
            cells = cells.without(lost)
        likeness = self._likeness(features, lost)
        agreed = np.max([agreement(own.coarse[0], cells.coarse, self.recipe.floor) for own in self.query.cells], axis=0)
        weight = self.recipe.agreement
        scores = np.asarray((likeness + weight * agreed) / (1 + weight), np.float32)
        return Looks(scores, likeness, agreed, cells.fine)

    def _likeness(self, features: Features, lost: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Inner products (B,) of features (B, D) with the query's; -inf for those that are lost."""
        likeness = np.asarray(np.where(lost[:, None], 0, features) @ self.query.feature, np.float32)
        likeness[lost] = -np.inf
        return likeness

    def _refine(
        self, pictures: Sequence[Picture], starts: Sequence[Maps], before: NDArray[np.float64] | None
    ) -> list[FoundBox | None]:
        best = self._best(pictures, starts)
        # where details fit poorly, the neighbourhood is looked at
        doubtful = self._doubtful(best, before)
        regions = clip(around(np.stack([starts[i][0] for i in doubtful.tolist()]))) if len(doubtful) else _NO_BOXES
        proposed = self._look_around([pictures[i] for i in doubtful.tolist()], regions, self.recipe.n_proposed, 0.5)
        self._try(pictures, best, doubtful, [of_boxes(boxes) for boxes in proposed])
        # the better half is moved to where details say
        self._improve(pictures, best, -(-len(pictures) // 2))
        n_lost = int(np.isneginf(best.looks.scores).sum())
        if n_lost:
            name = self.encoder.identity.name
            _log.warning(
                "the encoder %s has no numbers for %s looked at more closely", name, counted(n_lost, "picture")
            )
        return [found if np.isfinite(found.score) else None for found in self._finish(pictures, best)]

    def _doubtful(self, best: Best, before: NDArray[np.float64] | None) -> NDArray[np.intp]:
        """Which pictures may hold the object in a better place than where it was looked for: of the likeliest, those
        whose details fit poorly; of all, where nothing tells who is likely."""
        if self._cells is None:
            return np.zeros(0, np.intp)
        likely = np.arange(len(best.looks.scores))
        if before is not None:
            order = np.argsort(-(best.looks.scores + self.recipe.before * before), kind="stable")
            likely = order[: int(np.ceil(self.recipe.looked_around * len(order)))]
        return likely[self._fits(best)[likely] < self.recipe.sure]

    def _try(
        self, pictures: Sequence[Picture], best: Best, chosen: NDArray[np.intp], tried: Sequence[Maps]
    ) -> NDArray[np.intp]:
        """Put the best of the maps (n_i, 2, 3) tried in a chosen picture where it is better; those that rose by it."""
        some = [len(maps) > 0 for maps in tried]
        chosen, tried = chosen[some], [maps for maps in tried if len(maps)]
        if not len(chosen):
            return chosen
        found = self._best([pictures[i] for i in chosen.tolist()], tried)
        rose = np.flatnonzero(found.looks.scores > best.looks.scores[chosen])
        best.put(chosen[rose], found[rose])
        return chosen[rose]

    def _improve(self, pictures: Sequence[Picture], best: Best, n: int) -> None:
        """Try maps beside the best, turn by turn: of the n best pictures, then of those alone that rose by it."""
        n_turns = self.recipe.turns if self._cells else len(self.recipe.blind_steps)
        rising = np.arange(len(pictures))
        for i in range(n_turns):
            n_kept = n if self._cells else -(-n // 2**i)
            rising = rising[np.argsort(-best.looks.scores[rising], kind="stable")][:n_kept]
            rising = self._try(pictures, best, rising, self._moved(best[rising], i))
            if not len(rising):
                break

    def _moved(self, best: Best, i: int) -> list[Maps]:
        """Of each picture, maps (n, 2, 3) near the best one that may be better, in turn i; maybe none."""
        if self._cells is None:
            return [within(composed(each, _shifts(self.recipe.blind_steps[i]))) for each in best.maps]
        inner = np.stack([locate(own.fine[0], best.looks.fine) for own in self.query.cells], axis=1)
        moved = composed(best.maps[:, None], inner)
        boxes = clip(around(moved.reshape(-1, 2, 3))).reshape(*moved.shape[:2], 4)
        kept = (inner != np.eye(2, 3)).any(axis=(2, 3)) & ((boxes[..., 2:] - boxes[..., :2]).min(axis=2) > _THINNEST)
        return [maps[chosen] for maps, chosen in zip(moved, kept, strict=True)]

    def _look_around(self, pictures: Sequence[Picture], regions: Boxes, n: int, max_iou: float) -> list[Boxes]:
        """The boxes (<= n, 4) most alike the query that one pass over each region's neighbourhood finds; maybe none."""
        shown = self._cells
        if shown is None or not len(pictures):
            return [_NO_BOXES] * len(pictures)
        power, target = shown.power, self.query.feature
        if power is None:
            power, target = 1.0, np.concatenate([own.mean for own in self.query.cells]).mean(axis=0)
            target /= max(float(np.linalg.norm(target)), 1e-12)
        windows, feed = surround(regions), replace(self.encoder.feed, size=shown.window, keep=1.0, exact=False)
        indices = range(len(pictures))
        seen = joined(self._in_threads(lambda i: crop(pictures[i], windows[i : i + 1], feed, _GAP), indices))
        self.on_step()
        maps = shown.encode_map(seen)
        finite = [bool(np.isfinite(each).all()) for each in maps]
        found = self._in_threads(
            lambda i: propose(maps[i], power, target, n, max_iou)[0] if finite[i] else _NO_BOXES, indices
        )
        low, sides = windows[:, :2], windows[:, 2:] - windows[:, :2]
        return [clip(np.tile(low[i], 2) + boxes * np.tile(sides[i], 2)) for i, boxes in enumerate(found)]

    def _best(self, pictures: Sequence[Picture], maps: Sequence[Maps]) -> Best:
        """The best of the maps (n_i, 2, 3) of each picture, n_i > 0. All are encoded in one call."""
        items, gap = list(zip(pictures, maps, strict=True)), _GAP if self._cells else 2.0
        patches = self._in_threads(lambda item: cut_out(item[0], item[1], self.encoder.feed, gap), items)
        looks = self._score(joined(patches))
        starts = np.cumsum([0] + [len(each) for each in maps[:-1]])
        winners = starts + [int(each.argmax()) for each in np.split(looks.scores, starts[1:])]
        return Best(np.concatenate(maps), looks)[np.array(winners)]

    def _fits(self, best: Best) -> NDArray[np.float32]:
        """How well (N,) the details fit; 0 where there are none."""
        if not best.looks.fine.size:
            return np.zeros(len(best.looks.scores), np.float32)
        fits: NDArray[np.float32] = np.max([fit(own.fine[0], best.looks.fine) for own in self.query.cells], axis=0)
        return fits

    def _colours(self, pictures: Sequence[Picture], maps: Maps) -> NDArray[np.float32] | None:
        """How alike (N,) the colours are; None where the query has none."""
        if not self.query.small:
            return None
        items = list(zip(pictures, maps, strict=True))
        small = joined(self._in_threads(lambda item: cut_out(item[0], item[1][None], SMALL), items))
        colours: NDArray[np.float32] = np.max([colour_likeness(own, small) for own in self.query.small], axis=0)
        return colours

    def _finish(self, pictures: Sequence[Picture], best: Best) -> list[FoundBox]:
        """Compare details and colours too: where there are cells, the score becomes the weighted mean of all four."""
        fits, colours, scores = self._fits(best), self._colours(pictures, best.maps), best.looks.scores
        if best.looks.fine.size:
            parts = [best.looks.likeness, best.looks.agreed, fits] + ([] if colours is None else [colours])
            weights = np.array(self.recipe.weights[: len(parts)], np.float32)
            scores = np.tensordot(weights / weights.sum(), np.stack(parts), 1)
        boxes, lines = enclosing(best.maps).tolist(), outlines(best.maps).tolist()
        columns = zip(boxes, lines, scores.tolist(), best.looks.likeness.tolist(), fits.tolist(), strict=True)
        shades = [None] * len(boxes) if colours is None else colours.tolist()
        return [
            FoundBox((x0, y0, x1, y1), score, likeness, fitting, shade, tuple((x, y) for x, y in line))
            for ((x0, y0, x1, y1), line, score, likeness, fitting), shade in zip(columns, shades, strict=True)
        ]

    def _in_threads(self, function: Callable[[T], U], items: Sequence[T]) -> list[U]:
        """function(item) for all items, on as many threads as there are cores, or the encoder has streams."""

        def step(item: T) -> U:
            self.on_step()
            return function(item)

        n_threads = max(self.encoder.streams, min(n_cores(), MOST_THREADS))
        return list(map_ahead(step, items, n_threads, 2 * n_threads))


def _shifts(step: float) -> Maps:
    """Eight maps (8, 2, 3) within a square: each of its edges moved out and in by `step` of its side."""
    moves = step * np.eye(4)
    return of_boxes(np.array([0.0, 0.0, 1.0, 1.0]) + np.concatenate([moves, -moves]))
