"""What an engine string of Milvus says, and what a server of some version really offers. Talks to nobody."""

import re
from dataclasses import dataclass

from ..errors import EngineError
from . import MILVUS

TOKEN = "PATCHSEEK_MILVUS_TOKEN"
"""The environment variable that holds a server's token; it is never written down."""
BUILD = {"IVF_FLAT": ["nlist"], "IVF_PQ": ["nlist", "m", "nbits"], "HNSW": ["M", "efConstruction"]}
BUILD["IVF_RABITQ"] = BUILD["IVF_FLAT"]
"""Parameters of an index by its type, as Milvus calls them."""
SEARCH = {"IVF_FLAT": ["nprobe"], "IVF_PQ": ["nprobe"], "IVF_RABITQ": ["nprobe"], "HNSW": ["ef"]}
SEARCH["DISKANN"] = ["search_list"]
"""Parameters of a search by the type of the index."""
_OFFERED = {(2, 3): ["FLAT", "IVF_FLAT", "IVF_PQ", "HNSW"], (2, 4): ["DISKANN"], (2, 6): ["IVF_RABITQ"]}
_NAME = re.compile(r"[A-Za-z_]\w{0,199}", re.ASCII)


@dataclass(frozen=True)
class Recipe:
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


def parse(engine: str) -> Recipe:
    """The recipe of "milvus:URI;...". Raises EngineError for anything else."""
    uri, *rest = engine.removeprefix(MILVUS).split(";")
    if not uri or "@" in uri:
        raise EngineError(f"{MILVUS}URI takes a file ending in .db or http://host:port; a token goes into {TOKEN}")
    if "://" not in uri and not uri.endswith(".db"):
        raise EngineError(f"{uri!r}: the file of Milvus Lite must end in .db; a server is http://host:port")
    said: dict[str, str] = {}
    for part in rest:
        key, _, value = part.partition("=")
        if key in said:
            raise EngineError(f"{engine!r}: {key} is said twice")
        said[key] = value
    kind, name = said.pop("type", "FLAT"), said.pop("name", None)
    if name is not None and not _NAME.fullmatch(name):
        raise EngineError(f"{name!r}: a name is made of letters, digits and _ and does not begin with a digit")
    build, search = BUILD.get(kind, []), SEARCH.get(kind, [])
    for key, value in said.items():
        if key not in ("rerank", *build, *search):
            raise EngineError(
                f"{engine!r}: {key!r} is no parameter of {kind}; {', '.join((*build, *search, 'rerank'))}"
            )
        if not value.isdecimal() or int(value) < 1:
            raise EngineError(f"{engine!r}: parameters are whole numbers from 1 on, such as nprobe=32")
    numbers = {key: int(value) for key, value in said.items()}
    parts = [{key: numbers[key] for key in keys if key in numbers} for keys in (build, search)]
    return Recipe(uri, kind, name, numbers.get("rerank", 0), *parts)


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
