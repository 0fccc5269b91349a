"""What a PostgreSQL database holds of a snapshot, and what is missing. Is given a connection; changes nothing.

One table holds a row for each region of a live picture, its feature as the float16 that the collection holds; a small
one says from which shard each picture came. What the small one says is held against the rows: by their number and sums,
picture by picture where these differ, and by the features of some, or all, of them.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store import Snapshot
from ._owner import shard_tag
from ._postgres_place import Place
from ._protocol import Held

_SAMPLED = 1024  # rows whose features are compared with the collection's each time: 3 MB of 1280 numbers

Ids = NDArray[np.int64]
_NONE: Ids = np.empty(0, np.int64)


class PostgresRows:
    """What the tables of a place hold of a snapshot. What the database raises is left as it is."""

    def __init__(self, db: Any, place: Place, snapshot: Snapshot) -> None:
        self._db, self._place, self._snapshot = db, place, snapshot
        self._claimed: dict[str, Ids] = {}
        # by the tag of a shard, the pictures that are there by what the table of pictures says
        self._broken = _NONE
        # pictures whose rows are not all there, not the collection's, or not claimed
        self.missing = snapshot.live.copy()
        # (N,) True at the positions of pictures that have to be sent

    def look(self, *, every: bool = False) -> str:
        """Find out what is missing, within a transaction of the caller's or none; in words, "" where nothing is.

        every: compare the features of every row, and not of a sample.
        """
        with self._db.transaction():
            if self._place.is_readable:
                self._db.execute(self._place.settings)
                select = f"SELECT shard, array_agg(image) FROM {self._place.pictures} GROUP BY shard"
                self._claimed = {tag: np.array(images, np.int64) for tag, images in self._db.execute(select)}
                self._broken = self._incomplete()
                self._note_missing()
                self._broken = np.union1d(self._broken, self._differing(every=every))
            self._note_missing()
        n, table = int(self.missing.sum()), self._place.rows.name
        return f"{n} of {self._snapshot.n_live} pictures are missing in {table} or differ there" if n else ""

    def held(self) -> Held:
        """What `look` found, as figures."""
        n_missing = int(self.missing.sum())
        n_lost = int((self._snapshot.live & np.isin(self._snapshot.ids, self._broken)).sum())
        return Held(self._snapshot.n_live, n_missing, n_lost if self._claimed else n_missing)

    @property
    def needless(self) -> Ids:
        """Pictures that are there in part or whole and are no live ones of the snapshot."""
        there = np.concatenate([_NONE, *self._claimed.values(), self._broken])
        return np.setdiff1d(there, self._snapshot.ids[self._snapshot.live])

    def _note_missing(self) -> None:
        self.missing = self._snapshot.live.copy()
        for part, _, shard in self._snapshot.by_shard():
            ids = self._snapshot.ids[part]
            there = np.isin(ids, self._claimed.get(shard_tag(shard), _NONE)) & ~np.isin(ids, self._broken)
            self.missing[part] &= ~there

    def _incomplete(self) -> Ids:
        """The pictures whose rows are not one of each region, and those that have rows but are not claimed."""
        n_regions, claimed = self._snapshot.n_regions, np.concatenate([_NONE, *self._claimed.values()])
        select = f"SELECT count(*), coalesce(sum(image), 0), coalesce(sum(region), 0) FROM {self._place.rows}"
        found = tuple(map(int, self._db.execute(select).fetchone()))
        if found == (len(claimed) * n_regions, sum(claimed.tolist()) * n_regions, len(claimed) * sum(range(n_regions))):
            return _NONE
        whole = "count(*) = %s AND count(DISTINCT region) = %s AND min(region) = 0 AND max(region) = %s"
        select = f"SELECT image, {whole} FROM {self._place.rows} GROUP BY image"
        numbers = [n_regions, n_regions, n_regions - 1]
        images = np.array(self._db.execute(select, numbers).fetchall(), np.int64).reshape(-1, 2)
        incomplete = np.setdiff1d(claimed, images[images[:, 1] == 1, 0])
        return np.union1d(incomplete, np.setdiff1d(images[:, 0], claimed))

    def _differing(self, *, every: bool) -> Ids:
        """Of the pictures that seem to be there, those whose features are not the collection's.

        They are looked for in a sample of rows, and where it holds one, in all.
        """
        there, n_regions = np.flatnonzero(self._snapshot.live & ~self.missing), self._snapshot.n_regions
        if not every:
            n_rows = len(there) * n_regions
            picked, regions = np.divmod(np.random.default_rng().permutation(n_rows)[:_SAMPLED], n_regions)
            found = self._unlike(there[picked], regions)
            if n_rows <= _SAMPLED or not len(found):
                return found
        found, step = _NONE, max(_SAMPLED // n_regions, 1)
        for low in range(0, len(there), step):
            some = there[low : low + step]
            unlike = self._unlike(np.repeat(some, n_regions), np.tile(np.arange(n_regions), len(some)))
            found = np.union1d(found, unlike)
        return found

    def _unlike(self, positions: Ids, regions: Ids) -> Ids:
        """The pictures of those of the rows (n,) whose features are not the collection's, bit by bit."""
        ids, rows = self._snapshot.ids[positions], positions * self._snapshot.n_regions + regions
        select = (
            "SELECT image, region, sha256(halfvec_send(feature)) FROM unnest(%s::bigint[], %s::smallint[]) "
            f"AS asked (image, region) JOIN {self._place.rows} USING (image, region)"
        )
        answer = self._db.execute(select, [ids.tolist(), regions.tolist()])
        found = {(image, region): digest for image, region, digest in answer}
        head = self._snapshot.dim.to_bytes(2) + bytes(2)  # a halfvec is sent as D, a zero and D numbers
        features = self._snapshot.rows(rows).astype(">f2")
        asked = zip(ids.tolist(), regions.tolist(), features, strict=True)
        unlike = {i for i, r, f in asked if found.get((i, r)) != hashlib.sha256(head + f.tobytes()).digest()}
        return np.array(sorted(unlike), np.int64)
