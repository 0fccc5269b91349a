"""The rows of a snapshot in a collection of Milvus, brought up to date shard by shard. Is given its client.

A row is one region of one live picture, under the key image id * R + region, so that sending it twice changes nothing.
Each row names its shard. Rows of shards and pictures that are no longer meant are deleted; where Milvus then does not
count as many as it should, it is asked shard by shard, and what is missing is sent. Nothing else is written down, so a
load that broke off goes on wherever it stopped.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..errors import EngineError
from ..store import Snapshot
from ._owner import shard_tag
from ._sound import require_numbers

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
        snapshot, n_regions = self._snapshot, self._snapshot.n_regions
        wanted = snapshot.n_live * n_regions
        found = self._count("", wait=True)  # what was written before is seen from here on: nothing else waits
        is_new = not found
        if found:
            tags = [shard_tag(shard) for shard in snapshot.shards]
            found -= self._delete(f"shard not in {_in(tags)}" if tags else "row >= 0")
            for ids in chunks(snapshot.ids[~snapshot.live].tolist(), LIMIT // n_regions):
                found -= self._delete(f"image in {_in(ids)}")
        if found != wanted:  # else, keys being what they are, every row is there
            low = 0
            for array, shard in zip(snapshot.arrays, snapshot.shards, strict=True):
                places = low + np.flatnonzero(snapshot.live[low : low + len(array)])
                self._send_missing(places, shard_tag(shard), is_new=is_new)
                low += len(array)
            found = self._count("", wait=True)
        if found != wanted:
            raise EngineError(f"{self._collection} of Milvus holds {found} rows, {wanted} expected; open it again")

    def _send_missing(self, places: NDArray[np.int64], tag: str, *, is_new: bool) -> None:
        """Send the pictures at places (n,) of one shard, but those that are there with every row."""
        snapshot, n_regions = self._snapshot, self._snapshot.n_regions
        n_there = 0 if is_new else self._count(f"shard == '{tag}'")
        if n_there == len(places) * n_regions:
            return
        present: set[int] = set()
        for ids in chunks(snapshot.ids[places].tolist(), LIMIT // n_regions) if n_there else ():
            rows = self._query(f"shard == '{tag}' and image in {_in(ids)}", "row")
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
        require_numbers(features)
        rows = [
            {"row": image * len(regions) + r, "image": image, "region": r, "shard": tag, "feature": feature}
            for image, regions in zip(ids, features, strict=True)
            for r, feature in enumerate(regions)
        ]
        self._client.upsert(self._collection, rows, timeout=TIMEOUT)

    def _delete(self, condition: str) -> int:
        """Delete rows of a condition; how many there were."""
        n = self._count(condition)
        if n:
            self._client.delete(self._collection, filter=condition, timeout=TIMEOUT)
        return n

    def _count(self, condition: str, *, wait: bool = False) -> int:
        """Rows of a condition, all without one. wait: until all that was written is seen; a server takes 0.4 s."""
        return int(self._query(condition, "count(*)", wait=wait)[0]["count(*)"])

    def _query(self, condition: str, field: str, *, wait: bool = False) -> Any:
        level = "Strong" if wait else "Eventually"
        return self._client.query(
            self._collection, filter=condition, output_fields=[field], consistency_level=level, timeout=TIMEOUT
        )


def _in(values: Sequence[int] | Sequence[str]) -> str:
    return "[" + ", ".join(map(repr, values)) + "]"


def chunks(items: Any, n: int) -> Iterator[Any]:
    """The items, at most n at a time."""
    return (items[low : low + n] for low in range(0, len(items), n))
