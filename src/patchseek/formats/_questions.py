"""Annotated rows as queries: one for each box, or one for all boxes of a name. Opens no picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import PatchseekError
from ._boxes import Box
from ._labelled import Row


@dataclass(frozen=True)
class BoxQuery:
    """One query."""

    id: str
    label: str
    # what its file calls the object; "" where it says nothing
    places: tuple[tuple[str, Box | None], ...]
    # pictures, with boxes as they are written
    where: tuple[str, ...]
    # the places of the boxes in their files, for errors


def one_a_box(rows: Sequence[Row]) -> list[BoxQuery]:
    """A query for each label."""
    queries: list[BoxQuery] = []
    taken: dict[str, int] = {}
    for row in rows:
        for number, label in enumerate(row.labels, 1):
            key = row.id if label.box is None else f"{row.id}#{label.key or number}"
            taken[key] = taken.get(key, 0) + 1
            key = key if taken[key] == 1 else f"{key}~{taken[key]}"
            queries.append(BoxQuery(key, label.instance, ((row.image, label.box),), (row.where,)))
    return queries


def by_label(rows: Sequence[Row]) -> list[BoxQuery]:
    """A query for each name, all its boxes are views of it; labels without a name ask each alone."""
    named: dict[str, BoxQuery] = {}
    for query in one_a_box(rows):
        key = query.label or query.id
        first = named.setdefault(key, BoxQuery(key, query.label, (), ()))
        named[key] = replace(first, places=first.places + query.places, where=first.where + query.where)
    return list(named.values())


def problem_line(where: str, error: PatchseekError) -> str:
    """What is wrong with a box, with the place in its file, which is said once."""
    text = str(error)
    return text if text.startswith((where, str(Path(where).absolute()))) else f"{where}: {text}"
