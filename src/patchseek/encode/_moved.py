"""Whether an indexed folder that is gone is to be found elsewhere, by names, sizes and a few hashes."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ..errors import ImageError
from ..sources import stored
from ..store import FileState, KnownFile
from ._plan import is_alarming

_SAMPLE = 100  # files by which the new place of a folder is looked for
_PROOFS = 5  # files that are read to be sure of it


def new_prefix(folder: Path, known: Mapping[str, KnownFile], new: Mapping[str, FileState]) -> str | None:
    """What stands before the paths of known files that are gone from where they were, if they are in this folder now.

    new: the files there that are not known yet. None where alarmingly many of them would still be missing, or where
    files of these names and sizes turn out to be others.
    """
    by_name: dict[str, list[str]] = {}
    for path in new:
        by_name.setdefault(path.rpartition("/")[2], []).append(path)
    found: Counter[str] = Counter()
    for path in list(known)[:: max(len(known) // _SAMPLE, 1)]:
        for other in by_name.get(path.rpartition("/")[2], ()):
            if f"/{other}".endswith(f"/{path}"):
                found[other.removesuffix(path)] += 1
    for prefix, _ in found.most_common(1):
        n_here = len(_pairs(prefix, known, new))
        if n_here and not is_alarming(len(known) - n_here, len(known)) and _is_proven(folder, prefix, known, new):
            return prefix
    return None


def _pairs(prefix: str, known: Mapping[str, KnownFile], new: Mapping[str, FileState]) -> list[tuple[KnownFile, str]]:
    """Known files and the paths where files of their size are now."""
    pairs = [(file, prefix + path) for path, file in known.items() if prefix + path in new]
    return [(file, path) for file, path in pairs if file.state.size == new[path].size]


def _is_proven(folder: Path, prefix: str, known: Mapping[str, KnownFile], new: Mapping[str, FileState]) -> bool:
    """Whether most of a few files are the very ones: untouched, or else of the same bytes."""
    pairs = _pairs(prefix, known, new)
    proofs = pairs[:: max(len(pairs) // _PROOFS, 1)][:_PROOFS]
    n_same = 0
    for file, path in proofs:
        if file.state.ctime_ns is not None and file.state == new[path]:
            n_same += 1
            continue
        try:
            n_same += stored(folder, path).sha256() == file.sha256
        except (OSError, ImageError):
            continue
    return 2 * n_same > len(proofs)
