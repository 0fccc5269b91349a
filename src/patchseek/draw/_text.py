"""Text on pictures: what of it can be shown in so many pixels, and the letters. Draws nothing."""

import unicodedata
from functools import cache

from PIL import ImageFont

LONGEST_CAPTION = 300
# characters looked at; no caption as wide as a tile has more


def shorten(text: str, width: float, font: ImageFont.FreeTypeFont) -> str:
    """The text, fit to be drawn in `width` pixels: its middle gives way to an ellipsis, control characters to '?'."""
    text = plain(text)
    if len(text) > LONGEST_CAPTION:
        text = text[: LONGEST_CAPTION // 2] + "\u2026" + text[-(LONGEST_CAPTION // 2) :]
    if font.getlength(text) <= width:
        return text
    fits, fails = 0, len(text)
    while fails - fits > 1:  # characters kept; an even share from either end
        n = (fits + fails) // 2
        short = text[: n - n // 2] + "\u2026" + text[len(text) - n // 2 :]
        fits, fails = (n, fails) if font.getlength(short) <= width else (fits, n)
    return text[: fits - fits // 2] + "\u2026" + text[len(text) - fits // 2 :]


def plain(text: str) -> str:
    """The text with '?' for every character that is not meant to be seen: controls, line breaks, lone surrogates."""
    return "".join("?" if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c for c in text)


@cache
def font_of(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # every wheel of Pillow brings FreeType
    return font
