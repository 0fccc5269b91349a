"""Immutable vector files. Knows bytes, hashes and free space; nothing of pictures or of the catalogue.

A shard is one `.npy` of (n, R, D) float16. It is written under a temporary name, flushed to the disk and renamed, so a
file with a final name is always whole; whether it counts is the catalogue's word.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from ..encoders import flawed
from ..errors import DiskFull, StoreDamaged, StoreError

Half = NDArray[np.float16]
"""(n, R, D) float16: the features of n pictures."""

SHARD_COLUMNS = "id, file, n_images, n_bytes, sha256"
"""The fields of Shard as the catalogue's columns."""

_SPARE_FILES = 512  # open files beside the shards
_SPARE_BYTES = 16 << 20  # left free beside a new shard, for the catalogue and its journal


@dataclass(frozen=True)
class Shard:
    """One vector file as the catalogue knows it."""

    id: int
    file: str
    # name inside the shards folder
    n_images: int
    # slots, removed pictures included
    n_bytes: int
    sha256: str


def write_shard(folder: Path, number: int, features: Half) -> Shard:
    """Write features (n, R, D) float16 and return the finished shard. Raises DiskFull, leaving nothing."""
    name, sha256 = write_features(folder, f"{number:06d}", features)
    return Shard(number, name, len(features), (folder / name).stat().st_size, sha256)


def write_features(folder: Path, stem: str, features: Half) -> tuple[str, str]:
    """Write features (n, R, D) float16 to a new file in a folder; its name, STEM-HASH.npy, and its SHA-256.

    Raises DiskFull, leaving nothing.
    """
    require_space(folder, features.nbytes)

    def save(partial: Path) -> None:
        with partial.open("wb") as f:
            np.save(f, np.ascontiguousarray(features, np.float16), allow_pickle=False)

    return _finish(folder, stem, save)


def adopt_shard(folder: Path, number: int, file: Path, shape: tuple[int, int, int], sha256: str) -> Shard:
    """Take in, as a shard, a finished file of features of this shape (n, R, D); the file stays where it is.

    Linked where the file system can, else copied. Raises StoreDamaged when its bytes are not those of sha256, not of
    that shape or no numbers, DiskFull; and then there is no shard.
    """

    def take(partial: Path) -> None:
        try:
            os.link(file, partial)
        except OSError:  # another file system, or one without links
            require_space(folder, file.stat().st_size)
            shutil.copyfile(file, partial)
        found = Shard(number, partial.name, shape[0], partial.stat().st_size, sha256)
        problem = problem_of(folder, found, *shape[1:])
        if problem:
            raise StoreDamaged(f"{file}: not the features that were written ({problem})")
        if n_flawed := int(flawed_slots(folder, found, *shape[1:]).sum()):
            raise StoreDamaged(f"{file}: {n_flawed} of {shape[0]} pictures with features that are no numbers")

    name, _ = _finish(folder, f"{number:06d}", take)
    return Shard(number, name, shape[0], (folder / name).stat().st_size, sha256)


def require_space(folder: Path, n_bytes: int) -> None:
    """Raise DiskFull unless a file of this size fits into a folder."""
    need, free = n_bytes + _SPARE_BYTES, shutil.disk_usage(folder).free
    if free < need:
        raise DiskFull(
            f"{folder}: {free >> 20} MB free, {need >> 20} MB needed for the next shard; free some space and go on"
        )


def _finish(folder: Path, stem: str, fill: Callable[[Path], None]) -> tuple[str, str]:
    """Have a file filled under a temporary name, flush it to the disk, rename it; its name and SHA-256."""
    partial = folder / f"{stem}.{uuid4().hex[:8]}.tmp"  # a name of its own: a task may be run twice, on two machines
    try:
        fill(partial)
        with partial.open("rb") as f:
            os.fsync(f.fileno())
        sha256 = hash_file(partial)
        final = folder / f"{stem}-{sha256[:12]}.npy"
        partial.replace(final)
        sync_folder(folder)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"{folder}: the disk is full ({error}); what was committed before is safe") from error
        raise StoreError(f"{folder}: cannot write a shard ({error})") from error
    except StoreError:
        partial.unlink(missing_ok=True)
        raise
    return final.name, sha256


def map_shard(folder: Path, shard: Shard, n_regions: int, dim: int) -> Half:
    """The shard's features (n, R, D) float16, mapped read-only. Raises StoreDamaged when shape or size is off."""
    path = folder / shard.file
    try:
        require_size(folder, shard)
        features: Half = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise StoreDamaged(f"{path}: cannot be read ({error}); run: patchseek verify --repair") from error
    if features.shape != (shard.n_images, n_regions, dim) or features.dtype != np.float16:
        raise StoreDamaged(f"{path}: holds {features.shape} {features.dtype}; run: patchseek verify --repair")
    return features


def require_size(folder: Path, shard: Shard) -> None:
    """Raise StoreDamaged unless a shard's file is as long as it was committed, FileNotFoundError where it is gone."""
    path = folder / shard.file
    if (n_bytes := path.stat().st_size) != shard.n_bytes:
        raise StoreDamaged(f"{path}: {n_bytes} bytes, {shard.n_bytes} expected; run: patchseek verify --repair")


def allow_open_files(n: int) -> None:
    """Raise this process's limit of open files, as far as it may, so that n shards can be mapped at once.

    A mapped file keeps a descriptor, and the usual limit of 1,024 would end at a quarter of a million pictures.
    """
    try:
        import resource
    except ImportError:  # not on Windows, whose maps need none
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = n + _SPARE_FILES if hard == resource.RLIM_INFINITY else min(n + _SPARE_FILES, hard)
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def problem_of(folder: Path, shard: Shard, n_regions: int, dim: int) -> str | None:
    """What is wrong with a shard, in one line; None when its bytes are those that were committed."""
    try:
        map_shard(folder, shard, n_regions, dim)
        if hash_file(folder / shard.file) != shard.sha256:
            return f"{shard.file}: its bytes have changed (SHA-256 differs)"
    except FileNotFoundError:
        return f"{shard.file}: missing"
    except (StoreDamaged, OSError) as error:
        return str(error)
    return None


def flawed_slots(folder: Path, shard: Shard, n_regions: int, dim: int) -> NDArray[np.bool_]:
    """Which pictures (n,) of a whole shard have features that are no numbers, or zero; see encoders.flawed."""
    return np.asarray(flawed(map_shard(folder, shard, n_regions, dim)).any(axis=1))


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
