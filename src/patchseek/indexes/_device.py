"""Exact search in a GPU's memory: one matrix product and a maximum over each picture's regions. Imports no library.

The features lie on the device as float16, as many shards as fit; what does not fit is searched as ever, and the answers
are joined. A query is two float16 vectors there, what it is rounded to and what that lacks, so that the features are
read once, at full speed, and products are nearly as exact as float32 ones. What is found so, and SPARE more, is scored
anew by sums of float64, so that equal rows have equal scores.
"""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..errors import EncoderError, EngineError
from ..store import Snapshot
from ._best import group_pictures
from ._exact import ExactIndex
from ._protocol import ON_DEVICE, Hits, Kind, check_query
from ._rescore import rescore
from ._sound import require_sound

SCORES_BYTES = 512 << 20
"""Scores that are on the device at a time, about; so few queries are answered in one go."""
KEPT_FREE = 0.15
"""Share of the device's memory that is left to others: to scores, and to an encoder that was opened before."""
SPARE = 16
"""Pictures beyond those asked for that are scored anew: rounding may have put one of them too low."""
_COLUMNS = 8
# multiplied at least: on an H100, two take a quarter longer than eight
_LOW_BITS = 2.0**11
# what a query lacks is multiplied by that, so that float16 holds 11 more bits of it


