"""How good is a ranked list, and its boxes? Knows identifiers and boxes; reads no files and runs no searches.

All figures are fractions in [0, 1]. Examples write a list best first, `+` for a positive, `-` for another picture.
Sources: ILIAS (the benchmark's official protocol, evaluated at k = 1000); LocScore (Choi et al., WACV 2026), inferred
from public descriptions, hence its four definitions; revisited Oxford and Paris (Radenovic et al., CVPR 2018).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from numbers import Real
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .boxes import Boxes, iou, union
from .errors import BoxError, PatchseekError

Definition = Literal["continuous", "gate", "gate-strict", "gate-times-iou"]
DEFINITIONS: tuple[Definition, ...] = get_args(Definition)
"""The definitions of LocScore; `gate` is the one most likely meant by the `locscore` of the original."""
THRESHOLDS: Mapping[str, tuple[float, ...]] = {"default": (0.4,), "average": (0.2, 0.3, 0.4, 0.5, 0.6)}
"""The original's names for IoU thresholds; LocScore is averaged over them."""
SLACK = 1e-9
# an IoU that is the threshold on paper must reach it in floating point too


@dataclass(frozen=True, eq=False)
class Ranking:
    """One query's ranked list, after the pictures that its query ignores were left out."""

    ids: tuple[str, ...]
    # the K returned pictures, best first, each once
    overlaps: NDArray[np.float64]
    # (K,) IoU of predicted and true box; nan for no positive, no predicted box, or no known true box
    positives: frozenset[str]
    # all in the gallery; those not returned count as missed
    boxed: frozenset[str]
    # the positives whose true box is known
    scores: NDArray[np.float64] | None = None
    # (K,) falling; None where they are not known: then no two pictures tie

    def __post_init__(self) -> None:
        for what, given in (("overlaps", self.overlaps), ("scores", self.scores)):
            if given is not None and len(self.ids) != len(given):
                raise PatchseekError(f"{len(self.ids)} pictures need as many {what}, found {len(given)}")
        if len(set(self.ids)) < len(self.ids):
            twice = next(name for name in self.ids if self.ids.count(name) > 1)
            raise PatchseekError(f"{twice} is ranked twice: give each picture once, with its best score")

    @property
    def n_relevant(self) -> int:
        """The number of positives in the gallery, returned or not."""
        return len(self.positives)

    @cached_property
    def relevant(self) -> NDArray[np.bool_]:
        """(K,) bool: is the returned picture a positive?"""
        return np.array([name in self.positives for name in self.ids], np.bool_)


def make_ranking(
    results: Sequence[tuple[str, float, Sequence[float] | None]],
    positives: Mapping[str, ArrayLike | None],
    ignored: Collection[str] = (),
    *,
    boxes: Literal["best", "enclosing"] = "best",
) -> Ranking:
    """Sort results (picture, score, predicted box or None) into a ranking: larger score first, ties in the given order.

    That order must not know what is right: a list in which positives stand first would let them win every tie; see
    `evaluate.rankings`.
    positives: picture -> its true boxes of this object (N, 4), or None where they are unknown. ignored: pictures that
    are neither right nor wrong; they leave the list and the positives. All boxes are x0 y0 x1 y1 in one unit of the
    caller's choice. boxes: with several true boxes in a picture, the IoU is that with the nearest one (`best`) or that
    with the box around all of them (`enclosing`). Raises PatchseekError when a score is no finite number or a picture
    comes twice, BoxError when a true box, or the predicted box of a positive, is inverted (x y w h, perhaps) or not
    finite.
    """
    scores = _scores(results)
    if boxes not in ("best", "enclosing"):
        raise PatchseekError(f"boxes must be best or enclosing, found {boxes}")
    ignored = frozenset(ignored)
    kept = [results[i] for i in np.argsort(-scores, kind="stable") if results[i][0] not in ignored]
    truth = {name: _boxes(name, true) for name, true in positives.items() if name not in ignored}
    overlaps = np.full(len(kept), np.nan)
    for i, (name, _, box) in enumerate(kept):
        if box is not None and len(true := truth.get(name, ())):
            overlaps[i] = iou(_boxes(name, box), true if boxes == "best" else union(true)).max()
    boxed = frozenset(name for name, true in truth.items() if len(true))
    kept_scores = np.array([score for _, score, _ in kept], np.float64)
    return Ranking(tuple(name for name, _, _ in kept), overlaps, frozenset(truth), boxed, kept_scores)


