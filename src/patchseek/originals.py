"""The pictures of a collection as pixels again: as they were indexed, or not at all. Knows no features.

A box is of the picture that was indexed. What has been turned, cropped or painted over since is another picture.
"""

import hashlib
from stat import S_ISREG

from .errors import ImageChanged
from .images import Picture, read
from .store import Image


def open_original(image: Image, *, need: int | None = None) -> Picture:
    """The pixels of a picture of a collection; need: see images.read.

    Raises ImageChanged where its file holds another picture than was indexed, ImageError where it is gone or damaged.
    """
    if has_changed(image):
        raise ImageChanged(image.file)
    picture = read(image.file, page=image.page, need=need, name=str(image.file))
    if (picture.width, picture.height) != (image.width, image.height):  # in the same second, with the same size
        raise ImageChanged(image.file)
    return picture


def has_changed(image: Image) -> bool:
    """Whether the file of a picture is there and holds other bytes than were indexed.

    Only where size or date say so is it read: a copy of a library has other dates and is the same. What was never a
    file of its own (a member of a tar) has no date, and has not changed.
    """
    try:
        status = image.file.stat()
        if not S_ISREG(status.st_mode):
            return False
        if image.state.mtime_ns in (0, status.st_mtime_ns) and image.state.size == status.st_size:
            return False
        if image.state.size != status.st_size:
            return True
        with image.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != image.sha256
    except OSError:  # gone, which is something else, as a pipe is
        return False
