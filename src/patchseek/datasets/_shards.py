"""Distractors in webdataset tars, a picture at a time: nothing is unpacked, and nothing in a tar is trusted.

ILIAS ships 100 million of them as yfcc100m/yfcc100m-000000.tar and so on, 100,000 pictures a tar. A picture's key is
webdataset's: its name in the tar up to the first dot of its last part, so that `0f09.jpg`, `0f09.left.jpg` and
`0f09.json` are one sample. Its id is the tar's name and, where that is all of its name but the suffix and no other
picture of the tar has it, the key: `yfcc100m-000003.tar/0f0902d93f44`; else its whole name, `x.tar/0f09.left.jpg`.
"""

import gzip
import hashlib
import os
import re
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import RawIOBase
from itertools import count
from pathlib import Path

import numpy as np

from .._files import open_regular
from ..errors import DatasetError, ImageError
from ..sources import (
    MAX_BYTES,
    REPEATED,
    Listing,
    Member,
    check_tar,
    list_tar,
    not_a_tar,
    reading,
    reason_of,
    suffix_of,
    tidy,
)

KEY_BYTES = 40
# of a key in a `Keys`
_TAR = re.compile(rb"^.*\.tar/", re.IGNORECASE | re.DOTALL)
# what an id begins with before the key
_UTF16 = (BOM_UTF16_LE, BOM_UTF16_BE)


