"""From the tags of a page of a TIFF to its layout. What is not read here is refused by name. Reads no pixels."""

from dataclasses import replace
from math import ceil

import numpy as np

from ..errors import ImageError
from ._directories import Directory
from ._layout import (
    BLACK_IS_ZERO,
    BYTES,
    CMYK,
    JPEG,
    LAB,
    OLD_JPEG,
    PALETTE,
    PIXELS,
    PREDICTED,
    RAW,
    RGB,
    WHITE_IS_ZERO,
    YCBCR,
    Layout,
)

_NAMES = {WHITE_IS_ZERO: "grey", BLACK_IS_ZERO: "grey", RGB: "RGB", PALETTE: "palette", CMYK: "CMYK", YCBCR: "YCbCr"}
_NAMES |= {
    4: "mask",
    LAB: "L*a*b*",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
    32803: "raw sensor",
    32844: "LogL",
    32845: "LogLuv",
}
_N_COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, LAB: 3}
_REFUSED = {32771: "CCITT in words", 34712: "JPEG 2000", 33003: "JPEG 2000", 33005: "JPEG 2000", 34887: "LERC"}
_REFUSED |= {50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL", 32809: "ThunderScan", 34676: "LogLuv", 34677: "LogLuv"}

_ASSOCIATED, _UNASSOCIATED = 1, (2, 999)  # values of ExtraSamples; 999 is what Corel Draw writes for 2
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}  # SampleFormat; 4 says that nothing is known
_KIND_NAMES = {"u": "", "i": ", signed,", "f": ", floating,"}
_BITS = {"u": (*range(1, 17), 32, 64), "i": (8, 16, 32, 64), "f": (16, 32, 64)}


def layout_of(directory: Directory, label: str) -> Layout:
    """The layout of a page. Raises ImageError for one that is not read here, and for tags that make no sense."""
    width, height = directory.value(256, 0), directory.value(257, 0)
    compression = directory.value(259, RAW)
    if compression not in (RAW, *BYTES, *PIXELS):
        raise _unread(label, f"compression {_REFUSED.get(compression, compression)}")
    photometric = directory.value(262, WHITE_IS_ZERO)
    if photometric not in _N_COLOURS:
        raise _unread(label, f"{_NAMES.get(photometric, f'unknown ({photometric})')} colours")
    n_colours = _N_COLOURS[photometric]
    n_samples = directory.value(277, 3 if compression in (OLD_JPEG, JPEG) and n_colours == 3 else 1)
    if not 1 <= n_samples <= 1000:
        raise _unread(label, f"{n_samples} samples a pixel")
    bits, kind = _sample(directory, n_samples, label)
    if n_samples < n_colours or (n_samples > 1 and 262 not in directory.entries):
        raise _unread(label, f"{n_samples} samples a pixel and {_NAMES[photometric]} colours")
    alpha, is_premultiplied = _alpha(directory, n_colours, n_samples)
    is_tiled = 324 in directory.entries
    across, down = (322, 323) if is_tiled else (256, 278)
    layout = Layout(
        width,
        height,
        photometric,
        n_colours,
        n_samples,
        alpha,
        is_premultiplied,
        bits,
        kind,
        directory.order,
        compression,
        predictor=directory.value(317, 1) if compression in PREDICTED else 1,
        is_reversed=directory.value(266, 1) == 2,
        is_separate=directory.value(284, 1) == 2 and n_samples > 1,
        is_tiled=is_tiled,
        chunk_width=directory.value(across, 0),
        chunk_height=directory.value(down, 0) if is_tiled else min(directory.value(down, height), height),
        subsampling=(1, 1),
        offsets=directory.values(324 if is_tiled else 273).astype(np.int64),
        counts=directory.values(325 if is_tiled else 279).astype(np.int64),
        orientation=directory.value(274, 1),
    )
    if photometric == YCBCR and compression not in PIXELS and not layout.is_separate:
        shared = directory.values(530)
        layout = replace(layout, subsampling=(int(shared[0]), int(shared[1])) if len(shared) == 2 else (2, 2))
    _check(layout, directory, label)
    return _counted(layout, directory.size)


def _unread(label: str, what: str) -> ImageError:
    return ImageError(label, f"a TIFF with {what} is not read here")


def _sample(directory: Directory, n_samples: int, label: str) -> tuple[int, str]:
    """Bits and kind of a sample, which must be those of all."""
    bits, formats = (set(directory.values(tag, most=n_samples).tolist()) or {1} for tag in (258, 339))
    if len(bits) > 1 or len(formats) > 1:
        raise _unread(label, f"samples that differ: {' and '.join(map(str, sorted(bits)[:4]))} bits")
    (n_bits,), (number,) = bits, formats
    kind = _KINDS.get(number, "")
    if n_bits not in _BITS.get(kind, ()):
        raise _unread(label, f"samples of {n_bits} bits{_KIND_NAMES.get(kind, ', complex,')}")
    return n_bits, kind


