"""What an engine string of FAISS says. Builds nothing."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import EngineError

_L2 = "metric=L2"
_RERANK = "rerank="


@dataclass(frozen=True)
class Recipe:
    """What an index is built by and searched with. `FACTORY;nprobe=32;metric=L2;rerank=400` as a string."""

    factory: str
    parameters: str
    # FAISS's own search parameters, comma-separated
    is_l2: bool
    train_regions: tuple[int, ...] | None
    # regions whose features train it; None: all
    rerank: int
    # best rows of a query that are scored again from the collection's own features

    @property
    def stem(self) -> str:
        """A file name that no other recipe has. Search parameters change no byte of an index."""
        text = json.dumps([self.factory, self.is_l2, self.train_regions])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def parse(engine: str, train_regions: Sequence[int] | None) -> Recipe:
    """The recipe of "FACTORY;...". Raises EngineError for a rerank that is no number; the rest is FAISS's to judge."""
    factory, *rest = engine.split(";")
    try:
        rerank = sum(int(part.removeprefix(_RERANK)) for part in rest if part.startswith(_RERANK))
    except ValueError as error:
        raise EngineError(f"{engine!r}: {_RERANK}N takes a whole number of rows, such as {_RERANK}400") from error
    parameters = ",".join(part for part in rest if part != _L2 and not part.startswith(_RERANK))
    regions = None if train_regions is None else tuple(map(int, train_regions))
    return Recipe(factory, parameters, _L2 in rest, regions, rerank)
