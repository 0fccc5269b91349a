"""Pixels of a frame as it is seen: right colours, whole lines, square pixels, upright. Knows no file and no time.

Colours of more than 8 bits are rounded to 8. What is made for HDR screens is shown as it is stored, as pictures' colour
profiles are not applied either: HLG looks natural, PQ pale. Transparency is laid over white.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from .._platform import n_cores
from ..images import MAX_PIXELS
from ..images._pixels import check_size
from ._film_file import MOST_THREADS
from ._film_library import library

Pixels = NDArray[np.uint8]
Look = NDArray[np.int16]
"""(3, LOOK, LOOK): brightness and two differences of colours, 0 to 255."""

_MATRICES = {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
# ITU-T H.273, MatrixCoefficients, by FFmpeg's names; 10, whose luminance is constant, is close to 9
_RANGES = {1: "limited", 2: "full"}
_EXACT = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
_COMB = 12
# levels by which a line stands out from both of its neighbours where two moments are woven into one frame
_ABOUT = 3
# pixels around a comb that are its, too
LOOK = 16
"""Pixels of a side of what `look` makes."""


def ppm(frame: Any, aspect: Fraction, label: str) -> bytes:
    """A frame as a binary PPM. aspect: how wide its pixels are for their height.

    Raises ImageError for one that is too large with square pixels.
    """
    size = _square_size(frame.width, frame.height, aspect)
    check_size(size, label, MAX_PIXELS)
    pixels = _rgb(frame)
    if frame.interlaced_frame:
        pixels = without_combs(pixels)
    if size != pixels.shape[1::-1]:
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        pixels = turned(pixels, np.frombuffer(matrix, np.int32).tolist())
    return b"P6\n%d %d\n255\n" % pixels.shape[1::-1] + pixels.tobytes()


def look(frame: Any) -> Look:
    """What a frame looks like from afar."""
    small = frame.reformat(width=LOOK, height=LOOK, format="yuv444p", interpolation="AREA")
    return np.asarray(small.to_ndarray(), np.int16)


def _rgb(frame: Any) -> Pixels:
    """(h, w, 3) as stored. Lines of the two moments of an interlaced frame are converted each for themselves."""
    width, height, own = frame.width, frame.height, frame.format
    is_large = width >= 1280 or height > 576
    matrix = _MATRICES.get(frame.colorspace, "bt709" if is_large else "smpte170m")  # untold: as players guess
    has_alpha = any(component.is_alpha for component in own.components)
    convert = f"in_color_matrix={matrix}:in_range={_RANGES.get(frame.color_range, 'auto')}:out_range=full:interl=-1"
    graph = library().filter.Graph()
    graph.threads = min(n_cores(), MOST_THREADS)
    first = graph.add_buffer(width=width, height=height, format=own, time_base=Fraction(1, 1000))
    graph.link_nodes(
        first,
        graph.add("scale", f"{convert}:{_EXACT}"),
        graph.add("format", "rgba" if has_alpha else "rgb24"),
        graph.add("buffersink"),
    ).configure()
    graph.vpush(frame)
    pixels: Pixels = graph.vpull().to_ndarray()
    return _over_white(pixels) if has_alpha else pixels


def _over_white(pixels: Pixels) -> Pixels:
    """(h, w, 4) with alpha to (h, w, 3) without."""
    opaque = pixels[..., 3:].astype(np.uint16)
    return ((pixels[..., :3] * opaque + 255 * (255 - opaque) + 127) // 255).astype(np.uint8)


def without_combs(pixels: Pixels) -> Pixels:
    """The even lines, and of the odd ones those that show the same moment; in place of others, means of even ones.

    A comb is where five lines in a row stand out from both neighbours, as no still picture has it but fine stripes.
    So what rests keeps all its lines: of photographs of 720 x 576 pixels, 0.2 % change at most.
    """
    signed = pixels.astype(np.int16)
    above, below = signed[1:-1] - signed[:-2], signed[1:-1] - signed[2:]
    out = (np.minimum(np.abs(above), np.abs(below)) > _COMB) & ((above > 0) == (below > 0))
    rows = sliding_window_view(np.pad(out, ((3, 3), (0, 0), (0, 0))), 5, 0)
    comb = rows.all(-1).any(-1)
    if not comb.any():
        return pixels
    wide: NDArray[np.bool_] = np.pad(comb, _ABOUT)
    for axis in (0, 1):
        wide = np.any(sliding_window_view(wide, 2 * _ABOUT + 1, axis), -1, keepdims=False)
    mended = pixels.copy()
    even = pixels[::2].astype(np.uint16)
    between = np.concatenate([(even[:-1] + even[1:] + 1) // 2, even[-1:]])[: len(pixels) // 2]
    np.copyto(mended[1::2], between.astype(np.uint8), where=wide[1::2, :, None])
    return mended


def turned(pixels: Pixels, matrix: list[int]) -> Pixels:
    """Turned, and mirrored, by quarters, as a display matrix of ISO 14496-12 says: x goes to a x + c y, y to b x + d y.

    matrix: a b u c d v x y w.
    """
    a, b, _, c, d = matrix[:5]
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = pixels.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Width and height with square pixels: the side that is too short is stretched."""
    return (max(1, round(width * aspect)), height) if aspect > 1 else (width, max(1, round(height / aspect)))
