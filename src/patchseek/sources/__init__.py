"""Where pictures lie: files, members of archives, rows of tables, pages of documents, frames of films, the web.

A path in, bytes out.

    _paths   what a path says         _names   which names are pictures      _intervals  how often films are looked at
    _archives -> _zips, _tars (_headers, _gzips), _rows -> _listing
    _documents, _films, _web (_web_reach, _web_hosts, _web_cache), stores: what needs an extra
    _lists   files that name pictures; _iiif of them
    _stored  where the picture of a path lies

A catalogue's path names a picture within a root: the folder that was indexed. Whoever wants its pixels asks `stored`
where it lies, and gives images.read what that gives.
"""

from pathlib import Path

from ._archives import Archive, open_archive
from ._causes import cause_of
from ._headers import MAX_BYTES, check_tar, not_a_tar, reading, reason_of
from ._iiif import Canvas, canvas_of
from ._intervals import EVERY, Intervals, interval_of, require_interval, say_interval
from ._listing import Listing, Member
from ._lists import LISTS, Named, folder_of_list, list_kind, read_list
from ._names import (
    EXCLUDED,
    HIDDEN,
    LINKS,
    NO_SUFFIX,
    REPEATED,
    SKIPPED_FOLDERS,
    TAKEN_OUT,
    is_picture,
    leads_out,
    suffix_of,
    tidy,
)
from ._names import passing as passed_over_as
from ._paths import (
    ARCHIVES,
    DOCUMENTS,
    FILMS,
    KINDS,
    archive_of,
    as_folder,
    as_member,
    is_archive,
    is_film,
    is_rows,
    may_have_pages,
    member_path,
    page_path,
    split_member,
    split_page,
)
from ._rows import holds_pictures
from ._stored import Root, Stored, passing, stored
from ._tars import list_tar
from ._there import Kind, kind_of
from ._web import DAY, modified_ns, open_web
from ._web_cache import Answer

__all__ = [
    "ARCHIVES",
    "DAY",
    "DOCUMENTS",
    "EVERY",
    "EXCLUDED",
    "FILMS",
    "HIDDEN",
    "KINDS",
    "LINKS",
    "LISTS",
    "MAX_BYTES",
    "NO_SUFFIX",
    "REPEATED",
    "SKIPPED_FOLDERS",
    "TAKEN_OUT",
    "Answer",
    "Archive",
    "Canvas",
    "Intervals",
    "Kind",
    "Listing",
    "Member",
    "Named",
    "Root",
    "Stored",
    "archive_of",
    "as_folder",
    "as_member",
    "canvas_of",
    "cause_of",
    "check_tar",
    "folder_of_list",
    "interval_of",
    "is_archive",
    "is_film",
    "is_list",
    "is_picture",
    "is_rows",
    "kind_of",
    "leads_out",
    "list_kind",
    "list_tar",
    "may_be_added",
    "may_have_pages",
    "member_path",
    "modified_ns",
    "not_a_tar",
    "open_archive",
    "open_web",
    "page_path",
    "passed_over_as",
    "passing",
    "read_list",
    "reading",
    "reason_of",
    "require_interval",
    "say_interval",
    "split_member",
    "split_page",
    "stored",
    "suffix_of",
    "tidy",
]


def may_be_added(name: str) -> bool:
    """Whether a file of this name may be added by itself: a picture, a document or a film."""
    return is_picture(name) or suffix_of(name) in DOCUMENTS | FILMS


def is_list(file: Path) -> bool:
    """Whether a file of this machine is a list of pictures.

    A Parquet file that has a column of pictures is none: it is an archive. Raises MissingExtra.
    """
    if list_kind(file.name) is None or kind_of(file) is not Kind.OTHER:
        return False
    return not (is_rows(file.name) and holds_pictures(file))
