"""Similarity files as the official scorer of ILIAS reads them: JSON {query id: {database id: score}}. Never pickles.

The official command is `python evaluation/evaluate.py --dataset_dir DIR --similarity_file FILE.json --k 1000`; it
prints mAP@1000. Larger scores are better; give each query at least its best 1,000 pictures. Queries in pictures and in
words belong in files of their own, since one file yields one mean.
"""

import json
from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path

from .._platform import replace
from .._ties import in_order
from ..errors import DatasetError
from ..formats import Annotations, shorten


def write_similarities(
    path: Path | str, rankings: Mapping[str, Mapping[str, float] | Iterable[tuple[str, float]]]
) -> None:
    """Write query id -> pictures with scores, as a mapping or as pairs in any order; best first in the file.

    Raises DatasetError when a picture comes twice in one list, a score is not finite, or the file cannot be written.
    """
    path = Path(path)
    scores: dict[str, dict[str, float]] = {}
    for query, ranking in rankings.items():
        pairs = [(key, float(s)) for key, s in (ranking.items() if isinstance(ranking, Mapping) else ranking)]
        scores[query] = dict(pairs[i] for i in in_order([key for key, _ in pairs], [s for _, s in pairs]))
        if len(scores[query]) < len(pairs):
            raise DatasetError(f"{path}: a picture comes twice in the ranking of {query!r}; give it its best score")
        if not all(isfinite(s) for _, s in pairs):
            raise DatasetError(f"{path}: a score in the ranking of {query!r} is not a finite number")
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write("{")
            for number, (query, ranking) in enumerate(scores.items()):
                file.write(f"{',' if number else ''}\n{json.dumps(query)}: {json.dumps(ranking)}")
            file.write("\n}\n")
        replace(temporary, path)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written ({error})") from error


def read_similarities(path: Path | str) -> dict[str, dict[str, float]]:
    """Query id -> database id -> score, in the file's order. Raises DatasetError for anything but such a JSON file."""
    path = Path(path)
    if path.suffix.lower() in (".pkl", ".pickle"):
        raise DatasetError(
            f"{path}: pickled similarities are not opened, as a pickle can run any code; use the JSON form"
        )
    content = Annotations(path.parent).json(path)
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: an object query id -> pictures is expected, found {shorten(content)}")
    for query, ranking in content.items():
        if not isinstance(ranking, dict):
            raise DatasetError(f"{path}: {shorten(query)}: an object picture id -> score is expected")
        for key, score in ranking.items():
            if isinstance(score, bool) or not isinstance(score, (int, float)) or not _is_finite(score):
                raise DatasetError(f"{path}: {shorten(query)}: the score of {shorten(key)} is {shorten(score)}")
    return content


def _is_finite(score: float) -> bool:
    """Whether it is a number that a float holds: JSON knows whole ones of any length."""
    try:
        return isfinite(score)
    except OverflowError:
        return False
