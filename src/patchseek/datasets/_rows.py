"""Annotated rows (`formats.Row`) as a Dataset: repeated pictures are merged, names make the truth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DatasetError
from ..formats import Box, Label, Row
from ._assemble import assemble
from ._dataset import Dataset, GalleryPicture, Query, Truth
from ._names import mistakable


@dataclass(frozen=True)
class Reading:
    """What all readers are told and find out along the way."""

    name: str
    root: Path
    # what errors name
    data_hash: str
    notes: Sequence[str] = ()
    allow_missing: bool = False
    rows_as_pictures: bool = False


def from_rows(queries: Sequence[Row], gallery: Sequence[Row], find: Callable[[str], Path], reading: Reading) -> Dataset:
    """The Dataset of a list of queries and a list of gallery rows; find turns a written picture name into a path.

    A gallery picture is a positive of every query whose instance is among its labels. Rows of one gallery picture are
    merged into the first of them; with rows_as_pictures each stays a gallery picture of its own.
    """
    for row in queries:
        if len({label.instance for label in row.labels}) != 1:
            raise DatasetError(f"{row.where}: a query asks for one object, found {len(row.labels)} labels")
    gallery, merged = (_apart(gallery), ()) if reading.rows_as_pictures else merge(gallery)
    asked = {row.labels[0].instance for row in queries}
    held = {name for row in gallery for name in (*(label.instance for label in row.labels), *row.ignore)}
    truths = _truths(gallery, asked)
    group_of: dict[str, dict[str, str]] = {}
    for row in queries:
        for kind, group in row.groups.items():
            group_of.setdefault(kind, {})[row.labels[0].instance] = group
    return assemble(
        reading.name,
        reading.root,
        [
            Query(
                row.id, find(row.image), row.labels[0].instance, tuple(label.box for label in row.labels if label.box)
            )
            for row in queries
        ],
        [GalleryPicture(row.id, find(row.image)) for row in gallery],
        {row.id: truths[row.labels[0].instance] for row in queries},
        data_hash=reading.data_hash,
        allow_missing=reading.allow_missing,
        group_of=group_of,
        merged=merged,
        notes=[*mistakable(asked & held, held), *reading.notes],
        held=held,
    )


def merge(rows: Sequence[Row]) -> tuple[list[Row], tuple[str, ...]]:
    """Rows with each picture once, under its first id, and the ids of the rows that became part of another one.

    A label that repeats with the same box is kept once. Raises DatasetError when one id names two pictures.
    """
    by_image: dict[str, Row] = {}
    image_of: dict[str, str] = {}
    merged: list[str] = []
    for row in rows:
        image = row.image.replace("\\", "/")
        if image_of.setdefault(row.id, image) != image:
            raise DatasetError(f"{row.where}: the id {row.id!r} already belongs to picture {image_of[row.id]!r}")
        first = by_image.get(image)
        if first is None:
            by_image[image] = replace(row, labels=_once(row.labels))
            continue
        merged.append(row.id)
        by_image[image] = replace(
            first,
            labels=_once((*first.labels, *row.labels)),
            ignore=tuple(dict.fromkeys((*first.ignore, *row.ignore))),
        )
    return list(by_image.values()), tuple(merged)


def _once(labels: Sequence[Label]) -> tuple[Label, ...]:
    """The labels, each pair of name and box once, and no unknown box beside known ones of the same name."""
    boxed = {label.instance for label in labels if label.box}
    first: dict[tuple[str, Box | None], Label] = {}
    for label in labels:
        if label.box or label.instance not in boxed:
            first.setdefault((label.instance, label.box), label)
    return tuple(first.values())


def _apart(rows: Sequence[Row]) -> list[Row]:
    """The rows with an id each: the second row of an id becomes "id#2"."""
    taken: set[str] = set()
    apart: list[Row] = []
    for row in rows:
        key, n = row.id, 1
        while key in taken:
            n += 1
            key = f"{row.id}#{n}"
        taken.add(key)
        apart.append(replace(row, id=key, labels=_once(row.labels)))
    return apart


def _truths(gallery: Sequence[Row], asked: set[str]) -> dict[str, Truth]:
    """Instance -> what is right for its queries, for the instances that are asked for."""
    positives: dict[str, dict[str, tuple[Box, ...] | None]] = {name: {} for name in asked}
    facts: dict[str, dict[str, Mapping[str, float]]] = {name: {} for name in asked}
    ignored: dict[str, set[str]] = {name: set() for name in asked}
    for row in gallery:
        for name in asked.intersection(row.ignore):
            ignored[name].add(row.id)
        for name in asked.intersection(label.instance for label in row.labels):
            labels = [label for label in row.labels if label.instance == name]
            positives[name][row.id] = tuple(label.box for label in labels if label.box) or None
            facts[name][row.id] = max(labels, key=_area).facts  # those of the largest copy
    return {
        name: Truth(
            {key: boxes for key, boxes in positives[name].items() if key not in ignored[name]},
            frozenset(ignored[name]),
            facts[name],
        )
        for name in asked
    }


def _area(label: Label) -> float:
    return label.box[2] * label.box[3] if label.box else 0.0
