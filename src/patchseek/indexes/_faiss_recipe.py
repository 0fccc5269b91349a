"""What an engine string of FAISS says. Builds nothing."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from ._parameters import Range, read_numbers, require_once, split_parts

_LONGEST = 300  # characters of an engine string
_MOST_OF_ANYTHING = 1 << 24
_LEAST_LINKS = {"HNSW": 2, "NSG": 6}  # fewer crash FAISS, or it never ends
_INNER = "quantizer_"  # in front of a parameter: that of the index which finds the cluster
_BUILT_WITH = ("efConstruction", f"{_INNER}efConstruction")  # parameters that change what is built
_RANGES = {
    "nprobe": Range(1, _MOST_OF_ANYTHING),
    "max_codes": Range(0, _MOST_OF_ANYTHING, "0 for no limit"),
    "efSearch": Range(1, 1 << 20),
    "efConstruction": Range(1, 1 << 16),
    "k_factor": Range(1, 10_000, is_whole=False),
    "k_factor_rf": Range(1, 10_000, is_whole=False),
    "ht": Range(1, 1 << 16),
}
"""FAISS's search parameters. Which of them an index has, FAISS says."""
_RERANK = Range(0, _MOST_OF_ANYTHING)


@dataclass(frozen=True)
class FaissRecipe:
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
        """A file name that no other recipe has. Other search parameters change no byte of an index."""
        built_with = [part for part in self.parameters.split(",") if part.startswith(_BUILT_WITH)]
        text = json.dumps([self.factory, self.is_l2, self.train_regions, *([built_with] if built_with else [])])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def text(self) -> str:
        """What is built and tried, for people."""
        return f"{self.factory};{self.parameters}" if self.parameters else self.factory

    @property
    def n_centroids(self) -> int:
        """The most centroids, or code words, that one training finds; 1 where it finds none."""
        bits = re.findall(r"(?:PQ|RQ|LSQ)\d+(?:x\d+)??(?:x(\d+))?(?!\d|x\d)", self.factory)
        return max([1, *_lists(self.factory), *(1 << min(int(found or 8), 24) for found in bits)])

    def training_rows(self, positions: NDArray[np.int64], n_regions: int, n_most: int) -> NDArray[np.int64]:
        """The rows of the training regions of as many of the positions (n,) as have at most n_most, evenly spread."""
        regions = np.arange(n_regions) if self.train_regions is None else np.array(self.train_regions)
        n = min(len(positions), max(n_most // len(regions), 1))
        chosen = positions[np.linspace(0, len(positions) - 1, n).astype(np.int64)]
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


def _lists(factory: str) -> list[int]:
    """The clusters of each IVF in a factory, the outer one first; 4k are 4096, 1M are 1048576."""
    return [int(n) << {"": 0, "k": 10, "M": 20}[unit] for n, unit in re.findall(r"IVF(\d+)([kM]?)", factory)]


def parse(engine: str, train_regions: Sequence[int] | None = None, *, kept: bool = False) -> FaissRecipe:
    """The recipe of "FACTORY;...". Raises EngineError for what cannot be one; of the factory, most is FAISS's to judge.

    kept: it was chosen before, see `_parameters`.
    """
    if len(engine) > _LONGEST or not (engine.isascii() and engine.isprintable()):
        raise EngineError(f"{engine[:40]!a}: an engine is at most {_LONGEST} letters and digits of ASCII")
    factory, *rest = (part.strip() for part in engine.split(";"))
    said = require_once(engine, split_parts(engine, ",".join(rest).split(",")), kept=kept)
    is_l2 = "metric" in said
    if said.pop("metric", "L2") != "L2":
        raise EngineError(f"{engine!r}: metric must be L2, or left out for the inner product")
    asked = {"rerank": said.pop("rerank", "0")}
    rerank = int(read_numbers(engine, asked, {"rerank": _RERANK}, of="an engine", kept=kept)["rerank"])
    ranges = _ranges(factory, said)
    judged = {name: value for name, value in said.items() if name in ranges or not kept}
    read_numbers(engine, judged, ranges, of="FAISS", kept=kept)
    parameters = ",".join(f"{name}={value}" for name, value in said.items())
    return FaissRecipe(
        factory, parameters, is_l2, None if train_regions is None else tuple(map(int, train_regions)), rerank
    )


def _ranges(factory: str, said: Iterable[str]) -> dict[str, Range]:
    """What may be said of an index; no more clusters are looked into than there are."""
    ranges = {**_RANGES, "rerank": _RERANK}
    for n_lists in _lists(factory)[:1]:
        ranges["nprobe"] = Range(1, n_lists, f"the clusters of IVF{n_lists}")
    inner = {name: _RANGES.get(name.removeprefix(_INNER)) for name in said if name.startswith(_INNER)}
    return ranges | {name: allowed for name, allowed in inner.items() if allowed}
