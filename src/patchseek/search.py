"""What is asked and what is answered: queries become one question; a match is a picture that answers it. Ranks none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ._extras import install_line
from ._html import SIDE, Figure, gallery
from .boxes import WHOLE, to_pixels
from .encoders import Cells, Encoder, Features, check_answer, flaw, flawed
from .errors import QueryError
from .images import Picture
from .lays import UPRIGHT, Lay
from .originals import find_original
from .patches import Feed, Patches, crop, joined
from .points import SIDES, QueryPoints, find_points_of
from .store import Image

SMALL = Feed(28)
"""How the small patches are made whose colours are compared: of no network, so that every encoder has them."""
QUERY_POINTS = 150
"""Points that are looked for at each size at which a query's box is looked at."""
EXCLUSION = 0.5
"""Weight of what is not wanted beside what is."""


@dataclass(frozen=True, eq=False)
class PartnerPoints:
    """Why a picture was found: which point of the query is which of the picture, as far as one map takes them there."""

    asked: int
    # which of the query's pictures, from 0
    places: NDArray[np.float32]
    # (m, 4) x, y in shares of the query's box and u, v in shares of the upright picture

    def spread(self, n: int | None = None) -> NDArray[np.float32]:
        """At most n of the places, or all, one after another the farthest in the query from all before it.

        So the first few of them, as many as somebody can look at, lie all over the object.
        """
        wanted = len(self.places) if n is None else min(n, len(self.places))
        apart, order = np.full(len(self.places), np.inf), []
        for _ in range(wanted):
            order.append(int(apart.argmax()))
            away = self.places[:, :2] - self.places[order[-1], :2]
            apart = np.minimum(apart, np.square(away).sum(axis=1))
            apart[order[-1]] = -1  # others may lie in the same place
        return self.places[order]


@dataclass(frozen=True)
class FoundBox:
    """One place in a picture."""

    box: tuple[float, float, float, float]
    # x0 y0 x1 y1 in [0, 1] of the upright picture
    score: float
    # as the match's
    likeness: float = float("nan")
    # inner product of this box's feature and the query's, in [-1, 1]
    fit: float = 0.0
    # in [0, 1]: how well its details fit those of the query; 0 where the encoder shows none
    colour: float | None = None
    # in [0, 1]: how alike its colours and the query's are; None where the query has none, such as words
    outline: tuple[tuple[float, float], ...] = ()
    # x, y in shares of the picture, maybe beyond it, of where the corners of the query's box lie, from its upper left
    # one clockwise in the query; none where nobody looked

    @property
    def evidence(self) -> float:
        """At most 2: likeness and fit together; see `confidence`."""
        return self.likeness + self.fit


