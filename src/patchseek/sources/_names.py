"""Which names are pictures worth trying, and as what others are passed over."""

import os

from ..images import EXTENSIONS
from ..patterns import is_utf8

SKIPPED_FOLDERS = frozenset(
    {"@eadir", "#recycle", "$recycle.bin", "system volume information", "node_modules", "__macosx", "lost+found"}
)
"""Folders (lower case) that systems and tools fill with copies and previews; hidden ones (.name) are skipped too."""

EXCLUDED, LINKS, NO_SUFFIX = "excluded", "links", "no suffix"
HIDDEN, REPEATED, TAKEN_OUT = "hidden", "repeated", "taken out"
"""Keys of passed_over beside suffixes such as ".cr2": the first two are of archives and lists alone, the last of what
somebody took out of the collection."""


def suffix_of(name: str) -> str:
    """The last suffix of a file's name, in small letters, which decides whether it is worth trying: see EXTENSIONS."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  # pathlib costs 5x here


def is_picture(name: str) -> bool:
    """Whether a file of this name is worth trying."""
    return suffix_of(name) in EXTENSIONS


def passing(path: str, *, hidden: bool, is_link: bool) -> str | None:
    """As what a member of an archive is passed over, a key of passed_over; None for a picture.

    hidden: whether names that begin with a dot are taken. is_link: whether it is a link that is not followed.
    """
    if not is_picture(path):
        suffix = suffix_of(path)
        return (suffix if is_utf8(suffix) else ascii(suffix)) or NO_SUFFIX
    *folders, name = path.split("/")
    if any(folder.lower() in SKIPPED_FOLDERS for folder in folders):
        return HIDDEN
    if not hidden and any(part.startswith(".") and part != ".." for part in (*folders, name)):
        return HIDDEN
    return LINKS if is_link else None


def leads_out(name: str) -> bool:
    """Whether a member's name, unpacked, would lead out of the folder that it is unpacked in."""
    return name.startswith("/") or name[1:3] == ":/" or ".." in name.split("/")


def tidy(name: str) -> str:
    """A member's name as it tells members apart: without what unpacking takes off, the first slash and each ./."""
    if "//" not in (padded := f"/{name}/") and "/./" not in padded:
        return name
    return "/".join(part for part in name.split("/") if part not in ("", "."))
