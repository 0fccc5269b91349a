"""Regions put into the bytes of a sidecar at the places where they belong; every other byte stays. Knows no answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from ..boxes import iou
from ..errors import DatasetError
from ._xml import MAX_BYTES, parse

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
MWG = "{http://www.metadataworkinggroup.com/schemas/regions/}"
AREA = "{http://ns.adobe.com/xmp/sType/Area#}"
DIM = "{http://ns.adobe.com/xap/1.0/sType/Dimensions#}"
OWN = "urn:patchseek:xmp/1.0/"
"""The namespace of what only patchseek writes, by which it knows its own regions again."""
INDENT = 6
"""Blanks before a region's element; a line's end stands behind it."""
_SHAPE = 0.01
# relative difference of the sides' ratio from which regions are of another picture, or of one that lies otherwise
_MOVED = 1e-4
# difference in shares from which somebody has moved a region: programs write its numbers anew, with fewer digits
_SAME = 0.5
# intersection over union from which two regions of one name are of one thing


@dataclass(frozen=True)
class Region:
    """A region to be written."""

    name: str
    area: tuple[float, float, float, float]
    # x y of the centre, w h, in shares of the stored picture
    text: str
    # its rdf:li


@dataclass
class _Span:
    """An element: where its bytes are, and what is in it."""

    tag: str
    start: int
    inner: int
    # where its start tag ends
    attributes: dict[str, str]
    parent: "_Span | None"
    end: int = 0
    close: int = 0
    # where its end tag begins; start where it has none, being empty
    text: str = ""
    children: list["_Span"] = field(default_factory=list)

    def all(self, tag: str) -> list["_Span"]:
        """It and what is in it, at any depth, of a tag."""
        found = [self] if self.tag == tag else []
        return found + [each for child in self.children for each in child.all(tag)]

    def value(self, tag: str) -> str | None:
        """The text of a property that is an attribute or an element, at any depth."""
        if tag in self.attributes:
            return self.attributes[tag]
        if self.tag == tag:
            return self.text
        return next((v for child in self.children if (v := child.value(tag)) is not None), None)


def merged(
    content: bytes, path: Path, regions: Sequence[Region], whole: tuple[str, str], size: tuple[int, int]
) -> bytes:
    """The content of a sidecar with regions in it.

    They take the place of our own of their names, unless somebody has moved these; where somebody else has marked the
    same thing by the same name, that stands, and none is added. whole: what stands around them where there are no
    regions yet, for the end of rdf:RDF. size: width and height of the stored picture. Raises DatasetError for what
    cannot be read, or holds regions of a picture of another shape.
    """
    root = _spans(content, path)
    graphs = root.all(f"{RDF}RDF")
    if not graphs:
        raise DatasetError(f"{path}: no XMP (there is no rdf:RDF in it), so it is left as it is")
    graph, lists = graphs[0], [bag for each in graphs[0].all(f"{MWG}RegionList") for bag in each.all(f"{RDF}Bag")]
    if not graph.all(f"{MWG}Regions") and "Regions" not in "".join(graph.attributes):
        added = "  " + whole[0] + "".join(region.text for region in regions) + whole[1]
        return _spliced(content, [_at_end(content, graph, added.encode())])
    if not lists:
        raise DatasetError(f"{path}: its regions are written in a way that is not known here, so it is left as it is")
    _require_shape(graph, path, size)
    names = {region.name for region in regions}
    named = [li for li in lists[0].children if li.tag == f"{RDF}li" and li.value(f"{MWG}Name") in names]
    ours = [li for li in named if _is_ours(li)]
    theirs = [li for li in named if not _is_ours(li)]
    text = "".join(region.text for region in regions if not any(_is_marked(li, region) for li in theirs))
    gone = [(*_with_its_line(content, li), b"") for li in ours]
    return _spliced(content, [*gone, *([_at_end(content, lists[0], text.encode())] if text else [])])


def _with_its_line(content: bytes, li: _Span) -> tuple[int, int]:
    """Where an element of ours begins and ends, with what is written before and behind it."""
    n_before = INDENT if not content[li.start - INDENT : li.start].strip(b" ") else 0
    return li.start - n_before, li.end + content[li.end : li.end + 1].count(b"\n")


def _is_ours(region: _Span) -> bool:
    """Whether patchseek has written a region, which says where, and it is still there."""
    written, now = region.value(f"{{{OWN}}}area"), _area(region)
    if written is None or now is None:
        return False
    try:
        return all(abs(a - float(b)) < _MOVED for a, b in zip(now, written.split(), strict=True))
    except ValueError:
        return False


def _area(region: _Span) -> tuple[float, ...] | None:
    """x y of the centre, w h; None where they are no numbers, as of a circle."""
    try:
        return tuple(float(region.value(AREA + key) or "") for key in "xywh")
    except ValueError:
        return None


def _is_marked(theirs: _Span, region: Region) -> bool:
    """Whether a region that somebody else has made shows the same thing."""
    area = _area(theirs)
    if area is None or theirs.value(f"{MWG}Name") != region.name:
        return False
    (x, y, w, h), (x1, y1, w1, h1) = area, region.area
    one, other = [x - w / 2, y - h / 2, x + w / 2, y + h / 2], [x1 - w1 / 2, y1 - h1 / 2, x1 + w1 / 2, y1 + h1 / 2]
    return bool(iou([one], [other])[0, 0] >= _SAME)


def _require_shape(graph: _Span, path: Path, size: tuple[int, int]) -> None:
    try:
        width, height = (float(graph.value(f"{DIM}{key}") or 0) for key in "wh")
    except ValueError:
        return
    if width > 0 and height > 0 and abs(width / height * size[1] / size[0] - 1) > _SHAPE:
        found = f"{width:g} x {height:g}"
        raise DatasetError(f"{path}: its regions are of {found} pixels, the stored picture has {size[0]} x {size[1]}")


def _at_end(content: bytes, span: _Span, added: bytes) -> tuple[int, int, bytes]:
    """The change that puts something at the end of an element's content."""
    if span.close > span.start:
        line = content.rfind(b"\n", 0, span.close) + 1
        at = line if line > span.inner and not content[line : span.close].strip() else span.close
        return at, at, added
    tag = content[span.start : span.end].rstrip(b"/>").rstrip()  # <rdf:Bag/>
    name = tag[1:].split(None, 1)[0]
    return span.start, span.end, tag + b">\n" + added + b"</" + name + b">"


