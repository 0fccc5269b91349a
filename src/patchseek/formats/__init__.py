"""Results as files that others read, and annotated boxes that others wrote: a private file a format.

    write("coco", answer, Path("found.json"))

An answer is what the edges of patchseek have: JSON objects of `records`. Nothing here searches; only `crops` and `xmp`
look at pictures.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

from .._parquet import require_parquet
from .._platform import temporary_folder
from ._annotations import Annotations, parse_box, parse_json, parse_number, shorten
from ._answer import MAKER, OBJECT, Answer, Place, as_judged, places
from ._boxes import Box, clamp, clip, corners, enclose, fit
from ._coco import coco_text, read_coco, results_text
from ._columns import csv_text, jsonl_text, write_parquet
from ._crops import write_crops
from ._csv import COLUMNS as CSV_COLUMNS
from ._csv import csv_box, csv_lines
from ._cvat import cvat_text
from ._fiftyone import write_fiftyone
from ._files import whole as whole
from ._files import write_text
from ._json import json_text
from ._label_studio import label_studio_text
from ._labelled import Label, Row, object_name
from ._questions import BoxQuery, by_label, one_a_box, problem_line
from ._read import Annotated, read_annotated
from ._schema import read_rows
from ._voc import write_voc
from ._w3c import annotations_text
from ._xmp import write_xmp
from ._yolo import write_yolo

__all__ = [
    "CSV_COLUMNS",
    "FORMATS",
    "MAKER",
    "OBJECT",
    "Annotated",
    "Annotations",
    "Answer",
    "Box",
    "BoxQuery",
    "Format",
    "Label",
    "Place",
    "Row",
    "as_bytes",
    "as_judged",
    "by_label",
    "clamp",
    "clip",
    "corners",
    "csv_box",
    "csv_lines",
    "csv_text",
    "enclose",
    "fit",
    "object_name",
    "one_a_box",
    "parse_box",
    "parse_json",
    "parse_number",
    "places",
    "problem_line",
    "read_annotated",
    "read_coco",
    "read_rows",
    "require_format",
    "shorten",
    "write",
]


@dataclass(frozen=True)
class Format:
    """How one format is written."""

    suffixes: tuple[str, ...]
    # that its file may have; () for a folder
    text: Callable[[Answer], str] | None = None
    # the content of its file, where that is text and loses nothing
    write: Callable[[Answer, Path], list[str]] | None = None
    # else writes file or folder, and returns a line for each picture that is left out
    needs_pictures: bool = False
    media_type: str = "application/json"

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of files."""
        return not self.suffixes


_JSON = (".json",)
FORMATS: dict[str, Format] = {
    "json": Format(_JSON, json_text),
    "jsonl": Format((".jsonl", ".ndjson"), jsonl_text, media_type="application/x-ndjson"),
    "csv": Format((".csv",), csv_text, media_type="text/csv"),
    "parquet": Format((".parquet", ".pq"), write=write_parquet, media_type="application/vnd.apache.parquet"),
    "coco": Format(_JSON, coco_text),
    "coco-results": Format(_JSON, results_text),
    "yolo": Format((), write=write_yolo),
    "voc": Format((), write=write_voc),
    "label-studio": Format(_JSON, label_studio_text),
    "cvat": Format((".xml",), cvat_text, media_type="application/xml"),
    "fiftyone": Format(_JSON, write=write_fiftyone),
    "annotations": Format((".json", ".jsonld"), annotations_text, media_type="application/ld+json"),
    "xmp": Format((), write=write_xmp, needs_pictures=True),
    "crops": Format((), write=write_crops, needs_pictures=True),
}
"""By the name that the command line, the page and the HTTP API have for it."""


def require_format(name: str) -> Format:
    """A format, if it can be written here. Raises MissingExtra."""
    if name == "parquet":
        require_parquet()
    return FORMATS[name]


def write(name: str, answer: Answer, target: Path | None) -> list[str]:
    """Write an answer into a file or folder; returns a line for each picture that is left out.

    target: None is for xmp alone, and means beside the pictures. Raises PatchseekError where it cannot be written.
    """
    chosen, answer = require_format(name), replace(answer, is_file=True)
    if name == "xmp":
        return write_xmp(answer, target)
    assert target is not None
    if chosen.text:
        write_text(target, chosen.text(answer))
        return []
    assert chosen.write is not None
    return chosen.write(answer, target)


def as_bytes(name: str, answer: Answer) -> tuple[bytes, str, str, list[str]]:
    """The content of the file, or of a zip of the folder; its suffix, its media type, and lines as of `write`."""
    chosen = require_format(name)
    with temporary_folder() as made:
        target = Path(made) / ("found" if chosen.is_folder else f"found{chosen.suffixes[0]}")
        problems = write(name, answer, target)
        if not chosen.is_folder:
            return target.read_bytes(), chosen.suffixes[0], chosen.media_type, problems
        content = BytesIO()
        with ZipFile(content, "w") as archive:
            for file in sorted(path for path in target.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(target).as_posix())
        return content.getvalue(), ".zip", "application/zip", problems
