"""What a benchmark run leaves behind for people: metrics.json, report.md, plots, and a sheet of every query."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .breakdowns import CENTRE_DISTANCE, LOC_SCORE, SIZE, box_facts, rows, split
from .datasets import Dataset, Query, corners
from .draw import Tile, contact_sheet, save
from .draw.pages import Entry, judged_tile, write_page
from .draw.plots import by_bins, metrics_by_level, precision_recall
from .errors import MissingExtra, PatchseekError
from .evaluate import describe_copies, rankings
from .images import read, size_of
from .metrics import Ranking, average_precision, in_bin, loc_score, mean_by_group, mean_over_queries, only

SHOWN = 10
_NEED = 480  # pixels of the shorter side worth decoding for a tile


def write_report(
    folder: Path,
    dataset: Dataset,
    results: Mapping[str, Mapping[str, Any]],
    scores: Mapping[str, Mapping[str, Any]],
    *,
    boxes: str = "best",
) -> str:
    """Write metrics.json, report.md and, with the extra `plots`, plots; returns the report's text (Markdown).

    results and scores: label ("L0", ...) -> what evaluate.run_benchmark and evaluate.score gave. Raises Unwritten,
    which has the text.
    """
    ranked = {label: rankings(found, dataset, boxes=boxes) for label, found in results.items()}
    last = list(ranked)[-1]
    tables = breakdowns(dataset, ranked[last], sizes_of(dataset))
    metrics = {label: dict(score["metrics"]) for label, score in scores.items()}
    text = _markdown(dataset, scores, metrics, tables, last)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        content = {"levels": scores, "breakdowns": {last: tables}}
        (folder / "metrics.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        (folder / "report.md").write_text(text, encoding="utf-8", errors="backslashreplace")
        _plot(folder, ranked, metrics, tables)
    except OSError as error:
        raise Unwritten(f"{folder}: cannot be written ({error.strerror or error})", text) from error
    except MissingExtra as error:
        text += f"\nNo plots: {error}\n"
    return text


class Unwritten(PatchseekError):
    """A report that could not be written whole. text: what it says."""

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text


def sizes_of(dataset: Dataset) -> dict[str, tuple[int, int]]:
    """Gallery id -> width, height in pixels of the upright picture, of every picture that is some query's positive."""
    positives = {name for truth in dataset.truth.values() for name in truth.positives}
    return {p.id: size_of(p.image) for p in dataset.gallery if p.id in positives}


def breakdowns(
    dataset: Dataset, ranked: list[Ranking], sizes: Mapping[str, tuple[int, int]]
) -> dict[str, list[dict[str, Any]]]:
    """Tables of mAP and LocScore by object size, distance from the centre, and the facts and groups of the dataset."""
    asked = dataset.counted
    facts = [box_facts(dataset.positives(query), sizes) for query in asked]
    tables: dict[str, list[dict[str, Any]]] = {}
    for name in (SIZE, CENTRE_DISTANCE):
        values = [fact[name] for fact in facts]
        boxed = [only(ranking, value) for ranking, value in zip(ranked, values, strict=True)]
        kept = [(ranking, value) for ranking, value in zip(boxed, values, strict=True) if ranking.n_relevant]
        if kept:
            tables[name] = rows(split([r for r, _ in kept], [v for _, v in kept]))
    for fact in dataset.facts:
        known = [dataset.values(query, fact) for query in asked]
        bins = [(low, high, in_bin(ranked, known, low, high)) for low, high in dataset.bins(fact)]
        tables[fact] = [
            {
                "label": f"{low:.3g} to {high:.3g}",
                "n_queries": len(part),
                "mAP": mean_over_queries(part, average_precision),
            }
            for low, high, part in bins
            if part
        ]
    for kind, groups in dataset.group_of.items():
        means = mean_by_group(ranked, [query.instance for query in asked], groups, average_precision)
        tables[kind] = [{"label": group, "mAP": value} for group, value in means.items()]
    return tables


