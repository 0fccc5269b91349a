"""Gallery pictures that are byte for byte a query's picture: finding one of them says nothing of how good a search is.

Only equal bytes count. The same picture saved in another format or size is another file, and so is a query that was cut
out of a gallery picture: these are not looked for. A query's own file (by its path) is not among its copies; it is
ignored anyhow.
"""

from collections.abc import Iterable, Mapping, Sequence

from .._files import hash_regular
from ..datasets import Dataset
from ..errors import DatasetError

Copies = Mapping[str, Sequence[str]]
"""Query id -> the gallery ids of its copies, of the queries that have any, both in the order of their lists."""
_SHOWN = 5  # queries whose copies are named in a report
_REST = (
    "Only equal bytes count: the same picture in another format or size, or one that a query was cut from, does not."
)


def find_copies(dataset: Dataset, hashes: Iterable[tuple[str, str]]) -> Copies:
    """The copies among gallery pictures (id, SHA-256 of the file's bytes). Raises ImageError, OSError."""
    by_hash: dict[str, list[str]] = {}
    for name, sha256 in hashes:
        by_hash.setdefault(sha256, []).append(name)
    files = {picture.id: picture.image for picture in dataset.gallery}
    copies: dict[str, list[str]] = {}
    for query in dataset.queries:
        same = by_hash.get(hash_regular(query.image, query.image), [])
        if others := [name for name in same if files.get(name) != query.image]:
            copies[query.id] = others
    return copies


def find_copies_on_disk(dataset: Dataset) -> Copies:
    """The copies among a gallery's own files: those of a query file's size are read. Raises DatasetError."""
    try:
        sizes = {query.image.stat().st_size for query in dataset.queries}
        alike = [picture for picture in dataset.gallery if picture.image.stat().st_size in sizes]
        return find_copies(dataset, [(picture.id, hash_regular(picture.image, picture.id)) for picture in alike])
    except OSError as error:
        raise DatasetError(f"{error.filename}: cannot be read ({error.strerror})") from error


def describe_copies(dataset: Dataset, copies: Copies, *, are_excluded: bool) -> list[str]:
    """Sentences about copies for a person; none where there are none. dataset: as it was opened."""
    if not copies:
        return []
    pictures = {name for names in copies.values() for name in names}
    pairs = [(query, name) for query, names in copies.items() for name in names]
    n_right = sum(name in dataset.truth[query].positives for query, name in pairs)
    n_ignored = sum(name in dataset.truth[query].ignored for query, name in pairs)
    rights = [(set(dataset.truth[query].positives), names) for query, names in copies.items()]
    n_alone = sum(bool(right) and right <= set(names) for right, names in rights)
    are = "pictures are" if len(pictures) > 1 else "picture is"
    asked = f"({len(copies)} of {len(dataset.queries)} queries)"
    said = f"{len(pictures)} gallery {are} byte for byte the picture of a query {asked}"
    counts = [f"{n_right} count as right", f"{len(pairs) - n_right - n_ignored} as wrong"]
    counts += [f"{n_ignored} are ignored"] if n_ignored else []
    what = "left out for that query" if are_excluded else f"{', '.join(counts)}; --exclude-copies leaves them out"
    first = [f"{query}: {', '.join(names)}" for query, names in list(copies.items())[:_SHOWN]]
    more = [f"and those of {len(copies) - _SHOWN} more queries"] if len(copies) > _SHOWN else []
    sentences = [f"{said}: {what}. {'; '.join([*first, *more])}."]
    if are_excluded and n_alone:
        sentences.append(f"{n_alone} of these queries had no other right picture, and count in no figure.")
    return [*sentences, _REST]
