"""From what saved queries have found to what is handed on: which finds are new, as lines, and as what is posted."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from ..collection import Collection
from ..records import moment
from ..saved import is_sure
from ..store import Find, SavedQuery, add_news, judgements_of, untold

BATCH = 100
"""Finds that are handed on together at most."""


def put_down(
    collection: Collection,
    queries: Sequence[SavedQuery],
    least: float,
    at: float,
    place: str,
    size: int,
    *,
    posts: bool,
) -> tuple[int, int]:
    """Note in the catalogue, once, what queries have found and nobody has looked through, to be handed on from there.

    Left out is what somebody has judged, and what is known to be less sure than `least`. at: seconds since 1970.
    place, size, posts: see store.add_news. Returns how many finds these are, and how many older ones were given up.
    """
    looked_through, lines = [], []
    for query in queries:
        found = untold(collection.store, query.key)
        if found is None:
            continue
        looked_through.append(found)
        judged = {said.content for said in judgements_of(collection.store, query.key)}
        new = [find for find in found.finds if find.content not in judged and is_sure(find.record, least)]
        new.sort(key=lambda find: (-(find.record["confidence"] or 0), -find.record["score"], find.content))
        lines += [_line(collection, query, find, at) for find in new]
    if not looked_through:
        return 0, 0
    texts = ["".join(lines[i : i + BATCH]) for i in range(0, len(lines), BATCH)]
    return len(lines), add_news(collection.store, looked_through, texts, place, size, posts=posts)


def _line(collection: Collection, query: SavedQuery, find: Find, at: float) -> str:
    """A find as a line of JSON. "id" is that of the query and of the picture's content, whenever it is written."""
    said: dict[str, Any] = {
        "id": hashlib.sha256(json.dumps([query.key, *find.content]).encode()).hexdigest()[:32],
        "time": moment(at),
        "query": query.name,
        "query_key": query.key,
        "collection": str(collection.path.resolve()),
    }
    return json.dumps(said | find.record) + "\n"


def body_of(text: str) -> tuple[str, bytes]:
    """Lines as what is posted: its name, and a JSON object that is the same however often it is made."""
    finds = [json.loads(line) for line in text.splitlines()]
    body = json.dumps({"type": "patchseek.finds", "timestamp": finds[0]["time"], "data": {"finds": finds}})
    return hashlib.sha256(body.encode()).hexdigest()[:32], body.encode()
