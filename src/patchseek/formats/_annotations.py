"""Annotation files as text, lines and JSON: errors name file and line, and all that was read is hashed."""

import hashlib
import json
import reprlib
from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from ..errors import DatasetError
from ._boxes import Box

_BRIEF = reprlib.Repr()  # of a value whose whole text may be longer than memory: a list of one list a thousand times
_BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxdict = 12
_BRIEF.maxlevel = 3
_BRIEF.maxstring = _BRIEF.maxlong = _BRIEF.maxother = 200


class EmptyBox(DatasetError):
    """A box of four proper numbers that holds nothing: official files contain a few."""


class Annotations:
    """Reads the annotation files of one benchmark."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._hash = hashlib.sha256()

    @property
    def data_hash(self) -> str:
        """SHA-256 over all files read so far, in order: name relative to the root, length, bytes."""
        return self._hash.hexdigest()

    def data(self, path: Path) -> bytes:
        """The bytes of a file."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({(error.strerror or str(error)).lower()})") from error
        name = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name
        self._hash.update(f"{name}\0{len(data)}\0".encode(errors="surrogateescape") + data)
        return data

    def text(self, path: Path) -> str:
        """A file of UTF-8 text, with or without a byte order mark."""
        try:
            return self.data(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path}: byte {error.start + 1} is not UTF-8 text") from error

    def lines(self, path: Path) -> Iterator[tuple[str, str]]:
        """(where, stripped line) for each line that is not blank; where is "file: line N", for errors."""
        for number, line in enumerate(self.text(path).splitlines(), 1):
            if line.strip():
                yield f"{path}: line {number}", line.strip()

    def json(self, path: Path) -> Any:
        """The content of a JSON file. NaN, Infinity and keys that repeat are refused."""
        return parse_json(self.text(path), path)

    def boxes(self, path: Path) -> tuple[list[Box], list[str]]:
        """The boxes of a text file, a line `x y w h` each, and a note for every box that was empty and left out."""
        boxes: list[Box] = []
        notes: list[str] = []
        for where, line in self.lines(path):
            try:
                boxes.append(parse_box([parse_number(word, where) for word in line.replace(",", " ").split()], where))
            except EmptyBox as error:
                notes.append(str(error))
        return boxes, notes


def parse_json(text: str, path: Path) -> Any:
    """JSON text; path is for errors."""
    try:
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path}: line {error.lineno}: not valid JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not valid JSON ({error})") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {shorten(twice)} repeats in one object")
    return values


def parse_number(word: str, where: str) -> float:
    """A number written in a text file."""
    try:
        return float(word)
    except ValueError as error:
        raise DatasetError(f"{where}: {shorten(word)} is not a number") from error


def parse_box(numbers: Sequence[object], where: str) -> Box:
    """A box of four numbers x y w h in pixels; what lies left of or above the picture is cut off.

    The right and lower edges are checked by whoever knows the picture's size. Raises DatasetError, EmptyBox for a box
    without pixels.
    """
    x, y, w, h = parse_four(numbers, where)
    inside = max(x, 0.0), max(y, 0.0), w + min(x, 0.0), h + min(y, 0.0)
    if inside[2] <= 0 or inside[3] <= 0:
        raise _empty((x, y, w, h), where)
    return inside


def parse_four(numbers: Sequence[object], where: str) -> Box:
    """The four numbers x y w h as they are written, in pixels or shares; see `_boxes.fit`.

    Raises DatasetError, EmptyBox where width or height is nothing.
    """
    values = [float(v) for v in numbers if isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e15]
    if len(values) != 4 or len(numbers) != 4 or not all(map(isfinite, values)):
        raise DatasetError(f"{where}: a box is four numbers x, y, width, height, found {shorten(numbers)}")
    x, y, w, h = values
    if w <= 0 or h <= 0:
        raise _empty((x, y, w, h), where)
    return x, y, w, h


def _empty(box: Box, where: str) -> EmptyBox:
    return EmptyBox(f"{where}: box {' '.join(f'{v:g}' for v in box)} holds no pixel")


def shorten(value: object) -> str:
    """A value as found in a file, on one line and short enough for an error."""
    text = _BRIEF.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
