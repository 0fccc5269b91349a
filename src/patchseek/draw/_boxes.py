"""Draw boxes and outlines on a picture. Pixels in, pixels out.

Every line has a dark outline, so that it shows on any background. The three colours stay apart for readers who see red
and green alike: RIGHT is the bluish green of Okabe and Ito's palette (2008), ANSWER a light amber, QUERY a blue.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from ..boxes import clip, to_pixels
from ..errors import BoxError, PatchseekError
from ._strokes import Colour, Pixels, stroke
from ._text import font_of, shorten

RIGHT: Colour = (0, 158, 115)
"""For a box that is known to be right."""
ANSWER: Colour = (255, 176, 0)
"""For a box that the search found."""
QUERY: Colour = (59, 130, 246)
"""For a box that someone searched with."""

Outline = Sequence[Sequence[float]] | NDArray[np.floating]
"""Four corners x, y in shares of the picture, maybe beyond it, one after another around a thing."""

WHITE, MAT, INK, GREY = (255, 255, 255), (240, 241, 243), (17, 24, 39), (107, 114, 128)


def draw_boxes(
    pixels: Pixels,
    boxes: ArrayLike,
    *,
    colours: Sequence[Colour] = (ANSWER,),
    labels: Sequence[str] = (),
    line: int | None = None,
    outlines: Sequence[Outline | None] = (),
) -> Pixels:
    """A copy of pixels (h, w, 3) uint8 with boxes (N, 4) x0 y0 x1 y1 in [0, 1] drawn on it, the first box on top.

    colours: one for each box, or one for all. labels: one for each box, or none; written above the box, or inside where
    there is no room above. line: width of the coloured line in pixels, by default 1/200 of the longer side, at least 2.
    It lies just inside the box, between dark lines half as wide. A box that laps over the picture is clipped to it.
    outlines: one for each box, or none; one that is turned or slanted is drawn in place of its box.
    Raises BoxError for numbers that are not finite, PatchseekError for arguments that do not fit together.
    """
    picture = picture_of(pixels)
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise BoxError("boxes to draw must be finite numbers")
    n = len(boxes)
    if len(colours) not in (1, n) or len(labels) not in (0, n) or len(outlines) not in (0, n):
        raise PatchseekError(
            f"{n} boxes take 1 or {n} colours, 0 or {n} labels and 0 or {n} outlines, "
            f"found {len(colours)}, {len(labels)} and {len(outlines)}"
        )
    line = max(2, round(max(picture.size) / 200)) if line is None else max(1, line)
    pen = ImageDraw.Draw(picture)
    for i in reversed(range(n)):
        colour = colours[i % len(colours)]
        x, y, w, h = to_pixels(clip(boxes[i])[0], *picture.size)
        dark = max(1, line // 2)
        corners = _turned(outlines[i], picture.size, line) if outlines else None
        if corners is not None:
            _close(picture, corners, INK, line + 2 * dark)
            _close(picture, corners, colour, line)
        else:
            _frame(pen, (x - dark, y - dark, w + 2 * dark, h + 2 * dark), INK, line + 2 * dark)
            _frame(pen, (x, y, w, h), colour, line)
        if labels:
            _draw_label(pen, picture, labels[i], (x, y), colour, line)
    return np.array(picture)


def picture_of(pixels: Pixels) -> Image.Image:
    """Pixels (h, w, 3) uint8 as a picture of its own memory."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise PatchseekError(f"a picture is (h, w, 3) uint8, found {pixels.shape} {pixels.dtype}")
    return Image.fromarray(pixels.copy())


def _frame(pen: ImageDraw.ImageDraw, xywh: tuple[int, int, int, int], colour: Colour, line: int) -> None:
    """A line inside the edge of a box in pixels; it fills a box that is thinner than two lines."""
    x, y, w, h = xywh
    pen.rectangle((x, y, x + w - 1, y + h - 1), outline=colour, width=min(line, (min(w, h) + 1) // 2))


def _turned(outline: Outline | None, size: tuple[int, int], line: int) -> NDArray[np.float64] | None:
    """The corners (4, 2) in pixels of an outline, where it is no box: some corner of the box around it lies farther
    than the width of a line from all of its own. None where it is, or where there is none."""
    if outline is None or not len(outline):
        return None
    corners = np.asarray(outline, np.float64) * size
    if corners.shape != (4, 2) or not np.isfinite(corners).all():
        raise BoxError(f"an outline to draw is four corners of finite numbers, found {np.asarray(outline).tolist()}")
    low, high = corners.min(axis=0), corners.max(axis=0)
    around = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    away = np.linalg.norm(around[:, None] - corners, axis=2).min(axis=1)
    return corners if away.max() > line else None


def _close(picture: Image.Image, corners: NDArray[np.float64], colour: Colour, line: int) -> None:
    """A line around corners in pixels."""
    pixels = np.array(picture)
    stroke(pixels, np.vstack([corners, corners[:1]]), colour, line)
    picture.paste(Image.fromarray(pixels))


def _draw_label(
    pen: ImageDraw.ImageDraw, picture: Image.Image, label: str, corner: tuple[int, int], colour: Colour, line: int
) -> None:
    """A label on a ground of its colour, above the corner x y of a box, inside it where there is no room above."""
    font = font_of(max(10, 4 * line))
    text = shorten(label, picture.width - 2 * line, font)
    w, h = round(font.getlength(text)) + 2 * line, round(font.size * 1.3)
    x, y = max(0, min(corner[0], picture.width - w)), corner[1] - h if corner[1] >= h else corner[1]
    pen.rectangle((x, y, x + w - 1, y + h - 1), fill=colour)
    pen.text((x + line, y + h / 2), text, INK, font, anchor="lm")