class Keys(Container[str]):
    """A fixed set of keys in little memory: five million take 0.2 GB. A set of str needs several times that."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._sorted = np.fromiter(keys, f"S{KEY_BYTES}")
        self._sorted.sort()

    def __len__(self) -> int:
        """The number of distinct keys."""
        return int(np.count_nonzero(self._sorted[1:] != self._sorted[:-1])) + bool(len(self._sorted))

    @property
    def digest(self) -> str:
        """SHA-256 of the keys, in hex, in whatever order and however often they were listed."""
        return hashlib.sha256(np.unique(self._sorted).tobytes()).hexdigest()

    def __contains__(self, key: object) -> bool:
        """Whether a key, or the key part of an id, is in the set."""
        if not isinstance(key, str):
            return False
        name = np.bytes_(_TAR.sub(b"", key.encode(errors="surrogateescape")))
        at = int(np.searchsorted(self._sorted, name))
        return at < len(self._sorted) and bool(self._sorted[at] == name)


def read_keys(path: Path | str) -> Keys:
    """The distractors listed in a file (maybe .gz), one a line: keys, or ids, of which the part after .tar/ counts.

    ILIAS: mini_ilias_yfcc100m_ids.txt (five million keys), distractor_ids.txt.gz. Blank lines and those that begin with
    # and a blank say nothing. Raises DatasetError.
    """
    path = Path(path)
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            return Keys(_lines(file, path))
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: cannot be read ({error})") from error


def _lines(file: Iterable[bytes], path: Path) -> Iterator[bytes]:
    for number, line in enumerate(file, 1):
        if number == 1 and line.startswith(_UTF16):
            raise DatasetError(f"{path}: is UTF-16; save it as UTF-8")
        text = line.removeprefix(BOM_UTF8) if number == 1 else line
        if text.startswith(b"# "):
            continue
        key = _TAR.sub(b"", text.strip())
        if len(key) > KEY_BYTES:
            raise DatasetError(f"{path}: line {number}: a key has at most {KEY_BYTES} characters, found {len(key)}")
        if key:
            yield key


@dataclass(frozen=True)
class Place:
    """Where in a tar a picture is."""

    path: Path
    member: Member

    def content(self) -> bytes:
        """The bytes of its file. Raises DatasetError."""
        with _opened(self.path) as raw:
            return _content(raw, self.path, self.member)

    def __str__(self) -> str:
        return f"{self.path}: {self.member.name}"


@dataclass
class DistractorTar:
    """A tar of distractors, and once its pictures have been gone through, what became of the others."""

    path: Path
    name: str
    # what its ids begin with: its own name, after as many folders as tell it from another tar of that name
    n_given: int = 1
    # how often it was named
    passed_over: Counter[str] = field(default_factory=Counter)
    # see encode.Scan
    unreadable: dict[str, str] = field(default_factory=dict)
    # pictures by their name, and why they are left out

    @cached_property
    def root(self) -> Path:
        """A tar is a root of its own, links followed: nothing else in its folder is mistaken for a part of it."""
        return self.path.resolve()

    def pictures(self, keep: Container[str] | None = None) -> Iterator[tuple[str, bytes]]:
        """As `iter_shard`."""
        return _read(self.path, keep, MAX_BYTES, self._note)

    def places(self, ids: Container[str]) -> dict[str, Place]:
        """Where those pictures are that have one of these ids. No picture is read. Raises DatasetError."""
        with _opened(self.path) as raw:
            named = _named(list_tar(raw, self.path).pictures)
        found = ((f"{self.name}/{own}", member) for own, member in named)
        return {key: Place(self.path, member) for key, member in found if key in ids}

    def _note(self, listing: Listing) -> None:
        self.passed_over = listing.passed_over + Counter({REPEATED: self.n_given - 1})  # none counts as no key
        self.unreadable = {f"{self.name}/{name}": why for name, why in listing.unreadable.items()}


def open_shards(paths: Iterable[Path | str]) -> list[DistractorTar]:
    """The tars, each once, judged before any work: raises DatasetError for what is none by its beginning.

    Links are followed to tell whether two are one.
    """
    given: dict[tuple[int, int], Path] = {}
    counts: Counter[tuple[int, int]] = Counter()
    for path in map(Path, paths):
        with _opened(path) as raw:
            check_tar(raw, path)
            status = os.fstat(raw.fileno())
        given.setdefault((status.st_dev, status.st_ino), path)
        counts[status.st_dev, status.st_ino] += 1
    names = _names(list(given.values()))
    return [DistractorTar(path, names[path], counts[key]) for key, path in given.items()]


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """What tells tars apart: their names, and of those that share one as many folders before it as it takes."""
    wholes = {path: (path.parent.resolve() / path.name).parts for path in paths}
    names: dict[Path, str] = {}
    for path in paths:
        same = [parts for other, parts in wholes.items() if other.name == path.name]
        n = next(n for n in count(1) if len({parts[-n:] for parts in same}) == len(same))
        names[path] = "/".join(wholes[path][-n:])
    return names


def iter_shard(
    path: Path | str,
    keep: Container[str] | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    on_skip: Callable[[str, str], None] | None = None,
) -> Iterator[tuple[str, bytes]]:
    """(id, bytes of the file) for each picture of a tar, in the tar's order; one picture is in memory at a time.

    keep: the keys wanted, such as `read_keys` or a set; whole names count too. Others are passed over without being
    read. on_skip(name, why) hears, before the first picture, of those by name that are left out: links, devices,
    anything but regular files, files of more than max_bytes, names that are no text. What is no picture by its last
    suffix (.json, .txt) is left out silently. Nothing is written to disk, names of members are never used as paths.
    Raises DatasetError, after the pictures before it, where the tar is damaged or cut short.
    """

    def note(listing: Listing) -> None:
        skipped = dict.fromkeys(listing.links, "a symbolic link") | listing.unreadable
        for name, why in skipped.items():
            if on_skip is not None:
                on_skip(name, why)

    return _read(Path(path), keep, max_bytes, note)


def _read(
    path: Path, keep: Container[str] | None, max_bytes: int, on_listing: Callable[[Listing], None]
) -> Iterator[tuple[str, bytes]]:
    with _opened(path) as raw:
        listing = list_tar(raw, path, max_bytes=max_bytes)
        on_listing(listing)
        for own, member in _named(listing.pictures):
            key = webdataset_key(member.name)
            if keep is None or any(each in keep for each in {key, tidy(key), own, tidy(member.name)}):
                yield f"{path.name}/{own}", _content(raw, path, member)
        if listing.damage is not None:
            raise not_a_tar(path, listing.damage)


def _named(pictures: Sequence[Member]) -> Iterator[tuple[str, Member]]:
    """Each picture with what its id ends with: its key, where that tells it from all others, else its whole name."""
    stems = Counter(_stem(member.name) for member in pictures)
    for member in pictures:
        key, stem = webdataset_key(member.name), _stem(member.name)
        yield key if key == stem and stems[stem] == 1 else member.name, member


def _content(raw: RawIOBase, path: Path, member: Member) -> bytes:
    with reading(path):
        raw.seek(member.start)
        content = raw.read(member.size) or b""
    if len(content) != member.size:
        raise not_a_tar(path, f"it is cut short within {member.name!r}")
    return content


def webdataset_key(name: str) -> str:
    """The key of a member: its name up to the first dot of its last part."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def _stem(name: str) -> str:
    return name[: -len(suffix_of(name))]


@contextmanager
def _opened(path: Path) -> Iterator[RawIOBase]:
    """A tar of this machine, unbuffered. Raises DatasetError."""
    try:
        raw = open_regular(path, path).detach()
    except OSError as error:
        raise not_a_tar(path, reason_of(error)) from error
    except ImageError as error:
        raise not_a_tar(path, error.reason) from error
    with raw:
        yield raw
