"""Search in Milvus, embedded (Lite) or a server.

The collection on disk is the truth and Milvus a cache of it, see `_milvus_rows`. Opening compares the two and sends
what is missing. A search does so again where Milvus does not answer it, where it found fewer pictures than there are,
where a score is not that of the collection's own feature, and, while rows are few, where Milvus counts fewer.

Milvus ranks rows, and `_gather` makes pictures of them, asking for no more rows than Milvus's own limit. Its grouping
search is not used: server 2.3.5 ignores the wish without a word. Where only some pictures may answer, stretches of
their ids are Milvus's condition.
"""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._home import expanded
from ..encoders import Features
from ..errors import EngineError
from ..store import Snapshot
from ._database import Found, Mender, Names, StaleEngine
from ._gather import RankedRows, gather, narrowed
from ._milvus_recipe import LIMIT, MilvusRecipe, parse, really_built, require_dividing
from ._milvus_rows import MilvusRows, chunks
from ._milvus_server import connect, make_collection, one_line, ping
from ._owner import known_owner, owner_of
from ._protocol import MILVUS, EngineOpening, Held, Hits, Kind, n_clusters

_ENGINE = "milvus"
_TIMEOUT = 30  # seconds for a search
_SECONDS = 5  # that a server has to answer at all
_COUNTED = 1 << 16  # rows that are counted for each search
_QUERIES = 32  # in one message
_STRETCHES = 64  # of ids in one condition
_OWNER = "patchseek.owner"


class MilvusIndex:
    """The rows of a snapshot in one collection of Milvus. Raises EngineError whenever Milvus cannot be used."""

    outgrown: str | None = None  # Milvus trains each segment on that segment's own rows

    def __init__(self, recipe: MilvusRecipe, owner: str, snapshot: Snapshot) -> None:
        self._recipe, self._owner, self._snapshot = recipe, owner, snapshot
        name = recipe.name or f"patchseek_{owner}"
        self._collection = f"{name}_{snapshot.n_regions}"  # levels stand beside each other
        self._n_rows = snapshot.n_live * snapshot.n_regions
        self._mender, self._names = Mender(), Names(snapshot)
        self._client = connect(recipe.uri)
        with one_line(recipe.uri):
            version = str(self._client.get_server_version())
        self._kind = really_built(recipe.kind, version)
        self.name = f"milvus {version} {self._kind}"
        self._nlist = recipe.build.get("nlist", n_clusters(self._n_rows, 3, 16))

    def update(self, *, is_opening: bool = True, is_altered: bool = False) -> None:
        """Bring Milvus up to date with the snapshot; see MilvusRows.update."""
        with one_line(self._recipe.uri):
            self._require_ours(f"{self._owner} D={self._snapshot.dim} R={self._snapshot.n_regions}")
            self._require_index()
            self._client.load_collection(self._collection)
            MilvusRows(self._client, self._collection, self._snapshot).update(
                is_opening=is_opening, is_altered=is_altered
            )

    def _mend(self, is_altered: bool) -> None:
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
            return MilvusRows(self._client, self._collection, self._snapshot).held(every=every)

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
        part = narrowed(self._snapshot, queries, k, among)
        if isinstance(part, Hits):
            return part
        condition = "" if among is None else _stretches(np.sort(part.ids[part.live]))
        return self._mender.answer(lambda: self._answer(part, queries, k, condition), self._mend)

    def _answer(self, part: Snapshot, queries: Features, k: int, condition: str) -> Hits:
        """The answers to queries. Raises StaleEngine where Milvus is not up to date."""
        with one_line(self._recipe.uri):
            if self._n_rows <= _COUNTED:
                self._require_whole()
            ask = partial(self._ask, condition)
            hits = gather(ask, part, queries, k, most=LIMIT, rerank=self._recipe.rerank)
            if self._n_rows > _COUNTED and part.n_live and (hits.positions < 0).any():
                self._require_whole()
        return hits

    def _require_whole(self) -> None:
        if lack := MilvusRows(self._client, self._collection, self._snapshot, _TIMEOUT).lack():
            raise StaleEngine(f"Milvus at {self._recipe.uri}: {lack}")

    def _ask(self, condition: str, queries: Features, depth: int) -> RankedRows:
        """See Ask. condition: in Milvus's words, which pictures may answer; all for none."""
        found = (hits for some in chunks(queries, _QUERIES) for hits in self._search(some, depth, condition))
        return self._names.rows(queries, found, depth, are_exact=self._kind == "FLAT")

    def _search(self, queries: Features, depth: int, condition: str) -> list[Found]:
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
                *np.divmod(np.array([hit["entity"]["row"] for hit in hits], np.int64), self._snapshot.n_regions),
                np.array([hit["distance"] for hit in hits], np.float32),
            )
            for hits in found
        ]


def _stretches(ids: NDArray[np.int64]) -> str:
    """The condition that an image's id lies in one of a few stretches, which hold ids (n,), rising, and few others."""
    gaps = np.diff(ids)
    widest = np.sort(np.argsort(-gaps, kind="stable")[: _STRETCHES - 1])
    ends = widest[gaps[widest] > 1]
    firsts, lasts = ids[np.concatenate([[0], ends + 1])], ids[np.concatenate([ends, [len(ids) - 1]])]
    return " or ".join(f"(image >= {a} and image <= {b})" for a, b in zip(firsts, lasts, strict=True))


def _as_kept(engine: str) -> str:
    uri, *rest = engine.removeprefix(MILVUS).split(";")
    return engine if "://" in uri or not uri else ";".join([MILVUS + str(expanded(uri).resolve()), *rest])


def _open(engine: str, snapshot: Snapshot, how: EngineOpening) -> MilvusIndex:
    """With Milvus brought up to date."""
    recipe = parse(engine, kept=how.kept)
    require_dividing(recipe, snapshot.dim)
    index = MilvusIndex(recipe, owner_of(snapshot, how.cache, _ENGINE), snapshot)
    index.update(is_altered=how.is_altered)
    return index


def _compare(engine: str, snapshot: Snapshot, cache: Path | None, every: bool) -> Held:
    owner = known_owner(snapshot, cache, _ENGINE)
    if owner is None:
        return Held(snapshot.n_live, snapshot.n_live, 0)
    return MilvusIndex(parse(engine, kept=True), owner, snapshot).held(every=every)


def _ping(engine: str, seconds: int) -> None:
    ping(parse(engine, kept=True), seconds)


KIND = Kind(open=_open, judge=parse, as_kept=_as_kept, compare=_compare, ping=_ping)
