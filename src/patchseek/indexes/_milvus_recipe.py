"""What an engine string of Milvus says, and what a server of some version really offers. Talks to nobody."""

import re
from dataclasses import dataclass

from ..errors import EngineError
from ._parameters import Range, read_numbers, require_once, said_number, split_parts
from ._protocol import MILVUS

LIMIT = 16384
"""Rows that a search or a query may return, Milvus's own bound."""

TOKEN = "PATCHSEEK_MILVUS_TOKEN"
"""The environment variable that holds a server's token; it is never written down."""
_MOST = 1 << 20
_LISTS = Range(1, 65_536)
_LINKS = {"M": Range(2, 2048), "efConstruction": Range(1, _MOST)}
BUILD: dict[str, dict[str, Range]] = {"IVF_FLAT": {"nlist": _LISTS}, "HNSW": _LINKS}
BUILD["IVF_PQ"] = {"nlist": _LISTS, "m": Range(1, 32_768), "nbits": Range(1, 16)}
BUILD["IVF_RABITQ"] = BUILD["IVF_FLAT"]
"""Parameters of an index by its type, as Milvus calls them."""
SEARCH = {kind: {"nprobe": _LISTS} for kind in ("IVF_FLAT", "IVF_PQ", "IVF_RABITQ")}
SEARCH |= {"HNSW": {"ef": Range(1, _MOST)}, "DISKANN": {"search_list": Range(1, _MOST)}}
"""Parameters of a search by the type of the index."""
_RERANK = {"rerank": Range(1, LIMIT, "rows that Milvus returns at most")}
_OFFERED = {(2, 3): ["FLAT", "IVF_FLAT", "IVF_PQ", "HNSW"], (2, 4): ["DISKANN"], (2, 6): ["IVF_RABITQ"]}
_NAME = re.compile(r"[A-Za-z_]\w{0,199}", re.ASCII)


@dataclass(frozen=True)
class MilvusRecipe:
    """`milvus:URI;type=IVF_PQ;nlist=1024;nprobe=32;rerank=400;name=pets` taken apart."""

    uri: str
    kind: str
    name: str | None
    rerank: int
    # best rows of a query that are scored again from the collection's own features
    build: dict[str, int]
    search: dict[str, int]
    # parameters that were given, under Milvus's own names

    @property
    def is_server(self) -> bool:
        """Whether it is a server, and not a file of Lite."""
        return "://" in self.uri


def parse(engine: str, *, kept: bool = False) -> MilvusRecipe:
    """The recipe of "milvus:URI;...". Raises EngineError for anything else. kept: see `_parameters`."""
    uri, *rest = engine.removeprefix(MILVUS).split(";")
    if not uri or "@" in uri:
        raise EngineError(f"{MILVUS}URI takes a file ending in .db or http://host:port; a token goes into {TOKEN}")
    if "://" not in uri and not uri.endswith(".db"):
        raise EngineError(f"{uri!r}: the file of Milvus Lite must end in .db; a server is http://host:port")
    said = require_once(engine, split_parts(engine, rest), kept=kept)
    kind, name = said.pop("type", "FLAT"), said.pop("name", None)
    if name is not None and not _NAME.fullmatch(name):
        raise EngineError(f"{name!r}: a name is made of letters, digits and _ and does not begin with a digit")
    build, search = BUILD.get(kind, {}), SEARCH.get(kind, {})
    ranges = build | search | _RERANK
    if "nprobe" in ranges and (n := said_number(said, "nlist", 0)):
        ranges["nprobe"] = Range(1, min(n, _LISTS.most), "the clusters of nlist")
    numbers = {name: int(n) for name, n in read_numbers(engine, said, ranges, of=kind, kept=kept).items()}
    parts = [{key: numbers[key] for key in keys if key in numbers} for keys in (build, search)]
    return MilvusRecipe(uri, kind, name, numbers.get("rerank", 0), *parts)


def really_built(kind: str, version: str) -> str:
    """The index type, checked against what a server of this version really builds. Lite builds none, whatever it
    says: it answers by brute force."""
    offered = ["FLAT"]
    if "milvus_lite" not in version:
        major, minor = (int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")[:2])
        offered = [each for since, kinds in _OFFERED.items() if (major, minor) >= since for each in kinds]
    if not offered:
        raise EngineError(f"Milvus {version} is too old; 2.3 or later is needed")
    if kind not in offered:
        raise EngineError(f"Milvus {version} does not really build {kind}; it offers {', '.join(offered)}")
    return kind


def require_dividing(recipe: MilvusRecipe, dim: int) -> None:
    """Raise EngineError where features of dim numbers cannot be cut into as many parts as IVF_PQ is to code."""
    m = recipe.build.get("m", 1)
    if dim % m:
        works = ", ".join(str(n) for n in range(1, min(dim, 256) + 1) if dim % n == 0)
        raise EngineError(f"{recipe.kind}: m must divide the {dim} numbers of a feature ({works}), found '{m}'")
