"""A path or bytes in, an upright RGB picture of bounded size out. Cuts nothing: `patches` does.

Whatever is wrong with a file, it comes out as one ImageError with one line; the size in the header is judged before a
pixel is decoded. Colour profiles are not applied, as the usual vision models were trained without them.
"""

import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from io import SEEK_END, BytesIO
from math import ceil
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from .. import _heif
from .._files import MAX_FILE_BYTES, open_regular, too_large
from ..errors import ImageError
from ._pages import page_at, pages

__all__ = [
    "EXTENSIONS",
    "MAX_PIXELS",
    "OVERSAMPLING",
    "Picture",
    "count_pages",
    "read",
]

_SUFFIXES = (
    *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "webp", "bmp", "dib", "tif", "tiff", "avif", "heic", "heif"),
    *("hif", "ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "j2c", "jpc", "jpf", "jpx"),
)
EXTENSIONS: frozenset[str] = frozenset(f".{suffix}" for suffix in _SUFFIXES)
"""Lower-case suffixes of the files worth trying. `read` itself goes by the content and ignores the name."""

MAX_PIXELS = 200_000_000
"""Largest picture read by default, what the largest phone cameras write. Reading takes about 7 bytes a pixel."""

OVERSAMPLING = 1.5
"""Whole-number shrinking stops while a picture is at least this many times the size needed; the rest is bicubic.

Against one bicubic resize from all pixels, canvases of 224 to 896 pixels from mosaics of real photographs of 2 to 48
megapixels change by 0.3 to 0.8 of 255 on average. A limit of 1.0 would be a quarter faster, and change them by up to
1.9; at 2.0 it is 0.2 to 0.8, and 12 megapixels take twice as long.
"""


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright picture."""

    pixels: NDArray[np.uint8]
    # (h, w, 3) uint8 RGB, contiguous, read-only; maybe fewer pixels than the file holds, see `read`
    width: int
    # pixels of the whole upright picture, as its file holds it
    height: int
    # pixels of the whole upright picture, as its file holds it
    note: str | None = None
    # what a person should know of it, such as "its last 12 of 480 rows are missing"

    @cached_property
    def image(self) -> Image.Image:
        """The pixels as an image of Pillow's, made once: a picture is cropped several times for one query."""
        return Image.fromarray(self.pixels)


def read(
    source: Path | bytes | str,
    *,
    need: int | None = None,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
    page: int = 1,
) -> Picture:
    """The upright picture of a file (a path) or of its content (bytes). Safe to call from many threads.

    need: the side in pixels of the largest square that will be made of the picture, or None for every pixel. A picture
    is shrunk by a whole number as long as both sides stay at least 1.5 x need: while decoding for JPEG, after it for
    the rest. max_pixels: a picture whose header claims more is refused. name: what an error calls the picture.
    page: of a TIFF, from 1, counted as `count_pages` does. Of an animation the first frame is read; transparency is
    laid over white, as a browser or a shop shows it; 16 bits are scaled to 8, not clipped; an orientation that cannot
    be read counts as none.

    Raises ImageError, whatever goes wrong.
    """
    label = name or (f"picture of {len(source)} bytes" if isinstance(source, bytes) else str(source))
    try:
        with _stream(source, label) as file:
            _hush_metadata_warnings()
            image = _open(file, label, max_pixels, page)
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(label, f"{width} x {height} pixels, more than the limit of {max_pixels}")
            upright, turned = _decode(image, ceil(OVERSAMPLING * need) if need else None)
            if turned:
                width, height = height, width
            return Picture(_frozen(upright), width, height)
    except ImageError:
        raise
    except Exception as error:  # a damaged file can raise anything from any depth of a decoder
        raise ImageError(label, _reason(error), passing=_is_passing(error)) from error


def from_image(image: Image.Image, *, name: str = "image") -> Picture:
    """The upright picture that an image of Pillow's shows, made of it as `read` makes one of a file.

    Raises ImageError for one that cannot be loaded.
    """
    try:
        _hush_metadata_warnings()
        image.load()
        turn, rgb = _turn(image), _rgb(image)
        upright = rgb if turn is None else rgb.transpose(turn)
        return Picture(_frozen(upright), *upright.size)
    except Exception as error:  # as for a file: it may well be one that has only been opened
        raise ImageError(name, _reason(error)) from error


