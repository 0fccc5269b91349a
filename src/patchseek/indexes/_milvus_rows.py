"""The rows of a snapshot in a collection of Milvus, brought up to date shard by shard. Is given its client.

A row is one region of one live picture, under the key image id * R + region, so that sending it twice changes nothing.
Each row names its shard. Rows of shards and pictures that are no longer meant are deleted; where Milvus then does not
count as many as it should, it is asked shard by shard, and what is missing is sent. The features of some are compared
with the collection's; where one differs, all are sent. Nothing else is written down, so a load that broke off goes on
wherever it stopped.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._words import counted
from ..encoders import Features
from ..errors import EngineError
from ..store import Snapshot
from ._milvus_recipe import LIMIT
from ._owner import shard_tag
from ._protocol import Held
from ._sound import require_numbers

TIMEOUT = 60
"""Seconds for one message."""
BATCH_BYTES = 8 << 20
"""Of features in one message; a server takes 64 MB."""
_SAMPLED = 256  # rows whose features are compared with the collection's each time
_ROUNDING = 1e-3  # by which a number of a feature may differ

Ids = NDArray[np.int64]


class MilvusRows:
    """What one collection of Milvus holds of a snapshot."""

    def __init__(self, client: Any, collection: str, snapshot: Snapshot, timeout: float | None = None) -> None:
        self._client, self._collection, self._snapshot = client, collection, snapshot
        self._timeout = timeout or TIMEOUT
        self._n_rows, self._tags = snapshot.n_live * snapshot.n_regions, [shard_tag(shard) for shard in snapshot.shards]

    def update(self, *, is_opening: bool = True, is_altered: bool = False) -> None:
        """Send what is missing or differs. Raises EngineError when it does not add up.

        is_opening: delete what the snapshot does not know, too. is_altered: see StaleEngine.
        """
        found = self._count("", wait=True)  # what was written before is seen from here on: nothing else waits
        is_new = not found
        if found and is_opening:
            found -= self._delete(f"shard not in {_in(self._tags)}" if self._tags else "row >= 0")
            for ids in chunks(self._snapshot.ids[~self._snapshot.live].tolist(), LIMIT // self._snapshot.n_regions):
                found -= self._delete(f"image in {_in(ids)}")
        if self._n_rows == self._known(found) and not is_altered and not self._is_altered():
            return  # keys being what they are, every row is there
        for places, tag in self._places():
            self._send_pictures(places if is_new or is_altered else self._missing(places, tag), tag)
        found = self._known(self._count("", wait=True))
        if found != self._n_rows or self._is_altered():
            self._delete(f"shard in {_in(self._tags)}")  # rows of others among them, or one key twice
            for places, tag in self._places():
                self._send_pictures(places, tag)
            found = self._known(self._count("", wait=True))
        if found != self._n_rows:
            raise EngineError(
                f"{self._collection} of Milvus holds {counted(found, 'row')}, {self._n_rows:,} expected; try again"
            )

    def lack(self) -> str:
        """What is missing or differs, in words, by count and by a few features; empty where nothing does."""
        found = self._known(self._count(""))
        if found != self._n_rows:
            return f"{found} of {self._n_rows} rows are in {self._collection}"
        return f"features in {self._collection} are not the collection's" if self._is_altered() else ""

    def held(self, *, every: bool) -> Held:
        """What is there. every: compare the features of every row, and not of some."""
        self._count("", wait=True)  # what was written before is seen from here on
        every = every or self._is_altered()
        n_there = n_missing = n_lost = 0
        for places, tag in self._places():
            missing = self._missing(places, tag)
            there = np.setdiff1d(places, missing)
            altered = self._altered(there) if every else places[:0]
            n_there += len(there)
            n_missing += len(missing) + len(altered)
            n_lost += len(altered) + (len(missing) if len(there) else 0)
        return Held(self._snapshot.n_live, n_missing, n_lost if n_there else n_missing)

    def _known(self, found: int) -> int:
        """Of so many rows, those of the snapshot's shards: another process may have sent newer ones."""
        return found if found == self._n_rows or not self._tags else self._count(f"shard in {_in(self._tags)}")

    def _places(self) -> Iterator[tuple[Ids, str]]:
        """The positions (n,) of the live pictures of each shard, and its tag."""
        for (part, _, _), tag in zip(self._snapshot.by_shard(), self._tags, strict=True):
            yield part.start + np.flatnonzero(self._snapshot.live[part]), tag

    def _missing(self, places: Ids, tag: str) -> Ids:
        """The positions, of some of a shard, whose pictures are not there with every row."""
        n_regions = self._snapshot.n_regions
        n_there = self._count(f"shard == '{tag}'")
        if n_there == len(places) * n_regions:
            return places[:0]
        present: set[int] = set()
        for ids in chunks(self._snapshot.ids[places].tolist(), LIMIT // n_regions) if n_there else ():
            rows = self._query(f"shard == '{tag}' and image in {_in(ids)}", "row")
            present.update(int(row["row"]) for row in rows)
        images = self._snapshot.ids[places].tolist()
        whole = [present.issuperset(range(image * n_regions, (image + 1) * n_regions)) for image in images]
        missing: Ids = places[~np.array(whole, bool)]
        return missing

    def _is_altered(self) -> bool:
        """Whether some rows, picked at random, are not there with the collection's features."""
        n_regions, live = self._snapshot.n_regions, np.flatnonzero(self._snapshot.live)
        picked = np.random.default_rng().permutation(self._n_rows)[:_SAMPLED]
        return bool(len(self._unlike(live[picked // n_regions] * n_regions + picked % n_regions)))

    def _altered(self, places: Ids) -> Ids:
        """The positions, of some, of pictures that are not there with the collection's features."""
        n_regions = self._snapshot.n_regions
        unlike = self._unlike((places[:, None] * n_regions + np.arange(n_regions)).ravel())
        altered: Ids = np.unique(unlike // n_regions)
        return altered

    def _unlike(self, rows: Ids) -> Ids:
        """Of rows (n,) of the snapshot, those that are not there with the collection's feature."""
        found = [rows[:0]]
        for some in chunks(rows, _SAMPLED):
            positions, regions = np.divmod(some, self._snapshot.n_regions)
            keys = (self._snapshot.ids[positions] * self._snapshot.n_regions + regions).tolist()
            answer = self._query(f"row in {_in(keys)}", "row", "feature")
            there = {int(row["row"]): np.array(row["feature"], np.float32) for row in answer}
            nothing = np.full(self._snapshot.dim, np.nan, np.float32)
            distances = np.array([there.get(key, nothing) for key in keys]) - self._snapshot.rows(some)
            found.append(some[~(np.abs(distances).max(axis=1) <= _ROUNDING)])
        return np.concatenate(found)

    def _send_pictures(self, places: Ids, tag: str) -> None:
        """Send the pictures at places (n,) of one shard."""
        for some in chunks(places, max(BATCH_BYTES // (4 * self._snapshot.dim * self._snapshot.n_regions), 1)):
            self._send(self._snapshot.ids[some].tolist(), self._snapshot.features(some), tag)

    def _send(self, ids: Sequence[int], features: Features, tag: str) -> None:
        require_numbers(features)
        rows = [
            {"row": image * len(regions) + r, "image": image, "region": r, "shard": tag, "feature": feature}
            for image, regions in zip(ids, features, strict=True)
            for r, feature in enumerate(regions)
        ]
        self._client.upsert(self._collection, rows, timeout=self._timeout)

    def _delete(self, condition: str) -> int:
        """Delete rows of a condition; how many there were."""
        n = self._count(condition)
        if n:
            self._client.delete(self._collection, filter=condition, timeout=self._timeout)
        return n

    def _count(self, condition: str, *, wait: bool = False) -> int:
        """Rows of a condition, all without one. wait: until all that was written is seen; a server takes 0.4 s."""
        return int(self._query(condition, "count(*)", wait=wait)[0]["count(*)"])

    def _query(self, condition: str, *fields: str, wait: bool = False) -> Any:
        level = "Strong" if wait else "Eventually"
        return self._client.query(
            self._collection, filter=condition, output_fields=[*fields], consistency_level=level, timeout=self._timeout
        )


def _in(values: Sequence[int] | Sequence[str]) -> str:
    return "[" + ", ".join(map(repr, values)) + "]"


def chunks(items: Any, n: int) -> Iterator[Any]:
    """The items, at most n at a time."""
    return (items[low : low + n] for low in range(0, len(items), n))
