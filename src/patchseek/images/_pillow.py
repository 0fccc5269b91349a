"""Pictures that Pillow decodes: all formats but TIFF and PNM. A second frame of them is never looked at."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile

from . import _cut
from ._pixels import Pixels, assembled, check_size, missing_rows, shrinking

_BAND_PIXELS = 1 << 20


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

        Raises ImageError for a picture that is too large; a damaged header can raise anything.
        """
        self._file, self._label, self._max_pixels, self._plugin = file, label, max_pixels, plugin
        self.orientation = 1
        self.size = size or self._open().size
        check_size(self.size, label, max_pixels)

    def decode(self, least: int | None) -> tuple[Pixels, str | None]:
        """The pixels as stored, no side shrunk below `least`, and what is to be said of them.

        Sets the orientation, which some formats tell at their end. Raises ImageError where too little of the picture is
        there; a damaged file can raise anything.
        """
        image, missing, is_coarse = _cut.load(lambda: self._sized(least), self._file)
        self.orientation = orientation_of(image)
        factor = shrinking(image.size, least)
        if missing is None or not missing.any():  # whole, or the end mark alone is missing
            return whole(image, factor), "some of its finer detail is missing" if is_coarse else None
        n_missing = -(-int(missing.sum()) * self.size[1] // image.height)
        note = missing_rows(self._label, self.size[1], n_missing, _cut.missing_end(missing))
        pixels = assembled(_bands(image), image.size, 1)
        _cut.fill(pixels, missing)
        return assembled([pixels], image.size, factor) if factor > 1 else pixels, note

    def _open(self) -> ImageFile.ImageFile:
        self._file.seek(0)
        return self._plugin(self._file, "")

    def _sized(self, least: int | None) -> ImageFile.ImageFile:
        """The image, of which the header has been read, as small as its format lets it be decoded."""
        image = self._open()
        if image.size != self.size:
            raise OSError("its container and its content differ in size")
        if least:
            image.draft(None, (least, least))
        return image


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of a loaded image; 1 where nothing legible says otherwise."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # the pixels are fine: a broken label is no reason to lose them
        return 1


def whole(image: Image.Image, factor: int) -> Pixels:
    """The pixels of a loaded image in RGB as stored, shrunk by a whole number."""
    if factor > 1 and image.mode == "RGB" and "transparency" not in image.info:
        return np.asarray(image.reduce(factor))
    return assembled(_bands(image), image.size, factor)


def _bands(image: Image.Image) -> Iterator[Pixels]:
    """The rows of a loaded image in RGB, some at a time, as every step from one mode to another takes a copy."""
    step = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, step):
        yield _rgb(image.crop((0, top, image.width, min(top + step, image.height))))


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
