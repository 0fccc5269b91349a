"""Boxes of annotations, x y w h, against the sides of their pictures. Opens no picture."""

from collections.abc import Sequence

from ..boxes import from_pixels
from ..errors import BoxError

Box = tuple[float, float, float, float]
"""x y w h in pixels of the upright picture (its EXIF orientation applied), from the top left corner."""

_NOISE = 1e-6  # pixels


def enclose(boxes: Sequence[Box]) -> Box:
    """The smallest box around one box or more."""
    left, top = min(x for x, _, _, _ in boxes), min(y for _, y, _, _ in boxes)
    return left, top, max(x + w for x, _, w, _ in boxes) - left, max(y + h for _, y, _, h in boxes) - top


def clamp(box: Box, width: int, height: int, name: object = "the picture") -> Box:
    """The part of a box inside a picture of width x height pixels; BoxError, which names it, when there is none."""
    x, y, w, h = box
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
    if right <= left or bottom <= top:
        raise BoxError(f"box {x:g},{y:g},{w:g},{h:g} lies outside {name} of {width} x {height} pixels")
    return left, top, right - left, bottom - top


def corners(box: Box, width: int, height: int, name: object = "the picture") -> tuple[float, float, float, float]:
    """The part of a box inside a picture of width x height pixels, as x0 y0 x1 y1 in [0, 1]; BoxError when none is.

    Pixels always, however small the box: `boxes.from_pixels` would take one of less than a pixel for shares.
    """
    x, y, w, h = clamp(box, width, height, name)
    return x / width, y / height, min(x + w, width) / width, min(y + h, height) / height


def fit(written: Box, width: int, height: int) -> Box:
    """The box that somebody wrote for a picture of width x height pixels, by the rule of `boxes.from_pixels`.

    Numbers that need no change stay as they are, to the last digit. Raises BoxError.
    """
    x0, y0, x1, y1 = from_pixels(written, width, height)
    inside = (x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height)
    if all(abs(a - b) < _NOISE for a, b in zip(inside, written, strict=True)):
        return written
    x, y, w, h = (round(v, 6) or v for v in inside)
    return x, y, w, h


def clip(boxes: Sequence[Box], size: tuple[int, int] | None, where: str, notes: list[str]) -> tuple[Box, ...]:
    """What is inside the picture of boxes (in pixels) as an official file has them, which is not refused.

    What had to be cut off or left out becomes notes. size: width, height; None where it is not known: nothing is cut.
    """
    if size is None:
        return tuple(boxes)
    kept: list[Box] = []
    width, height = size
    for box in boxes:
        x, y, w, h = box
        try:
            kept.append(clamp(box, width, height))
            if x >= 0 and y >= 0 and x + w <= width and y + h <= height:
                kept[-1] = box  # to the last digit
                continue
            notes.append(
                f"{where}: box {x:g},{y:g},{w:g},{h:g} reaches outside the picture of {width} x {height} pixels; "
                "what is inside counts"
            )
        except BoxError as error:
            notes.append(f"{where}: {error}; it is left out")
    return tuple(kept)