class DeviceIndex:
    """Compares every query with every feature, on a device of torch's."""

    outgrown: str | None = None

    def __init__(self, snapshot: Snapshot, device: str, room: int | None = None) -> None:
        """room: bytes for features on the device, by default what is free there but KEPT_FREE.

        Raises EngineError for a device that is not there, MissingExtra.
        """
        from ..encoders._torch import choose_device, torch

        self._torch: Any = torch
        try:
            self._device = choose_device(device, "torch")
        except EncoderError as error:
            raise EngineError(f"exact search on a device: {error}") from error
        self._snapshot, self._lock = snapshot, threading.Lock()
        self._scores_bytes = SCORES_BYTES
        self._features = self._load(self._room() if room is None else room)
        self._live = torch.from_numpy(snapshot.live.copy()).to(self._device)
        n, n_shards = self._n_held
        rest = replace(
            snapshot,
            arrays=snapshot.arrays[n_shards:],
            shards=snapshot.shards[n_shards:],
            ids=snapshot.ids[n:],
            live=snapshot.live[n:],
            stored=None,
        )
        self._rest = ExactIndex(rest) if n_shards < len(snapshot.arrays) else None

    @property
    def name(self) -> str:
        """Where it searches, and how much of the collection is there."""
        share = self._n_held[0] / max(self._snapshot.n_positions, 1)
        return f"exact on {self._device}" + (f", {share:.0%} of it there" if self._rest else "")

    def _room(self) -> int:
        if not self._device.startswith("cuda"):
            return 1 << 62
        free, total = self._torch.cuda.mem_get_info(self._device)
        return max(int(free - KEPT_FREE * total), 0)

    def _load(self, room: int) -> Any:
        """The first shards that fit into so many bytes: (n * R, D) float16 on the device."""
        snapshot, torch = self._snapshot, self._torch
        ends = np.cumsum([0, *(len(array) for array in snapshot.arrays)])
        a_picture = 2 * snapshot.n_regions * snapshot.dim
        n_shards = int(np.searchsorted(ends, room // a_picture, side="right")) - 1
        self._n_held = int(ends[n_shards]), n_shards
        shape = (self._n_held[0], snapshot.n_regions, snapshot.dim)
        try:
            features = torch.empty(shape, dtype=torch.float16, device=self._device)
        except torch.OutOfMemoryError:  # somebody else took what was free
            return self._load(room // 2)
        for start, array in zip(ends.tolist(), snapshot.arrays[:n_shards], strict=False):
            features[start : start + len(array)] = torch.from_numpy(np.array(array))
        return features

    def search(self, queries: Features, k: int, among: NDArray[np.bool_] | None = None) -> Hits:
        """See Index. Beside the features, it takes some times SCORES_BYTES on the device, or less if there is less."""
        check_query(queries, k, self._snapshot.dim)
        require_sound(self._snapshot, among)
        k = max(min(k, self._snapshot.n_live), 1)
        queries = np.ascontiguousarray(queries, np.float32)
        with self._lock:  # at once, two searches would only need the memory of two
            hits = self._search(queries, k, among)
        if self._rest is None:
            return hits
        n = self._n_held[0]
        others = self._rest.search(queries, k, None if among is None else among[n:])
        return self._joined(queries, hits, others, k)

    def _search(self, queries: Features, k: int, among: NDArray[np.bool_] | None) -> Hits:
        torch, n = self._torch, self._n_held[0]
        allowed = self._live[:n]
        if among is not None:
            allowed = allowed & torch.from_numpy(among[:n].copy()).to(self._device)
        parts = [self._part(queries[i : i + 4096], k, allowed) for i in range(0, len(queries), 4096)]
        shape = (0, k)
        parts = parts or [(np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.float32))]
        return Hits(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _part(self, queries: Features, k: int, allowed: Any) -> tuple[Any, Any, Any]:
        """Positions, regions and scores (Q, k) of some of the queries."""
        torch, features = self._torch, self._features
        n_regions = self._snapshot.n_regions
        asked = self._asked(torch.from_numpy(queries).to(self._device))
        n_kept = k + SPARE
        keys = torch.full((len(queries), n_kept), _NOTHING, dtype=torch.int64, device=self._device)
        regions = torch.full((len(queries), n_kept), -1, dtype=torch.int64, device=self._device)
        start = 0
        while start < len(features):
            step = max(self._scores_bytes // (4 * n_regions * max(2 * len(queries), _COLUMNS)), 1)
            block = features[start : start + step]
            try:
                scores = self._scores(block.view(-1, block.shape[2]), asked, len(queries))
                scores = scores.view(len(block), n_regions, -1)
                tops, winners = scores.max(dim=1)  # of equal ones, the first
                tops = torch.where(allowed[start : start + step, None], tops, -torch.inf)
                found = _packed(torch, tops.T, torch.arange(start, start + len(block), device=self._device))
            except torch.OutOfMemoryError as error:
                if step == 1:
                    raise EngineError(f"{self._device}: too little memory to search: {error}") from error
                self._scores_bytes //= 2
                continue
            best, columns = found.topk(min(n_kept, len(block)), dim=1)
            keys, order = torch.cat([keys, best], dim=1).topk(n_kept, dim=1)
            regions = torch.cat([regions, winners.T.gather(1, columns)], dim=1).gather(1, order)
            start += step
        positions, scores = _unpacked(torch, keys)
        scores = self._exactly(torch.from_numpy(queries).to(self._device), positions, regions, scores)
        keys, order = _packed(torch, scores, positions).topk(k, dim=1)
        regions = regions.gather(1, order)
        positions, scores = _unpacked(torch, keys)
        nothing = scores == -torch.inf
        positions, regions = positions.masked_fill(nothing, -1), regions.masked_fill(nothing, -1)
        return positions.cpu().numpy(), regions.cpu().numpy(), scores.cpu().numpy()

    def _exactly(self, queries: Any, positions: Any, regions: Any, scores: Any) -> Any:
        """The inner products (Q, n) of queries (Q, D) with single rows, as float32; -inf where scores are."""
        torch = self._torch
        if not len(self._features):
            return scores
        rows = (positions.clamp_min(0) * self._snapshot.n_regions + regions.clamp_min(0)).reshape(-1)
        of = torch.arange(len(queries), device=self._device).repeat_interleave(positions.shape[1])
        features = self._features.view(-1, self._snapshot.dim)
        step = max(self._scores_bytes // (16 * self._snapshot.dim), 1)
        exact = [
            (features[rows[i : i + step]].double() * queries[of[i : i + step]]).sum(dim=1)
            for i in range(0, len(rows), step)
        ]
        return torch.cat(exact).float().view(scores.shape).masked_fill(scores == -torch.inf, -torch.inf)

    def _asked(self, queries: Any) -> Any:
        """Queries (Q, D) as the matrix (D, 2 Q) float16 that features are multiplied with, or (D, Q) float32."""
        if not self._device.startswith("cuda"):
            return queries.T
        high = queries.half()
        low = ((queries - high.float()) * _LOW_BITS).half()
        lacking = high.new_zeros((max(_COLUMNS - 2 * len(queries), 0), high.shape[1]))
        return self._torch.cat([high, low, lacking]).T

    def _scores(self, features: Any, asked: Any, n: int) -> Any:
        """Inner products (m, n) float32 of features (m, D) float16 with n queries."""
        if not self._device.startswith("cuda"):
            return features.float() @ asked
        both = self._torch.mm(features, asked, out_dtype=self._torch.float32)
        return self._torch.add(both[:, :n], both[:, n : 2 * n], alpha=1 / _LOW_BITS)

    def _joined(self, queries: Features, hits: Hits, others: Hits, k: int) -> Hits:
        """The best k of what was found here and there, scored alike so that equal pictures stay in their order."""
        far = np.where(others.positions < 0, -1, others.positions + self._n_held[0])
        positions = np.concatenate([hits.positions, far], axis=1)
        regions = np.concatenate([hits.regions, others.regions], axis=1)
        rows = np.where(positions < 0, -1, positions * self._snapshot.n_regions + regions)
        order = np.argsort(rows < 0, axis=1, kind="stable")
        rows = np.take_along_axis(rows, order, axis=1)
        scores = np.take_along_axis(np.concatenate([hits.scores, others.scores], axis=1), order, axis=1)
        return group_pictures(self._snapshot, *rescore(self._snapshot, queries, scores, rows, rows.shape[1]), k)


_NOTHING = -(1 << 63)


def _packed(torch: Any, scores: Any, positions: Any) -> Any:
    """Scores (Q, n) float32 at positions, (n,) or (Q, n), as int64: a larger one is better, or is as good and first.

    The bits of a float32 order as the number does once those of negative ones are flipped.
    """
    bits = (scores.contiguous() + 0.0).view(torch.int32)  # + 0 makes one zero of two
    ascending = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long()
    return (ascending << 32) | (0xFFFFFFFF - positions)


def _unpacked(torch: Any, keys: Any) -> tuple[Any, Any]:
    """Positions and scores (Q, k) of such numbers; the score of _NOTHING is -inf."""
    ascending = (keys >> 32).int()
    scores = (ascending ^ ((ascending >> 31) & 0x7FFFFFFF)).view(torch.float32)
    nothing = keys == _NOTHING
    return (0xFFFFFFFF - (keys & 0xFFFFFFFF)).masked_fill(nothing, -1), scores.masked_fill(nothing, -torch.inf)


KIND = Kind(open=lambda engine, snapshot, _: DeviceIndex(snapshot, engine.removeprefix(ON_DEVICE)))
