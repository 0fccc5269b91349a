"""Saved queries as one file, and back: a zip of JSON and the pictures that are kept of them. Nothing is unpacked.

    queries.json            {"patchseek_queries": 1, "version", "queries": [{"name", "query_key", "views", ...}, ...]}
    pictures/SHA256.png     each once

What is read is believed only as far as it can be judged: sizes, checksums, boxes inside their pictures, and that a
query's key is that of its pictures and boxes.
"""

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from .. import __version__
from .._progress import OnProgress, unheard
from ..boxes import BBOX_FORMAT
from ..errors import DatasetError, ImageError, QueryError, StoreDamaged
from ..formats import parse_json, shorten, whole
from ..images import EXTENSIONS
from ..judgements import ObjectView, query_key
from ..patterns import is_utf8
from ..store import SavedQuery, SavedView
from ._keep import MOST, Kept
from ._set import Imported

if TYPE_CHECKING:
    from . import Saved

_MARK = "patchseek_queries"
_LIST = "queries.json"
_MOST_LIST = 64 << 20
# bytes of it
_MOST_OF_ONE = 1 << 30
# bytes of the pictures of one query
_PICTURE = re.compile(r"pictures/([0-9a-f]{64})(?:\.[a-z0-9]{1,5})?")
_LARGE = 1 << 40
_END = datetime.max.replace(tzinfo=UTC).timestamp()
_SHA256 = re.compile("[0-9a-f]{64}")
_UNREADABLE = (BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, OSError, ValueError, OverflowError)
# what zipfile raises for files that are damaged, encrypted or none of its own


def write_queries(saved: "Saved", queries: Sequence[SavedQuery], file: Path) -> list[str]:
    """Write queries with their pixels; returns a line for each that is left out. The same ones give the same bytes.

    Raises PatchseekError where it cannot be written.
    """
    problems: list[str] = []
    records: list[dict[str, Any]] = []
    written: set[str] = set()
    with whole(file) as partial, ZipFile(partial, "w") as archive:
        for query in queries:
            try:
                pictures = {_name(view): saved.picture(view) for view in query.views if view.kept not in written}
            except StoreDamaged as error:
                problems.append(f"{query.name}: {error}")
                continue
            for name, content in pictures.items():
                archive.writestr(ZipInfo(name), content)
            written |= {view.kept for view in query.views}
            records.append(_record(query))
        text = json.dumps({_MARK: 1, "version": __version__, "queries": records}, indent=2) + "\n"
        archive.writestr(ZipInfo(_LIST), text, ZIP_DEFLATED)
    return problems


def _name(view: SavedView) -> str:
    suffix = PurePath(view.file).suffix.lower() if view.kept == view.sha256 else ".png"
    return f"pictures/{view.kept}{suffix if suffix in EXTENSIONS else ''}"


def _record(query: SavedQuery) -> dict[str, Any]:
    views = [
        {
            "is_wanted": view.is_wanted,
            "file": view.file,
            "sha256": view.sha256,
            "page": view.page,
            "width": view.width,
            "height": view.height,
            "box": list(view.box),
            "bbox_format": BBOX_FORMAT,
            "kept": view.kept,
            "corner": list(view.corner),
        }
        for view in query.views
    ]
    told = {"name": query.name, "query_key": query.key, "text": query.text, "note": query.note}
    return told | {"at": query.at, "who": query.who, "views": views}


def read_queries(saved: "Saved", file: Path, *, replace: bool = False, on_progress: OnProgress = unheard) -> Imported:
    """Save what `write_queries` has written, of this collection or another one; a line for each that cannot be.

    replace: see Saved.add. Raises DatasetError where the file is none of its own, StoreLocked, StoreError.
    """
    done: list[SavedQuery] = []
    problems: list[str] = []
    try:
        archive = ZipFile(file)
    except _UNREADABLE as error:
        raise DatasetError(f"{file}: cannot be read as a zip file ({_reason(error)})") from error
    with archive:
        entries = _entries(archive, file)
        pictures = {found[1]: name for name in archive.namelist() if (found := _PICTURE.fullmatch(name))}
        for number, entry in enumerate(entries, 1):
            where = f"{file}: query {number}"
            try:
                if not isinstance(entry, dict):
                    raise DatasetError(f"a query is an object, found {shorten(entry)}")
                where += f" ({shorten(entry.get('name'))})"
                done.append(_save(saved, entry, archive, pictures, replace=replace))
            except (DatasetError, ImageError, QueryError) as error:
                problems.append(f"{where}: {error}")
            on_progress(number, len(entries), "saving queries")
    return Imported(tuple(done), tuple(problems))


def _entries(archive: ZipFile, file: Path) -> list[Any]:
    """What the list says of queries. Raises DatasetError."""
    if _LIST not in archive.namelist():
        raise DatasetError(f"{file}: no saved queries in it; such a file is written by: patchseek query export")
    try:
        content = parse_json(_content(archive, _LIST, _MOST_LIST).decode(), file / _LIST)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file / _LIST}: not UTF-8 text") from error
    except DatasetError as error:
        raise DatasetError(str(error) if str(error).startswith(str(file)) else f"{file}: {error}") from error
    if not isinstance(content, dict) or content.get(_MARK) != 1 or not isinstance(content.get("queries"), list):
        raise DatasetError(f"{file}: no saved queries in it that this version reads")
    entries: list[Any] = content["queries"]
    return entries


