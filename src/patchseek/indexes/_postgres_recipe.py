"""What an engine string of PostgreSQL says, and what it means for building and for searching. Talks to nobody."""

from dataclasses import dataclass

from ..errors import EngineError
from . import n_clusters

_BUILD = {"FLAT": (), "HNSW": ("m", "ef_construction"), "IVFFLAT": ("lists",)}
_SEARCH = {"FLAT": (), "HNSW": ("ef",), "IVFFLAT": ("probes",)}
_MOST = 1000  # candidates that HNSW may look at in one go, pgvector's own bound


@dataclass(frozen=True)
class Recipe:
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
            numbers["lists"] = self._lists(n_rows)
        options = ", ".join(f"{key} = {value}" for key, value in numbers.items())
        return f"{self.kind} (feature halfvec_ip_ops)" + (f" WITH ({options})" if options else "")

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
            said["ivfflat.probes"] = str(self.numbers.get("probes", max(self._lists(n_rows) // 4, 1)))
        return "; ".join(f"SET LOCAL {key} = {value}" for key, value in said.items())

    def _lists(self, n_rows: int) -> int:
        return self.numbers.get("lists", n_clusters(n_rows, 3, 15))


def parse(engine: str) -> Recipe:
    """The recipe of "postgresql://...;...". Raises EngineError for parameters that its kind of index does not have."""
    url, *rest = engine.split(";")
    said = dict(part.partition("=")[::2] for part in rest)
    kind = said.pop("type", "FLAT")
    if kind not in _BUILD:
        raise EngineError(f"PostgreSQL has no index {kind!r}; there are {', '.join(_BUILD)}")
    known = (*_BUILD[kind], *_SEARCH[kind])
    for key, value in said.items():
        if key not in known or not value.isdecimal():
            offered = f"{', '.join(known)}, whole numbers" if known else "none"
            raise EngineError(f"{key}={value} is no parameter of PostgreSQL's {kind}; there are {offered}")
    return Recipe(url, kind, {key: int(value) for key, value in said.items()})
