"""The exceptions of patchseek. Each says what was found and what to do; none is ever printed here."""


class PatchseekError(Exception):
    """Base of every error that patchseek raises on purpose. `str(error)` is one line for a person."""


class BoxError(PatchseekError):
    """A box that is empty, not finite, or outside its picture."""


class ImageError(PatchseekError):
    """A file or byte string that could not become pixels.

    source: the path, or a name for bytes. reason: one short clause, fit for a list of failures. passing: whether its
    cause lies outside the file (a permission, a disk, memory, time) and another try may do.
    """

    def __init__(self, source: object, reason: str, passing: bool = False) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = str(source)
        self.reason = reason
        self.passing = passing


def is_passing(error: BaseException) -> bool:
    """Whether the cause of an error lies outside the file that was read. Decoders raise OSError too, but no number."""
    outside = isinstance(error, MemoryError | TimeoutError)
    return outside or (isinstance(error, OSError) and bool(error.errno))


class ImageChanged(ImageError):
    """The file of a picture that was indexed holds another one now: boxes of the old one say nothing about it."""

    def __init__(self, source: object) -> None:
        super().__init__(source, "changed since it was indexed; index again")


class EncoderError(PatchseekError):
    """An encoder that does not exist, cannot be opened, or was given pixels of the wrong shape."""


class DeviceFailed(EncoderError):
    """A GPU that fails or is gone: its process cannot use it any more, and another one may."""


class MissingExtra(PatchseekError):
    """A feature whose library is not installed; the message holds the install line of all that the extra needs.

    extra: None for a library that patchseek itself should have brought.
    """

    def __init__(self, library: str, extra: str | None) -> None:
        from ._extras import install_line

        line = f"pip install {library}" if extra is None else install_line(extra, library)
        how = "install it" if extra is None else f"get the extra {extra!r}"
        super().__init__(f"{library} is not installed; {how} with: {line}")
        self.library = library
        self.extra = extra


class MissingLibrary(PatchseekError):
    """A library that patchseek only hands results to, and that is not installed; the message holds the install line."""

    def __init__(self, library: str) -> None:
        super().__init__(f"{library} is not installed; install it with: pip install {library}")
        self.library = library


class StoreError(PatchseekError):
    """A collection on disk that cannot be used as asked."""


class StoreMismatch(StoreError):
    """A collection made with another encoder or pyramid than the one asked for."""


class StoreLocked(StoreError):
    """Another process is writing to the collection."""


class StoreDamaged(StoreError):
    """A shard or catalogue that is not what was once committed."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.splitlines()))  # SQLite quotes what it cannot read, of however many lines


class DiskFull(StoreError):
    """Too little space for the next shard; all that was committed before is safe."""


class EngineError(PatchseekError):
    """A search index that cannot be built or read."""


class QueryError(PatchseekError):
    """A query that cannot be answered: no features, an unknown picture, an impossible number of results."""


class DatasetError(PatchseekError):
    """A benchmark that cannot be read or written: the message names the file and, where there is one, the line."""
