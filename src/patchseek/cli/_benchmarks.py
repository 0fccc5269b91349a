"""The commands that measure: `eval`, `score`, `dataset`. Parse, call, print; the head of it is in `cli`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import PatchseekError
from ._encoder import EncoderChoice, encoder_options
from ._log import say

if TYPE_CHECKING:
    from ..datasets import Dataset

_COUNT = click.IntRange(0)
_LEVEL = click.IntRange(0, 15)  # regions.MAX_LEVEL, which is not imported for a --help


@click.command("eval")
@click.argument("dataset")
@encoder_options
@click.option("--level", "levels", type=_LEVEL, multiple=True, help="Pyramid level; repeatable.  [default: 0 1 2 3]")
@click.option("--query", type=click.Choice(["box", "whole"]), default="box", show_default=True, help="What of a query.")
@click.option("--index", "index_engine", default="exact", show_default=True, help="exact, or a FAISS factory string.")
@click.option("--train-level", type=_LEVEL, help="Level whose grid trains a FAISS engine.  [default: all levels]")
@click.option("--boxes", type=click.Choice(["best", "enclosing"]), default="best", show_default=True, help="True box.")
@click.option("--top", type=click.IntRange(1), help="Rank this many pictures for each query.  [default: all]")
@click.option("--refine", type=_COUNT, default=0, show_default=True, help="Finer boxes in the first so many pictures.")
@click.option("--out", type=click.Path(path_type=Path), default="eval", show_default=True, help="Where results go.")
@click.option("--cache", type=click.Path(path_type=Path), default="features", show_default=True, help="Kept features.")
@click.option(
    "--distractors", multiple=True, type=click.Path(path_type=Path), help="A tar of more pictures; repeatable."
)
@click.option("--keep", type=click.Path(path_type=Path), help="A file of the keys wanted from those tars (mini-ILIAS).")
@click.option("--similarities", is_flag=True, help="Also write scores as JSON for ILIAS's own scorer.")
def evaluate_command(
    choice: EncoderChoice,
    dataset: str,
    levels: tuple[int, ...],
    query: str,
    index_engine: str,
    train_level: int | None,
    boxes: str,
    top: int | None,
    refine: int,
    out: Path,
    cache: Path,
    distractors: tuple[Path, ...],
    keep: Path | None,
    similarities: bool,
) -> None:
    """Search every query of DATASET and score the answers, level by level.

    DATASET: a folder with query.json and gallery.json, a .csv file, ilias:DIR, instre:DIR, roxford5k:DIR:medium.
    Boxes in the first two are x y w h in pixels or shares, as --box of search takes them.

    Writes results (one file a level), metrics.json, report.md and plots below --out.
    """
    import numpy as np

    from .. import evaluate as ev
    from ..compression import compress_report
    from ..datasets import open_dataset, read_keys, write_similarities
    from ..indexes import EXACT, judge_engine
    from ..regions import Pyramid
    from ..report import Unwritten, write_report
    from ..rerank import Refiner
    from ._output import print_line
    from ._progress import progress_bar
    from ._targets import attempt, check_folder

    judge_engine(index_engine)
    check_folder(out)
    check_folder(cache)
    data = open_dataset(dataset)
    say(str(data))
    _say_notes(data)
    model = choice.open()
    scores: dict[str, dict[str, object]] = {}
    results = {}
    unwritten: list[PatchseekError] = []
    chosen = sorted(set(levels or (0, 1, 2, 3)))
    with progress_bar("pictures") as on_progress:
        pyramid, keys = Pyramid.up_to(chosen[-1]), read_keys(keep) if keep else None
        whole = ev.encode_gallery(data, model, pyramid, cache, on_progress, distractors, keys)
    asked = ev.read_queries(data, model, query)
    features = np.array([each.feature for each in asked])
    refiners = [Refiner(each, model) for each in asked]
    for level in chosen:
        settings = ev.EvalSettings(
            level, query=query, engine=index_engine, train_level=train_level, top=top, refine=refine
        )
        gallery = whole.at_level(level)
        opened = ev.open_engine(gallery, settings, gallery.store.path / "indexes")
        label = f"L{level}"
        results[label] = ev.run_benchmark(data, gallery, features, opened, settings, refiners)
        n_distractors = results[label]["dataset"]["n_distractors"]
        file = out / f"results-{label}-{n_distractors}-distractors.json"
        unwritten += attempt(ev.write_results, results[label], file)
        if index_engine != EXACT:
            exact = ev.EvalSettings(level, query=query, top=top)
            plain = ev.run_benchmark(data, gallery, features, opened, replace(settings, refine=0))
            report = compress_report(data, gallery, features, opened, plain, exact)
            say(f"{label}: {report.table()}")
        scores[label] = ev.score(results[label], data, boxes=boxes)
        if similarities:
            ranked = {q: [(name, s) for name, s, _ in r] for q, r in results[label]["results"].items()}
            file = out / f"similarities-{label}-{n_distractors}-distractors.json"
            unwritten += attempt(write_similarities, file, ranked)
    try:
        print_line(write_report(out, data, results, scores, boxes=boxes))
    except Unwritten as error:
        print_line(error.text)
        unwritten.append(error)
    if unwritten:
        kept = f"the figures are printed; the features are kept in {cache}, so that the same command is soon done"
        raise PatchseekError(f"{unwritten[0]}; {kept}") from unwritten[0]


@click.command("score")
@click.argument("results", type=click.Path(path_type=Path))
@click.argument("dataset")
@click.option("--boxes", type=click.Choice(["best", "enclosing"]), default="best", show_default=True, help="True box.")
@click.option("--k", type=click.IntRange(1), default=1000, show_default=True, help="The k of mAP@k.")
def score_command(results: Path, dataset: str, boxes: str, k: int) -> None:
    """Score a RESULTS file of `eval` again, against DATASET; no search is made. Prints JSON."""
    from ..datasets import open_dataset
    from ..evaluate import read_results, score
    from ._output import print_line

    data = open_dataset(dataset)
    _say_notes(data)
    print_line(json.dumps(score(read_results(results), data, boxes=boxes, k=k), indent=2))


def _say_notes(data: "Dataset") -> None:
    for note in data.first_notes:
        say(note, prefix="note: ")


@click.group("dataset")
def dataset_command() -> None:
    """Prepare benchmarks."""


@dataset_command.group("ilias")
def ilias_command() -> None:
    """ILIAS, the benchmark of the paper."""


@ilias_command.command("prepare")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where to.  [default: FOLDER]")
@click.option("--allow-missing", is_flag=True, help="Leave out pictures that are not there; figures then say little.")
def prepare_command(folder: Path, out: Path | None, allow_missing: bool) -> None:
    """Write query.json and gallery.json from the official FOLDER (ilias_core and image_ids)."""
    from ..datasets import prepare_ilias
    from ._output import print_line

    data = prepare_ilias(folder, out or folder, allow_missing=allow_missing)
    _say_notes(data)
    print_line(str(data))