def average_precision(ranking: Ranking, k: int | None = None) -> float:
    """Average precision of the whole list, or of its first k: the sum of the precisions at the positives' ranks.

    Denominator n_relevant, with k min(k, n_relevant): missed positives cost their share, and a perfect list reaches 1.
    No interpolation. Without k, ties as ranked. With k this is ILIAS's AP@k, whose scorer gives every positive of a tie
    the precision at the end of the tie, or at k where that comes first.
    `+ - - + -`, 10 relevant: (1/1 + 2/4) / 10 = 0.15, and (1/1 + 2/4) / 5 = 0.3 at k = 5. If the first two of these
    five had one score: (1/1 + 2/4) / 10 still, but (1/2 + 2/4) / 5 = 0.2 at k = 5.
    """
    if k is None or ranking.scores is None:
        return _weighted_precision(ranking, ranking.relevant, ranking.relevant, k)
    n_relevant, relevant, falling = _denominator(ranking, k), ranking.relevant[:k], -ranking.scores[:k]
    ends = np.searchsorted(falling, falling, side="right")  # how many come before or with each
    return float(np.sum(np.cumsum(relevant)[ends - 1] / ends, where=relevant) / n_relevant)


def revisited_average_precision(ranking: Ranking) -> float:
    """Area under the precision-recall line by trapezoids: the sum of (p0 + p1) / 2 over the positives / n_relevant.

    p1 is the precision at the positive's rank, p0 that one rank above it, or 1 when there is none. Ties as ranked.
    Source: revisited Oxford and Paris; their junk pictures are our ignored ones.
    `- + +`, 2 relevant: ((0/1 + 1/2) / 2 + (1/2 + 2/3) / 2) / 2 = 5/12.
    """
    n_relevant, above = _denominator(ranking), np.flatnonzero(ranking.relevant)
    hits = np.arange(len(above))
    before = np.divide(hits, above, out=np.ones(len(above)), where=above > 0)
    return float(np.sum(before + (hits + 1) / (above + 1)) / 2 / n_relevant)


def oracle(ranking: Ranking, k: int) -> float:
    """The best AP@k that any other order of the first k could reach: positives among them / min(k, n_relevant).

    Where fewer than k pictures were returned it is that of those n, and a positive that was not returned stays missed.
    Ties as ranked. Source: ILIAS, whose scorer takes k pictures for granted: it agrees where k are returned and
    n_relevant <= k, and gives k / n times as much, maybe more than 1, where fewer are.
    `- + - +`, 3 relevant: 1/2 at k = 2, 1/3 at k = 3, 2/3 at k = 4 and at k = 1000.
    """
    n_relevant = _denominator(ranking, k)
    return float(ranking.relevant[:k].sum() / n_relevant)


def hit_at(ranking: Ranking, k: int) -> float:
    """1.0 when any of the first k is a positive, else 0.0; its mean over queries is the top-k accuracy.

    Ties as ranked. `- + -`: 0 at k = 1, 1 at k = 2.
    """
    _check_k(k)
    return float(ranking.relevant[:k].any())


def precision_at(ranking: Ranking, k: int) -> float:
    """Positives among the first k / k, also when fewer than k pictures or positives exist.

    Ties as ranked. `- + +`: 1/2 at k = 2, 2/4 at k = 4. (Revisited Oxford and Paris mean another figure by mP@k:
    `revisited_precision_at`.)
    """
    _check_k(k)
    return float(ranking.relevant[:k].sum() / k)


def revisited_precision_at(ranking: Ranking, k: int) -> float:
    """Positives among the first r / r, where r is k, or the rank of the last returned positive if that is smaller.

    0 where no positive was returned. Ties as ranked. Its mean over queries is the mP@k of revisited Oxford and Paris,
    whose junk pictures are our ignored ones: they leave the list before ranks are counted.
    `- + +`: 0 at k = 1, 1/2 at k = 2, 2/3 at k = 3 and at k = 10.
    """
    _check_k(k)
    ranks = np.flatnonzero(ranking.relevant) + 1
    if not len(ranks):
        return 0.0
    last = min(int(ranks[-1]), k)
    return float((ranks <= last).sum() / last)


