"""Search in Milvus, embedded (Lite) or a server.

The collection on disk is the truth and Milvus a cache of it, see `_milvus_rows`. Opening compares the two and sends
what is missing. A search does so again where Milvus does not answer it, where it found fewer pictures than there are,
where a score is not that of the collection's own feature, and, while rows are few, where Milvus counts fewer.

Milvus ranks rows, and one picture may
own many of the first. Its grouping search is not used: server 2.3.5 ignores the wish without a word. So we ask for more
rows than pictures and double the depth, as `_faiss` does, up to Milvus's own limit; what would take more rows than that
is searched exactly in the store. Where only some pictures may answer, stretches of their ids are Milvus's condition.
"""

import logging
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..errors import EngineError
from ..store import Snapshot
from . import Held, Hits, StaleEngine, check_query, n_clusters
from ._best import check_scores, group_pictures, known_rows
from ._exact import search_few, search_store
from ._milvus_recipe import LIMIT, Recipe, parse, really_built, require_dividing
from ._milvus_rows import Rows, chunks
from ._milvus_server import connect, make_collection, one_line, ping
from ._owner import known_owner, owner_of
from ._rescore import rescore

_log = logging.getLogger(__name__)

_ENGINE = "milvus"
_TIMEOUT = 30  # seconds for a search
_SECONDS = 5  # that a server has to answer at all
_COUNTED = 1 << 16  # rows that are counted for each search
_QUERIES = 32  # in one message
_STRETCHES = 64  # of ids in one condition
_OWNER = "patchseek.owner"

