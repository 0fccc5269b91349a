"""Pictures that Pillow decodes: all formats but TIFF and PNM. A second frame of them is never looked at."""

from io import SEEK_END
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageMode

from ..errors import ImageError
from . import _cut
from ._pixels import Pixels, assembled, check_size, decoded_bytes, missing_rows, row_bands, shrinking

_MODE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}
# a pixel of an image of a mode, 4 for all others
_AT_ONCE = 1 << 22
# pixels that are taken over in one piece, which is quicker and takes as much room again
_OWN_BYTES = {"WEBP": 14, "AVIF": 14, "BMP": 3}
# a pixel within a decoder, beside its image: canvases, planes of 16 bits, what is decoded in Python
_JPEG2000_BYTES = 5
# a pixel of each band, as whole numbers of 32 bits
_COEFFICIENT_BYTES = 2
# a pixel of each band, where a JPEG comes in several scans


class Decoded:
    """The first picture of a file."""

    def __init__(
        self,
        file: BinaryIO,
        label: str,
        max_pixels: int,
        plugin: type[ImageFile.ImageFile],
        size: tuple[int, int] | None = None,
    ) -> None:
        """size: (width, height) for a plugin that is not to be called before it is asked for pixels.

        Raises ImageError for a picture that is too large, and for one that its file is too short to hold; a damaged
        header can raise anything.
        """
        self._file, self._label, self._max_pixels, self._plugin = file, label, max_pixels, plugin
        self.hides_orientation, self._orientation = size is not None, 0
        self._format, self._mode, self._is_progressive = plugin.format or "", "RGBA", False
        self._header: ImageFile.ImageFile | None = None
        if size is None:
            image = self._header = self._open()
            size, self._mode, self._is_progressive = image.size, image.mode, "progressive" in image.info
            check_size(size, label, max_pixels)
            n_rows = _cut.most_rows(image, file)
            if 2 * n_rows <= size[1]:
                raise ImageError(label, f"cut off: at most {n_rows} of its {size[1]} rows can be there")
        self.size = size
        check_size(self.size, label, max_pixels)

    @property
    def orientation(self) -> int:
        """As EXIF numbers it: what the header says, and once it is decoded, what the whole file says."""
        if not self._orientation:
            self._orientation = orientation_of(self._open())
        return self._orientation

    def memory(self, least: int | None) -> int:
        """Bytes that `decode` takes at the most, with its result; also for a file that turns out to be cut off."""
        (width, height), factor = self.size, shrinking(self.size, least)
        n_bands = len(ImageMode.getmode(self._mode).bands)
        beside = _OWN_BYTES.get(self._format, 0) * width * height
        if self._format in ("WEBP", "AVIF", "JPEG2000"):
            beside += 2 * self._file.seek(0, SEEK_END)
        if self._format == "JPEG2000":
            beside += _JPEG2000_BYTES * n_bands * width * height
        if self._format == "JPEG":
            beside += _COEFFICIENT_BYTES * n_bands * width * height if self._is_progressive else 0
            scale = next(scale for scale in (8, 4, 2, 1) if factor >= scale)  # as `draft` will
            width, height, factor = -(-width // scale), -(-height // scale), factor // scale
        beside += (_MODE_BYTES.get(self._mode, 4) + (3 if factor > 1 else 0)) * width * height
        return decoded_bytes((width, height), factor, beside)

    def decode(self, least: int | None) -> tuple[Pixels, str | None]:
        """The pixels as stored, no side shrunk below `least`, and what is to be said of them.

        Sets the orientation, which some formats tell at their end. Raises ImageError where too little of the picture is
        there; a damaged file can raise anything.
        """
        image, missing, is_coarse = _cut.load(lambda: self._sized(least), self._file)
        self._orientation = orientation_of(image)
        factor = shrinking(image.size, least)
        if missing is None or not missing.any():  # whole, or the end mark alone is missing
            return whole(image, factor), "some of its finer detail is missing" if is_coarse else None
        n_missing = -(-int(missing.sum()) * self.size[1] // image.height)
        note = missing_rows(self._label, self.size[1], n_missing, _cut.missing_end(missing))
        pixels = assembled(map(_rgb, row_bands(image)), image.size, 1)
        _cut.fill(pixels, missing)
        return assembled([pixels], image.size, factor) if factor > 1 else pixels, note

    def _open(self) -> ImageFile.ImageFile:
        self._file.seek(0)
        return self._plugin(self._file, "")

    def _sized(self, least: int | None) -> ImageFile.ImageFile:
        """The image, of which the header has been read, as small as its format lets it be decoded."""
        image, self._header = self._header or self._open(), None
        if image.size != self.size:
            raise OSError("its container and its content differ in size")
        if least:
            image.draft(None, (least, least))
        return image


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of an image; 1 where nothing legible says otherwise. Decodes nothing, as a PNG would."""
    try:
        return int(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))
    except Exception:  # the pixels are fine: a broken label is no reason to lose them
        return 1


def whole(image: Image.Image, factor: int) -> Pixels:
    """The pixels of a loaded image in RGB as stored, shrunk by a whole number."""
    if image.mode == "RGB" and "transparency" not in image.info:
        if factor > 1:
            return np.asarray(image.reduce(factor))
        if image.width * image.height <= _AT_ONCE:
            return np.asarray(image)
    return assembled(map(_rgb, row_bands(image)), image.size, factor)


def _rgb(image: Image.Image) -> Pixels:
    """An image of any mode in RGB, over white."""
    if image.mode.startswith("I"):  # convert() would clip it at 255
        grey = np.asarray(image)
        scaled = np.minimum((grey.astype(np.int64) + 128) // 257, 255).astype(np.uint8)
        scaled[grey == image.info.get("transparency", -1)] = 255
        return np.broadcast_to(scaled[..., None], (*grey.shape, 3))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(rgba, mask=rgba)
        return np.asarray(white)
    return np.asarray(image.convert("RGB"))
