"""XML read without what makes it dangerous: no document type, so no entities, nothing from elsewhere; bounded size."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Tree
from xml.parsers import expat

from ..errors import DatasetError

MAX_BYTES = 256 << 20
"""Of a file: its tree takes about ten times as much memory."""
MAX_DEPTH = 200


@dataclass(frozen=True)
class Document:
    """The tree of a file, and where in it things stand."""

    path: Path
    root: Tree.Element
    lines: dict[Tree.Element, int]

    def where(self, element: Tree.Element) -> str:
        """File and line of an element, for errors."""
        return f"{self.path}: line {self.lines[element]}"


def parse(content: bytes, path: Path) -> Document:
    """The tree of XML; names are {namespace}name. path: for errors. Raises DatasetError."""
    if len(content) > MAX_BYTES:
        raise DatasetError(f"{path}: {len(content)} bytes of XML, more than the limit of {MAX_BYTES}")
    builder, lines, depth = Tree.TreeBuilder(), {}, 0
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise DatasetError(f"{path}: line {parser.CurrentLineNumber}: elements lie more than {MAX_DEPTH} deep")
        element = builder.start(_named(tag), {_named(key): value for key, value in attributes.items()})
        lines[element] = parser.CurrentLineNumber

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_named(tag))

    def refuse(*_: object) -> None:
        raise DatasetError(
            f"{path}: line {parser.CurrentLineNumber}: a document type or entity, which is not read here"
        )

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
        return Document(path, builder.close(), lines)
    except expat.ExpatError as error:
        raise DatasetError(f"{path}: line {error.lineno}: not valid XML ({expat.ErrorString(error.code)})") from error
    except (LookupError, ValueError) as error:  # of the encoding that its first line names
        raise DatasetError(f"{path}: not valid XML ({error})") from error


def _named(name: str) -> str:
    return "{" + name if "}" in name else name


def as_text(root: Tree.Element) -> str:
    """A tree as a file's text, indented."""
    Tree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Tree.tostring(root, "unicode") + "\n"


def number_of(text: str | None, name: str, where: str) -> float:
    """A number written in a file. Raises DatasetError."""
    try:
        return float(text or "")
    except ValueError as error:
        raise DatasetError(f"{where}: {name} is a number, found {(text or '').strip()[:40]!r}") from error
