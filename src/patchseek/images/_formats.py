"""Which format a file is in, by its first bytes, and who decodes it. Reads headers, no pixels."""

from io import BytesIO
from typing import BinaryIO, Protocol

from PIL import (
    AvifImagePlugin,
    GifImagePlugin,
    ImageFile,
    PngImagePlugin,
    WebPImagePlugin,
)

from .. import _heif
from ..errors import ImageError, is_passing
from ._bmp import Bmp
from ._cut import Jpeg
from ._directories import MAGICS
from ._jpeg2000 import Jpeg2000
from ._pillow import Decoded
from ._pixels import Pixels, decoded_bytes, shrinking
from ._pnm import Pnm
from ._tiff import Tiff


class Undecoded(Protocol):
    """A picture of which only the header has been read."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""

    @property
    def orientation(self) -> int:
        """As EXIF numbers it; known for sure once it is decoded."""

    @property
    def hides_orientation(self) -> bool:
        """Whether it is not known before."""

    def memory(self, least: int | None) -> int | None:
        """Bytes that `decode` takes at the most, with its result; None where nothing says."""

    def decode(self, least: int | None) -> tuple[Pixels, str | None]:
        """The pixels as stored, no side shrunk below `least`, and what is to be said of them."""


class _Png(PngImagePlugin.PngImageFile):
    """Scales the sample that is transparent as its pixels: Pillow scales only these to 8 bits."""

    def _open(self) -> None:
        assert self.fp is not None
        self.fp.seek(24)
        bits, colour = self.fp.read(2).ljust(2, b"\0")
        self.fp.seek(0)
        super()._open()
        clear = self.info.get("transparency")
        if colour == 0 and bits in (2, 4) and isinstance(clear, int):
            self.info["transparency"] = clear * 255 // ((1 << bits) - 1)
        elif colour == 2 and bits == 16 and isinstance(clear, tuple):
            self.info["transparency"] = tuple(value >> 8 for value in clear)


# The formats that are read at all beside TIFF, PNM, WebP and HEIC.
_PLUGINS: tuple[tuple[tuple[bytes, ...], type[ImageFile.ImageFile]], ...] = (
    ((b"\xff\xd8\xff",), Jpeg),
    ((b"\x89PNG\r\n\x1a\n",), _Png),
    ((b"GIF87a", b"GIF89a"), GifImagePlugin.GifImageFile),
    ((b"BM",), Bmp),
    ((b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  \r\n\x87\n"), Jpeg2000),
)
_BOXES = {b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"wide", b"uuid", b"jP  ", b"jp2h", b"jp2c"}
# what such files are made of, ISO 14496-12 and 15444-1
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def opened(file: BinaryIO, label: str, page: int, max_pixels: int) -> Undecoded:
    """A page of a file. Raises ImageError for an unknown format, a page that is not there, a picture too large."""
    file.seek(0)
    head = file.read(64)
    if head.startswith(MAGICS):
        return Tiff(file, label, page, max_pixels)
    if page != 1:
        raise ImageError(label, f"has no page {page}, only one picture")
    if head[:1] == b"P" and head[1:2] in (b"1", b"2", b"3", b"4", b"5", b"6"):
        return Pnm(file, label, max_pixels)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Decoded(file, label, max_pixels, WebPImagePlugin.WebPImageFile, _webp_size(head, label))
    for magics, plugin in _PLUGINS:
        if head.startswith(magics):
            return Decoded(file, label, max_pixels, plugin)
    if head[4:8] == b"ftyp":  # ISO 14496-12: the length of this box, "ftyp", then brands of four bytes
        brands = {head[i : i + 4] for i in range(8, min(int.from_bytes(head[:4]), len(head)), 4)}
        if brands & _AVIF_BRANDS:
            return Decoded(file, label, max_pixels, AvifImagePlugin.AvifImageFile)
        if brands & _HEIF_BRANDS:
            return Heic(file, label, max_pixels)
    raise ImageError(label, "not a picture in a format that is read here")


def _webp_size(head: bytes, label: str) -> tuple[int, int]:
    """Width and height of a WebP as its container says, as its plugin makes room for all pixels when it is called."""
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        both = int.from_bytes(head[21:25], "little")
        return (both & 0x3FFF) + 1, (both >> 14 & 0x3FFF) + 1
    if head[12:16] == b"VP8 ":
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    raise ImageError(label, "cannot be decoded: a WebP without a size")


def shortfall(file: BinaryIO) -> str | None:
    """What is to be said of a file that is shorter than its container says: RIFF, or the boxes of ISO 14496-12."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(16)
    end = 8 + int.from_bytes(head[4:8], "little") if head.startswith(b"RIFF") else 0
    while end < size and head[4:8] in _BOXES:
        length = int.from_bytes(head[8:16]) if head[:4] == b"\0\0\0\1" else int.from_bytes(head[:4])
        if length < 8:  # 0: up to the end of the file
            return None
        end += length
        file.seek(end)
        head = file.read(16)
    return f"cut off: only {size} of its {end} bytes are there" if end > size else None


_HEIC_BYTES = 24
# a pixel: planes of up to 16 bits and RGBA in the decoder, a picture and a TIFF beside it, the TIFF here


class Heic:
    """The picture of a HEIC, which another process decodes, and turns upright as well."""

    orientation = 1
    hides_orientation = True

    def __init__(self, file: BinaryIO, label: str, max_pixels: int) -> None:
        self._file, self._label, self._max_pixels = file, label, max_pixels
        self.size = self._likely_size()

    def memory(self, least: int | None) -> int | None:
        """Bytes for both processes; None for a file that does not name its size where it is looked for."""
        if self.size == (1, 1):
            return None
        beside = _HEIC_BYTES * self.size[0] * self.size[1]
        return decoded_bytes(self.size, shrinking(self.size, least), beside)

    def decode(self, least: int | None) -> tuple[Pixels, str | None]:
        """The upright pixels, no side shrunk below `least`, and what is to be said of them. Raises ImageError."""
        self._file.seek(0)
        try:
            content = _heif.as_tiff(self._file.read(), self._max_pixels)
        except OSError as error:
            reason = str(error) if is_passing(error) else shortfall(self._file) or str(error)
            raise ImageError(self._label, reason, is_passing(error)) from error
        tiff = Tiff(BytesIO(content), self._label, 1, self._max_pixels)
        self.size = tiff.size
        return tiff.decode(least)

    def _likely_size(self) -> tuple[int, int]:
        """The largest of the sizes ("ispe", ISO 23008-12) that the file names; the other process checks it."""
        self._file.seek(0)
        content = self._file.read()
        sizes, at = [(1, 1)], content.find(b"ispe")
        while 0 <= at <= len(content) - 16:
            sizes.append((int.from_bytes(content[at + 8 : at + 12]), int.from_bytes(content[at + 12 : at + 16])))
            at = content.find(b"ispe", at + 4)
        return max(sizes, key=lambda size: size[0] * size[1])
