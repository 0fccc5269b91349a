"""A white sheet to explain on: pictures with boxes, words, squares coloured by a number. Knows nothing of searches."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from patchseek.draw import INK, WHITE, Colour, Pixels

GREY: Colour = (107, 114, 128)
COLD, WARM = np.array([28.0, 37.0, 76.0]), np.array([255.0, 176.0, 0.0])
"""The colours of the least and the greatest number; in between, a mixture."""
Spot = tuple[float, float, float, float]
"""x y w h in pixels of the sheet."""


def warmth(share: float) -> Colour:
    """The colour of a number, 0 for the least and 1 for the greatest."""
    red, green, blue = np.round(COLD + min(max(share, 0.0), 1.0) * (WARM - COLD)).astype(int).tolist()
    return red, green, blue


class Sheet:
    """Drawn from back to front."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), WHITE)

    def say(self, x: float, y: float, text: str, size: int = 20, colour: Colour = INK, anchor: str = "la") -> None:
        """Write a line; anchor as Pillow's: la begins at its upper left, mm is its middle."""
        ImageDraw.Draw(self.image).text((x, y), text, colour, ImageFont.load_default(size), anchor=anchor)

    def show(self, pixels: Pixels, x: float, y: float, width: float, height: float | None = None) -> Spot:
        """Place a picture so wide, of its own shape unless height says another; where it lies."""
        own = Image.fromarray(np.ascontiguousarray(pixels))
        size = round(width), round(own.height * width / own.width if height is None else height)
        self.image.paste(own.resize(size, Image.Resampling.LANCZOS), (round(x), round(y)))
        return x, y, *size

    def box(self, spot: Spot, box: Sequence[float], colour: Colour, line: int = 4, dark: bool = True) -> None:
        """Draw a box x0 y0 x1 y1 in shares of a spot; dark: between dark lines."""
        x, y, w, h = spot
        corners = [x + box[0] * w, y + box[1] * h, x + box[2] * w - 1, y + box[3] * h - 1]
        pen = ImageDraw.Draw(self.image)
        if dark:
            wider = [corners[0] - 1, corners[1] - 1, corners[2] + 1, corners[3] + 1]
            pen.rectangle(wider, outline=INK, width=line + 2)
        pen.rectangle(corners, outline=colour, width=line)

    def warm(self, spot: Spot, box: Sequence[float], share: float, text: str = "", opacity: float = 0.55) -> None:
        """Colour a box of a spot by a number, and write in it."""
        x, y, w, h = spot
        x0, y0, x1, y1 = (round(v) for v in (x + box[0] * w, y + box[1] * h, x + box[2] * w, y + box[3] * h))
        under = self.image.crop((x0, y0, x1, y1))
        self.image.paste(Image.blend(under, Image.new("RGB", under.size, warmth(share)), opacity), (x0, y0))
        if text:
            pen, font = ImageDraw.Draw(self.image), ImageFont.load_default(min(22, max(11, (x1 - x0) // 4)))
            middle = (x0 + x1) / 2, (y0 + y1) / 2
            pen.text(middle, text, WHITE, font, anchor="mm", stroke_width=2, stroke_fill=INK)

    def arrow(self, x0: float, y: float, x1: float) -> None:
        """An arrow to the right."""
        pen = ImageDraw.Draw(self.image)
        pen.line([(x0, y), (x1 - 8, y)], GREY, 4)
        pen.polygon([(x1, y), (x1 - 14, y - 9), (x1 - 14, y + 9)], GREY)

    def line(self, points: Iterable[tuple[float, float]], colour: Colour = GREY, width: int = 2) -> None:
        """A line through points."""
        ImageDraw.Draw(self.image).line(list(points), colour, width, joint="curve")

    def dot(self, x: float, y: float, colour: Colour, radius: float = 7) -> None:
        """A dot with a dark edge."""
        around = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(self.image).ellipse(around, colour, INK)

    def save(self, path: Path, quality: int = 85) -> None:
        """Write it as JPEG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.image.save(path, quality=quality, optimize=True)
