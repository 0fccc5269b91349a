"""What an engine string of Milvus says, and what a server of some version really offers. Talks to nobody."""

from dataclasses import dataclass

from ..errors import EngineError
from . import MILVUS

TOKEN = "PATCHSEEK_MILVUS_TOKEN"
"""The environment variable that holds a server's token; it is never written down."""
SEARCH = ("nprobe", "ef", "search_list")
"""Parameters of a search."""
BUILD = ("nlist", "m", "nbits", "M", "efConstruction")
"""Parameters of an index."""
_OFFERED = {(2, 3): ["FLAT", "IVF_FLAT", "IVF_PQ", "HNSW"], (2, 4): ["DISKANN"], (2, 6): ["IVF_RABITQ"]}


@dataclass(frozen=True)
class Recipe:
    """`milvus:URI;type=IVF_PQ;nlist=1024;nprobe=32;rerank=400;name=pets` taken apart."""

    uri: str
    kind: str
    name: str | None
    rerank: int
    numbers: dict[str, int]
    # build and search parameters under Milvus's own names


def parse(engine: str) -> Recipe:
    """The recipe of "milvus:URI;...". Raises EngineError for anything else."""
    uri, *rest = engine.removeprefix(MILVUS).split(";")
    if not uri or "@" in uri:
        raise EngineError(f"{MILVUS}URI takes a file ending in .db or http://host:port; a token goes into {TOKEN}")
    if "://" not in uri and not uri.endswith(".db"):
        raise EngineError(f"{uri!r}: the file of Milvus Lite must end in .db; a server is http://host:port")
    said = dict(part.partition("=")[::2] for part in rest)
    kind, name = said.pop("type", "FLAT"), said.pop("name", None)
    try:
        numbers = {key: int(value) for key, value in said.items()}
    except ValueError as error:
        raise EngineError(f"{engine!r}: parameters are whole numbers, such as nprobe=32") from error
    rerank = numbers.pop("rerank", 0)
    unknown = sorted(set(numbers) - {*SEARCH, *BUILD})
    if unknown:
        raise EngineError(f"{engine!r}: {unknown[0]!r} is no parameter; there are {', '.join((*SEARCH, *BUILD))}")
    return Recipe(uri, kind, name, rerank, numbers)


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
