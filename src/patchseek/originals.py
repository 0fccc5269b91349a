"""The pictures of a collection as pixels again: as they were indexed, or not at all. Knows no features.

A box is of the picture that was indexed. What has been turned, cropped or painted over since is another picture.
"""

import hashlib
from stat import S_ISREG

from .errors import ImageChanged, ImageError
from .images import Picture, read
from .store import Image


def open_original(image: Image, *, need: int | None = None) -> Picture:
    """The pixels of a picture of a collection; need: see images.read.

    Raises ImageChanged where its file holds another picture than was indexed, ImageError where it is gone or damaged.
    """
    place = image.stored
    if place.url is not None:  # read once, and held against what was indexed, since it may come anew
        content = place.read_bytes()
        if hashlib.sha256(content).hexdigest() != image.sha256:
            raise ImageChanged(place.name)
        return read(content, page=place.page, need=need, name=place.name)
    if has_changed(image):
        raise ImageChanged(place.name)
    picture = open_today(image, need=need)
    if (picture.width, picture.height) != (image.width, image.height):  # in the same second, with the same size
        raise ImageChanged(place.name)
    return picture


def open_today(image: Image, *, need: int | None = None, name: str | None = None) -> Picture:
    """What is under the path of a picture of a collection, whether or not it is what was indexed.

    name: what an error calls it. Raises ImageError.
    """
    place = image.stored
    source, page = place.source
    return read(source, page=page, need=need, name=name or place.name)


def find_original(image: Image, *, need: int | None = None) -> Picture | None:
    """The same as `open_original`; None where there is none, whatever the reason."""
    try:
        return open_original(image, need=need)
    except ImageError:
        return None


def has_changed(image: Image) -> bool:
    """Whether the file of a picture is there and holds other bytes than were indexed.

    Only where size or date say so is it read: a copy of a library has other dates and is the same. A member of an
    archive has the archive's dates. What was streamed has none, and has not changed. What has a URL is what was fetched
    last, as far as that is known: nothing is asked for.
    """
    place = image.stored
    try:
        if place.url is not None:
            return place.kept_sha256() not in (None, image.sha256)
        status = place.file.stat()
        if not S_ISREG(status.st_mode):
            return False
        is_as_dated = image.state.mtime_ns in (0, status.st_mtime_ns)
        if place.member is None and image.state.size != status.st_size:
            return True
        return not is_as_dated and place.sha256() != image.sha256
    except (OSError, ImageError):  # gone, which is something else, as a pipe is
        return False
