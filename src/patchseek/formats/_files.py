"""Files and folders that writers make, whole or not at all, and names that any of their formats can hold."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from .._platform import discard, possible_name, replace
from ..errors import PatchseekError
from ..sources import is_rows, split_member

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def plain_text(text: str) -> str:
    """Text that UTF-8 and XML can hold: of a file's name, bytes that are none become escapes."""
    return _NO_XML.sub(lambda found: ascii(found[0])[1:-1], text)


@contextmanager
def whole(path: Path, *, makes_folders: bool = False) -> Iterator[Path]:
    """A file to write in the block, which takes the place of `path` at its end, or nothing does.

    makes_folders: those above it that are not there. Raises PatchseekError.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if makes_folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        replace(partial, path)
    except OSError as error:
        raise PatchseekError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # a folder above it may be a file
            discard(partial)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file and the folders above it: who reads it finds the one before or this one. Raises PatchseekError."""
    with whole(path, makes_folders=True) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """The same of text, as UTF-8; a lone surrogate, of a file's name, becomes an escape."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def stem(name: str) -> str:
    """A picture's name without its suffix, the folders it is in included. Rows (x.parquet#row=3) have none."""
    folder, mark, own = name.rpartition("/")
    file, member = split_member(own)
    if PurePosixPath(own).suffix and not (member and is_rows(file)):
        own = own.rpartition(".")[0]
    return f"{folder}{mark}{own}"


def below(folder: Path, name: str, suffix: str | None = None) -> Path:
    """A place in a folder for a picture's name, as deep as that is; suffix: instead of its own. Never leaves it.

    Of an address, such as s3://photos/a/b.jpg, all that follows the scheme counts.
    """
    parts = [part for part in PurePosixPath(name.rpartition("://")[2]).parts if part not in ("/", "..")]
    path = folder.joinpath(*(possible_name(part.replace("\\", "_")) for part in parts or ["picture"]))
    return path if suffix is None else path.with_name(stem(path.name) + suffix)


class Taken:
    """Files written in a folder by now: formats that name a file for a picture cannot hold two of one name."""

    def __init__(self) -> None:
        self._by_file: dict[Path, str] = {}

    def problem(self, path: Path, name: str) -> str | None:
        """Why a file is not written for a picture, in a line; None where it is the first."""
        first = self._by_file.setdefault(path, name)
        return None if first == name else f"{name}: left out, its file {path.name} would be that of {first}"