def _stream(source: Path | bytes | str, label: str) -> BinaryIO:
    """The open file. Raises ImageError where there is nothing that could be a picture, OSError where it cannot open."""
    if isinstance(source, bytes):
        if not source:
            raise ImageError(label, "empty")
        return BytesIO(source)
    file = open_regular(source, label)
    size = file.seek(0, SEEK_END)
    file.seek(0)
    if 0 < size <= MAX_FILE_BYTES:
        return file
    file.close()
    raise too_large(label, size) if size else ImageError(label, "empty file")


def count_pages(file: Path | bytes) -> int:
    """How many pages a TIFF (a path, or its content) has; 1 for every other file, and for what cannot be read.

    Decodes nothing.
    """
    try:
        with BytesIO(file) if isinstance(file, bytes) else open_regular(file, file) as opened:
            return max(1, len(pages(opened))) if opened.read(4) in _TIFF else 1
    except (OSError, ValueError, ImageError):
        return 1


def _reason(error: Exception) -> str:
    """One short line of any exception."""
    if isinstance(error, OSError) and error.errno and error.strerror:
        return error.strerror.lower()
    if isinstance(error, MemoryError):
        return "too little memory to decode it"
    text = " ".join(str(error).split()) or type(error).__name__
    return f"cannot be decoded: {text}"[:200]


def _is_passing(error: Exception) -> bool:
    """Whether the cause of an error lies outside the file. Decoders raise OSError too, but without a number."""
    return isinstance(error, MemoryError | ImportError | TimeoutError) or (
        isinstance(error, OSError) and bool(error.errno)
    )


# ---- formats


class _Tiff(TiffImagePlugin.TiffImageFile):
    """One page of a TIFF as it is stored, not turned: that of the directory at a place of the file, or the first.

    Makes room for its pixels before Pillow would, whose check warns from 89 megapixels and refuses from 179.
    """

    def __init__(self, file: BinaryIO, filename: str, directory: int | None = None) -> None:
        self._directory, self._is_big = directory, b"\x2b" in file.read(4)
        file.seek(0)
        super().__init__(file, filename)

    def _seek(self, frame: int) -> None:
        if self._directory is not None:  # instead of what Pillow reads in the header, which is wrong for MM BigTIFF
            self._TiffImageFile__next, self._directory = self._directory, None
            self.tag_v2._bigtiff = self._is_big
        super()._seek(frame)

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()

    def _setup(self) -> None:
        super()._setup()
        self._size = self._tile_size

    def load_end(self) -> None:
        pass


