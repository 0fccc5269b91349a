"""The files that a model in ONNX or in OpenVINO's own format is made of. Reads their structure, and no weights.

An ONNX file is a message of protobuf (https://protobuf.dev/programming-guides/encoding); onnx.proto says what the
fields are. A tensor in it may lie in another file, its external data, at a path from the model's folder. Beside an
OpenVINO .xml its weights lie in a .bin of the same name.
"""

import hashlib
import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import EncoderError
from ._weights import hash_file

_PARTS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""The fields of each kind of message in which tensors may lie, and of what kind those are."""
_EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 13, 14, 1
_SINGLE = (b"TFL3", b"ORTM")  # at the fifth byte of formats of one file that engines read, too


def list_files(model: Path) -> list[Path]:
    """The files beside a model's first one that it is made of, by name; none for most.

    Raises EncoderError, naming it, for one that is missing, too short or not in the model's folder, and for what is no
    model.
    """
    with model.open("rb") as file:
        head = file.read(64)
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            return _weights_of(model)
        if head[4:8] in _SINGLE:
            return []
        try:
            ends = _external_data(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        except (ValueError, IndexError, UnicodeDecodeError) as error:  # an empty file cannot be mapped either
            raise EncoderError(f"{model}: cannot be read as an ONNX model, nor as one of OpenVINO's") from error
    return [_check(model, location, end) for location, end in sorted(ends.items())]


def hash_files(model: Path, others: list[Path]) -> str:
    """SHA-256 (hex) of a model's first file; where there are others, a plus and that of their names and hashes."""
    if not others:
        return hash_file(model)
    said = [f"{other.relative_to(model.parent).as_posix()} {hash_file(other)}\n" for other in others]
    return f"{hash_file(model)}+{hashlib.sha256(''.join(said).encode()).hexdigest()}"


def _weights_of(model: Path) -> list[Path]:
    """The .bin beside an .xml; none where it is not there and no constant is needed."""
    weights = model.with_suffix(".bin")
    if not weights.is_file():
        if b'type="Const"' in model.read_bytes():
            raise _missing(model, weights.name)
        return []
    return [weights]


def _check(model: Path, location: str, end: int) -> Path:
    """The file of a location. Raises EncoderError unless it is in the model's folder and has so many bytes."""
    file, said = model.parent / location, (PurePosixPath(location), PureWindowsPath(location))
    is_inside = all(path.parts and not path.anchor and ".." not in path.parts for path in said)
    if is_inside and not _is_file(file):
        raise _missing(model, location)
    folders = model.parent.resolve(), model.resolve().parent  # in the hub's cache, both are links to one folder
    if not is_inside or not any(file.resolve().is_relative_to(folder) for folder in folders):
        raise EncoderError(
            f"{model}: asks for weights in {location!r}, outside its folder, which is not looked into; "
            "save the model with its weights beside it"
        )
    if file.stat().st_size < end:
        raise EncoderError(f"{file}: {file.stat().st_size} bytes, {model.name} needs {end}; bring the whole file")
    return file


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def _missing(model: Path, name: str) -> EncoderError:
    said = name if name.isprintable() else ascii(name)
    return EncoderError(f"{model}: its weights lie in {said}, which is not beside it; bring that file, too")


def _external_data(model: memoryview) -> dict[str, int]:
    """The places outside it that an ONNX file takes tensors from, each with the byte up to which it does.

    Raises ValueError or IndexError for what is no such file.
    """
    ends: dict[str, int] = {}
    waiting = [("model", model)]
    has_graph = False
    while waiting:
        kind, message = waiting.pop()
        if kind == "tensor":
            entry = _location(message)
            if entry:
                ends[entry[0]] = max(ends.get(entry[0], 0), entry[1])
            continue
        for number, value in _fields(message):
            if number in _PARTS[kind]:
                if isinstance(value, int):
                    raise ValueError(f"field {number} of a {kind} is a number")
                waiting.append((_PARTS[kind][number], value))
                has_graph |= kind == "model" and number == 7
    if not has_graph:
        raise ValueError("there is no graph")
    return ends


def _location(tensor: memoryview) -> tuple[str, int] | None:
    """Where a tensor lies, and the byte after its last; None where it is in the file itself."""
    is_external, said = False, {}
    for number, value in _fields(tensor):
        if number == _DATA_LOCATION:
            is_external = value == _EXTERNAL
        elif number == _EXTERNAL_DATA and not isinstance(value, int):
            entry = {key: bytes(text) for key, text in _fields(value) if not isinstance(text, int)}
            said[entry.get(1, b"").decode()] = entry.get(2, b"").decode()
    if not is_external:
        return None
    return said.get("location", ""), int(said.get("offset", 0)) + int(said.get("length", 0))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message; of one of fixed length, nothing but its place is looked at."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        length, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}.get(kind, -1), at)
        if length < 0 or at + length > len(message):
            raise ValueError("not a message")
        if kind == 2:
            yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number at a place, and the place after it."""
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
        if shift > 63:
            raise ValueError("not a number")