def _save(
    saved: "Saved", entry: dict[str, Any], archive: ZipFile, pictures: dict[str, str], *, replace: bool
) -> SavedQuery:
    """Judge and save one. Raises DatasetError, ImageError, QueryError."""
    views = [_view(each) for each in _of(entry, "views", list)]
    text = _of(entry, "text", str)
    key = query_key([ObjectView(view.sha256, view.page, view.box) for view in views if view.is_wanted], text)
    if key != entry.get("query_key"):
        raise DatasetError("its key is not that of its pictures and boxes; something of it was changed")
    contents: dict[str, bytes] = {}
    for view in views:
        if view.kept not in contents:
            room = min(MOST, _MOST_OF_ONE - sum(map(len, contents.values())))
            contents[view.kept] = _picture(archive, pictures, view.kept, room)
        _require_inside(saved, view, contents[view.kept])
    kept: list[Kept] = [(view, contents[view.kept]) for view in views]
    note, who, at = _of(entry, "note", str), _of(entry, "who", str), _of(entry, "at", int, float)
    if not 0 <= at < _END:
        raise DatasetError(f"'at' is seconds since 1970, found {shorten(at)}")
    return saved.put(_of(entry, "name", str), kept, text=text, note=note, at=float(at), who=who, replace=replace)


def _picture(archive: ZipFile, pictures: dict[str, str], sha256: str, most: int) -> bytes:
    """A picture's bytes, which are those that its name says. Raises DatasetError."""
    if sha256 not in pictures:
        raise DatasetError(f"its picture {sha256[:12]} is not in the file")
    content = _content(archive, pictures[sha256], most)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DatasetError(f"the bytes of its picture {sha256[:12]} have changed (SHA-256 differs)")
    return content


def _content(archive: ZipFile, name: str, most: int) -> bytes:
    """A member's bytes, whatever its header says of their number. Raises DatasetError."""
    if archive.getinfo(name).compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise DatasetError(f"{name}: packed in a way that is not read here")
    try:
        with archive.open(name) as member:
            content = member.read(most + 1)
    except _UNREADABLE as error:
        raise DatasetError(f"{name}: cannot be read ({_reason(error)})") from error
    if len(content) > most:
        raise DatasetError(f"{name}: more than {most >> 20} MB")
    return content


def _reason(error: BaseException) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    return (strerror or str(error) or type(error).__name__).lower()


def _view(entry: Any) -> SavedView:
    """A view as `_record` has it. Raises DatasetError."""
    if not isinstance(entry, dict):
        raise DatasetError(f"a picture of it is an object, found {shorten(entry)}")
    page, width, height = _whole_numbers([entry.get(key) for key in ("page", "width", "height")], "sizes")
    x, y, w, h = _whole_numbers(entry.get("box"), "box", 4)
    left, top = _whole_numbers(entry.get("corner"), "corner", 2)
    if page < 1 or min(x, y, left, top) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
        raise DatasetError(f"box {x},{y},{w},{h} lies outside its picture of {width} x {height} pixels")
    hashes = [_of(entry, key, str) for key in ("sha256", "kept")]
    if not all(map(_SHA256.fullmatch, hashes)):
        raise DatasetError(f"a SHA-256 is 64 hexadecimal digits, found {shorten(hashes)}")
    sha256, kept = hashes
    name = _of(entry, "file", str)
    return SavedView(_of(entry, "is_wanted", bool), name, sha256, page, width, height, (x, y, w, h), kept, (left, top))


def _require_inside(saved: "Saved", view: SavedView, content: bytes) -> None:
    """Raise DatasetError, ImageError unless the kept picture holds the box."""
    picture = saved.collection.read(content)
    (x, y, w, h), (left, top) = view.box, view.corner
    right, bottom = left + picture.width, top + picture.height
    is_file = view.kept == view.sha256
    if (is_file and (left, top, right, bottom) != (0, 0, view.width, view.height)) or (
        right > view.width or bottom > view.height or x < left or y < top or x + w > right or y + h > bottom
    ):
        raise DatasetError(f"box {x},{y},{w},{h} is not in the {picture.width} x {picture.height} pixels kept of it")


def _of(entry: dict[str, Any], key: str, *kinds: type) -> Any:
    """The value of a key. Raises DatasetError where it is of another kind, or text that cannot be kept."""
    value = entry.get(key)
    if type(value) not in kinds or (isinstance(value, str) and not is_utf8(value)):
        raise DatasetError(f"{key!r} is {shorten(value)}, which it cannot be")
    return value


def _whole_numbers(values: Any, what: str, n: int = 3) -> list[int]:
    if not isinstance(values, list) or len(values) != n or any(type(v) is not int or abs(v) > _LARGE for v in values):
        raise DatasetError(f"{what!r} is {n} whole numbers, found {shorten(values)}")
    return values
