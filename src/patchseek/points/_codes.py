"""Points to bytes and back. A place takes 3 bytes, what is there two for each word of the codebook. Finds no points.

byte    0            1                       2            3 and 4: a word, lowest byte first   5 and 6: ...
        x, 8 lowest  y, 4 lowest; x, 4 rest  y, 8 rest    a level of each of some axes
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import PatchseekError
from ._codebook import DIM, WORD, Codebook, open_codebook
from ._extract import SIDE
from ._identity import POINT_BYTES, PointsIdentity
from ._points import Points

Codes = NDArray[np.uint8]
"""(n, POINT_BYTES) uint8: points as they are kept, the strongest first."""

KEPT = 800
"""Points that are kept of a picture, at most, unless told otherwise."""
NAME = "xfeat"
"""What finds points today."""
PLACES = 4096
"""Places that are told apart along each side of a picture."""
_PLACE_BYTES = 3
_LARGEST = 1000.0
# no number of a descriptor comes near it, and sums of larger ones may be none
_BLOCK = 4096
# points that are read at a time: what is read stays in the processor's cache


@dataclass(frozen=True, eq=False)
class Levels:
    """The points of several pictures, one after the other, as they are compared: see `weigh`."""

    places: NDArray[np.float32]
    # (N, 2) x, y in [0, 1] of the upright picture
    levels: NDArray[np.uint8]
    # (N, K) along the codebook's axes
    starts: NDArray[np.int64]
    # (pictures + 1,) where each picture's points begin


def identify(n_most: int = KEPT, side: int = SIDE) -> PointsIdentity:
    """What points are that are kept today: n_most of a picture at most, looked for in at most `side` pixels."""
    book = open_codebook()
    return PointsIdentity(NAME, book.network, book.sha256, n_most, side)


def encode(points: Points) -> Codes:
    """Points (n,) as codes (n, POINT_BYTES). Raises PatchseekError for what is none."""
    places, descriptors = _checked(points.places, 2), _checked(points.descriptors, DIM)
    if len(places) != len(descriptors):
        raise PatchseekError(f"points have a descriptor each, found {len(places)} places and {len(descriptors)}")
    if not ((places >= 0) & (places <= 1)).all():
        raise PatchseekError("places of points must be in [0, 1] of the picture's sides, found others")
    x, y = np.minimum(places * PLACES, PLACES - 1).astype(np.uint16).T
    place_bytes = np.stack([x & 255, y << 4 & 240 | x >> 8, y >> 4], axis=1).astype(np.uint8)
    book = open_codebook()
    words = _pack(book.round(descriptors), book).astype("<u2")
    return np.concatenate([place_bytes, words.view(np.uint8)], axis=1)


def decode(codes: Codes) -> Points:
    """The points (n,) of codes (n, POINT_BYTES). Raises PatchseekError for what is none.

    A place is within half a step, 1/8192 of a side, of what it was. Descriptors are a little shorter than unit length
    on the whole, which keeps their inner products with others what they were; they are not to be stretched.
    """
    read = read_levels([codes])
    return Points(read.places, open_codebook().restore(read.levels))


def read_levels(codes: Sequence[Codes], n_most: int | None = None) -> Levels:
    """The points of several pictures, of each the n_most strongest, or all. Raises PatchseekError for what is none."""
    if n_most is not None and n_most < 0:
        raise PatchseekError(f"n_most must be 0 or more, found {n_most}")
    for each in codes:
        if not isinstance(each, np.ndarray) or each.dtype != np.uint8 or each.shape[1:] != (POINT_BYTES,):
            found = f"{each.shape} {each.dtype}" if isinstance(each, np.ndarray) else type(each).__name__
            raise PatchseekError(f"codes of points must be (n, {POINT_BYTES}) uint8, found {found}")
    book, chosen = open_codebook(), [each[:n_most] for each in codes]
    starts = np.concatenate([[0], np.cumsum([len(each) for each in chosen], dtype=np.int64)])
    every = np.concatenate([np.empty((0, POINT_BYTES), np.uint8), *chosen])
    places, levels = np.empty((len(every), 2), np.float32), np.empty((len(every), len(book.floors)), np.uint8)
    for start in range(0, len(every), _BLOCK):
        block = every[start : start + _BLOCK]
        places[start : start + _BLOCK] = _places(block)
        _unpack(np.ascontiguousarray(block[:, _PLACE_BYTES:]).view("<u2"), book, levels[start : start + _BLOCK])
    return Levels(places, levels, starts)


def weigh(descriptors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (n, K) and offsets (n,) of descriptors (n, 64) that are looked for, for levels (N, K) of pictures.

    weights @ levels.T + offsets[:, None] are the inner products (n, N) with the decoded descriptors.
    """
    return open_codebook().weigh(_checked(descriptors, DIM))


def _checked(values: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Values (n, width) as float32. Raises PatchseekError for another shape and for what is no number or a huge one."""
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.shape[1:] != (width,):
        found = f"{values.shape} {values.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
        raise PatchseekError(f"places must be (n, 2) and descriptors (n, {DIM}) float32, found {found}")
    if not (np.abs(values) <= _LARGEST).all():
        raise PatchseekError("places and descriptors of points must be finite, found NaN, infinity or a huge number")
    return values.astype(np.float32, copy=False)


def _places(codes: Codes) -> NDArray[np.float32]:
    """The middles (n, 2) of the places that codes (n, POINT_BYTES) name."""
    low, both, high = codes[:, :_PLACE_BYTES].astype(np.uint16).T
    steps = np.stack([(both & 15) << 8 | low, high << 4 | both >> 4], axis=1)
    return ((steps + np.float32(0.5)) / PLACES).astype(np.float32)


def _pack(levels: NDArray[np.uint8], book: Codebook) -> NDArray[np.uint16]:
    """Words (n, n_words) of levels (n, K)."""
    words = np.zeros((len(levels), book.n_words), np.uint16)
    for part, bits in zip(np.split(levels, len(book.bits), axis=1), book.bits, strict=True):
        words = (words << bits | part).astype(np.uint16)
    return words


def _unpack(words: NDArray[np.uint16], book: Codebook, levels: NDArray[np.uint8]) -> None:
    """Write the levels (n, K) of words (n, n_words) to where they are wanted."""
    above = WORD
    for i, bits in enumerate(book.bits):
        above -= bits
        part = levels[:, i * book.n_words : (i + 1) * book.n_words]
        np.bitwise_and(words >> above, (1 << bits) - 1, out=part, casting="unsafe")
