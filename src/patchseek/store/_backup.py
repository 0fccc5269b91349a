"""A collection as one tar file, and back. Knows catalogue and shards; indexes are caches and stay behind.

    SHA256SUMS           as `sha256sum --check` reads it, of all that follows
    catalogue.sqlite     of one moment
    shards/*.npy         the parts of shards that this catalogue names

Others may read and write meanwhile: shards are immutable, and a writer removes none while a backup is being made.
"""

import errno
import hashlib
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO

from .._platform import rename, replace, sync_folder, temporary_folder
from .._progress import OnProgress, unheard
from .._words import counted
from ..errors import DiskFull, StoreDamaged, StoreError
from ..sources import stored
from ._catalogue import Catalogue
from ._files import Part, hash_file
from ._lock import hold_shards, may_be_held
from ._store import Store

_SUMS, _CATALOGUE = "SHA256SUMS", "catalogue.sqlite"
_SHARD = re.compile(r"shards/[0-9]+-[0-9a-f]+\.npy")
_HOME = "backup.home"  # setting in a backup's catalogue: where the collection was, from which its folders are told
_SPARE_BYTES = 16 << 20
_SAMPLE = 20  # pictures looked for to know a folder again
_BLOCK = 1 << 20
_UNFINISHED = ".patchseek-unfinished-"  # in the names of temporary folders
_YOUNG = 60.0  # seconds


def back_up(store: Store, file: Path, on_progress: OnProgress = unheard) -> int:
    """Write the collection as it is at this moment to a new tar file; returns the bytes of it.

    The file appears under its name when it is whole and on the disk, or never. Raises StoreError where the name is
    taken or cannot be written, StoreDamaged for a shard that is not what was committed, DiskFull.
    """
    if file.exists():
        raise StoreError(f"{file}: already there; name another file")
    with _beside(file) as folder, hold_shards(store.folder):
        catalogue = Catalogue(folder / _CATALOGUE)
        with store.catalogue.reading() as db:
            _copy_catalogue(db, catalogue, store.path.resolve())
        parts = _named_parts(Store(folder, store.settings))
        _require_space(folder, catalogue.path.stat().st_size + sum(part.n_bytes for part in parts.values()))
        hashes = {_CATALOGUE: hash_file(catalogue.path)} | {name: part.sha256 for name, part in parts.items()}
        partial = folder / "backup.tar"
        with partial.open("wb") as f:
            with tarfile.open(fileobj=f, mode="w", format=tarfile.PAX_FORMAT) as tar:
                sums = "".join(f"{sha256}  {name}\n" for name, sha256 in hashes.items()).encode()
                tar.addfile(_member(_SUMS, len(sums)), BytesIO(sums))
                _add(tar, _CATALOGUE, catalogue.path, hashes[_CATALOGUE])
                for i, (name, part) in enumerate(parts.items()):
                    _add(tar, name, store.folder / part.file, part.sha256)
                    on_progress(i + 1, len(parts), "writing shards")
            f.flush()
            os.fsync(f.fileno())
        replace(partial, file)
        sync_folder(file.parent)
    return file.stat().st_size


def restore(file: Path, target: Path, pictures: Path | None = None, on_progress: OnProgress = unheard) -> Store:
    """Unpack a backup into a new folder, with every byte checked, and open it.

    A picture folder that was written down relative to the collection (one that it lies in) is still that where its
    pictures are found there, else the folder of that time by its full path. pictures: where the pictures are now,
    for a collection of one folder.
    The target appears when it is whole, or never. Raises StoreError where it is there already or the file is no backup
    that this version reads, StoreDamaged when bytes are not what was backed up, DiskFull.
    """
    if target.exists() or target.is_symlink():
        raise StoreError(f"{target}: already there; name a new folder")
    if not file.is_file():
        raise StoreError(f"{file}: no such file")
    with _beside(target) as outer:
        folder = outer / "collection"
        (folder / "shards").mkdir(parents=True)
        try:
            with tarfile.open(file, "r:") as tar:
                hashes = _unpack(tar, file, folder, on_progress)
        except tarfile.TarError as error:
            raise StoreDamaged(f"{file}: cannot be read as a tar file ({error})") from error
        if _CATALOGUE not in hashes:
            raise StoreDamaged(f"{file}: the catalogue is missing; this is no backup, or not all of one")
        restored = Store.open(folder)
        committed = {name: part.sha256 for name, part in _named_parts(restored).items()}
        if hashes != committed | {_CATALOGUE: hashes[_CATALOGUE]}:
            raise StoreDamaged(f"{file}: the shards are not those that the catalogue names")
        _place_roots(restored.catalogue, Store(target, restored.settings), pictures)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
        sync_folder(folder / "shards")
        sync_folder(folder)
        rename(folder, target)
        sync_folder(target.parent)
    return Store.open(target)


def _named_parts(store: Store) -> dict[str, Part]:
    """All files of shards, by their names in a backup."""
    return {f"shards/{part.file}": part for shard in store.list_shards() for part in shard.parts.values()}


@contextmanager
def _beside(final: Path) -> Iterator[Path]:
    """A temporary folder beside a path, gone after the block; what the system refuses becomes an error of ours.

    Those that others have left there, since they were killed, go as well.
    """
    try:
        with (
            temporary_folder(f".{final.name}{_UNFINISHED}", final.parent) as name,
            hold_shards(Path(name)),  # for as long as this process lives
        ):
            _remove_left(Path(name))
            yield Path(name)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"{final}: the disk is full ({error.strerror}); nothing was changed") from error
        raise StoreError(f"{final}: cannot be made ({error})") from error