def _markdown(
    dataset: Dataset,
    scores: Mapping[str, Mapping[str, Any]],
    metrics: Mapping[str, Mapping[str, float]],
    tables: Mapping[str, list[dict[str, Any]]],
    last: str,
) -> str:
    first = next(iter(scores.values()))
    settings, encoder = first["settings"], first["encoder"]
    lines = [
        f"# {dataset.describe(first['dataset'])}",
        "",
        f"Encoder {encoder['name']} ({encoder['preprocessing']}, {encoder['dim']} numbers), engine {first['engine']}, "
        f"query: {settings['query']}, true box: {first['boxes']}. In percent.",
        "",
        *_notes([*dataset.first_notes, *first.get("notes", ())]),
        *_copies(dataset, first),
        "| metric | " + " | ".join(metrics) + " |",
        "|---|" + "---|" * len(metrics),
    ]
    for name in dict.fromkeys(name for own in metrics.values() for name in own):  # no IoU where nothing right was found
        lines.append(f"| {name} | " + " | ".join(_cell(own.get(name, "")) for own in metrics.values()) + " |")
    for title, table in tables.items():
        columns = list(table[0]) if table else []
        lines += ["", f"## By {title} ({last})", "", "| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
        lines += ["| " + " | ".join(_cell(row.get(column)) for column in columns) + " |" for row in table]
    return "\n".join(lines) + "\n"


def _notes(notes: list[str]) -> list[str]:
    """Notes as a list, each once, and the blank line after it."""
    return [*(f"- {note}" for note in dict.fromkeys(notes)), ""] if notes else []


def _copies(dataset: Dataset, score: Mapping[str, Any]) -> list[str]:
    """What is to be said of gallery pictures that are those of queries, and the blank line after it."""
    said = describe_copies(dataset, score.get("copies", {}), are_excluded=score.get("exclude_copies", False))
    return [f"Copies: {' '.join(said)}", ""] if said else []


def _cell(value: object) -> str:
    return f"{100 * value:.2f}" if isinstance(value, float) else str(value).replace("|", "\\|")


def _plot(
    folder: Path,
    ranked: Mapping[str, list[Ranking]],
    metrics: Mapping[str, Mapping[str, float]],
    tables: Mapping[str, list[dict[str, Any]]],
) -> None:
    precision_recall(ranked, folder / "precision-recall.png")
    metrics_by_level(metrics, folder / "levels.png")
    for name in (SIZE, CENTRE_DISTANCE):
        if table := tables.get(name):
            maps, locations = ([row.get(key, float("nan")) for row in table] for key in ("mAP", LOC_SCORE))
            labels, counts = [row["label"] for row in table], [row["n_positives"] for row in table]
            by_bins(f"By {name}", labels, maps, locations, counts, folder / f"by-{name.replace(' ', '-')}.png")


def draw_results(results: Mapping[str, Any], dataset: Dataset, folder: Path, *, threshold: float = 0.4) -> Path:
    """Draw a sheet of the first ten pictures of every query, and an index page over them; returns the page.

    Pictures that a query ignores are left out, as they are of figures.
    A query shows its box where that alone was asked for. A predicted box is green where its IoU with a true box reaches
    the threshold. Sheets of an earlier run are removed.
    """
    files = {picture.id: picture.image for picture in dataset.gallery}
    folder.mkdir(parents=True, exist_ok=True)
    for old in [path for path in folder.iterdir() if re.fullmatch(r"[0-9]{4,}\.png|index\.html", path.name)]:
        old.unlink()
    found = dict(zip((q.id for q in dataset.counted), rankings(results, dataset), strict=True))
    entries = []
    for number, query in enumerate(dataset.queries):
        positives, ignored, tiles = dataset.positives(query), dataset.ignored(query), []
        shown = [entry for entry in results["results"][query.id] if entry[0] not in ignored]
        for name, score, box in shown[:SHOWN]:
            picture = read(files[name], need=_NEED)
            true = [corners(own, picture.width, picture.height, files[name]) for own in positives.get(name) or ()]
            predicted = box and corners(box, picture.width, picture.height, files[name])
            tiles.append(judged_tile(picture.pixels, name, predicted, true or None, score, threshold=threshold))
        sheet = f"{number:04}.png"
        save(contact_sheet(_query_tile(query, results["settings"]["query"]), tiles), folder / sheet)
        ranking = found.get(query.id)
        located = ranking is not None and ranking.boxed == ranking.positives
        entries.append(
            Entry(
                query.id,
                sheet,
                average_precision(ranking) if ranking else None,
                loc_score(ranking, "gate", (threshold,)) if ranking and located else None,
            )
        )
    return write_page(folder, f"{dataset.name}: results", entries)


def _query_tile(query: Query, asked: str) -> Tile:
    """The query's picture; with its box where asked, one of evaluate.QUERY_CROPS, says that the box was asked for."""
    picture = read(query.image, need=_NEED)
    boxes = np.empty((0, 4))
    if asked == "box" and query.box:
        boxes = np.array([corners(query.box, picture.width, picture.height, query.image)])
    return Tile(picture.pixels, query.id, boxes)
