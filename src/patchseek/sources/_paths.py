"""What a picture's path in a catalogue says: its file, what lies inside that, and which page or moment. Opens nothing.

    2024/a.jpg             a file
    box.zip!2024/a.jpg     a member of an archive
    train.parquet#row=17   a row of a file of rows, from 0, which is an archive as well
    scan.tif#3             page 3 of a TIFF, box.zip!scan.tif#3 of one in an archive; its first page is scan.tif
    manual.pdf#page=12     page 12 of a PDF; its first page is manual.pdf
    tape.mp4#t=61.48       the frame of a film that is shown then, in seconds (W3C Media Fragments); tape.mp4 at 0

No file that is indexed can have such a name of its own: its suffix would be none of a picture's, or `scan` refuses it.
"""

import re

from ._names import suffix_of

ROWS = (".parquet", ".arrow")
"""Suffixes, in small letters, of files whose rows may be pictures. Whether they are, _rows.holds_pictures says."""
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", *ROWS)
"""Suffixes, in small letters, of files whose members are pictures."""
TIFFS = frozenset({".tif", ".tiff"})
DOCUMENTS = frozenset({".pdf"})
_FILMS = (
    *(
        "mp4",
        "m4v",
        "mov",
        "qt",
        "3gp",
        "3g2",
        "mkv",
        "webm",
        "avi",
        "divx",
        "mpg",
        "mpeg",
        "m2v",
        "vob",
        "mts",
        "m2ts",
    ),
    *("wmv", "asf", "flv", "f4v", "ogv", "ogm", "mxf"),
)
FILMS = frozenset(f".{suffix}" for suffix in _FILMS)
KINDS: dict[str, tuple[str, ...]] = {
    "zip": (".zip",),
    "tar": (".tar", ".tar.gz", ".tgz"),
    "parquet": ROWS,
    "pdf": tuple(DOCUMENTS),
    "tif": (),  # whose pages are always pictures
    "video": tuple(sorted(FILMS)),
}
"""What may be gone into, with the suffixes of its files in small letters."""

_MEMBER = re.compile(r"(.+?(?:\.zip|\.tar|\.tar\.gz|\.tgz))!([^/].*)", re.IGNORECASE | re.DOTALL)
_ROW = re.compile(r"(.+?\.(?:parquet|arrow))#(row=(?:0|[1-9][0-9]{0,9}))", re.IGNORECASE | re.DOTALL)
_IN_ROWS = re.compile(r"(\.parquet|\.arrow)/(?=row=[0-9]+$)", re.IGNORECASE)
_IN_ARCHIVE = re.compile(r"(\.zip|\.tar|\.tar\.gz|\.tgz)/", re.IGNORECASE)
_PAGE = re.compile(r"(.*\.(?:tiff?#(?:page=)?|pdf#page=))([2-9]|[1-9][0-9]{1,8})", re.IGNORECASE | re.DOTALL)
_MOMENT = re.compile(rf"(.*\.(?:{'|'.join(_FILMS)}))#t=(\d{{1,6}})(?:\.(\d{{1,3}}))?", re.IGNORECASE | re.DOTALL)


def split_page(path: str) -> tuple[str, int]:
    """The path of a file, or of a member, and the page that a picture's path names, from 1.

    Of a film the page is the frame's time in milliseconds, and one more: its first frame is page 1.
    """
    if "#" not in path:
        return path, 1
    if found := _PAGE.fullmatch(path):
        return found[1].rpartition("#")[0], int(found[2])
    if found := _MOMENT.fullmatch(path):
        return found[1], int(found[2]) * 1000 + int((found[3] or "").ljust(3, "0")) + 1
    return path, 1


def page_path(file: str, page: int) -> str:
    """The path of a page of a file; the inverse of split_page."""
    if page == 1:
        return file
    suffix = suffix_of(file)
    if suffix in FILMS:
        seconds = f"{(page - 1) // 1000}.{(page - 1) % 1000:03}".rstrip("0").rstrip(".")
        return f"{file}#t={seconds}"
    return f"{file}#page={page}" if suffix in DOCUMENTS else f"{file}#{page}"


def may_have_pages(file: str) -> bool:
    """Whether a file of this name can hold more than one picture."""
    suffix = suffix_of(file)
    return suffix in TIFFS or (suffix in DOCUMENTS | FILMS and split_member(file)[1] is None)


def split_member(path: str) -> tuple[str, str | None]:
    """The path of the archive and the name of the member in it; of all else, the path itself and None."""
    found = _MEMBER.fullmatch(path) if "!" in path else None
    if found is None and "#row=" in path:
        found = _ROW.fullmatch(path)
    return (found[1], found[2]) if found else (path, None)


def member_path(file: str, member: str = "") -> str:
    """The path of a member, the inverse of split_member; or what those of all members of an archive begin with."""
    return f"{file}{'#' if is_rows(file) else '!'}{member}"


def archive_of(prefix: str) -> str:
    """The path of an archive, where a path is what its members begin with; any other as it is."""
    file = prefix[:-1]
    return file if is_archive(file) and prefix == member_path(file) else prefix


def as_folder(path: str) -> str:
    """The path of a member as if its archive were a folder: so patterns see it."""
    file, member = split_member(path)
    if member is None:
        archive = archive_of(path)
        return path if archive == path else f"{archive}/"
    return f"{file}/{member}"


def as_member(path: str) -> str:
    """The inverse of as_folder, for a path in an archive."""
    return _IN_ROWS.sub(r"\1#", _IN_ARCHIVE.sub(r"\1!", path, count=1), count=1)


def is_archive(name: str) -> bool:
    """Whether a file of this name is an archive, or is looked into as one."""
    return name.lower().endswith(ARCHIVES)


def is_rows(name: str) -> bool:
    """Whether a file of this name is one of rows."""
    return name.lower().endswith(ROWS)


def is_film(name: str) -> bool:
    """Whether a file of this name is a film."""
    return suffix_of(name) in FILMS