@dataclass(frozen=True)
class Match:
    """A picture of the collection that answers a query."""

    image: Image
    score: float
    # larger is better, to be compared within one answer alone: the likeness and what points add to it, maybe above 1,
    # or what refinement made of both; see docs/words.md
    box: tuple[float, float, float, float]
    # x0 y0 x1 y1 in [0, 1] of the upright picture: where the object is
    confidence: float | None = None
    # in [0, 1], that the object is there; see `confidence`. None where the collection is too small to say
    boxes: tuple[FoundBox, ...] = ()
    # all copies in the picture, best first, where they were asked for
    likeness: float = float("nan")
    # inner product of the query and the picture's best region, in [-1, 1]
    changed: bool | None = None
    # whether the file holds another picture since it was indexed: box and size are those of the old one; None where
    # that was not looked at
    is_refined: bool = False
    # whether its pixels were looked at: only then does a low confidence say that the object is probably not there
    outline: tuple[tuple[float, float], ...] = ()
    # of the first box, as FoundBox has it: also of pictures that nobody opened, where their points say it
    frames: tuple["Match", ...] = ()
    # of a film: all of its frames that were found and in which the object is probably seen, in their order; itself too
    ranges: tuple[tuple[float, float], ...] = ()
    # of a film, in seconds: from the first to the last of the frames that follow each other in the collection
    partners: PartnerPoints | None = field(default=None, compare=False, repr=False)
    # None where points were not looked at, or say nothing for the picture

    @property
    def pixels(self) -> tuple[int, int, int, int]:
        """The box as x y w h in pixels of the upright picture."""
        return to_pixels(self.box, self.image.width, self.image.height)

    @property
    def places(self) -> tuple[FoundBox, ...]:
        """Every place that was found in the picture, best first: all copies where they were asked for, else the one."""
        return self.boxes or (FoundBox(self.box, self.score, self.likeness, outline=self.outline),)

    def figure(self, name: str, side: int = SIDE) -> Figure:
        """The picture with its places, under a name; without them where its file holds another picture now.

        side: how many pixels it will be shown with, about.
        """
        width, height = self.image.width, self.image.height
        sure = "" if self.confidence is None else f"{100 * self.confidence:.0f} % sure, "
        said = f"{sure}score {self.score:.3f}"
        if self.changed:
            return Figure(name, (said, "changed since it was indexed"), width, height)
        picture = find_original(self.image, need=max(1, side * 2 // 3))
        lines = (said,) if picture else (said, "its file cannot be opened")
        shapes = [
            [(x * width, y * height) for x, y in place.outline] or _corners(to_pixels(place.box, width, height))
            for place in self.places
        ]
        return Figure(name, lines, width, height, picture.pixels if picture else None, shapes)

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        return gallery([self.figure(self.image.path, 2 * SIDE)], 1)


def _corners(xywh: tuple[int, int, int, int]) -> list[tuple[float, float]]:
    x, y, w, h = xywh
    return [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]


@dataclass(frozen=True, eq=False)
class CropPoints:
    """The points of what is shown in one of the query's pictures."""

    upright: QueryPoints
    mirror: QueryPoints | None = None
    # of its mirror image; None where that is not looked for
    turned: Callable[[Sequence[float], bool], QueryPoints] | None = None
    # finds those of other turns, in degrees, and where True of the mirror image; None where these are not looked for


@dataclass(frozen=True, eq=False)
class Query:
    """What to look for."""

    feature: NDArray[np.float32]
    # (D,) unit length
    cells: tuple[Cells, ...] = ()
    # what is where, of one patch each, one a picture; none for words or where the encoder does not say
    small: tuple[Patches, ...] = ()
    # (S, S, 3) each, of SMALL, one a picture; none for words
    points: tuple["CropPoints", ...] = ()
    # one a picture; none for words or where they are not asked for
    laid: Mapping[Lay, NDArray[np.float32]] = field(default_factory=dict)
    # (D,) unit length each: the query turned or mirrored, for those lays in which it is looked for as well
    wanted: NDArray[np.float32] | None = None
    # (D,) unit length: the feature before what is not wanted was taken off; None where nothing was

    @property
    def features(self) -> tuple[tuple[Lay, ...], Features]:
        """The L lays in which it is looked for, and its features (L, D) in these; it lies upright in the first."""
        return (UPRIGHT, *self.laid), np.stack([self.feature, *self.laid.values()])


def encode_query(
    picture: Picture,
    encoder: Encoder,
    box: Sequence[float] = WHOLE,
    *,
    points: bool = False,
    lays: Sequence[Lay] = (),
) -> Query:
    """The query that a box (x0 y0 x1 y1 in [0, 1]) of a picture makes; points: with those of the box.

    lays: other than upright, in which it is to be looked for as well.
    Raises QueryError where the encoder answers with what is no number, EncoderError where with another shape.
    """
    patches = laid_patches(picture, box, encoder.feed, lays)
    small = (crop(picture, np.array([box], np.float64), SMALL)[0],)
    found = (_points(picture, box, lays),) if points else ()
    if encoder.cells is not None:
        answer, cells = encoder.cells.encode_cells(patches)
        if not cells[:1].are_finite.all():
            raise _no_query(encoder, "cells that are no numbers")
        known: tuple[Cells, ...] = (cells[:1],)
    else:
        answer, known = encoder.encode(patches), ()
    return replace(laid_query(answer, encoder, lays), cells=known, small=small, points=found)


def laid_query(features: Features, encoder: Encoder, lays: Sequence[Lay]) -> Query:
    """The query of the features (1 + L, D) of `laid_patches`, and of nothing else.

    Raises QueryError where the first is no number, EncoderError for another shape.
    """
    upright, *others = _checked(features, 1 + len(lays), encoder)
    laid = {lay: feature for lay, feature in zip(lays, others, strict=True) if not flawed(feature)}
    return Query(upright, laid=laid)


def laid_patches(picture: Picture, box: Sequence[float], feed: Feed, lays: Sequence[Lay]) -> Patches:
    """The patch of a box, and the same in each of the lays, (1 + L, S, S, 3)."""
    boxes = np.array([box], np.float64)
    upright = crop(picture, boxes, feed)
    if not lays:
        return upright
    pixels = crop(picture, boxes, replace(feed, late=False)) if feed.late else upright
    return joined([upright, *(lay.of(pixels) for lay in lays)])


def _points(picture: Picture, box: Sequence[float], lays: Sequence[Lay]) -> CropPoints:
    """The points of a box, as far as it is laid so, and how those of other turns are found.

    These are looked for at the two larger sizes: with 128 pixels as well they say no more of which turn is right.
    """

    def find(turns: Sequence[float], mirrored: bool) -> QueryPoints:
        return find_points_of(picture, box, SIDES[1:], turns, QUERY_POINTS, mirrored=mirrored)

    upright = find_points_of(picture, box, n=QUERY_POINTS)
    has_mirror, is_turned = any(lay.mirrored for lay in lays), any(lay.turn for lay in lays)
    mirror = find_points_of(picture, box, n=QUERY_POINTS, mirrored=True) if has_mirror else None
    return CropPoints(upright, mirror, find if is_turned else None)


def _checked(answer: Features, n: int, encoder: Encoder) -> Features:
    """The n features that were asked for, the first of which is sound."""
    identity = encoder.identity
    checked = check_answer(answer, (n, identity.dim), identity.name)
    if problem := flaw(checked[:1]):
        raise _no_query(encoder, problem)
    return checked


def _no_query(encoder: Encoder, problem: str) -> QueryError:
    return QueryError(f"the encoder {encoder.identity.name} answers the query with {problem}: nothing is like that")


def encode_words(text: str, encoder: Encoder) -> Query:
    """The query that words make. Raises QueryError when the encoder has no text tower, or no numbers for them."""
    if encoder.words is None:
        raise QueryError(
            f"the encoder {encoder.identity.name} knows no words; index with one that does, "
            f"such as openclip:ViT-B-16/openai ({install_line('text', 'open_clip_torch')})"
        )
    return Query(_checked(encoder.words.encode_text([text]), 1, encoder)[0])


def join(wanted: Sequence[Query], unwanted: Sequence[Query] = ()) -> Query:
    """One query of several, at least one of them wanted: the mean of the wanted, less half the mean of the unwanted.

    The inner product with a mean is the mean of the inner products, so this is late fusion by the mean at the price of
    one search; the subtraction is Rocchio's (1971).
    """
    if len(wanted) == 1 and not unwanted:
        return wanted[0]
    lays = dict.fromkeys(lay for query in wanted for lay in query.laid)
    cells = tuple(cells for query in wanted for cells in query.cells)
    small = tuple(small for query in wanted for small in query.small)
    points = tuple(points for query in wanted for points in query.points)
    laid = {lay: _joined([query.laid.get(lay, query.feature) for query in wanted], unwanted) for lay in lays}
    features = [query.feature for query in wanted]
    before = _joined(features, ()) if unwanted else None
    return Query(_joined(features, unwanted), cells, small, points, laid, before)


def _joined(features: Sequence[NDArray[np.float32]], unwanted: Sequence[Query]) -> NDArray[np.float32]:
    """The feature (D,) of several; see join."""
    feature = np.mean(features, axis=0)
    if unwanted:
        feature = feature - EXCLUSION * np.mean([query.feature for query in unwanted], axis=0)
    length = float(np.linalg.norm(feature))
    if not length >= 1e-6:  # or no number
        raise QueryError("the pictures cancel each other out: nothing is left to look for")
    return np.asarray(feature / length, np.float32)
