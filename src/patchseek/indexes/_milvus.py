"""Search in Milvus, embedded (Lite) or a server. The only file that imports pymilvus.

The collection on disk is the truth and Milvus a cache of it: a row is one region of one live picture, under the key
image id * R + region, so that sending it twice changes nothing. Each row names its shard, and opening compares shard by
shard what Milvus counts with what the snapshot holds; only what is missing is sent. Nothing else is written down, so a
load that broke off goes on wherever it stopped.

Milvus ranks rows, and one picture may own many of the first. Its grouping search is not used: server 2.3.5 ignores the
wish without a word. So we ask for more rows than pictures, as `_faiss` does, up to Milvus's own limit, and beyond it
again without the pictures found.
"""

import hashlib
import logging
import math
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..errors import EngineError, MissingExtra
from ..store import Snapshot
from . import Hits, check_query
from ._best import group_pictures
from ._milvus_recipe import SEARCH, TOKEN, Recipe, parse, really_built
from ._rescore import rescore

_TIMEOUT = 60  # seconds for one message
_LIMIT = 16384  # rows that a search or a query may return, Milvus's own bound
_BATCH_BYTES = 8 << 20  # of features in one message; a server takes 64 MB
_QUERIES = 32  # in one message
_OWNER = "patchseek.owner"

Ranked = list[tuple[int, float]]
"""Keys and scores, best first."""


@contextmanager
def _one_line(uri: str) -> Iterator[None]:
    """Whatever Milvus or the connection raises becomes one EngineError."""
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except (MilvusException, grpc.RpcError, OSError, ValueError) as error:
        reason = " ".join(str(getattr(error, "message", "") or error).split())[:300]
        raise EngineError(f"Milvus at {uri}: {reason}; nothing is lost, the next try goes on from here") from error


