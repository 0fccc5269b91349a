"""What compression saves and what it costs: engines of the original's names, and a report against exact search.

A collection without annotations is measured with its own features as queries; see `choose_compression`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._progress import OnProgress, unheard
from ._words import counted
from .datasets import Dataset
from .encoders import Features
from .errors import EngineError, QueryError
from .evaluate import EvalSettings, Gallery, open_engine, rankings, run_benchmark
from .indexes import EXACT, Hits, Index, open_index
from .metrics import average_precision, loc_score, make_ranking, mean_over_queries
from .store import Snapshot

_Answers = dict[str, list[tuple[str, float, None]]]
_TIED = 2e-6
# scores of equal features differ by less, in whatever order their products are added up
PQ_ENGINES = ("pq", "ivfpq")
"""Product quantization (Jegou et al. 2011) of the features, or of their residuals to the nearest of nlist centroids."""
RECALL_AT = 10
MOST_BITS = 12
"""Of a code: FAISS makes none of more."""


def pq_engine(
    kind: str,
    dim: int,
    n_train: int,
    *,
    m: int,
    nbits: int = 8,
    nlist: int = 256,
    nprobe: int = 256,
    is_l2: bool = False,
) -> str:
    """The FAISS factory string of a kind of PQ_ENGINES, with its search parameters.

    dim: numbers in a feature. n_train: features that train it. Raises EngineError, naming the original's option and
    values that would work, when m does not divide dim or there are fewer training features than centroids or code
    words.
    """
    if kind not in PQ_ENGINES:
        raise EngineError(f"compression must be one of {', '.join(PQ_ENGINES)}, found {kind!r}")
    if m < 1 or dim % m:
        works = [str(d) for d in range(1, min(dim, 256) + 1) if dim % d == 0 and d >= 4]
        raise EngineError(f"--pq_m {m} does not divide the dimension {dim}; these do: {', '.join(works)}")
    if not 1 <= nbits <= MOST_BITS:
        raise EngineError(f"--pq_nbits must lie in 1..{MOST_BITS}, found {nbits}")
    if n_train < 2**nbits:
        raise EngineError(
            f"{n_train} training features are too few for the {2**nbits} code words of --pq_nbits {nbits}; at most "
            f"--pq_nbits {max(n_train.bit_length() - 1, 0)} works, or a finer --pq_train_res"
        )
    codes = f"PQ{m}x{nbits}"
    distance = ";metric=L2" if is_l2 else ""
    if kind == "pq":
        return codes + distance
    if nlist < 1 or n_train < nlist:
        raise EngineError(
            f"--pq_nlist must lie in 1..{n_train}, found {nlist}: there are no more training features than that; "
            "a finer --pq_train_res has more"
        )
    if not 1 <= nprobe <= nlist:
        raise EngineError(f"--pq_nprobe must lie in 1..{nlist} (--pq_nlist), found {nprobe}")
    return f"IVF{nlist},{codes};nprobe={nprobe}{distance}"


@dataclass(frozen=True)
class CompressionReport:
    """Bytes and losses of a compressed engine; every figure is in `figures`."""

    figures: Mapping[str, float]
    left_out: str | None = None
    # which figures are not there, and why, a line for people

    def table(self) -> str:
        """The figures a line each, for people."""
        lines = [f"compression of {self.figures['float32']:,.0f} bytes of float32:"]
        for name, value in self.figures.items():
            unit = "bytes" if name in _BYTES else ""
            lines.append(f"  {name:32} {value:>16,.0f} {unit}" if unit else f"  {name:32} {value:>16.4f}")
        return "\n".join([*lines, f"  {self.left_out}"] if self.left_out else lines)


_BYTES = ("float32", "codes", "ids", "centroids", "codebooks", "other", "total")


def compress_report(
    dataset: Dataset,
    gallery: Gallery,
    queries: Features,
    engine: Index,
    results: Mapping[str, Any],
    exact_settings: EvalSettings,
) -> CompressionReport:
    """Compare a compressed engine's results with exact search of the same queries (Q, D).

    recall@10: share of the exact best ten pictures of a query that are among the compressed best ten. Losses are in
    fractions, exact minus compressed; LocScore is the gate definition at 0.4, left out where the dataset does not know
    every true box. Bytes are told of an engine that keeps its own; "compression" is float32 over total.
    """
    exact = run_benchmark(dataset, gallery, queries, open_engine(gallery, exact_settings), exact_settings)
    figures: dict[str, float] = {
        "float32": 4 * gallery.snapshot.n_live * gallery.snapshot.n_regions * gallery.snapshot.dim
    }
    if parts := n_bytes(engine):
        figures |= parts
        figures["compression"] = figures["float32"] / parts["total"]
    figures[f"recall@{RECALL_AT}"] = recall(exact["results"], results["results"])
    metrics = {"mAP": average_precision} | ({} if dataset.unlocated else {"LocScore(gate, 0.4)": loc_score})
    ranked = [rankings(r, dataset) for r in (exact, results)]
    for name, metric in metrics.items():
        values = [mean_over_queries(each, metric) for each in ranked]
        figures |= {f"{name} exact": values[0], f"{name} compressed": values[1], f"{name} lost": values[0] - values[1]}
    return CompressionReport(figures, dataset.unlocated)


def n_bytes(engine: Index) -> dict[str, int]:
    """Where the bytes of a FAISS engine go; see FaissIndex.n_bytes. Nothing for one that keeps none of its own."""
    measure = getattr(engine, "n_bytes", None)
    return {} if measure is None else dict(measure())


def recall(exact: Mapping[str, Any], found: Mapping[str, Any], k: int = RECALL_AT) -> float:
    """Mean over queries of |best k of both| / |best k of exact|; both {query: [[picture, ...], ...]}, best first."""
    shares = []
    for query, ranked in exact.items():
        best = {entry[0] for entry in ranked[:k]}
        shares.append(len(best & {entry[0] for entry in found[query][:k]}) / len(best))
    return sum(shares) / len(shares)


@dataclass(frozen=True)
class Measured:
    """An engine over a collection, measured with the collection's own features as queries."""

    engine: str
    n_bytes: int
    # of the index; re-ranking also reads the collection's float16 from disk
    factor: float
    # float32 bytes over n_bytes
    recall: float
    # recall@10 against exact search, in [0, 1]
    lost: float
    # points of mAP, 0 to 100, when exact search's best ten pictures are the truth


