"""What an engine string of FAISS says. Builds nothing."""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError

_L2 = "metric=L2"
_RERANK = "rerank="
_LONGEST = 300  # characters of an engine string
_MOST_ROWS = 1 << 30
_MOST_OF_ANYTHING = 1 << 24
_LEAST_LINKS = {"HNSW": 2, "NSG": 6}  # fewer crash FAISS, or it never ends
_COUNTS = ("efSearch", "efConstruction", "nprobe", "k_factor", "k_factor_rf")  # search parameters that are counts


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

    @property
    def text(self) -> str:
        """What is built and tried, for people."""
        return f"{self.factory};{self.parameters}" if self.parameters else self.factory

    def training_rows(self, n_positions: int, n_regions: int, n_most: int) -> NDArray[np.int64]:
        """The rows of the training regions of as many pictures as have at most n_most of them, evenly spread."""
        regions = np.arange(n_regions) if self.train_regions is None else np.array(self.train_regions)
        n = min(n_positions, max(n_most // len(regions), 1))
        chosen = np.linspace(0, n_positions - 1, n).astype(np.int64)
        rows: NDArray[np.int64] = (chosen[:, None] * n_regions + regions).ravel()
        return rows

    def check(self, n_rows: int, n_training: int, dim: int) -> None:
        """Raise EngineError for numbers that FAISS is known to crash at, never to end with, or to answer at random.

        n_rows features of dim numbers, of which n_training train it.
        """
        for kind, number in re.findall(r"([A-Za-z]*)(\d+)", self.factory):
            if int(number) == 0:
                raise EngineError(f"{self.factory!r}: an engine of 0 of anything cannot be built")
            if int(number) > _MOST_OF_ANYTHING:
                raise EngineError(f"{self.factory!r}: {number} is more than an engine can have of anything")
            if int(number) < _LEAST_LINKS.get(kind, 0):
                raise EngineError(f"{self.factory!r}: {kind} needs at least {_LEAST_LINKS[kind]} links a row")
            if kind == "NSG" and 5 * int(number) > 4 * n_rows:
                raise EngineError(f"{self.factory!r}: {n_rows} features are too few for {number} links each")
        for before, rotated in re.findall(r"(^|,)OPQ\d+(?:_(\d+))?(?=,)", self.factory):
            n_numbers = int(rotated) if rotated else 0 if before else dim
            if n_training < n_numbers:
                text = f"{n_training} features are too few to rotate {n_numbers} numbers, it takes as many"
                raise EngineError(f"{self.factory!r}: {text}")
        for name, value in re.findall(r"([A-Za-z_]+)=([^,]*)", self.parameters):
            if name.endswith(_COUNTS) and not 1 <= _number(value) <= _MOST_ROWS:
                raise EngineError(f"{self.text!r}: {name} must be a number from 1 to {_MOST_ROWS}, found {value!r}")


def _number(text: str) -> float:
    """The number that a text is, not a number where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def parse(engine: str, train_regions: Sequence[int] | None) -> Recipe:
    """The recipe of "FACTORY;...". Raises EngineError for what cannot be one; most of it is FAISS's to judge."""
    if len(engine) > _LONGEST or not (engine.isascii() and engine.isprintable()):
        raise EngineError(f"{engine[:40]!r}: an engine is at most {_LONGEST} letters and digits of ASCII")
    factory, *rest = (part.strip() for part in engine.split(";"))
    try:
        rerank = sum(int(part.removeprefix(_RERANK)) for part in rest if part.startswith(_RERANK))
        if not 0 <= rerank <= _MOST_ROWS:
            raise ValueError
    except ValueError as error:
        raise EngineError(f"{engine!r}: {_RERANK}N takes a whole number of rows, such as {_RERANK}400") from error
    parameters = ",".join(part for part in rest if part and part != _L2 and not part.startswith(_RERANK))
    regions = None if train_regions is None else tuple(map(int, train_regions))
    return Recipe(factory, parameters, _L2 in rest, regions, rerank)