# The formats that are read at all, by their first bytes. A second frame or page of them is never looked at.
_TIFF = (b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")
_PLUGINS: tuple[tuple[tuple[bytes, ...], type[ImageFile.ImageFile]], ...] = (
    ((b"\xff\xd8\xff",), JpegImagePlugin.JpegImageFile),
    ((b"\x89PNG\r\n\x1a\n",), PngImagePlugin.PngImageFile),
    ((b"GIF87a", b"GIF89a"), GifImagePlugin.GifImageFile),
    ((b"BM",), BmpImagePlugin.BmpImageFile),
    ((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"), PpmImagePlugin.PpmImageFile),
    ((b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  \r\n\x87\n"), Jpeg2KImagePlugin.Jpeg2KImageFile),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def _open(file: BinaryIO, label: str, max_pixels: int, page: int) -> ImageFile.ImageFile:
    """A page of a file, of which only the header has been read. Raises ImageError for an unknown format or page.

    Calls the plugins themselves: Image.open holds every caller of the process to one global limit of pixels, warns
    from there and refuses from twice that, and `read` has a limit of its own.
    """
    head = file.read(64)
    if head.startswith(_TIFF):
        return _tiff(file, label, page)
    if page != 1:
        raise ImageError(label, f"has no page {page}, only one picture")
    file.seek(0)
    for magics, plugin in _PLUGINS:
        if head.startswith(magics):
            return plugin(file, "")
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile(file, "")
    if head[4:8] == b"ftyp":  # ISO 14496-12: the length of this box, "ftyp", then brands of four bytes
        brands = {head[i : i + 4] for i in range(8, min(int.from_bytes(head[:4]), len(head)), 4)}
        if brands & {b"avif", b"avis"}:
            return AvifImagePlugin.AvifImageFile(file, "")
        if brands & _HEIF_BRANDS:
            try:
                return _Tiff(BytesIO(_heif.as_tiff(file.read(), max_pixels)), "")
            except (OSError, ImportError) as error:
                raise ImageError(label, str(error), passing=_is_passing(error)) from error
    raise ImageError(label, "not a picture in a format that is read here")


def _tiff(file: BinaryIO, label: str, page: int) -> _Tiff:
    directory = page_at(file, page)
    if directory is None and page != 1:
        raise ImageError(label, f"has no page {page}, only {max(1, len(pages(file)))}")
    file.seek(0)
    return _Tiff(file, "", directory)


_METADATA_WARNINGS = ("ignore", None, UserWarning, re.compile(r"PIL\.\w*Image"), 0)


def _hush_metadata_warnings() -> None:
    """Silence what Pillow remarks about odd metadata in pictures that it reads well.

    warnings.catch_warnings would put back, out of turn, what other threads have set; a filter that stays is safe.
    DecompressionBombWarning is no UserWarning and stays as loud as it was for other users of Pillow.
    """
    if not warnings.filters or warnings.filters[0] != _METADATA_WARNINGS:
        warnings.filterwarnings("ignore", category=UserWarning, module=_METADATA_WARNINGS[3].pattern)


# ---- pixels

_TURNS = {  # EXIF 2.32, tag 0x0112: what makes a picture of this orientation upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _decode(image: ImageFile.ImageFile, least: int | None) -> tuple[Image.Image, bool]:
    """The upright RGB image, no side shrunk below `least` pixels, and whether it lies on its side in the file."""
    if least:
        image.draft(None, (least, least))
    image.load()
    turn = _turn(image)
    rgb = _rgb(image)
    factor = min(rgb.size) // least if least else 1
    if factor > 1:
        rgb = rgb.reduce(factor)
    if turn is None:
        return rgb, False
    return rgb.transpose(turn), turn not in (_TURNS[2], _TURNS[3], _TURNS[4])


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How to make a loaded image upright; None where it is, or nothing legible says otherwise."""
    try:
        tags = image.tag_v2 if isinstance(image, _Tiff) else image.getexif()
        return _TURNS.get(int(tags.get(ExifTags.Base.Orientation, 1)))
    except Exception:  # the pixels are fine: a broken label is no reason to lose them
        return None


def _rgb(image: Image.Image) -> Image.Image:
    """The image in 8-bit RGB, whatever its mode."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode[0] in "IF":  # I;16, I;16B, I, F: convert() would clip them at 255
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(lab, srgb, "LAB", "RGB").apply(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(rgba, mask=rgba)
        return white
    return image.convert("RGB")


def _eight_bits(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey values (h, w) of more than 8 bits, scaled to 0..255 and rounded.

    Whole numbers in 0..65535 are 16-bit: v / 257. Floats in 0..1 are fractions: v * 255. What has no known range is
    stretched from its least to its greatest finite value; what is not finite becomes the nearer end, NaN the lower.
    """
    values: NDArray[np.floating] = grey.astype(np.float32 if grey.dtype.itemsize == 2 else np.float64)
    finite = values[np.isfinite(values)] if grey.dtype.kind == "f" else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    top = 1.0 if grey.dtype.kind == "f" else 65535.0
    if low >= 0 and high <= top:
        low, high = 0.0, top
    scaled = (values - low) / max(high - low, 1e-300) * 255
    rounded: NDArray[np.uint8] = (np.nan_to_num(scaled, nan=0.0).clip(0, 255) + 0.5).astype(np.uint8)
    return rounded


def _frozen(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels of an RGB image as a read-only array (h, w, 3)."""
    pixels = np.ascontiguousarray(image, np.uint8)
    pixels.flags.writeable = False
    return pixels
