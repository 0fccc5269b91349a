"""The pictures of a collection as pixels again: as they were indexed, or not at all. Knows no features.

A box is of the picture that was indexed. What has been turned, cropped or painted over since is another picture.
"""

from stat import S_ISREG

from ._files import hash_regular
from .errors import ImageChanged, ImageError
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


def find_original(image: Image, *, need: int | None = None) -> Picture | None:
    """The same; None where there is none, whatever the reason."""
    try:
        return open_original(image, need=need)
    except ImageError:
        return None


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
        return hash_regular(image.file, image.file) != image.sha256
    except (OSError, ImageError):  # gone, which is something else, as a pipe is
        return False
