"""The results file of a benchmark run: written whole or not at all, and judged when it is read. Knows no metrics.

People edit them, and other programs write them: what is not of the form is an error that says where, since a name that
no picture has would only count as wrong.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._platform import replace
from ..encoders import EncoderIdentity
from ..errors import PatchseekError

FORMAT = 1
"""Version of the results file."""
_PARTS = {"dataset": dict, "settings": dict, "encoder": dict, "engine": str, "versions": dict}
_MOST = 1e300  # of a score: anything a search gives is far below


def write_results(results: Mapping[str, Any], path: Path) -> None:
    """Write a results file, whole or not at all."""
    partial = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(results), encoding="utf-8")
        replace(partial, path)
    except OSError as error:
        raise PatchseekError(f"{path}: cannot be written ({error.strerror})") from error


def read_results(path: Path) -> dict[str, Any]:
    """Read a results file. Raises PatchseekError for anything else, and for a list that is none of pictures."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        if results["format"] > FORMAT:
            raise PatchseekError(f"{path}: format {results['format']} is newer than this patchseek reads ({FORMAT})")
        for name, kind in _PARTS.items():
            if not isinstance(results[name], kind):
                raise TypeError(f"{name} is no {kind.__name__}")
        EncoderIdentity(**results["encoder"])
        results["dataset"]["data_hash"]
    except OSError as error:
        raise PatchseekError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PatchseekError(f"{path}: not a results file of patchseek ({error!r})") from error
    results = {"results": {}, **results}
    if flaw := _flaw_of_copies(results.get("copies")) or _flaw_of_lists(results["results"]):
        raise PatchseekError(f"{path}: {flaw}")
    return results


def _flaw_of_copies(copies: Any) -> str | None:
    """What is wrong with the copies of queries, if they are named."""
    if copies is None:
        return None
    listed = copies.values() if isinstance(copies, dict) else [None]
    is_right = all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in listed)
    return None if is_right else "copies must be query -> list of pictures"


def _flaw_of_lists(lists: Any) -> str | None:
    """What is wrong with the ranked pictures of the first query where something is."""
    if not isinstance(lists, dict):
        return "results must be query -> list of pictures"
    for query, ranked in lists.items():
        if not isinstance(ranked, list):
            return f"query {query!r}: a list of [picture, score, box or null] is expected"
        for n, entry in enumerate(ranked, 1):
            if flaw := _flaw(entry):
                return f"query {query!r}, entry {n}: {flaw}"
    return None


def _flaw(entry: Any) -> str | None:
    """What is wrong with a ranked picture."""
    if not isinstance(entry, list) or len(entry) != 3:
        return f"[picture, score, box or null] is expected, found {_short(entry)}"
    name, score, box = entry
    if not isinstance(name, str):
        return f"a picture's id is a text, found {_short(name)}"
    if not _is_number(score):
        return f"the score is not a number, found {_short(score)}"
    if box is not None and not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
        return f"a box is four numbers x y w h or null, found {_short(box)}"
    return None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _MOST


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
