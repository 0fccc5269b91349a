"""The answer as one JSON object, as `--json` and the HTTP API have it."""

import json
from typing import Any

from ._answer import Answer


def json_text(answer: Answer) -> str:
    """{"query", "collection", "results"}; of several pictures or many searches, all are under "queries"."""
    several = {"queries": answer.queries} if answer.is_many or len(answer.queries) > 1 else {}
    first: dict[str, Any] = {} if answer.is_many else {"query": answer.queries[0]}
    whole = {**first, **several, "collection": answer.collection, "results": answer.results}
    return json.dumps(whole, indent=2) + "\n"
