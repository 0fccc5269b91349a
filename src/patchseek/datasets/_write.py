"""Any benchmark as query.json and gallery.json of our schema (`_schema`), so that it reads back the same."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._platform import replace
from ..errors import DatasetError
from ..formats import Box
from ..images import size_of
from ._dataset import Dataset, Truth


def write_schema(dataset: Dataset, folder: Path | str, *, overwrite: bool = False) -> None:
    """Write query.json and gallery.json for a dataset into a folder; its pictures stay where they are.

    Pictures are named relative to the folder. Objects that no query asks for are not written. Where the queries of one
    object have different truths, the query's id is written as the object. Raises DatasetError when there are such
    files already (unless overwrite) or nothing can be written.
    """
    folder = Path(folder)
    truth_of = _truth_by_name(dataset)
    name_of = {query.id: query.instance if query.instance in truth_of else query.id for query in dataset.queries}
    queries = []
    for query in dataset.queries:
        bbox: Any = [_plain(box, query.image) for box in query.boxes] or None
        row: dict[str, Any] = {"id": query.id, "image": _relative(query.image, folder), "instance": name_of[query.id]}
        row["bbox"] = bbox[0] if bbox and len(bbox) == 1 else bbox
        if groups := {kind: of[query.instance] for kind, of in dataset.group_of.items()}:
            row["meta"] = groups
        queries.append(row)
    gallery: dict[str, dict[str, Any]] = {
        picture.id: {"id": picture.id, "image": _relative(picture.image, folder), "instance": None, "bbox": None}
        for picture in dataset.gallery
    }
    image_of = {picture.id: picture.image for picture in dataset.gallery}
    for name, truth in truth_of.items():
        for key, boxes in truth.positives.items():
            row = gallery[key]
            labels: list[Any] = [None] if boxes is None else [_plain(box, image_of[key]) for box in boxes]
            facts = [dict(truth.facts.get(key, {}))] * len(labels)
            row["instance"] = (row["instance"] or []) + [name] * len(labels)
            row["bbox"] = (row["bbox"] or []) + labels
            row["meta"] = row.get("meta", []) + facts
        for key in truth.ignored:
            gallery[key].setdefault("ignore", []).append(name)
    for row in gallery.values():
        if row["bbox"] and not any(row["bbox"]):
            row["bbox"] = None
        if not any(row.get("meta", ())):
            row.pop("meta", None)
    _write(folder, {"query.json": queries, "gallery.json": list(gallery.values())}, overwrite)


def _truth_by_name(dataset: Dataset) -> dict[str, Truth]:
    """Name to write -> truth: the object's name where its queries agree, else the id of each of its queries."""
    first: dict[str, Truth] = {}
    divided: set[str] = set()
    for query in dataset.queries:
        truth = dataset.truth[query.id]
        known = first.setdefault(query.instance, truth)
        if known is not truth and (known.positives, known.ignored) != (truth.positives, truth.ignored):
            divided.add(query.instance)
    named = {name: truth for name, truth in first.items() if name not in divided}
    for query in dataset.queries:
        if query.instance in divided:
            if query.id in first:
                raise DatasetError(f"{dataset.name}: {query.id!r} is both a query and an object; rename one of them")
            named[query.id] = dataset.truth[query.id]
    return named


def _plain(box: Box, image: Path) -> list[int | float]:
    """A box as it reads back: pixels, but shares for one so small that its pixels would be taken for shares."""
    if max(box) <= 1:
        width, height = size_of(image)
        return [box[0] / width, box[1] / height, box[2] / width, box[3] / height]
    return [int(v) if v == int(v) else v for v in box]


def _relative(image: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(image, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return image.as_posix()


def _write(folder: Path, files: Mapping[str, list[dict[str, Any]]], overwrite: bool) -> None:
    """Each file through a temporary one, so that none is ever half written."""
    for name in files:
        if (folder / name).exists() and not overwrite:
            raise DatasetError(f"{folder / name}: exists already; choose another folder or overwrite it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in files.items():
            lines = ",\n".join(json.dumps(row) for row in rows)
            (folder / f"{name}.tmp").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
            replace(folder / f"{name}.tmp", folder / name)
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be written ({error})") from error