class MilvusIndex:
    """The rows of a snapshot in one collection of Milvus. Raises EngineError whenever Milvus cannot be used."""

    def __init__(self, client: Any, recipe: Recipe, collection: str, snapshot: Snapshot) -> None:
        self._client, self._recipe, self._collection, self._snapshot = client, recipe, collection, snapshot
        with _one_line(recipe.uri):
            self._version = str(client.get_server_version())
        self._kind = really_built(recipe.kind, self._version)
        self.name = f"milvus {self._version} {self._kind}"
        n_rows = max(snapshot.n_live * snapshot.n_regions, 1)
        self._nlist = recipe.numbers.get("nlist", 1 << min(max(round(math.log2(n_rows) / 2), 3), 16))

    def update(self, owner: str) -> None:
        """Bring Milvus up to date with the snapshot; owner tells whose the collection is."""
        with _one_line(self._recipe.uri):
            self._require_ours(f"{owner} D={self._snapshot.dim} R={self._snapshot.n_regions}")
            self._require_index()
            self._client.load_collection(self._collection)
            low = 0
            for array, shard in zip(self._snapshot.arrays, self._snapshot.shards, strict=True):
                self._update_shard(low, len(array), _tag(shard))
                low += len(array)
            tags = [_tag(shard) for shard in self._snapshot.shards]
            stale = f"shard not in {_in(tags)}" if tags else "row >= 0"
            if self._count(stale):
                self._client.delete(self._collection, filter=stale)
            found, wanted = self._count("row >= 0"), self._snapshot.n_live * self._snapshot.n_regions
        if found != wanted:
            raise EngineError(f"{self._collection} of Milvus holds {found} rows, {wanted} expected; open it again")

    def _require_ours(self, identity: str) -> None:
        from pymilvus import DataType

        if self._client.has_collection(self._collection):
            found = self._client.describe_collection(self._collection)["properties"].get(_OWNER)
            if found != identity:
                raise EngineError(
                    f"Milvus at {self._recipe.uri} has a collection {self._collection} of another owner or encoder "
                    f"({found or 'not made by patchseek'}; ours: {identity}); choose a name with ;name=NAME"
                )
            return
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("row", DataType.INT64, is_primary=True)
        schema.add_field("image", DataType.INT64)
        schema.add_field("region", DataType.INT64)
        schema.add_field("shard", DataType.VARCHAR, max_length=32)
        schema.add_field("feature", DataType.FLOAT_VECTOR, dim=self._snapshot.dim)
        self._client.create_collection(
            self._collection, schema=schema, properties={_OWNER: identity}, consistency_level="Strong"
        )

    def _require_index(self) -> None:
        """An index of the type asked for; one of another type makes room."""
        if self._client.list_indexes(self._collection):
            built = self._client.describe_index(self._collection, "feature")
            if built["index_type"] == self._kind:
                self._nlist = int(built.get("nlist", self._nlist))
                return
            self._client.release_collection(self._collection)
            self._client.drop_index(self._collection, "feature")
        dim, given = self._snapshot.dim, self._recipe.numbers
        params = {"nlist": self._nlist} if self._kind.startswith("IVF") else {}
        if self._kind == "IVF_PQ":
            params |= {"m": max(m for m in range(1, dim // 2 + 1) if dim % m == 0), "nbits": 8}
        if self._kind == "HNSW":
            params |= {"M": 16, "efConstruction": 200}
        indexes = self._client.prepare_index_params()
        params |= {key: given[key] for key in params if key in given}
        indexes.add_index("feature", index_type=self._kind, metric_type="IP", index_name="feature", params=params)
        self._client.create_index(self._collection, indexes)

    def _update_shard(self, low: int, n: int, tag: str) -> None:
        """Take out removed pictures of a shard and send those that are missing or broken."""
        snapshot, n_regions = self._snapshot, self._snapshot.n_regions
        places = np.arange(low, low + n)
        live = snapshot.live[places]
        for ids in _chunks(snapshot.ids[places[~live]].tolist(), _LIMIT // n_regions):
            gone = f"image in {_in(ids)}"
            if self._count(gone):
                self._client.delete(self._collection, filter=gone)
        places = places[live]
        if self._count(f"shard == '{tag}'") == len(places) * n_regions:
            return
        present: set[int] = set()
        for ids in _chunks(snapshot.ids[places].tolist(), _LIMIT // n_regions):
            rows = self._client.query(
                self._collection, filter=f"shard == '{tag}' and image in {_in(ids)}", output_fields=["row"]
            )
            present.update(int(row["row"]) for row in rows)
        missing = [
            place
            for place, image in zip(places.tolist(), snapshot.ids[places].tolist(), strict=True)
            if not present.issuperset(range(image * n_regions, (image + 1) * n_regions))
        ]
        for some in _chunks(missing, max(_BATCH_BYTES // (4 * snapshot.dim * n_regions), 1)):
            chosen = np.array(some, np.int64)
            self._send(snapshot.ids[chosen].tolist(), snapshot.features(chosen), tag)

    def _send(self, ids: Sequence[int], features: Features, tag: str) -> None:
        rows = [
            {"row": image * len(regions) + r, "image": image, "region": r, "shard": tag, "feature": feature}
            for image, regions in zip(ids, features, strict=True)
            for r, feature in enumerate(regions)
        ]
        self._client.upsert(self._collection, rows, timeout=_TIMEOUT)

    def _count(self, condition: str) -> int:
        found = self._client.query(
            self._collection, filter=condition, output_fields=["count(*)"], consistency_level="Strong"
        )
        return int(found[0]["count(*)"])

    def search(self, queries: Features, k: int) -> Hits:
        """See Index. Scores are Milvus's own: exact for FLAT, else estimates, and exact for the best rerank=N rows.

        Of pictures that tie at the last place, which one is answered with is Milvus's choice.
        """
        check_query(queries, k, self._snapshot.dim)
        k = max(min(k, self._snapshot.n_live), 1)
        queries = np.ascontiguousarray(queries, np.float32)
        depth = min(max(4 * k, 64, self._recipe.rerank), _LIMIT)
        ranked: list[Ranked] = []
        with _one_line(self._recipe.uri):
            for some in _chunks(queries, _QUERIES):
                ranked += self._ask(some, depth)
            ranked = [self._deepen(query, k, depth, rows) for query, rows in zip(queries, ranked, strict=True)]
        scores, rows = self._columns(ranked)
        if self._recipe.rerank:
            scores, rows = rescore(self._snapshot, queries, scores, rows, self._recipe.rerank)
        return group_pictures(self._snapshot, scores, rows, k)

    def _ask(self, queries: Features, depth: int, condition: str = "") -> list[Ranked]:
        numbers = self._recipe.numbers
        params = {key: numbers[key] for key in SEARCH if key in numbers}
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
            consistency_level="Strong",
        )
        return [[(int(hit["entity"]["row"]), float(hit["distance"])) for hit in hits] for hits in found]

    def _deepen(self, query: NDArray[np.float32], k: int, depth: int, rows: Ranked) -> Ranked:
        """More rows of one query until they hold k pictures or there are no more."""
        known, last = rows, rows
        while len(pictures := {row // self._snapshot.n_regions for row, _ in known}) < k and len(last) >= depth:
            if depth < _LIMIT:
                depth = min(2 * depth, _LIMIT)
                known = last = self._ask(query[None], depth)[0]
            else:
                last = self._ask(query[None], depth, f"image not in {_in(sorted(pictures))}")[0]
                known = known + last
        return known

    def _columns(self, ranked: Sequence[Ranked]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and rows of the snapshot (Q, m), -1 at the end. Pictures that it does not know are left out."""
        n_regions = self._snapshot.n_regions
        position_of = dict(zip(self._snapshot.ids.tolist(), range(self._snapshot.n_positions), strict=True))
        width = max((len(rows) for rows in ranked), default=0)
        scores = np.full((len(ranked), width), -np.inf, np.float32)
        rows = np.full((len(ranked), width), -1, np.int64)
        for q, keys in enumerate(ranked):
            known = [(*divmod(key, n_regions), score) for key, score in keys if key // n_regions in position_of]
            rows[q, : len(known)] = [position_of[image] * n_regions + region for image, region, _ in known]
            scores[q, : len(known)] = [score for _, _, score in known]
        return scores, rows


def open_milvus(engine: str, snapshot: Snapshot, cache: Path | None) -> MilvusIndex:
    """The engine over a snapshot, with Milvus brought up to date. See indexes.open_index."""
    recipe = parse(engine)
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise MissingExtra("pymilvus", "milvus") from error
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs a traceback of each error that we report
    with _one_line(recipe.uri):
        client = MilvusClient(recipe.uri, token=os.environ.get(TOKEN, ""), timeout=10)
    owner = _owner(snapshot, cache)
    index = MilvusIndex(client, recipe, recipe.name or f"patchseek_{owner}_{snapshot.n_regions}", snapshot)
    index.update(owner)
    return index


def _owner(snapshot: Snapshot, cache: Path | None) -> str:
    """Whose rows these are: drawn once for a cache folder and kept in it, with its path.

    A copy of a collection lies elsewhere and draws its own: two that grew apart under one owner would answer with each
    other's pictures. So does a collection that has moved; its old rows stay in Milvus.
    """
    if cache is None:
        return hashlib.sha256("".join(snapshot.shards).encode()).hexdigest()[:16]
    path, home = cache / "milvus-owner", str(cache.resolve())
    owner, _, kept_for = path.read_text().partition("\n") if path.exists() else ("", "", "")
    if kept_for != home:
        owner = uuid.uuid4().hex[:16]
        cache.mkdir(exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        partial.write_text(f"{owner}\n{home}")
        partial.replace(path)
    return owner


def _tag(shard: str) -> str:
    return hashlib.sha256(shard.encode()).hexdigest()[:16]


def _in(values: Sequence[int] | Sequence[str]) -> str:
    return "[" + ", ".join(map(repr, values)) + "]"


def _chunks(items: Any, n: int) -> Iterator[Any]:
    return (items[low : low + n] for low in range(0, len(items), n))
