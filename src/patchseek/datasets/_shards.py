"""Distractors in webdataset tars, a picture at a time: nothing is unpacked, and nothing in a tar is trusted.

ILIAS ships 100 million of them as yfcc100m/yfcc100m-000000.tar and so on, 100,000 pictures a tar. A picture's key is
its name in the tar up to the first dot; its id is the tar's name and the key, `yfcc100m-000003.tar/0f0902d93f44`.
"""

import gzip
import re
import tarfile
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path

import numpy as np

from ..errors import DatasetError

MAX_BYTES = 64 << 20
"""Largest member of a tar that is read by default, and largest extended header."""
PICTURE = re.compile(r"(?P<key>(?:.*/)?[^./]+)\.(?:jpe?g|png|webp)", re.IGNORECASE | re.DOTALL)
KEY_BYTES = 40
# of a key in a `Keys`


class Keys(Container[str]):
    """A fixed set of keys in little memory: five million take 0.2 GB. A set of str needs several times that."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._sorted = np.fromiter(keys, f"S{KEY_BYTES}")
        self._sorted.sort()

    def __len__(self) -> int:
        """The number of distinct keys."""
        return int(np.count_nonzero(self._sorted[1:] != self._sorted[:-1])) + bool(len(self._sorted))

    def __contains__(self, key: object) -> bool:
        """Whether a key, or the key part of an id, is in the set."""
        if not isinstance(key, str):
            return False
        name = np.bytes_(key.rpartition(".tar/")[2].encode(errors="surrogateescape"))
        at = int(np.searchsorted(self._sorted, name))
        return at < len(self._sorted) and bool(self._sorted[at] == name)


def read_keys(path: Path | str) -> Keys:
    """The distractors listed in a file (maybe .gz), one a line: keys, or ids, of which the part after .tar/ counts.

    ILIAS: mini_ilias_yfcc100m_ids.txt (five million keys), distractor_ids.txt.gz.
    """
    path = Path(path)
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            return Keys(_lines(file, path))
    except (OSError, EOFError) as error:
        raise DatasetError(f"{path}: cannot be read ({error})") from error


def _lines(file: Iterable[bytes], path: Path) -> Iterator[bytes]:
    for number, line in enumerate(file, 1):
        key = line.strip().rpartition(b".tar/")[2]
        if len(key) > KEY_BYTES:
            raise DatasetError(f"{path}: line {number}: a key has at most {KEY_BYTES} characters, found {len(key)}")
        if key:
            yield key


def iter_shard(
    path: Path | str,
    keep: Container[str] | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    on_skip: Callable[[str, str], None] | None = None,
) -> Iterator[tuple[str, bytes]]:
    """(id, bytes of the file) for each picture of a tar, in the tar's order; one picture is in memory at a time.

    keep: the keys wanted, such as `read_keys` or a set; others are passed over without being read. on_skip(name, why)
    hears of members that are left out: links, devices, anything but regular files, files of more than max_bytes.
    Files that are no pictures by name (.json, .txt) are left out silently. Nothing is written to disk, names of members
    are never used as paths. Raises DatasetError, after the pictures before it, where the tar is damaged or cut short.
    """
    path = Path(path)
    with _reading(path), FileIO(path) as raw:
        for key, member, tar in _pictures(raw, keep, max_bytes, on_skip):
            content = tar.extractfile(member)
            assert content is not None  # a regular file
            yield f"{path.name}/{key}", content.read()


def iter_members(
    raw: RawIOBase, label: str, *, max_bytes: int = MAX_BYTES, on_skip: Callable[[str, str], None] | None = None
) -> Iterator[tuple[str, int, int]]:
    """(name, first byte, bytes) of each picture of a tar that is open for reading, as `iter_shard`; none is read.

    label: what an error calls the tar.
    """
    with _reading(label):
        for _, member, _ in _pictures(raw, None, max_bytes, on_skip):
            yield member.name, member.offset_data, member.size


def _pictures(
    raw: RawIOBase, keep: Container[str] | None, max_bytes: int, on_skip: Callable[[str, str], None] | None
) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
    """(key, member, tar) for each picture, before its bytes are read. Raises OSError, TarError."""
    with _Bounded(raw, max_bytes) as file, _open(file) as tar:
        while (member := _next(tar)) is not None:
            picture = PICTURE.fullmatch(member.name)
            if picture is None and member.isreg():
                continue
            if picture is None or not member.isreg() or member.issparse():
                why = "not a regular file"
            elif member.size > max_bytes:
                why = f"{member.size} bytes, more than the limit of {max_bytes}"
            elif keep is not None and picture["key"] not in keep:
                continue
            else:
                yield picture["key"], member, tar
                continue
            if on_skip:
                on_skip(member.name, why)
        file.seek(tar.offset)
        if any(file.read(tarfile.BLOCKSIZE)):  # two blocks of zeros end a tar
            raise tarfile.ReadError(f"no file begins at byte {tar.offset}, where one should")


@contextmanager
def _reading(label: object) -> Iterator[None]:
    """Make one kind of error of those of a disk and of a tar."""
    try:
        yield
    except (OSError, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DatasetError(f"{label}: cannot be read as a tar ({reason})") from error


def _open(file: "_Bounded") -> tarfile.TarFile:
    """The tar, of which the first header has been read. Raises tarfile.ReadError."""
    with _damage(0):
        return tarfile.open(fileobj=file, mode="r:")


def _next(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    """The next member, None after the last. Raises tarfile.ReadError."""
    with _damage(tar.offset):
        member = tar.next()
    tar.members.clear()  # type: ignore[attr-defined]  # or it remembers all that it has seen
    if member is not None and (member.size < 0 or tar.offset <= member.offset):  # or it would go round in circles
        raise tarfile.ReadError(f"the header at byte {member.offset} is damaged")
    return member


@contextmanager
def _damage(offset: int) -> Iterator[None]:
    """Make one kind of error of the many that a header made by an enemy can raise."""
    try:
        yield
    except (tarfile.TarError, OSError):
        raise
    except Exception as error:  # ValueError, OverflowError, RecursionError
        raise tarfile.ReadError(f"the header at byte {offset} is damaged") from error


class _Bounded(BufferedReader):
    """A file that is never read by more than a picture's worth of bytes at once.

    tarfile reads the long names and attributes of a member whole, whatever size the tar claims for them.
    """

    def __init__(self, raw: RawIOBase, max_bytes: int) -> None:
        super().__init__(raw)
        self._max_bytes = max(max_bytes, 1 << 20)

    def read(self, size: int | None = -1, /) -> bytes:
        """At most size bytes. Raises tarfile.ReadError for a size beyond the limit."""
        if size is None or not 0 <= size <= self._max_bytes:
            raise tarfile.ReadError(f"it asks for {size} bytes at once, more than the limit of {self._max_bytes}")
        return super().read(size)