def candidates(dim: int) -> list[str]:
    """Engines for features of dim numbers, smallest first: 4-bit product codes of ever fewer numbers, then 1 bit a
    number, then 4 and 8. All but the last let the best rows be scored again from the collection's own features."""
    engines: list[str] = []
    for share in (40, 20, 10, 5):
        n_codes = max(n for n in range(1, max(dim // share, 1) + 1) if dim % n == 0)
        engines += [f"PQ{n_codes}x4fs;rerank={rows}" for rows in (400, 2000)]
    engines += ["RaBitQ;rerank=400", "RaBitQ;rerank=2000", "RaBitQ4;rerank=100", "SQ8"]
    return list(dict.fromkeys(engines))


def measure_engines(
    snapshot: Snapshot, n_queries: int = 200, seed: int = 0, *, on_progress: OnProgress = unheard
) -> Iterator[Measured]:
    """Every candidate over a snapshot, smallest first, each measured when it is asked for.

    Queries: n_queries random features of live pictures, each picture's own answer left out. Raises QueryError where
    fewer than two pictures are live; an engine that the collection is too small to train is passed over.
    """
    if snapshot.n_live < 2:
        raise QueryError(f"{counted(snapshot.n_live, 'picture')}: too few to measure what compression loses")
    rng = np.random.default_rng(seed)
    own = rng.choice(np.flatnonzero(snapshot.live), n_queries)
    queries = snapshot.rows(own * snapshot.n_regions + rng.integers(0, snapshot.n_regions, n_queries))
    features = queries.astype(np.float32)
    on_progress(0, 0, "searching exactly")
    truth = _answers(open_index(EXACT, snapshot).search(features, RECALL_AT + 1), own)
    plain = 4 * snapshot.n_positions * snapshot.n_regions * snapshot.dim
    for engine in candidates(snapshot.dim):
        on_progress(0, 0, f"measuring {engine}")
        try:
            index = open_index(engine, snapshot)
        except EngineError:
            continue
        found = _as_good(snapshot, features, truth, _answers(index.search(features, RECALL_AT + 1), own))
        precisions = [
            average_precision(make_ranking(found[q], {p: None for p, *_ in best})) for q, best in truth.items()
        ]
        lost = 100 - 100 * float(np.mean(precisions))
        total = n_bytes(index)["total"]
        yield Measured(engine, total, plain / total, recall(truth, found), lost)


def choose_compression(
    snapshot: Snapshot, target_loss: float, n_queries: int = 200, on_progress: OnProgress = unheard
) -> list[Measured]:
    """Measure engines from the smallest up until one loses at most target_loss points of mAP; that one stands last.

    Where none does, exact search stands last: it keeps no bytes beside the collection and loses nothing.
    """
    tried: list[Measured] = []
    for measured in measure_engines(snapshot, n_queries, on_progress=on_progress):
        tried.append(measured)
        if measured.lost <= target_loss:
            return tried
    return [*tried, Measured(EXACT, 0, 0.0, 1.0, 0.0)]


def _answers(hits: Hits, own: Any) -> _Answers:
    """Query -> its best ten pictures without its own, best first, as `recall` and `make_ranking` take them."""
    answers: _Answers = {}
    columns = zip(hits.positions.tolist(), hits.scores.tolist(), own.tolist(), strict=True)
    for q, (positions, scores, mine) in enumerate(columns):
        others = [(str(p), s, None) for p, s in zip(positions, scores, strict=True) if p >= 0 and p != mine]
        answers[str(q)] = others[:RECALL_AT]
    return answers


def _as_good(snapshot: Snapshot, queries: Features, truth: _Answers, found: _Answers) -> _Answers:
    """The found answers, where one that is as good as the last of the truth's stands for one of these that is missing.

    Of more equal pictures than there are places, exact search and an engine may list different ones: nothing is lost.
    """
    for q, ranked in found.items():
        best, names = {name for name, *_ in truth[q]}, {name for name, *_ in ranked}
        missed = sorted(best - names)
        for i, (name, score, _) in enumerate(ranked):
            if missed and name not in best:
                exact = (snapshot.features(np.array([int(name)]))[0] @ queries[int(q)]).max()
                if exact >= truth[q][-1][1] - _TIED:
                    ranked[i] = (missed.pop(), score, None)
    return found
