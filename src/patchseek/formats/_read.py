"""Annotated boxes of a file or folder in whatever format they are, as rows; what is wrong with some is a line each."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..errors import DatasetError
from ..images import EXTENSIONS
from ._annotations import Annotations, shorten
from ._coco import read_coco
from ._csv import read_csv
from ._cvat import read_cvat
from ._json import read_results
from ._label_studio import read_label_studio
from ._labelled import Label, Row, noted
from ._schema import read_schema
from ._voc import read_voc
from ._w3c import read_w3c
from ._xml import parse
from ._xmp_read import read_xmp
from ._yolo import read_yolo


@dataclass(frozen=True)
class Annotated:
    """What was read."""

    rows: list[Row]
    # each of a picture, its labels the boxes that ask; Row.image is a path where that is there
    problems: list[str]
    # a line for each entry that was left out, with file and place


def read_annotated(source: Path, pictures: Path | None = None) -> Annotated:
    """Read a file or folder of annotations, or a folder of pictures.

    pictures: where the pictures are, unless they lie beside the annotations or below `images` there. Raises
    DatasetError where nothing can be read at all.
    """
    folder = source if source.is_dir() else source.parent
    bases = [*([pictures] if pictures else []), folder, folder / "images", folder.parent]
    reading = _Reading(Annotations(folder), bases)
    rows = list(reading.folder(source) if source.is_dir() else reading.file(source))
    named = [reading.located(row) for row in rows]
    found = [row for row in named if row is not None and row.labels]
    if not found and not reading.problems:
        raise DatasetError(f"{source}: no box and no picture in it that could be asked for")
    return Annotated(found, reading.problems)


class _Reading:
    """The files of one source."""

    def __init__(self, annotations: Annotations, bases: list[Path]) -> None:
        self.annotations, self.bases = annotations, bases
        self.problems: list[str] = []

    def folder(self, folder: Path) -> Iterator[Row]:
        """A folder's own format: query.json, YOLO, XML files, sidecars alone, or pictures."""
        if (folder / "query.json").is_file():
            yield from self.file(folder / "query.json")
            return
        files = sorted(Path(place) / name for place, _, names in os.walk(folder) for name in names)
        names = {file.name for file in files}
        by_suffix = {
            suffix: [file for file in files if file.suffix.lower() == suffix] for suffix in (".xml", ".xmp", ".txt")
        }
        has_pictures = any(file.suffix.lower() in EXTENSIONS for file in files)
        if names & {"data.yaml", "data.yml", "classes.txt"} or (by_suffix[".txt"] and (folder / "labels").is_dir()):
            yield from read_yolo(self.annotations, folder, self.problems)
        elif by_suffix[".xml"] or (by_suffix[".xmp"] and not has_pictures):
            for file in by_suffix[".xml"] or by_suffix[".xmp"]:
                with noted(self.problems):
                    yield from self.file(file)
        else:
            for file in files:
                name = file.relative_to(folder)
                if file.suffix.lower() in EXTENSIONS and not any(part.startswith(".") for part in name.parts):
                    yield Row(str(file), name.as_posix(), str(file.absolute()), (Label(""),))

    def file(self, path: Path) -> Iterator[Row]:
        """A file by its suffix and by what it holds."""
        suffix = path.suffix.lower()
        if suffix == ".csv":
            yield from read_csv(self.annotations, path, self.problems)
        elif suffix in (".json", ".jsonld"):
            yield from self._json(self.annotations.json(path), path)
        elif suffix in (".xml", ".xmp"):
            document = parse(self.annotations.data(path), path)
            if suffix == ".xmp":
                yield from read_xmp(document, self._beside, self.problems)
            elif document.root.tag == "annotation":
                yield from read_voc(document, self.problems)
            elif document.root.tag == "annotations":
                yield from read_cvat(document, self.problems)
            else:
                raise DatasetError(f"{path}: neither VOC nor CVAT: its root is {shorten(document.root.tag)}")
        elif suffix in EXTENSIONS:
            yield Row(str(path), path.name, str(path.absolute()), (Label(""),))
        else:
            raise DatasetError(f"{path}: no format that is read here: .json, .csv, .xml, .xmp, a picture or a folder")

    def _json(self, content: Any, path: Path) -> Iterator[Row]:
        first = content[0] if isinstance(content, list) and content else None
        if isinstance(content, dict) and "images" in content and "annotations" in content:
            yield from read_coco(content, path, self.problems)
        elif isinstance(first, dict) and isinstance(first.get("data"), dict):
            assert isinstance(content, list)
            yield from read_label_studio(content, path, self.problems)
        elif _is_w3c(content) or _is_w3c(first):
            yield from read_w3c(content, path, self.problems)
        elif isinstance(content, dict) and "collection" in content and isinstance(content.get("results"), list):
            yield from read_results(content["results"], path, self.problems)
        elif isinstance(content, dict) and {"classes", "labels"} <= content.keys():
            raise DatasetError(f"{path}: FiftyOne's own format, which is not read here; have it write COCO")
        elif isinstance(first, dict) and {"image_id", "category_id"} <= first.keys() and "file_name" not in first:
            raise DatasetError(f"{path}: bare detections of COCO, which name no pictures; give the whole COCO file")
        else:
            yield from read_schema(content, path, self.problems)

    def _beside(self, sidecar: Path, name: str) -> Path:
        """The picture of a sidecar: beside it, else in the other folders, as deep; else where it should be."""
        inside = sidecar.parent.relative_to(self.annotations.root) / name
        return find(name, [sidecar.parent]) or find(inside.as_posix(), self.bases) or sidecar.parent / name

    def located(self, row: Row) -> Row | None:
        """The row with its picture's path; None, and a line, where that is not there."""
        if not row.labels:
            return row
        beside = Path(row.where).parent if Path(row.where).is_file() else None
        path = find(row.image, [*([beside] if beside else []), *self.bases])
        if path is None:
            self.problems.append(f"{row.where}: there is no picture {shorten(row.image)} in {self.bases[0]}")
            return None
        return Row(row.where, row.id, str(path), row.labels, row.ignore, row.groups)


def _is_w3c(content: Any) -> bool:
    return isinstance(content, dict) and content.get("type") in ("Annotation", "AnnotationPage", "AnnotationCollection")


def find(name: str, bases: list[Path]) -> Path | None:
    """The picture of a name in one of the folders: as it is written, else by its last part; else None.

    A name may be percent-encoded, and that of YOLO has no suffix.
    """
    plain = name.replace("\\", "/")
    whole = dict.fromkeys((plain, unquote(plain), plain.removeprefix("images/"), plain.lstrip("/")))
    for part in (*whole, plain.rpartition("/")[2], unquote(plain).rpartition("/")[2]):
        has_suffix = Path(part).suffix.lower() in EXTENSIONS
        for ending in ("",) if has_suffix else ("", *_ENDINGS):
            for base in bases:
                if part and os.path.isfile(path := base / (part + ending)):  # noqa: PTH113  quiet about impossible names
                    return path.absolute()
    return None


_ENDINGS = tuple(ending for suffix in sorted(EXTENSIONS) for ending in (suffix, suffix.upper()))
