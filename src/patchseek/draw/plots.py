"""Figures of a benchmark as PNG files, one function a figure. Computes no metric but the precision-recall line.

Matplotlib's objects are used without pyplot, so that nothing global is set, no window opens and threads may draw.
"""

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..breakdowns import LOC_SCORE
from ..errors import MissingExtra, PatchseekError
from ..metrics import Ranking
from ._text import plain

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")
"""Of lines and bars, in this order: Okabe and Ito's palette (2008)."""
N_STEPS = 100
# of the recall axis
LONGEST_TEXT = 80
# characters in a line as wide as the figure


def precision_recall(rankings_by_label: Mapping[str, Sequence[Ranking]], path: str | Path) -> None:
    """Draw `mean_precisions` against recall, a line for each label."""
    figure, axes = _figure("Precision and recall")
    recalls = np.arange(N_STEPS + 1)
    lines = [
        axes.plot(
            recalls,
            100 * mean_precisions(rankings),
            color=COLOURS[i % len(COLOURS)],
            linestyle=("-", "--", ":", "-.")[i // len(COLOURS) % 4],
            clip_on=False,
        )[0]
        for i, rankings in enumerate(rankings_by_label.values())
    ]
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="Recall (%)", ylabel="Mean interpolated precision (%)")
    _add_legend(axes, lines, list(rankings_by_label))
    _save(figure, path)


def mean_precisions(rankings: Sequence[Ranking]) -> NDArray[np.float64]:
    """The mean over queries of the interpolated precision, (101,) in [0, 1], at recall 0, 0.01, ... 1.

    The interpolated precision at a recall is the best precision of any rank that reaches it, 0 where none does (TREC;
    Manning et al., Introduction to Information Retrieval, 8.4). Its mean is near the average precision, not equal.
    `+ - +`, 4 relevant: 1 up to recall 0.25, 2/3 up to 0.5, then 0. Ties as ranked.
    Raises PatchseekError when there is no query, or one without positives in the gallery.
    """
    if not rankings or not all(ranking.n_relevant for ranking in rankings):
        raise PatchseekError(
            "precision and recall need at least one query, and positives of every one: leave others out"
        )
    mean: NDArray[np.float64] = np.mean([_precisions(ranking) for ranking in rankings], axis=0)
    return mean


def _precisions(ranking: Ranking) -> NDArray[np.float64]:
    ranks = np.flatnonzero(ranking.relevant) + 1
    at_hits = np.arange(1, len(ranks) + 1) / ranks
    best: NDArray[np.float64] = np.zeros(ranking.n_relevant)  # of the ranks that have at least 1, 2, ... hits
    best[: len(ranks)] = np.maximum.accumulate(at_hits[::-1])[::-1]
    hits = -(-np.arange(N_STEPS + 1) * ranking.n_relevant // N_STEPS)  # whole numbers: 0.3 of 10 must not become 4
    at_steps: NDArray[np.float64] = best[np.maximum(hits, 1) - 1]
    return at_steps


def metrics_by_level(metrics: Mapping[str, Mapping[str, float]], path: str | Path) -> None:
    """Draw mAP and LocScore(gate, 0.4) by pyramid level; metrics: level ("L0") -> figures as of metrics.summary.

    LocScore is left out unless every level has it.
    """
    if not metrics or any("mAP" not in figures for figures in metrics.values()):
        raise PatchseekError("a figure by level needs at least one level, and the mAP of each")
    figure, axes = _figure("By levels of the pyramid")
    names = [name for name in ("mAP", LOC_SCORE) if all(name in figures for figures in metrics.values())]
    lines, levels = [], range(len(metrics))
    for name, colour, marker in zip(names, COLOURS, "os", strict=False):
        heights = [100 * figures[name] for figures in metrics.values()]
        lines += axes.plot(levels, heights, color=colour, marker=marker, markersize=7)
        for level, height in zip(levels, heights, strict=True):
            axes.annotate(f"{height:.1f}", (level, height), (0, 8), textcoords="offset points", ha="center")
    axes.set(ylim=(0, None), xlabel="Top level", ylabel="Mean over queries (%)")
    axes.margins(x=0.1, y=0.12)
    _name_ticks(axes, [plain(level) for level in metrics])
    _add_legend(axes, lines, names)
    _save(figure, path)


def by_bins(
    title: str,
    labels: Sequence[str],
    average_precisions: Sequence[float],
    loc_scores: Sequence[float],
    counts: Sequence[int],
    path: str | Path,
) -> None:
    """Draw mAP and LocScore(gate, 0.4) as bars, fractions in [0, 1], for each bin; nan for no bar.

    title: what the bins are of. counts: positives of each bin, written under its label. See breakdowns.rows.
    """
    lengths = {len(values) for values in (labels, average_precisions, loc_scores, counts)}
    if len(lengths) > 1 or not labels:
        raise PatchseekError(f"each bin needs a label, mAP, LocScore and count; found lists of {sorted(lengths)}")
    figure, axes = _figure(title)
    bars, width = [], 0.38
    for i, heights in enumerate((average_precisions, loc_scores)):
        places = np.arange(len(labels)) + (i - 0.5) * (width + 0.02)
        bars.append(axes.bar(places, [100 * height for height in heights], width, color=COLOURS[i]))
        texts = ["" if isnan(height) else f"{100 * height:.1f}" for height in heights]
        axes.bar_label(bars[-1], texts, padding=2)
    axes.set(ylim=(0, None), ylabel="Mean over queries (%)")
    axes.margins(y=0.12)
    axes.grid(visible=False, axis="x")
    _name_ticks(axes, [f"{label}\nn = {count}" for label, count in zip(map(plain, labels), counts, strict=True)])
    _add_legend(axes, bars, ["mAP", LOC_SCORE])
    _save(figure, path)


def _figure(title: str) -> tuple[Any, Any]:
    """A matplotlib Figure of 1008 x 648 pixels and its Axes. Raises MissingExtra."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plots") from error
    figure = Figure(figsize=(7, 4.5), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(_short(title), loc="left", parse_math=False)
    axes.set_axisbelow(True)
    axes.grid(visible=True, color="#e5e7eb")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _name_ticks(axes: Any, names: Sequence[str]) -> None:
    axes.set_xticks(range(len(names)), names, parse_math=False)


def _add_legend(axes: Any, handles: Sequence[Any], names: Sequence[str]) -> None:
    """Names below the axes, where they hide nothing, in as many columns as fit."""
    # matplotlib leaves out names that begin with an underscore
    shown = [_short(" " + name if name.startswith("_") else name) for name in names]
    n_columns = max(1, LONGEST_TEXT // (8 + max(map(len, shown), default=0)))
    legend = axes.figure.legend(handles, shown, loc="outside lower left", ncols=n_columns, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _short(text: str) -> str:
    text = plain(text)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "\u2026"


def _save(figure: Any, path: str | Path) -> None:
    try:
        figure.savefig(path, format="png", metadata={"Software": None})
    except OSError as error:
        raise PatchseekError(f"{path}: the figure could not be written: {error.strerror or error}") from error