Ranked = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Keys (n,) and scores (n,), best first."""


class MilvusIndex:
    """The rows of a snapshot in one collection of Milvus. Raises EngineError whenever Milvus cannot be used."""

    outgrown: str | None = None  # Milvus trains each segment on that segment's own rows

    def __init__(self, recipe: Recipe, owner: str, snapshot: Snapshot) -> None:
        self._recipe, self._owner, self._snapshot = recipe, owner, snapshot
        name = recipe.name or f"patchseek_{owner}"
        self._collection = f"{name}_{snapshot.n_regions}"  # levels stand beside each other
        self._n_rows = snapshot.n_live * snapshot.n_regions
        self._n_updates, self._updating = 0, threading.Lock()
        self._client = connect(recipe.uri)
        with one_line(recipe.uri):
            version = str(self._client.get_server_version())
        self._kind = really_built(recipe.kind, version)
        self.name = f"milvus {version} {self._kind}"
        self._nlist = recipe.build.get("nlist", n_clusters(self._n_rows, 3, 16))
        self._by_id = np.argsort(snapshot.ids)

    def update(self, *, is_opening: bool = True, is_altered: bool = False) -> None:
        """Bring Milvus up to date with the snapshot; see Rows.update."""
        with one_line(self._recipe.uri):
            self._require_ours(f"{self._owner} D={self._snapshot.dim} R={self._snapshot.n_regions}")
            self._require_index()
            self._client.load_collection(self._collection)
            Rows(self._client, self._collection, self._snapshot).update(is_opening=is_opening, is_altered=is_altered)
        self._n_updates += 1

    def _mend(self, *, is_altered: bool) -> None:
        """Bring Milvus up to date once more; Lite is opened anew where that cannot be done as it is."""
        ping(self._recipe, _SECONDS)  # else a server that is down is waited for again and again
        try:
            self.update(is_opening=False, is_altered=is_altered)
        except StaleEngine:
            if self._recipe.is_server:
                raise
            self._client = connect(self._recipe.uri, anew=True)
            self.update(is_opening=False, is_altered=is_altered)

    def held(self, *, every: bool) -> Held:
        """What Milvus holds of the snapshot. every: compare the features of every row."""
        with one_line(self._recipe.uri):
            if not self._client.has_collection(self._collection):
                return Held(self._snapshot.n_live, self._snapshot.n_live, self._snapshot.n_live)
            self._client.load_collection(self._collection)
            return Rows(self._client, self._collection, self._snapshot).held(every=every)

    def _require_ours(self, identity: str) -> None:
        if self._client.has_collection(self._collection):
            found = self._client.describe_collection(self._collection)["properties"].get(_OWNER)
            if found != identity:
                raise EngineError(
                    f"Milvus at {self._recipe.uri} has a collection {self._collection} of another owner or encoder "
                    f"({found or 'not made by patchseek'}; ours: {identity}); choose a name with ;name=NAME"
                )
            return
        make_collection(self._client, self._collection, self._snapshot.dim, {_OWNER: identity})

    def _require_index(self) -> None:
        """An index of the type and with the parameters asked for; another one makes room."""
        if self._client.list_indexes(self._collection):
            built = self._client.describe_index(self._collection, "feature")
            if built["index_type"] == self._kind and all(
                str(built.get(key)) == str(number) for key, number in self._recipe.build.items()
            ):
                self._nlist = int(built.get("nlist", self._nlist))
                return
            self._client.release_collection(self._collection)
            self._client.drop_index(self._collection, "feature")
        dim = self._snapshot.dim
        params = {"nlist": self._nlist} if self._kind.startswith("IVF") else {}
        if self._kind == "IVF_PQ":
            params |= {"m": max(m for m in range(1, dim // 2 + 1) if dim % m == 0), "nbits": 8}
        if self._kind == "HNSW":
            params |= {"M": 16, "efConstruction": 200}
        params |= self._recipe.build
        indexes = self._client.prepare_index_params()
        indexes.add_index("feature", index_type=self._kind, metric_type="IP", index_name="feature", params=params)
        self._client.create_index(self._collection, indexes)

    def search(self, queries: Features, k: int, among: NDArray[np.bool_] | None = None) -> Hits:
        """See Index. Scores are Milvus's own: exact for FLAT, else estimates, and exact for the best rerank=N rows.

        Of pictures that tie at the last place, which one is answered with is Milvus's choice.
        """
        check_query(queries, k, self._snapshot.dim)
        snapshot, condition = self._snapshot, ""
        if among is not None:
            if (few := search_few(snapshot, queries, k, among)) is not None:
                return few
            snapshot = replace(snapshot, live=snapshot.live & among)
            condition = _stretches(np.sort(snapshot.ids[snapshot.live]))
        queries, n_updates = np.ascontiguousarray(queries, np.float32), self._n_updates
        try:
            return self._answer(snapshot, queries, k, condition)
        except StaleEngine as error:
            _log.warning("%s; looking what is missing there", error)
            with self._updating:
                if self._n_updates == n_updates:  # else another thread has done it meanwhile
                    self._mend(is_altered=error.is_altered)
        return self._answer(snapshot, queries, k, condition)

    def _answer(self, snapshot: Snapshot, queries: Features, k: int, condition: str) -> Hits:
        """The answers to queries. Raises StaleEngine where Milvus is not up to date."""
        k = max(min(k, snapshot.n_live), 1)
        depth = min(max(4 * k, 64, self._recipe.rerank), LIMIT)
        found = [Hits(np.empty((0, k), np.int64), np.empty((0, k), np.int64), np.empty((0, k), np.float32))]
        with one_line(self._recipe.uri):
            if self._n_rows <= _COUNTED:
                self._require_whole()
            for some in chunks(queries, _QUERIES):
                for query, rows in zip(some, self._ask(some, depth, condition), strict=True):
                    found.append(self._deepen(snapshot, query[None], k, depth, rows, condition))
            if self._n_rows > _COUNTED and any((hits.positions < 0).any() for hits in found) and k <= snapshot.n_live:
                self._require_whole()
        return Hits(
            np.concatenate([hits.positions for hits in found]),
            np.concatenate([hits.regions for hits in found]),
            np.concatenate([hits.scores for hits in found]),
        )

    def _require_whole(self) -> None:
        if lack := Rows(self._client, self._collection, self._snapshot, _TIMEOUT).lack():
            raise StaleEngine(f"Milvus at {self._recipe.uri}: {lack}")

    def _ask(self, queries: Features, depth: int, condition: str) -> list[Ranked]:
        params = dict(self._recipe.search)
        if self._kind.startswith("IVF"):
            params.setdefault("nprobe", max(self._nlist // 4, 1))
        for key, kind in (("ef", "HNSW"), ("search_list", "DISKANN")):
            if self._kind == kind:
                params[key] = max(params.get(key, 0), depth)  # Milvus refuses to return more than it looked at
        found = self._client.search(
            self._collection,
            data=list(queries),
            limit=depth,
            filter=condition,
            anns_field="feature",
            search_params={"metric_type": "IP", "params": params},
            output_fields=["row"],  # with none named, Lite returns every field, features too
            consistency_level="Eventually",  # `update` has waited until all was seen
            timeout=_TIMEOUT,
        )
        return [
            (
                np.array([hit["entity"]["row"] for hit in hits], np.int64),
                np.array([hit["distance"] for hit in hits], np.float32),
            )
            for hits in found
        ]

    def _deepen(self, snapshot: Snapshot, query: Features, k: int, depth: int, rows: Ranked, condition: str) -> Hits:
        """The answer to one query (1, D): more rows until they hold k pictures or there are no more."""
        while True:
            hits = self._group(snapshot, query, k, rows)
            if len(rows[0]) < depth or hits.positions[0, -1] >= 0:
                return hits
            if depth >= LIMIT:
                return search_store(snapshot, query, k)
            depth = min(2 * depth, LIMIT)
            rows = self._ask(query, depth, condition)[0]

    def _group(self, snapshot: Snapshot, query: Features, k: int, ranked: Ranked) -> Hits:
        """The first k pictures of ranked rows. Those that the snapshot does not know are left out."""
        images, regions = np.divmod(ranked[0], snapshot.n_regions)
        rows, known = known_rows(snapshot, self._by_id, images, regions)
        scores, rows = ranked[1][known][None], rows[known][None]
        if self._kind == "FLAT":
            check_scores(snapshot, query[0], scores[0], rows[0])
        if self._recipe.rerank:
            scores, rows = rescore(snapshot, query, scores, rows, self._recipe.rerank)
        return group_pictures(snapshot, scores, rows, k)


def _stretches(ids: NDArray[np.int64]) -> str:
    """The condition that an image's id lies in one of a few stretches, which hold ids (n,), rising, and few others."""
    gaps = np.diff(ids)
    widest = np.sort(np.argsort(-gaps, kind="stable")[: _STRETCHES - 1])
    ends = widest[gaps[widest] > 1]
    firsts, lasts = ids[np.concatenate([[0], ends + 1])], ids[np.concatenate([ends, [len(ids) - 1]])]
    return " or ".join(f"(image >= {a} and image <= {b})" for a, b in zip(firsts, lasts, strict=True))


def open_milvus(
    engine: str, snapshot: Snapshot, cache: Path | None, *, is_altered: bool, kept: bool = False
) -> MilvusIndex:
    """The engine over a snapshot, with Milvus brought up to date. See indexes.open_index."""
    recipe = parse(engine, kept=kept)
    require_dividing(recipe, snapshot.dim)
    index = MilvusIndex(recipe, owner_of(snapshot, cache, _ENGINE), snapshot)
    index.update(is_altered=is_altered)
    return index


def compare_milvus(engine: str, snapshot: Snapshot, cache: Path | None, *, every: bool) -> Held:
    """What Milvus holds. See indexes.compare."""
    owner = known_owner(snapshot, cache, _ENGINE)
    if owner is None:
        return Held(snapshot.n_live, snapshot.n_live, 0)
    return MilvusIndex(parse(engine, kept=True), owner, snapshot).held(every=every)


def ping_milvus(engine: str, seconds: int) -> None:
    """Raise EngineError unless Milvus answers. See indexes.ping."""
    ping(parse(engine, kept=True), seconds)
