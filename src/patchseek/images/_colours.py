"""Samples of a TIFF to 8-bit RGB: ranges, palettes, inks, transparency. Reads no pixels.

What has a known range is scaled by it: whole numbers of up to 16 bits by their bits, or by those that the largest
sample value on record needs (12 bits stored in 16), fractions by 1. The rest is stretched from its least to its
greatest finite value.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from ._bands import Samples
from ._directories import Directory
from ._layout import CMYK, LAB, PALETTE, WHITE_IS_ZERO, YCBCR, Layout

_LUMA = (0.299, 0.587, 0.114)  # TIFF 6.0, section 21: what YCbCrCoefficients are by default
_FULL = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)  # ReferenceBlackWhite of pictures that use all 256 values

Pixels = NDArray[np.uint8]


class Colours:
    """Turns the samples of one page into RGB over white."""

    def __init__(self, layout: Layout, directory: Directory, extremes: Callable[[], tuple[float, float]]) -> None:
        """extremes: finds the least and the greatest finite colour of the page; asked only where it matters."""
        self._layout = layout
        low, high = (0.0, 1.0) if layout.photometric == PALETTE else _range(layout, directory, extremes)
        self._low, self._high = low, high
        use_table = _is_small(layout) and layout.bits != 8
        self._table = _scaled(np.arange(1 << layout.bits), low, high) if use_table else None
        self._palette = _palette(directory.values(320), layout.bits) if layout.photometric == PALETTE else None
        luma, reference = directory.values(529), directory.values(532)
        self._luma = tuple(luma.tolist()) if len(luma) == 3 and luma[1] > 0 else _LUMA
        self._reference = tuple(reference.tolist()) if len(reference) == 6 else _FULL

    def rgb(self, samples: Samples) -> Pixels:
        """RGB (rows, width, 3) of samples (rows, width, n)."""
        colours = self._rgb(samples[..., : self._layout.n_colours])
        alpha = self._layout.alpha
        if alpha is None:
            return colours
        return _over_white(colours, self._opacity(samples[..., alpha, None]), self._layout.is_premultiplied)

    def _rgb(self, colours: Samples) -> Pixels:
        photometric = self._layout.photometric
        if self._palette is not None:
            return np.asarray(self._palette[np.minimum(colours[..., 0], len(self._palette) - 1)])
        if photometric == LAB:
            return _from_lab(colours)
        scaled = _scaled(colours, self._low, self._high) if self._table is None else self._table[colours]
        if photometric == WHITE_IS_ZERO:
            scaled = 255 - scaled
        if photometric == CMYK:
            ink = 255 - scaled.astype(np.uint16)
            return ((ink[..., :3] * ink[..., 3:] + 127) // 255).astype(np.uint8)
        if photometric == YCBCR:
            return _from_ycbcr(scaled, self._luma, self._reference)
        return np.broadcast_to(scaled, (*scaled.shape[:2], 3))

    def _opacity(self, alpha: Samples) -> NDArray[np.uint16]:
        """Transparency (rows, width, 1) as 0 clear to 255 opaque. Its range is that of its bits."""
        top = 1.0 if self._layout.kind == "f" else 2.0**self._layout.bits - 1
        return _scaled(alpha, 0.0, top).astype(np.uint16)


def _is_small(layout: Layout) -> bool:
    """Whether a table of all values is shorter than most pictures."""
    return layout.kind == "u" and layout.bits <= 16


def _range(layout: Layout, directory: Directory, extremes: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """What is black and what is white (where white is not zero)."""
    least, most = directory.values(340), directory.values(341)  # SMinSampleValue, SMaxSampleValue
    if _is_small(layout):
        top = (1 << layout.bits) - 1
        stated = max([int(v) for v in (*most, *directory.values(281)) if np.isfinite(v)], default=top)
        if layout.bits > 8 and 0 < stated < top and extremes()[1] <= stated:
            top = (1 << stated.bit_length()) - 1
        return 0.0, float(top)
    low, high = extremes()
    if layout.kind == "f" and low >= 0 and high <= 1:
        return 0.0, 1.0
    if layout.bits > 16 and layout.kind != "f" and low >= 0 and high <= 65535:
        return 0.0, 65535.0
    if len(least) and len(most) and least.min() <= low and high <= most.max() and least.min() < most.max():
        return float(least.min()), float(most.max())
    return low, high


def _scaled(values: Samples, low: float, high: float) -> Pixels:
    """Values from low to high as 0 to 255, rounded; what lies beyond, or is no number, as the nearer end."""
    if (low, high) == (0.0, 255.0) and values.dtype == np.uint8:
        return values
    is_exact = values.dtype.itemsize <= 2 or values.dtype == np.float32
    half_span = max(high / 2 - low / 2, 1e-36)  # halves, as the whole may be more than a float holds
    scaled: NDArray[Any] = values.astype(np.float32 if is_exact else np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled *= 0.5
        scaled -= low / 2
        scaled *= 255 / half_span
    np.nan_to_num(scaled, copy=False, nan=0.0)
    np.clip(scaled, 0, 255, out=scaled)
    scaled += 0.5
    return scaled.astype(np.uint8)


def _palette(colours: NDArray[Any], bits: int) -> Pixels:
    """RGB (2 ** bits, 3) of a ColorMap: all reds, all greens, all blues, in 16 bits, or in 8 as some write it."""
    n = 1 << bits
    if len(colours) < 3 * n:
        raise OSError("its palette is missing")
    table = colours[: 3 * n].reshape(3, n).T
    return np.asarray(table >> 8 if table.max() > 255 else table, np.uint8)


def _over_white(colours: Pixels, alpha: NDArray[np.uint16], is_premultiplied: bool) -> Pixels:
    if is_premultiplied:
        return np.asarray(np.minimum(colours + (255 - alpha), 255), np.uint8)
    return np.asarray((colours * alpha + 255 * (255 - alpha) + 127) // 255, np.uint8)


def _from_ycbcr(values: Pixels, luma: tuple[float, ...], reference: tuple[float, ...]) -> Pixels:
    """TIFF 6.0, section 21."""
    red, green, blue = luma
    codes = values.astype(np.float32)
    ends = [(reference[2 * i], max(reference[2 * i + 1] - reference[2 * i], 1e-6)) for i in range(3)]
    y, cb, cr = (
        (codes[..., i] - low) * (span / gap)
        for i, (span, (low, gap)) in enumerate(zip((255, 127, 127), ends, strict=True))
    )
    r, b = y + cr * (2 - 2 * red), y + cb * (2 - 2 * blue)
    g = (y - red * r - blue * b) / green
    return (np.stack([r, g, b], axis=-1).clip(0, 255) + np.float32(0.5)).astype(np.uint8)


def _from_lab(values: Samples) -> Pixels:
    """CIE L*a*b* of 8 or 16 bits, a and b with a sign; the codes of L fill their range."""
    if values.dtype.itemsize == 2:
        values = np.concatenate([_scaled(values[..., :1], 0, 65535), (values[..., 1:] >> 8).astype(np.uint8)], axis=2)
    image = Image.frombytes("LAB", values.shape[1::-1], np.ascontiguousarray(values, np.uint8).tobytes(), "raw", "LAB")
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.buildTransform(lab, srgb, "LAB", "RGB").apply(image))
