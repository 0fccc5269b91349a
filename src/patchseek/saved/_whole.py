"""A file that is written in pieces and appears whole, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import PatchseekError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write in the block, which takes the place of `path` at its end. Raises PatchseekError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise PatchseekError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)
