"""Points to bytes and back. A place takes 3 bytes, what is there two for each word of the codebook. Finds no points.

byte    0            1                       2            3 and 4: a word, lowest byte first   5 and 6: ...
        x, 8 lowest  y, 4 lowest; x, 4 rest  y, 8 rest    a level of each of some axes
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import PatchseekError
from ._codebook import DIM, WORD, Codebook, open_codebook
from ._extract import SIDE
from ._identity import POINT_BYTES, PointsIdentity
from ._points import Points, QueryPoints, Some

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


@dataclass(frozen=True, eq=False)
class CodedPoints:
    """Points (n,) as they are kept. Read where they are looked at: hundreds of pictures at once would fill the caches.

    Raises PatchseekError for what is none.
    """

    codes: Codes

    def __post_init__(self) -> None:
        codes = self.codes
        if not isinstance(codes, np.ndarray) or codes.dtype != np.uint8 or codes.shape[1:] != (POINT_BYTES,):
            found = f"{codes.shape} {codes.dtype}" if isinstance(codes, np.ndarray) else type(codes).__name__
            raise PatchseekError(f"codes of points must be (n, {POINT_BYTES}) uint8, found {found}")

    def __len__(self) -> int:
        return len(self.codes)

    def chosen(self, kept: Some) -> "CodedPoints":
        """Some of them, in that order."""
        return CodedPoints(self.codes[kept])

    @property
    def places(self) -> NDArray[np.float32]:
        """The middles (n, 2), x and y in [0, 1] of the upright picture, of the places that the codes name.

        A place is within half a step, 1/8192 of a side, of what it was.
        """
        low, both, high = self.codes[:, :_PLACE_BYTES].astype(np.uint16).T
        steps = np.stack([(both & 15) << 8 | low, high << 4 | both >> 4], axis=1)
        return ((steps + np.float32(0.5)) / PLACES).astype(np.float32)

    @property
    def descriptors(self) -> NDArray[np.float32]:
        """Descriptors (n, K) along the codebook's axes.

        They are a little shorter than unit length on the whole, which keeps their inner products with others what they
        were; they are not to be stretched.
        """
        book = open_codebook()
        words = np.ascontiguousarray(self.codes[:, _PLACE_BYTES:]).view("<u2")
        return book.restore(_unpack(words, book))


def on_axes(query: QueryPoints) -> QueryPoints:
    """A query's points with descriptors (n, K) along the codebook's axes, to be compared with kept ones.

    The axes are at right angles: the inner product of these is that of the whole (n, 64) with what was coded.
    """
    return replace(query, descriptors=_checked(query.descriptors, DIM) @ open_codebook().axes)


def _checked(values: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Values (n, width) as float32. Raises PatchseekError for another shape and for what is no number or a huge one."""
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.shape[1:] != (width,):
        found = f"{values.shape} {values.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
        raise PatchseekError(f"places must be (n, 2) and descriptors (n, {DIM}) float32, found {found}")
    if not (np.abs(values) <= _LARGEST).all():
        raise PatchseekError("places and descriptors of points must be finite, found NaN, infinity or a huge number")
    return values.astype(np.float32, copy=False)


def _pack(levels: NDArray[np.uint8], book: Codebook) -> NDArray[np.uint16]:
    """Words (n, n_words) of levels (n, K)."""
    words = np.zeros((len(levels), book.n_words), np.uint16)
    for part, bits in zip(np.split(levels, len(book.bits), axis=1), book.bits, strict=True):
        words = (words << bits | part).astype(np.uint16)
    return words


def _unpack(words: NDArray[np.uint16], book: Codebook) -> NDArray[np.uint8]:
    """The levels (n, K) of words (n, n_words)."""
    levels, above = np.empty((len(words), len(book.floors)), np.uint8), WORD
    for i, bits in enumerate(book.bits):
        above -= bits
        part = levels[:, i * book.n_words : (i + 1) * book.n_words]
        np.bitwise_and(words >> above, (1 << bits) - 1, out=part, casting="unsafe")
    return levels
