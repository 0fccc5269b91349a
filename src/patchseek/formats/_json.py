"""The answer as one JSON object, as `--json` and the HTTP API have it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ._answer import Answer, as_judged
from ._labelled import Row
from ._schema import read_schema


def json_text(answer: Answer) -> str:
    """{"query", "collection", "results"}; of several pictures or many searches, all are under "queries"."""
    several = {"queries": answer.queries} if answer.is_many or len(answer.queries) > 1 else {}
    first: dict[str, Any] = {} if answer.is_many else {"query": answer.queries[0]}
    whole = {**first, **several, "collection": answer.collection, "results": answer.results}
    return json.dumps(whole, indent=2) + "\n"


def read_results(results: Sequence[Any], path: Path, problems: list[str]) -> Iterator[Row]:
    """A row for each result of such an object: where the thing was found, or somebody has said that it is, asks."""
    return read_schema([_asking(result) if isinstance(result, dict) else result for result in results], path, problems)


def _asking(result: dict[str, Any]) -> dict[str, Any]:
    """A result as a row of our schema: all copies that were found are of one object."""
    found = as_judged(result) if "box" in result else result
    copies = found.get("boxes") or [found]
    boxes = [copy.get("box") if isinstance(copy, dict) else copy for copy in copies]
    return {"image": found.get("image"), "instance": found.get("label"), "boxes": boxes}