def loc_score(
    ranking: Ranking,
    definition: Definition = "gate",
    thresholds: Sequence[float] = THRESHOLDS["default"],
    k: int | None = None,
) -> float:
    """LocScore: average precision in which a positive counts by its box. The mean over thresholds d in (0, 1].

    With Prec the precision at the positive's rank and IoU that of its box, 0 where none was predicted, summed over the
    positives of the list and divided by n_relevant (min(k, n_relevant) with k):
      continuous      Prec * IoU, without thresholds
      gate            Prec where IoU >= d
      gate-strict     the same, and only positives with IoU >= d count as right in Prec
      gate-times-iou  Prec * IoU where IoU >= d
    Ties as ranked. Source: Choi et al., WACV 2026, definition inferred; name the definition and the thresholds with
    every figure. `+ - +` with IoU 0.3 and 0.6, 2 relevant, d = 0.4: continuous
    (1 * 0.3 + 2/3 * 0.6) / 2 = 0.35, gate 2/3 / 2 = 1/3, gate-strict 1/3 / 2 = 1/6, gate-times-iou 0.2.
    Raises PatchseekError when the true box of a positive is unknown: score only(ranking, ranking.boxed) instead.
    """
    if definition not in DEFINITIONS:
        raise PatchseekError(f"LocScore is defined as one of {', '.join(DEFINITIONS)}, found {definition}")
    if not thresholds or not all(0 < d <= 1 for d in thresholds):
        raise PatchseekError(f"IoU thresholds lie in (0, 1], found {tuple(thresholds)}")
    if ranking.positives - ranking.boxed:
        name = min(ranking.positives - ranking.boxed)
        raise PatchseekError(f"LocScore needs the true box of every positive; that of {name} is unknown")
    overlaps = np.where(ranking.relevant, np.nan_to_num(ranking.overlaps), 0)
    if definition == "continuous":
        return _weighted_precision(ranking, ranking.relevant, overlaps, k)
    each: list[float] = []
    for threshold in thresholds:
        located = ranking.relevant & (overlaps >= threshold - SLACK)
        right = located if definition == "gate-strict" else ranking.relevant
        weights = located * overlaps if definition == "gate-times-iou" else located
        each.append(_weighted_precision(ranking, right, weights, k))
    return float(np.mean(each))


def pooled_overlaps(rankings: Sequence[Ranking]) -> NDArray[np.float64]:
    """The IoU (P,) of every returned positive with a predicted and a true box, of all queries in one pool.

    Queries with many positives so count more, and missed positives not at all: read it beside the mAP.
    """
    return np.concatenate([r.overlaps[r.relevant & ~np.isnan(r.overlaps)] for r in rankings] or [np.empty(0)])


def mean_iou(rankings: Sequence[Ranking]) -> float:
    """Mean of `pooled_overlaps`; nan when there are none. IoU 0.3 and 0.6 of one query, 0.6 of another: 0.5."""
    overlaps = pooled_overlaps(rankings)
    return float(overlaps.mean()) if len(overlaps) else float("nan")


def share_located(rankings: Sequence[Ranking], threshold: float = 0.5) -> float:
    """Share of `pooled_overlaps` with IoU >= threshold; nan when there are none. IoU 0.3, 0.5, 0.6 at 0.5: 2/3."""
    overlaps = pooled_overlaps(rankings)
    return float(np.mean(overlaps >= threshold - SLACK)) if len(overlaps) else float("nan")


def mean_over_queries(rankings: Sequence[Ranking], metric: Callable[[Ranking], float]) -> float:
    """The unweighted mean of a metric over queries: 1.0 with 1 positive and 0.5 with 9 give 0.75.

    Raises PatchseekError when there is no query, or one without positives in the gallery: most metrics are undefined
    there, and counting it as 0 or 1 would change the others too. `in_bin` leaves such queries out by itself.
    """
    if not rankings:
        raise PatchseekError("there is no query to average over")
    for i, ranking in enumerate(rankings):
        if not ranking.n_relevant:
            raise PatchseekError(f"query {i + 1} of {len(rankings)} has no positive in the gallery: leave it out")
    return float(np.mean([metric(ranking) for ranking in rankings]))


def only(ranking: Ranking, keep: Collection[str]) -> Ranking:
    """The ranking without the positives that are not in keep: neither right nor wrong, and no longer to be found.

    Later pictures move up and n_relevant falls, before any cut at k; other pictures stay. Source: ILIAS's break-down.
    `+ - +` without the first: `- +`, 1 relevant, average precision 1/2.
    """
    keep = ranking.positives & frozenset(keep)
    stays = np.array([name in keep or name not in ranking.positives for name in ranking.ids], np.bool_)
    ids = tuple(name for name, stay in zip(ranking.ids, stays, strict=True) if stay)
    scores = None if ranking.scores is None else ranking.scores[stays]
    return Ranking(ids, ranking.overlaps[stays], keep, ranking.boxed & keep, scores)


def in_bin(
    rankings: Sequence[Ranking], values: Sequence[Mapping[str, float]], low: float, high: float
) -> list[Ranking]:
    """Every query with `only` its positives of low <= value < high; queries left without any are dropped.

    values: for each query, positive -> its size, clutter or other fact. Average the answer like all queries; its length
    is the number of queries. Source: ILIAS, scale and clutter groups. Raises PatchseekError for an unknown value.
    """
    kept: list[Ranking] = []
    for ranking, value in zip(rankings, values, strict=True):
        if unknown := ranking.positives - value.keys():
            raise PatchseekError(f"{min(unknown)} has no value to sort it into a bin")
        kept.append(only(ranking, {name for name in ranking.positives if low <= value[name] < high}))
    return [ranking for ranking in kept if ranking.n_relevant]


