"""From what a reader found to a Dataset: ids, absent pictures, queries' own pictures, queries that nothing answers."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from ..errors import DatasetError
from ._dataset import Dataset, GalleryPicture, Query, Truth
from ._names import MAX_NAMES, without_answer


def locate(name: str, bases: Iterable[Path]) -> Path:
    """The absolute path of a picture named relative to one of the bases: the first where it exists, else the first.

    Links to folders are followed, so that one file has one path; a link to a picture keeps its name.
    """
    paths = [base / name.replace("\\", "/") for base in bases]
    found = next((path for path in paths if is_file(path)), paths[0])
    return found.parent.resolve() / found.name


def is_file(path: Path) -> bool:
    """Whether a picture is there."""
    return os.path.isfile(path)  # noqa: PTH113  # quiet about names that no file can have


def assemble(
    name: str,
    root: Path,
    queries: Sequence[Query],
    gallery: Sequence[GalleryPicture],
    truth: Mapping[str, Truth],
    *,
    data_hash: str,
    allow_missing: bool = False,
    group_of: Mapping[str, Mapping[str, str]] | None = None,
    merged: Sequence[str] = (),
    notes: Sequence[str] = (),
    held: Collection[str] = (),
) -> Dataset:
    """Check what was read and make it a Dataset; root is what errors name, held all objects that the gallery names.

    A query's own picture, where it is in the gallery too, is ignored for that query. Positives that are ignored as well
    count as ignored. Pictures without a file are an error, or with allow_missing left out everywhere and listed.
    Queries that no picture answers are the first of its notes; where none is answered, that is an error.
    """
    _check_ids(root, "query", [query.id for query in queries])
    _check_ids(root, "gallery picture", [picture.id for picture in gallery])
    images = [*(query.image for query in queries), *(picture.image for picture in gallery)]
    missing = find_missing(root, images, allow_missing=allow_missing)
    present = [entry for entry in gallery if entry.image not in missing]
    asked = [query for query in queries if query.image not in missing]
    if not present or not asked:
        raise DatasetError(f"{root}: none of its {'gallery' if asked else 'query'} pictures exists")
    own: dict[Path, set[str]] = {}
    for entry in present:
        own.setdefault(entry.image, set()).add(entry.id)
    gone = {entry.id for entry in gallery} - {entry.id for entry in present}
    found = {query.id: _without(truth[query.id], gone, own.get(query.image, ())) for query in asked}
    without = [(query.id, query.instance) for query in asked if not found[query.id].positives]
    if len(without) == len(asked):
        raise DatasetError(f"{root}: no query has a picture that holds its object: {without_answer(without, held)}")
    if without:
        count = f"{len(without)} of {len(asked)} queries"
        notes = [
            f"no picture holds the object of {count}, which count in no figure: {without_answer(without, held)}",
            *notes,
        ]
    return Dataset(
        name,
        tuple(asked),
        tuple(present),
        found,
        data_hash,
        {kind: of for kind, of in (group_of or {}).items() if all(query.instance in of for query in asked)},
        tuple(merged),
        tuple(missing.values()),
        tuple(notes),
    )


def find_missing(root: Path, images: Iterable[Path], *, allow_missing: bool) -> dict[Path, str]:
    """The pictures without a file, in order, and their names for people; unless they are allowed, an error."""
    images = dict.fromkeys(images)
    folder = (root if root.is_dir() else root.parent).resolve()
    missing = {path: os.path.relpath(path, folder) for path in images if not is_file(path)}
    if missing and not allow_missing:
        more = f" and {len(missing) - MAX_NAMES} more" if len(missing) > MAX_NAMES else ""
        first = ", ".join([*missing.values()][:MAX_NAMES])
        raise DatasetError(f"{root}: {len(missing)} of {len(images)} pictures are missing: {first}{more}")
    return missing


def _check_ids(root: Path, kind: str, ids: Sequence[str]) -> None:
    if not ids:
        raise DatasetError(f"{root}: it names no {kind}")
    seen: set[str] = set()
    for key in ids:
        if key in seen:
            raise DatasetError(f"{root}: two entries are called {kind} {key!r}")
        seen.add(key)


def _without(truth: Truth, gone: Collection[str], own: Collection[str]) -> Truth:
    """The truth without absent pictures, and with the query's own pictures ignored; itself where nothing changes."""
    ignored = (truth.ignored | set(own)) - set(gone)
    positives = {k: boxes for k, boxes in truth.positives.items() if k not in ignored and k not in gone}
    if ignored == truth.ignored and len(positives) == len(truth.positives):
        return truth
    return Truth(positives, ignored, truth.facts)
