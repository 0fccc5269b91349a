"""The rows of a snapshot in a collection of Milvus, brought up to date shard by shard. Is given its client.

A row is one region of one live picture, under the key image id * R + region, so that sending it twice changes nothing.
Each row names its shard, and what Milvus counts of a shard is compared with what the snapshot holds; only what is
missing is sent. Nothing else is written down, so a load that broke off goes on wherever it stopped.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..encoders import Features
from ..errors import EngineError
from ..store import Snapshot

TIMEOUT = 60
"""Seconds for one message."""
LIMIT = 16384
"""Rows that a search or a query may return, Milvus's own bound."""
BATCH_BYTES = 8 << 20
"""Of features in one message; a server takes 64 MB."""


class Rows:
    """What one collection of Milvus holds of a snapshot."""

    def __init__(self, client: Any, collection: str, snapshot: Snapshot) -> None:
        self._client, self._collection, self._snapshot = client, collection, snapshot

    def update(self) -> None:
        """Send what is missing, delete what is no longer meant. Raises EngineError when it does not add up."""
        low = 0
        for array, shard in zip(self._snapshot.arrays, self._snapshot.shards, strict=True):
            self._update_shard(low, len(array), _tag(shard))
            low += len(array)
        tags = [_tag(shard) for shard in self._snapshot.shards]
        self._delete(f"shard not in {_in(tags)}" if tags else "row >= 0")
        found, wanted = self._count("row >= 0"), self._snapshot.n_live * self._snapshot.n_regions
        if found != wanted:
            raise EngineError(f"{self._collection} of Milvus holds {found} rows, {wanted} expected; open it again")

    def _update_shard(self, low: int, n: int, tag: str) -> None:
        """Take out removed pictures of a shard and send those that are missing or broken."""
        snapshot, n_regions = self._snapshot, self._snapshot.n_regions
        places = np.arange(low, low + n)
        live = snapshot.live[places]
        for ids in chunks(snapshot.ids[places[~live]].tolist(), LIMIT // n_regions):
            self._delete(f"image in {_in(ids)}")
        places = places[live]
        if self._count(f"shard == '{tag}'") == len(places) * n_regions:
            return
        present: set[int] = set()
        for ids in chunks(snapshot.ids[places].tolist(), LIMIT // n_regions):
            there = f"shard == '{tag}' and image in {_in(ids)}"
            rows = self._client.query(self._collection, filter=there, output_fields=["row"], timeout=TIMEOUT)
            present.update(int(row["row"]) for row in rows)
        missing = [
            place
            for place, image in zip(places.tolist(), snapshot.ids[places].tolist(), strict=True)
            if not present.issuperset(range(image * n_regions, (image + 1) * n_regions))
        ]
        for some in chunks(missing, max(BATCH_BYTES // (4 * snapshot.dim * n_regions), 1)):
            chosen = np.array(some, np.int64)
            self._send(snapshot.ids[chosen].tolist(), snapshot.features(chosen), tag)

    def _send(self, ids: Sequence[int], features: Features, tag: str) -> None:
        rows = [
            {"row": image * len(regions) + r, "image": image, "region": r, "shard": tag, "feature": feature}
            for image, regions in zip(ids, features, strict=True)
            for r, feature in enumerate(regions)
        ]
        self._client.upsert(self._collection, rows, timeout=TIMEOUT)

    def _delete(self, condition: str) -> None:
        if self._count(condition):
            self._client.delete(self._collection, filter=condition, timeout=TIMEOUT)

    def _count(self, condition: str) -> int:
        what = {"filter": condition, "output_fields": ["count(*)"], "consistency_level": "Strong"}
        return int(self._client.query(self._collection, **what, timeout=TIMEOUT)[0]["count(*)"])


def _tag(shard: str) -> str:
    return hashlib.sha256(shard.encode()).hexdigest()[:16]


def _in(values: Sequence[int] | Sequence[str]) -> str:
    return "[" + ", ".join(map(repr, values)) + "]"


def chunks(items: Any, n: int) -> Iterator[Any]:
    """The items, at most n at a time."""
    return (items[low : low + n] for low in range(0, len(items), n))