def mean_by_group(
    rankings: Sequence[Ranking],
    objects: Sequence[str],
    group_of: Mapping[str, str],
    metric: Callable[[Ranking], float],
) -> dict[str, float]:
    """Group -> mean of a metric, first over the queries of each object, then over the objects of the group.

    objects: the object of each query; group_of: object -> group. Source: ILIAS, categories.
    Cup asked for twice (1.0, 0.0) and vase once (1.0), both kitchen: (0.5 + 1.0) / 2 = 0.75.
    """
    of_object: dict[str, list[Ranking]] = {}
    for ranking, name in zip(rankings, objects, strict=True):
        of_object.setdefault(name, []).append(ranking)
    of_group: dict[str, list[float]] = {}
    for name, asked in of_object.items():
        if name not in group_of:
            raise PatchseekError(f"object {name} belongs to no group")
        of_group.setdefault(group_of[name], []).append(mean_over_queries(asked, metric))
    return {group: float(np.mean(means)) for group, means in sorted(of_group.items())}


def summary(rankings: Sequence[Ranking], k: int = 1000, ranks: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    """All figures by explicit name, as fractions: means over queries, and the pooled IoU.

    mAP is that of all returned pictures, mAP@k and oracle@k that of the first k. Boxes are scored only as far as they
    are known: LocScore is left out when the true box of any positive is unknown, the IoU when no box can be compared.
    """
    metrics: dict[str, Callable[[Ranking], float]] = {
        "mAP": average_precision,
        f"mAP@{k}": partial(average_precision, k=k),
        f"oracle@{k}": partial(oracle, k=k),
        "mAP(revisited)": revisited_average_precision,
    }
    metrics |= {f"top-{n}": partial(hit_at, k=n) for n in ranks}
    metrics |= {f"P@{n}": partial(precision_at, k=n) for n in ranks}
    metrics |= {f"mP@{n}": partial(revisited_precision_at, k=n) for n in ranks}
    if all(ranking.boxed == ranking.positives for ranking in rankings):
        metrics["LocScore(continuous)"] = partial(loc_score, definition="continuous")
        for definition in DEFINITIONS[1:]:
            for d in THRESHOLDS.values():
                name = f"{d[0]:g}" if len(d) == 1 else f"{d[0]:g}..{d[-1]:g}"
                metrics[f"LocScore({definition}, {name})"] = partial(loc_score, definition=definition, thresholds=d)
    figures = {name: mean_over_queries(rankings, metric) for name, metric in metrics.items()}
    if len(pooled_overlaps(rankings)):
        figures |= {"mean IoU": mean_iou(rankings), "IoU@0.5": share_located(rankings, 0.5)}
    return figures


def _scores(results: Sequence[tuple[str, float, object]]) -> NDArray[np.float64]:
    """The scores (K,). Raises PatchseekError for one that is no finite number."""
    given = np.array([score for _, score, _ in results])
    if given.dtype.kind not in "fiu":  # there are texts or gaps among them
        given = np.array([score if isinstance(score, Real) else np.nan for _, score, _ in results], np.float64)
    if len(wrong := np.flatnonzero(~np.isfinite(given))):
        name, score, _ = results[int(wrong[0])]
        what = "infinite" if np.isinf(given[wrong[0]]) else "not a number"
        raise PatchseekError(f"the score of {name} is {what}, found {score!r}")
    return given.astype(np.float64)


def _boxes(name: str, given: ArrayLike | None) -> Boxes:
    """Boxes (N, 4) of one picture, none for None; BoxError when one is no x0 y0 x1 y1."""
    numbers = np.asarray([] if given is None else given, np.float64)
    boxes = numbers.reshape(-1, 4) if numbers.size % 4 == 0 else np.full((1, 4), np.nan)
    if not (np.isfinite(boxes).all() and (boxes[:, :2] <= boxes[:, 2:]).all()):
        raise BoxError(f"{name}: a box is finite x0 y0 x1 y1 with x0 <= x1 and y0 <= y1, found {numbers.tolist()}")
    return boxes


def _weighted_precision(
    ranking: Ranking, right: NDArray[np.bool_], weights: NDArray[np.float64] | NDArray[np.bool_], k: int | None
) -> float:
    """Sum over the first k ranks of weight * (right ones so far / rank), over min(k, n_relevant)."""
    n_relevant = _denominator(ranking, k)
    precisions = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(np.sum((precisions * weights)[:k]) / n_relevant)


def _denominator(ranking: Ranking, k: int | None = None) -> int:
    if not ranking.n_relevant:
        raise PatchseekError("a query without positives in the gallery has no such figure: leave it out")
    if k is None:
        return ranking.n_relevant
    _check_k(k)
    return min(k, ranking.n_relevant)


def _check_k(k: int) -> None:
    if k < 1:
        raise PatchseekError(f"k must be at least 1, found {k}")
