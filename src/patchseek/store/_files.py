"""Immutable files: written, taken in, looked at. Knows bytes, hashes and free space, and nothing of what they hold.

A file is written under a temporary name, flushed to the disk and renamed, so that one with a final name is always
whole; whether it counts is the catalogue's word.
"""

import errno
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

from .._platform import discard, link, replace, sync_file, sync_folder
from ..errors import DiskFull, StoreDamaged, StoreError

_SPARE_BYTES = 16 << 20  # left free beside a new file, for the catalogue and its journal


@dataclass(frozen=True)
class Part:
    """One file of a shard as the catalogue knows it."""

    kind: str
    # what it holds of the shard's pictures: "regions" or "points"
    file: str
    # name inside the shards folder
    n_bytes: int
    sha256: str


def write_part(
    folder: Path, stem: str, kind: str, n_bytes: int, save: Callable[[IO[bytes]], object], *, suffix: str = "npy"
) -> Part:
    """Write a new file of about so many bytes, called STEM-HASH.SUFFIX. Raises DiskFull, leaving nothing."""
    require_space(folder, n_bytes)

    def fill(partial: Path) -> None:
        with partial.open("wb") as file:
            save(file)

    return _finish(folder, stem, kind, fill, suffix)


def adopt_part(
    folder: Path, stem: str, kind: str, file: Path, sha256: str, look: Callable[[Path, Part], object]
) -> Part:
    """Take in a finished file; it stays where it is. Linked where the file system can, else copied.

    look: raises StoreDamaged where a part (in a folder) does not hold what it should. Raises StoreDamaged for that,
    when the file is gone or its bytes are not those of sha256; DiskFull; and then there is no part.
    """

    def fill(partial: Path) -> None:
        if not file.is_file():
            raise StoreDamaged(f"{file}: missing")
        try:
            link(file, partial)
        except OSError:  # another file system, or one without links
            require_space(folder, file.stat().st_size)
            shutil.copyfile(file, partial)
        found = Part(kind, partial.name, partial.stat().st_size, sha256)
        problem = problem_of(folder, found, look)
        if problem:
            raise StoreDamaged(f"{file}: not the {kind} that were written ({problem})")

    return _finish(folder, stem, kind, fill)


def _finish(folder: Path, stem: str, kind: str, fill: Callable[[Path], None], suffix: str = "npy") -> Part:
    """Have a file filled under a temporary name, flush it to the disk, rename it."""
    partial = folder / f"{stem}.{uuid4().hex[:8]}.tmp"  # a name of its own: a task may be run twice, on two machines
    try:
        fill(partial)
        sync_file(partial)
        sha256, n_bytes = hash_file(partial), partial.stat().st_size
        final = folder / f"{stem}-{sha256[:12]}.{suffix}"
        replace(partial, final)
        sync_folder(folder)
    except OSError as error:
        discard(partial)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"{folder}: the disk is full ({error}); what was committed before is safe") from error
        raise StoreError(f"{folder}: cannot write a shard ({error})") from error
    except StoreError:
        discard(partial)
        raise
    return Part(kind, final.name, n_bytes, sha256)


def require_space(folder: Path, n_bytes: int) -> None:
    """Raise DiskFull unless a file of this size fits into a folder."""
    need, free = n_bytes + _SPARE_BYTES, shutil.disk_usage(folder).free
    if free < need:
        raise DiskFull(
            f"{folder}: {free >> 20} MB free, {need >> 20} MB needed for the next shard; free some space and go on"
        )


def require_size(folder: Path, part: Part) -> None:
    """Raise StoreDamaged unless a part's file is as long as it was committed, FileNotFoundError where it is gone."""
    path = folder / part.file
    if (n_bytes := path.stat().st_size) != part.n_bytes:
        raise StoreDamaged(f"{path}: {n_bytes} bytes, {part.n_bytes} expected; run: patchseek verify --repair")


def problem_of(folder: Path, part: Part, look: Callable[[Path, Part], object]) -> str | None:
    """What is wrong with a part, in one line; None when its bytes are as committed. look: see adopt_part."""
    try:
        look(folder, part)
        if hash_file(folder / part.file) != part.sha256:
            return f"{part.file}: its bytes have changed (SHA-256 differs)"
    except FileNotFoundError:
        return f"{part.file}: missing"
    except (StoreDamaged, OSError) as error:
        return str(error)
    return None


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