def _remove_left(own: Path) -> None:
    """Remove temporary folders that nobody holds, but for new ones, whose owner may not have come to hold them yet."""
    for other in own.parent.glob(f".*{_UNFINISHED}*"):
        with suppress(OSError):
            if other == own or other.is_symlink() or own.stat().st_mtime - other.stat().st_mtime < _YOUNG:
                continue
            if not may_be_held(other):
                shutil.rmtree(other)


def _require_space(folder: Path, n_bytes: int) -> None:
    free, need = shutil.disk_usage(folder).free, n_bytes + _SPARE_BYTES
    if free < need:
        raise DiskFull(f"{folder.parent}: {free >> 20} MB free, {need >> 20} MB needed; nothing was changed")


def _copy_catalogue(db: sqlite3.Connection, copy: Catalogue, home: Path) -> None:
    """Copy all pages at once, which takes moments even where the shards take hours, and note where home was."""
    to = sqlite3.connect(copy.path)
    try:
        db.backup(to)
    except sqlite3.OperationalError as error:
        raise DiskFull(f"{copy.path}: cannot be written ({error}); nothing was changed") from error
    finally:
        to.close()
    copy.set(_HOME, home.as_posix())


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


class _Hashing:
    """A file read by somebody else, hashed on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.hash = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.hash.update(block)
        return block


def _add(tar: tarfile.TarFile, name: str, path: Path, sha256: str) -> None:
    """Put a file into the tar. Raises StoreDamaged unless its bytes have the hash: no good copy is worth a bad one."""
    try:
        with path.open("rb") as f:
            reader = _Hashing(f)
            tar.addfile(_member(name, os.fstat(f.fileno()).st_size), reader)
    except FileNotFoundError as error:
        raise StoreDamaged(f"{path}: missing; run: patchseek verify --repair") from error
    if reader.hash.hexdigest() != sha256:
        raise StoreDamaged(f"{path}: its bytes have changed (SHA-256 differs); run: patchseek verify --repair")


def _unpack(tar: tarfile.TarFile, file: Path, folder: Path, on_progress: OnProgress) -> dict[str, str]:
    """Write the members into the folder and return their SHA-256 by name, which are those the tar itself gives.

    Only names that a backup has are written, so that nothing can land outside the folder.
    """
    members = tar.getmembers()
    for member in members:
        if not member.isreg() or not (member.name in (_SUMS, _CATALOGUE) or _SHARD.fullmatch(member.name)):
            raise StoreError(f"{file}: holds {member.name!r}, which no backup of a collection does")
    if len({member.name for member in members}) < len(members) or not members or members[0].name != _SUMS:
        raise StoreError(f"{file}: not a backup of a collection")
    _require_space(folder.parent, sum(member.size for member in members))
    expected = _read_sums(tar, members[0], file)
    if expected.keys() != {member.name for member in members[1:]}:
        raise StoreDamaged(
            f"{file}: {counted(len(members) - 1, 'file')}, {len(expected):,} expected; the backup is not whole"
        )
    for i, member in enumerate(members[1:]):
        if _extract(tar, member, folder / member.name) != expected[member.name]:
            raise StoreDamaged(f"{file}: the bytes of {member.name} have changed (SHA-256 differs)")
        on_progress(i, len(members) - 2, "reading shards")  # the first is the catalogue
    return expected


def _read_sums(tar: tarfile.TarFile, member: tarfile.TarInfo, file: Path) -> dict[str, str]:
    source = tar.extractfile(member)
    assert source is not None, "a regular file"
    lines = source.read().decode(errors="replace").splitlines()
    pairs = [line.split("  ", 1) for line in lines]
    if not all(len(pair) == 2 for pair in pairs):
        raise StoreDamaged(f"{file}: {_SUMS} cannot be read")
    return {name: sha256 for sha256, name in pairs}


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> str:
    """Write one member to path and to the disk; returns its SHA-256."""
    source, sha256 = tar.extractfile(member), hashlib.sha256()
    assert source is not None, "a regular file"
    with path.open("xb") as f:
        while block := source.read(_BLOCK):
            sha256.update(block)
            f.write(block)
        f.flush()
        os.fsync(f.fileno())
    return sha256.hexdigest()


def _place_roots(catalogue: Catalogue, target: Store, pictures: Path | None) -> None:
    """Write the picture folders down as they are to be known from the target; see restore."""
    home = Path(catalogue.get(_HOME) or target.path)
    with catalogue.writing() as db:
        roots = db.execute("SELECT id, path FROM root").fetchall()
        if pictures is not None and len(roots) != 1:
            names = ", ".join(path for _, path in roots)
            raise StoreError(f"{len(roots)} picture folders ({names}); a new place can be given for one alone")
        for root_id, path in roots:
            if "://" in path and pictures is None:
                continue  # a URL is the same from everywhere
            query = "SELECT path FROM image WHERE root = ? AND NOT removed LIMIT ?"
            sample = [row[0] for row in db.execute(query, (root_id, _SAMPLE))]
            there = (target.path.resolve() / path).resolve()  # the target itself is not there yet
            moved_along = not Path(path).is_absolute() and any(stored(there, name).file.is_file() for name in sample)
            if pictures is not None or not moved_along:
                place = target.relate(pictures or home / path)  # home / an absolute path is that path
                db.execute("UPDATE root SET path = ? WHERE id = ?", (place, root_id))
        db.execute("DELETE FROM setting WHERE key = ?", (_HOME,))
