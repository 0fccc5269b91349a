"""The one file that imports PyAV, and what stands between it and the rest: files, errors, what it may not do."""

from errno import EINVAL
from io import SEEK_SET
from typing import Any, BinaryIO

from ..errors import ImageError, MissingExtra, is_passing
from ..images._memory import LEAST, free_memory


def library() -> Any:
    """PyAV, which says nothing by itself. Raises MissingExtra."""
    try:
        import av
    except ImportError as error:
        raise MissingExtra("av", "video") from error
    return av


def as_image_error(error: Exception, label: str) -> ImageError:
    """What comes out, whatever went wrong: a damaged film can raise anything from any depth of a decoder."""
    foreign = library().FFmpegError
    passing = is_passing(error) and (isinstance(error, MemoryError) or not isinstance(error, foreign))
    if isinstance(error, OSError) and passing and error.strerror:
        return ImageError(label, error.strerror.lower(), passing)
    if isinstance(error, MemoryError):
        return ImageError(label, "too little memory to decode it", passing)
    text = " ".join(str(error).split()) or type(error).__name__
    return ImageError(label, f"cannot be decoded: {text}"[:200], passing)


def unless_short(error: Exception) -> Exception:
    """The error, raised where memory is what is missing. FFmpeg says so of damaged sizes, too."""
    if isinstance(error, MemoryError) and free_memory() < LEAST:
        raise error
    return error


class Content:
    """A file as PyAV wants it. To seek a place that cannot be fails there, as damage to the film."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read, self.tell = file.read, file.tell

    def seek(self, place: int, whence: int = SEEK_SET) -> int:
        try:
            return self._file.seek(place, whence)
        except (OSError, ValueError) as error:
            if getattr(error, "errno", EINVAL) == EINVAL:
                return -1
            raise


def refuse(url: str, flags: int, options: object) -> BinaryIO:  # noqa: ARG001
    """What FFmpeg calls to open another file."""
    raise ValueError(f"refers to another file, {url}")
