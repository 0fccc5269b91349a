"""What an engine string of PostgreSQL says, and what it means for building and for searching. Talks to nobody."""

from dataclasses import dataclass

from ..errors import EngineError
from ._parameters import Range, read_numbers, require_once, said_number, split_parts
from ._protocol import n_clusters

_MOST = 1000  # candidates that HNSW may look at in one go, pgvector's own bound
_LISTS = Range(1, 32_768)
_BUILD: dict[str, dict[str, Range]] = {
    "FLAT": {},
    "HNSW": {"m": Range(2, 100), "ef_construction": Range(4, 1000)},
    "IVFFLAT": {"lists": _LISTS},
}
_SEARCH = {"FLAT": {}, "HNSW": {"ef": Range(1, _MOST)}, "IVFFLAT": {"probes": _LISTS}}
_M, _EF_CONSTRUCTION = 16, 64  # of HNSW unless said, pgvector's own


@dataclass(frozen=True)
class PostgresRecipe:
    """`postgresql://USER@HOST/DATABASE;type=HNSW;m=16;ef=100` taken apart."""

    url: str
    kind: str
    # FLAT compares a query with every row
    numbers: dict[str, int]
    # build and search parameters under pgvector's own names

    @property
    def suffix(self) -> str:
        """What the name of its index ends with: another one for other build parameters."""
        return "_".join([self.kind.lower(), *(f"{key}{self.numbers[key]}" for key in self._given)])

    @property
    def _given(self) -> list[str]:
        return [key for key in _BUILD[self.kind] if key in self.numbers]

    def build(self, n_rows: int) -> str:
        """What follows CREATE INDEX ... USING for a table of n_rows."""
        numbers = {key: self.numbers[key] for key in self._given}
        if self.kind == "IVFFLAT":
            numbers["lists"] = self.lists(n_rows)
        options = ", ".join(f"{key} = {value}" for key, value in numbers.items())
        return f"{self.kind} (feature halfvec_ip_ops)" + (f" WITH ({options})" if options else "")

    def build_bytes(self, n_rows: int, dim: int) -> int:
        """Memory that building takes at least, for IVFFLAT, which is refused less; 0 for the others, which need none.

        What pgvector adds up before it looks for clusters (ivfkmeans.c): room for samples, their distances to all
        clusters, and the clusters. A tenth is added, since its versions differ.
        """
        if self.kind != "IVFFLAT":
            return 0
        n_lists, item = self.lists(n_rows), 16 + 2 * dim
        n_samples = max(50 * n_lists, 10_000)
        samples = n_samples * item + min(n_samples, n_rows) * (4 * n_lists + 8)
        clusters = n_lists * (2 * item + 4 * dim + 8 * n_lists + 12)
        return (samples + clusters) * 11 // 10

    def settings(self, depth: int, n_rows: int) -> str:
        """What the server shall do for a search of this depth, until the end of the transaction."""
        said = {"jit": "off"}  # compiling takes longer than it saves
        if self.kind == "FLAT":
            said["enable_indexscan"] = "off"  # another process may have built an index
        else:  # go on until there are enough rows
            said[f"{self.kind}.iterative_scan"] = "relaxed_order"
        if self.kind == "HNSW":
            said |= {"hnsw.max_scan_tuples": "2147483647", "hnsw.scan_mem_multiplier": f"{_MOST}"}
            said["hnsw.ef_search"] = str(min(max(self.numbers.get("ef", 0), depth), _MOST))
        if self.kind == "IVFFLAT":  # a quarter of the lists, as for FAISS
            said["ivfflat.probes"] = str(self.numbers.get("probes", max(self.lists(n_rows) // 4, 1)))
        return "; ".join(f"SET LOCAL {key} = {value}" for key, value in said.items())

    def lists(self, n_rows: int) -> int:
        """How many clusters IVFFLAT finds in a table of n_rows."""
        return self.numbers.get("lists", n_clusters(n_rows, 3, 15))


def parse(engine: str, *, kept: bool = False) -> PostgresRecipe:
    """The recipe of "postgresql://...;...". Raises EngineError for parameters that its kind of index does not have.

    kept: see `_parameters`. Errors do not quote the URL: it may hold a password.
    """
    url, *rest = engine.split(";")
    what = ";".join(rest)
    said = require_once(what, split_parts(what, rest), kept=kept)
    kind = said.pop("type", "FLAT")
    if kind not in _BUILD:
        raise EngineError(f"PostgreSQL has no index {kind[:40]!r}; there are {', '.join(_BUILD)}")
    ranges = _BUILD[kind] | _SEARCH[kind]
    if kind == "HNSW":
        ranges |= _links(said)
    if kind == "IVFFLAT" and (n := said_number(said, "lists", 0)):
        ranges["probes"] = Range(1, min(n, _LISTS.most), "the clusters of lists")
    numbers = read_numbers(what, said, ranges, of=f"PostgreSQL's {kind}", kept=kept)
    return PostgresRecipe(url, kind, {key: int(number) for key, number in numbers.items()})


def _links(said: dict[str, str]) -> dict[str, Range]:
    """What HNSW's parameters may be beside each other."""
    if "ef_construction" not in said:
        return {"m": Range(2, _EF_CONSTRUCTION // 2, f"half of ef_construction, {_EF_CONSTRUCTION} unless said")}
    return {"ef_construction": Range(2 * min(said_number(said, "m", _M), 100), 1000, "at least twice m")}