def _spliced(content: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for start, end, new in sorted(changes, reverse=True):
        content = content[:start] + new + content[end:]
    return content


def _spans(content: bytes, path: Path) -> _Span:
    """The tree of a sidecar with the places of its bytes. Raises DatasetError."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: no UTF-8 text, so it is left as it is") from error
    parse(content[:MAX_BYTES], path)  # nothing dangerous in it
    top = _Span("", 0, 0, {}, None)
    now = top
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal now
        at = parser.CurrentByteIndex
        own = {"{" + key if "}" in key else key: value for key, value in attributes.items()}
        now.children.append(_Span("{" + tag if "}" in tag else tag, at, _end_of_tag(content, at), own, now))
        now = now.children[-1]

    def end(_: str) -> None:
        nonlocal now
        is_empty = content[now.inner - 2 : now.inner] == b"/>"
        now.close = now.start if is_empty else parser.CurrentByteIndex
        now.end = now.inner if is_empty else content.index(b">", now.close) + 1
        assert now.parent is not None
        now = now.parent

    def data(text: str) -> None:
        now.text += text

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    parser.Parse(content, True)
    return top


def _end_of_tag(content: bytes, at: int) -> int:
    """Where the start tag that begins at a place ends: > may stand in a value."""
    quote = b""
    while True:
        here = content[at : at + 1]
        if quote:
            quote = b"" if here == quote else quote
        elif here in (b'"', b"'"):
            quote = here
        elif here == b">":
            return at + 1
        at += 1
