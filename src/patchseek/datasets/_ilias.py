"""ILIAS in the layout of its authors: 1,000 objects, 1,232 queries, 4,715 positives; and our schema made from it.

    ilias_core/OBJECT/query/Qxxx_yy.jpg     a query; beside it Qxxx_yy_bbox.txt, and Txxx.txt, the object in words
    ilias_core/OBJECT/pos/Pxxx_zz.jpg       a positive; beside it Pxxx_zz_bbox.txt
    image_ids/image_query_ids.txt           a line `OBJECT/query/Qxxx_yy.jpg`, further columns are not used
    image_ids/text_query_ids.txt            a line `OBJECT/query/Txxx.txt`
    image_ids/positive_ids.txt              a line `OBJECT/pos/Pxxx_zz.jpg,scale,clutter`
    taxonomy.json or misc/taxonomy.json     category -> subcategory -> kind -> [OBJECT, ...]; optional

Boxes: a line `x y w h`, in pixels of the picture after its EXIF orientation was applied (which `images.read` does);
several lines where several copies are visible. What reaches outside the picture is cut off, and noted; a picture
without such a file has a box that is not known, and how many there are is noted. Right for a
query are all positives of its object; ids are paths under ilias_core. Without image_ids the folders are listed instead,
and scale and clutter are not known.
Source: the code and download notes of the benchmark (Kordopatis-Zilos et al., CVPR 2025), read for its formats.
Distractors are in `iter_shard`, similarity files in `write_similarities`.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import DatasetError
from ..formats import Annotations, Box, Label, Row, parse_number, shorten
from ._assemble import locate
from ._dataset import Dataset
from ._fitted import clipped
from ._rows import Reading, from_rows
from ._write import write_schema

QUERY_ID = re.compile(r"[^/\\]+/query/[^/\\]+\.jpe?g", re.IGNORECASE)
POSITIVE_ID = re.compile(r"[^/\\]+/pos/[^/\\]+\.jpe?g", re.IGNORECASE)
TEXT_ID = re.compile(r"[^/\\]+/query/T[^/\\]*\.txt", re.IGNORECASE)


@dataclass(frozen=True)
class TextQuery:
    """An object of ILIAS in words."""

    id: str
    instance: str
    text: str


def read_ilias(root: Path, *, allow_missing: bool = False) -> Dataset:
    """The queries and positives of ILIAS ("core"); root holds ilias_core and image_ids. Facts: scale, clutter."""
    core, ids = _folders(root)
    annotations = Annotations(root)
    queries: list[Row] = []
    gallery: list[Row] = []
    notes: list[str] = []
    without: dict[str, list[Path]] = {"queries": [], "positives": []}
    groups = _taxonomy(annotations, root)
    for where, key, _ in _listed(annotations, ids / "image_query_ids.txt", core, QUERY_ID):
        labels = tuple(Label(_object(key), box) for box in _boxes(annotations, core / key, notes, without["queries"]))
        queries.append(Row(where, key, key, labels, groups=groups.get(_object(key), {})))
    for where, key, columns in _listed(annotations, ids / "positive_ids.txt", core, POSITIVE_ID):
        facts: dict[str, float] = {}
        if ids.is_dir():
            if len(columns) != 2:
                raise DatasetError(f"{where}: three columns id,scale,clutter are expected, found {len(columns) + 1}")
            facts = dict(zip(("scale", "clutter"), (parse_number(c, where) for c in columns), strict=True))
        boxes = _boxes(annotations, core / key, notes, without["positives"])
        gallery.append(Row(where, key, key, tuple(Label(_object(key), box, facts) for box in boxes)))
    find = cache(lambda key: locate(key, (core,)))
    queries, gallery = clipped(queries, find, notes), clipped(gallery, find, notes)
    counts = {"queries": len(queries), "positives": len(gallery)}
    absent = [_absent(files, counts[kind], kind) for kind, files in without.items() if files]
    reading = Reading("ilias-core", root, annotations.data_hash, [*absent, *notes], allow_missing)
    return from_rows(queries, gallery, find, reading)


def prepare_ilias(
    root: Path | str, folder: Path | str, *, allow_missing: bool = False, overwrite: bool = False
) -> Dataset:
    """Write query.json and gallery.json of our schema for ILIAS, with scale, clutter and categories under meta.

    Returns what was written; its `missing` names the pictures that were left out, which is an error unless
    allow_missing. The pictures stay where they are.
    """
    dataset = read_ilias(Path(root), allow_missing=allow_missing)
    write_schema(dataset, folder, overwrite=overwrite)
    return dataset


def text_queries(root: Path | str) -> list[TextQuery]:
    """The objects in words: the same positives are right for them as for the picture queries of the object."""
    core, ids = _folders(Path(root))
    annotations = Annotations(Path(root))
    listed = _listed(annotations, ids / "text_query_ids.txt", core, TEXT_ID)
    return [TextQuery(key, _object(key), annotations.text(core / key).strip()) for _, key, _ in listed]


def _folders(root: Path) -> tuple[Path, Path]:
    """The folders ilias_core and image_ids; the latter need not exist."""
    if (root / "ilias_core").is_dir():
        return root / "ilias_core", root / "image_ids"
    raise DatasetError(f"{root}: no folder ilias_core here; it is what ilias_core.tar of the benchmark unpacks to")


def _object(key: str) -> str:
    return key.split("/")[0]


def _listed(
    annotations: Annotations, path: Path, core: Path, pattern: re.Pattern[str]
) -> list[tuple[str, str, Sequence[str]]]:
    """(where, id, further columns) for each line of an id file, sorted by id; without image_ids, for each file."""
    if not path.parent.is_dir():
        files = sorted(file.relative_to(core).as_posix() for file in core.glob("*/*/*") if file.is_file())
        return [(f"{core / key}", key, ()) for key in files if pattern.fullmatch(key)]
    listed = []
    for where, line in annotations.lines(path):
        key, *columns = (column.strip() for column in line.split(","))
        if not pattern.fullmatch(key) or ".." in key.split("/"):
            raise DatasetError(f"{where}: an id like {_example(pattern)} is expected, found {shorten(key)}")
        listed.append((where, key, columns))
    return sorted(listed, key=lambda entry: entry[1])


def _example(pattern: re.Pattern[str]) -> str:
    examples = ("bold_bimp_000/query/Q000_00.jpg", "bold_bimp_000/pos/P000_00.jpg", "bold_bimp_000/query/T000.txt")
    return next(example for example in examples if pattern.fullmatch(example))


def _boxes(annotations: Annotations, image: Path, notes: list[str], without: list[Path]) -> list[Box | None]:
    """The boxes of a picture, or one that is not known. Those without pixels are left out and become notes.

    A picture that has no file of boxes is noted in without, by the name that the file would have.
    """
    file = image.with_name(f"{image.stem}_bbox.txt")
    if not image.is_file():
        return [None]
    if not os.path.lexists(file):
        without.append(file)
        return [None]
    boxes, empty = annotations.boxes(file)
    notes += empty
    return [*boxes] or [None]


def _absent(files: Sequence[Path], n: int, kind: str) -> str:
    """A note on the files of boxes that n queries or positives should have."""
    then = "the whole picture is the query" if kind == "queries" else "their true boxes are not known"
    return f"{len(files)} of {n} {kind} have no file of boxes, first {files[0]}: {then}"


def _taxonomy(annotations: Annotations, root: Path) -> dict[str, dict[str, str]]:
    """Object -> {"category": "product", "subcategory": "product-food"}; empty where there is no taxonomy.json."""
    path = next((p for p in (root / "taxonomy.json", root / "misc" / "taxonomy.json") if p.is_file()), None)
    if path is None:
        return {}
    groups: dict[str, dict[str, str]] = {}
    try:
        for category, subcategories in annotations.json(path).items():
            for subcategory, kinds in subcategories.items():
                for name in (name for names in kinds.values() for name in names):
                    groups[name] = {"category": category, "subcategory": f"{category}-{subcategory}"}
    except (AttributeError, TypeError) as error:
        raise DatasetError(f"{path}: expected category -> subcategory -> kind -> list of objects") from error
    return groups
