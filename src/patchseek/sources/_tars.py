"""What a tar holds: which pictures, and where in it. Reads headers alone: unpacks nothing, and trusts nothing.

A member is a picture by its last suffix, as a file in a folder is, and `IMG 2024.05.31.jpg` is one. Where a name is
there several times (`tar -r` puts a new version at the end), the last counts, as when the tar is unpacked; a.jpg,
./a.jpg and /a.jpg are one name, A.jpg is another. A hard link is the file that it leads to.
"""

import json
import tarfile
from dataclasses import replace
from io import SEEK_END, RawIOBase
from posixpath import dirname, join, normpath

from ..patterns import is_utf8
from ._headers import MAX_BYTES, Bounded, next_member, open_tar, reading, reason_of
from ._listing import Listing, Member
from ._names import LINKS, REPEATED, is_picture, passing, tidy

_MAX_LINKS = 40
# on the way to a file


def list_tar(
    raw: RawIOBase,
    label: object,
    *,
    max_bytes: int = MAX_BYTES,
    hidden: bool = False,
    follow_symlinks: bool = False,
) -> Listing:
    """The pictures of a tar that is open for reading; it stays open.

    label: what an error calls the tar. max_bytes: larger members are not read. hidden: take names too that begin with a
    dot. follow_symlinks: a link is the member that it leads to. Raises DatasetError for what is no tar at its very
    beginning, or is compressed.
    """
    return scan_tar(raw, label, max_bytes=max_bytes).listing(hidden=hidden, follow_symlinks=follow_symlinks)


def scan_tar(raw: RawIOBase, label: object, *, max_bytes: int = MAX_BYTES) -> "Members":
    """All that the headers of a tar say, as `list_tar` reads them."""
    file = Bounded(raw, min(max_bytes, MAX_BYTES))
    try:
        with reading(label):
            tar = open_tar(file)
        members = Members(max_bytes)
        try:
            while (member := next_member(tar)) is not None:
                members.add(member)
            file.seek(tar.offset)
            if any(file.read(tarfile.BLOCKSIZE)):  # two blocks of zeros end a tar
                members.damage = f"no file begins at byte {tar.offset}, where one should"
        except (OSError, tarfile.TarError) as error:
            members.damage = reason_of(error)
        with reading(label):
            members.end = file.seek(0, SEEK_END)
        return members
    finally:
        file.detach()


class Members:
    """The members of a tar by name, as they are gone through."""

    def __init__(self, max_bytes: int) -> None:
        self.end = 0
        # bytes of the tar
        self.damage: str | None = None
        # why it ends early
        self._max_bytes = max_bytes
        self._found: dict[str, Member | str | None] = {}
        # by tidy name: where it is; why it cannot be read; None for a folder
        self._names: dict[str, str] = {}
        # tidy name -> the first one given, where they differ: what it was called stays as it is
        self._leads: dict[str, str] = {}
        # symbolic links: tidy name -> tidy name of what they lead to
        self._n_repeated = 0

    def add(self, member: tarfile.TarInfo) -> None:
        """Note the next member; one of the same name counts no more, and its place in the order is this one's."""
        key = tidy(member.name)
        if key in self._found:
            self._n_repeated += is_picture(key)
            del self._found[key]
        elif key != member.name:
            self._names[key] = member.name
        self._leads.pop(key, None)
        if member.issym():
            path = normpath(join(dirname(key), member.linkname))
            self._leads[key] = path if path.startswith("/") else tidy(path)  # a full path is no member's
        self._found[key] = self._look_at(member)

    def _look_at(self, member: tarfile.TarInfo) -> Member | str | None:
        if member.isdir():
            return None
        if member.islnk():
            there = self._found.get(tidy(member.linkname))
            if isinstance(there, Member):
                return there
            return there or f"a link to {member.linkname!r}, which is no file before it in the tar"
        if member.issparse():
            return "a file with holes, which is not read from a tar"
        if not member.isreg():
            return "not a regular file"
        if member.size > self._max_bytes:
            return f"{member.size} bytes, more than the limit of {self._max_bytes}"
        return Member(member.name, member.offset_data, member.size)

    def listing(self, *, hidden: bool, follow_symlinks: bool) -> Listing:
        """What was found. What reaches beyond the end of the tar is cut short, which is damage too."""
        listing = Listing(damage=self.damage)
        if self._n_repeated:
            listing.passed_over[REPEATED] = self._n_repeated
        for key, there in self._found.items():
            if there is None:
                continue
            name, is_link = self._names.get(key, key), key in self._leads
            reason = passing(key, hidden=hidden, is_link=is_link and not follow_symlinks)
            if reason is not None:
                listing.passed_over[reason] += 1
                listing.links += [name] * (reason == LINKS)
                continue
            there = self._followed(key) if is_link else there
            if isinstance(there, Member) and there.start + there.size > self.end:
                listing.damage = f"it is cut short within {name!r}"
                continue
            why = there if isinstance(there, str) else _bad_name(name)
            if why is not None:
                listing.unreadable[name if is_utf8(name) else ascii(name)] = why
            elif isinstance(there, Member):
                listing.pictures.append(replace(there, name=name))
        return listing

    def __len__(self) -> int:
        return len(self._found)

    def find(self, name: str) -> Member | None:
        """Where a file is, by its name or that of a link to it; None where there is none that can be read."""
        key = tidy(name)
        there = self._followed(key) if key in self._leads else self._found.get(key)
        return there if isinstance(there, Member) else None

    def to_json(self) -> str:
        """All of it as one JSON object."""
        found = {key: [it.name, it.start, it.size] if isinstance(it, Member) else it for key, it in self._found.items()}
        kept = [self.end, self.damage, self._max_bytes, self._n_repeated, found, self._names, self._leads]
        return json.dumps(kept)

    @classmethod
    def from_json(cls, text: str) -> "Members":
        """The inverse of to_json. Raises ValueError or TypeError for anything else."""
        end, damage, max_bytes, n_repeated, found, names, leads = json.loads(text)
        members = cls(max_bytes)
        members.end, members.damage, members._n_repeated = end, damage, n_repeated
        members._found = {key: Member(*it) if isinstance(it, list) else it for key, it in found.items()}
        members._names, members._leads = names, leads
        return members

    def _followed(self, key: str) -> Member | str:
        """What a symbolic link leads to in the end."""
        target = self._leads[key]
        for _ in range(_MAX_LINKS):
            if target not in self._leads:
                break
            target = self._leads[target]
        there = self._found.get(target)
        return there if isinstance(there, Member) else f"a link to {target!r}, which is no file in the tar"


def _bad_name(name: str) -> str | None:
    """Why nothing can be kept under a name; None where it can."""
    if not is_utf8(name):
        return "the name is not valid UTF-8; rename it"
    return "the name holds a zero byte; rename it" if "\0" in name else None
