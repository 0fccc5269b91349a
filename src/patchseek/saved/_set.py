"""Many queries saved in one go: those of a set of annotations. What cannot be saved is a line, the rest goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._progress import OnProgress, unheard
from ..errors import BoxError, ImageError, QueryError
from ..formats import BoxQuery, problem_line
from ..store import SavedQuery
from ._keep import keep

if TYPE_CHECKING:
    from . import Saved


@dataclass(frozen=True)
class Imported:
    """What became of many queries."""

    saved: tuple[SavedQuery, ...]
    problems: tuple[str, ...]
    # a line for each that could not be saved, or each picture of one, with file and place


def save_set(
    saved: "Saved",
    queries: Sequence[BoxQuery],
    *,
    note: str = "",
    replace: bool = False,
    on_progress: OnProgress = unheard,
) -> Imported:
    """Save queries as `formats.one_a_box` or `by_label` makes them of annotations, under what they call the object.

    A query of several pictures is saved with those that can be read. note, replace: see Saved.add. Raises StoreLocked,
    StoreError.
    """
    done: list[SavedQuery] = []
    problems: list[str] = []
    for number, (query, name) in enumerate(zip(queries, names_of(queries), strict=True), 1):
        kept = []
        for (picture, box), where in zip(query.places, query.where, strict=True):
            try:
                kept.append(keep(saved.collection, picture, box))
            except (ImageError, BoxError, QueryError) as error:
                problems.append(problem_line(where, error))
        if kept:
            try:
                done.append(saved.put(name, kept, note=note, replace=replace))
            except QueryError as error:
                problems.append(problem_line(query.where[0], error))
        on_progress(number, len(queries), "saving queries")
    return Imported(tuple(done), tuple(problems))


def names_of(queries: Sequence[BoxQuery]) -> list[str]:
    """A name for each, what its file calls it, else its id; of several with one name, the later ones have numbers."""
    wanted = [query.label or query.id for query in queries]
    taken = set(wanted)
    count: dict[str, int] = {}
    names = []
    for name in wanted:
        own = name
        if name in count:
            while (own := f"{name} {count[name]}") in taken:
                count[name] += 1
        count[name] = count.get(name, 1) + 1
        taken.add(own)
        names.append(own)
    return names