def _alpha(directory: Directory, n_colours: int, n_samples: int) -> tuple[int | None, bool]:
    """Which sample is the transparency, and whether the colours have been multiplied by it."""
    extra = directory.values(338).tolist()[: n_samples - n_colours]
    for i, meaning in enumerate(extra):
        if meaning == _ASSOCIATED or meaning in _UNASSOCIATED:
            return n_colours + i, meaning == _ASSOCIATED
    if not extra and (n_colours, n_samples) == (3, 4):  # nobody says so, but everybody means it
        return 3, False
    return None, False


def _check(layout: Layout, directory: Directory, label: str) -> None:
    """Raises ImageError for combinations that are not read here."""
    photometric, bits = layout.photometric, layout.bits
    samples = f"samples of {bits} bits{_KIND_NAMES[layout.kind]}"
    colours = f"{_NAMES[photometric]} colours"
    if min(layout.chunk_width, layout.chunk_height) < 1 or not len(layout.offsets):
        raise ImageError(label, "cannot be decoded: a TIFF without the places of its pixels")
    if layout.compression != OLD_JPEG and 2 * len(layout.offsets) < layout.n_planes * layout.across * layout.down:
        raise ImageError(label, "cannot be decoded: a TIFF that knows the places of less than half of its pixels")
    if layout.alpha is not None and layout.kind == "i":
        raise _unread(label, f"transparency and {samples}")
    if photometric in (PALETTE, CMYK, YCBCR) and (layout.kind != "u" or bits > 16):
        raise _unread(label, f"{colours} and {samples}")
    if photometric == LAB and (layout.kind != "u" or bits not in (8, 16)):
        raise _unread(label, f"{colours} and {samples}")
    if photometric == CMYK and directory.value(332, 1) != 1:
        raise _unread(label, "inks other than CMYK")
    if layout.subsampling != (1, 1) and (bits != 8 or layout.predictor != 1 or layout.n_samples != 3):
        raise _unread(label, f"{colours} that pixels share, {layout.n_samples} {samples}, predictor {layout.predictor}")
    if not 1 <= min(layout.subsampling) <= max(layout.subsampling) <= 4:
        raise _unread(label, f"{colours} that {layout.subsampling} pixels share")
    if not layout.is_bytes:
        _check_pixels(layout, label)
    elif directory.value(317, 1) != layout.predictor:
        raise _unread(label, "a predictor and no compression that has one")
    if (layout.predictor == 2 and bits % 8) or (layout.predictor == 3 and layout.kind != "f"):
        raise _unread(label, f"predictor {layout.predictor} and {samples}")
    if layout.predictor not in (1, 2, 3):
        raise _unread(label, f"predictor {layout.predictor}")


def _check_pixels(layout: Layout, label: str) -> None:
    """Raises ImageError for compressed pixels that libtiff and Pillow do not turn into what they are."""
    name, shape = PIXELS[layout.compression], (layout.photometric, layout.n_samples)
    if layout.compression not in (OLD_JPEG, JPEG):
        if layout.bits != 1 or shape not in ((WHITE_IS_ZERO, 1), (BLACK_IS_ZERO, 1)):
            raise _unread(label, f"{name} compression of other than black and white")
    elif layout.bits != 8 or layout.kind != "u":
        raise _unread(label, f"{name} compression and samples of {layout.bits} bits{_KIND_NAMES[layout.kind]}")
    elif shape not in ((WHITE_IS_ZERO, 1), (BLACK_IS_ZERO, 1), (RGB, 3), (YCBCR, 3), (CMYK, 4)):
        raise _unread(label, f"{name} compression and {shape[1]} samples of {_NAMES[shape[0]]} colours")


_STRIP_BYTES = 1 << 20


def _counted(layout: Layout, n_bytes: int) -> Layout:
    """The same with counts that can be believed; one strip that is not compressed becomes many, to be read in turn."""
    if layout.compression != RAW:
        n_counts = len(layout.counts)
        ends = n_bytes - layout.offsets[n_counts:]  # of strips that do not say how long they are
        return replace(layout, counts=np.concatenate([layout.counts, ends]))
    if not layout.is_tiled and layout.chunk_height >= layout.height:
        rows = max(1, min(layout.height, _STRIP_BYTES // layout.line_bytes))
        rows = ceil(rows / layout.subsampling[1]) * layout.subsampling[1]
        layout = replace(layout, chunk_height=rows)
        steps = np.arange(layout.down, dtype=np.int64) * layout.chunk_bytes
        layout = replace(layout, offsets=(layout.offsets[: layout.n_planes, None] + steps).reshape(-1))
    n_rows = np.full(layout.down, layout.chunk_height)
    if not layout.is_tiled:
        n_rows[-1] = layout.height - (layout.down - 1) * layout.chunk_height
    n_lines = -(-n_rows // layout.subsampling[1])
    counts = np.tile(np.repeat(n_lines, layout.across), layout.n_planes) * layout.line_bytes
    return replace(layout, counts=counts.astype(np.int64))
