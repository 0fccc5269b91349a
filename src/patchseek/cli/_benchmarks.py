"""The commands that measure: `eval`, `score`, `dataset`. Parse, call, print; the head of it is in `cli`."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import EngineError, PatchseekError
from ._encoder import EncoderChoice, encoder_options
from ._log import say

if TYPE_CHECKING:
    from ..datasets import DistractorTar

_COUNT = click.IntRange(0)
_EXCLUDE_COPIES = click.option(
    "--exclude-copies", is_flag=True, help="Leave out gallery pictures that are byte for byte the query's."
)
_LEVEL = click.IntRange(0, 15)  # regions.MAX_LEVEL, which is not imported for a --help
_MANY = 1_000_000  # pictures, as many as train any engine


@click.command("eval")
@click.argument("dataset")
@encoder_options
@click.option("--level", "levels", type=_LEVEL, multiple=True, help="Pyramid level; repeatable.  [default: 0 1 2 3]")
@click.option("--query", type=click.Choice(["box", "whole"]), default="box", show_default=True, help="What of a query.")
@click.option("--index", "index_engine", default="exact", show_default=True, help="exact, or a FAISS factory string.")
@click.option("--train-level", type=_LEVEL, help="Level whose grid trains a FAISS engine.  [default: all levels]")
@click.option("--boxes", type=click.Choice(["best", "enclosing"]), default="best", show_default=True, help="True box.")
@click.option("--top", type=_COUNT, help="Rank this many pictures for each query, 0 for all.  [default: all]")
@click.option("--depth", type=_COUNT, default=0, show_default=True, help="Look at the points of the first so many.")
@click.option("--refine", type=_COUNT, default=0, show_default=True, help="Finer boxes in the first so many pictures.")
@click.option("--turned", is_flag=True, help="Look for each query turned, too, as a search does.")
@click.option("--out", type=click.Path(path_type=Path), default="eval", show_default=True, help="Where results go.")
@click.option("--overwrite", is_flag=True, help="Remove the files of another run from --out.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Kept features.  [default: features in your cache folder]"
)
@click.option(
    "--distractors",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A tar of more pictures; repeatable.",
)
@click.option("--keep", type=click.Path(path_type=Path), help="A file of the keys wanted from those tars (mini-ILIAS).")
@_EXCLUDE_COPIES
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
    depth: int,
    turned: bool,
    refine: int,
    out: Path,
    overwrite: bool,
    cache: Path | None,
    distractors: tuple[Path, ...],
    keep: Path | None,
    similarities: bool,
    exclude_copies: bool,
) -> None:
    """Search every query of DATASET and score the answers, level by level.

    DATASET: a folder with query.json and gallery.json, a .csv file, COCO with instance ids (.json), ilias:DIR,
    instre:DIR, roxford5k:DIR:medium. Boxes in the first two are x y w h in pixels or shares, as --box of search.

    Writes results (one file a level), metrics.json, report.md and plots below --out, a folder for each run: one that
    holds another run (of another encoder, set, level or setting) is refused.
    """
    import numpy as np

    from .. import evaluate as ev
    from .._home import cache_folder
    from ..compression import compress_report
    from ..datasets import open_dataset, read_keys, write_similarities
    from ..indexes import EXACT, judge_engine
    from ..points import identify
    from ..regions import Pyramid
    from ..report import Unwritten, write_report
    from ._output import print_line
    from ._progress import progress
    from ._targets import attempt, check_folder

    cache = cache or cache_folder() / "features"
    check_folder(out)
    check_folder(cache)
    if keep is not None and not distractors:
        raise click.UsageError("--keep says which pictures of --distractors to take: name those")
    chosen = sorted(set(levels or (0, 1, 2, 3)))
    if train_level is not None and train_level > chosen[0]:
        raise click.UsageError(f"--train-level must lie in 0..{chosen[0]}, the lowest --level, found {train_level}")
    with progress(stays=False) as on_progress:
        on_progress(0, 0, "reading the set")
        data = open_dataset(dataset)
    say(str(data))
    _say_notes((data.without(ev.find_copies_on_disk(data)) if exclude_copies else data).first_notes)
    with progress(stays=False) as on_progress:
        on_progress(0, 0, "opening the encoder")
        model = choice.open()
    made = [
        ev.EvalSettings(
            level,
            query=query,
            engine=index_engine,
            train_level=train_level,
            top=top,
            depth=depth,
            refine=refine,
            turned=turned,
        )
        for level in chosen
    ]
    n_images = _MANY if distractors else len({picture.image for picture in data.gallery})  # how many is not known yet
    fewest = made[0].pyramid.n_regions, model.identity.dim, made[0].train_regions  # of the lowest level
    try:
        judge_engine(index_engine, n_images, *fewest)
    except EngineError as error:
        raise EngineError(f"--index at --level {chosen[0]}: {error}") from error
    keys = read_keys(keep) if keep else None
    scores: dict[str, dict[str, object]] = {}
    results = {}
    unwritten: list[PatchseekError] = []
    run = {
        "encoder": {**asdict(model.identity), "runs_on": model.runs_on},
        "dataset": {"name": data.name, "hash": data.data_hash, "pictures": str(data.folder)},
        "distractors": sorted(str(tar.resolve()) for tar in distractors),
        "keep": keep and str(keep.resolve()),
        "keys": None if keys is None else keys.digest,
        "levels": chosen,
        "index": index_engine,
        "train_level": train_level,
        "query": query,
        "boxes": boxes,
        "top": top or 0,
        "depth": depth,
        "refine": refine,
        "turned": turned,
        "exclude_copies": exclude_copies,
    }
    folder = click.get_current_context().with_resource(ev.RunFolder(out, run, overwrite=overwrite))
    with progress() as on_progress:
        pyramid, points = Pyramid.up_to(chosen[-1]), identify() if depth else None
        whole = ev.encode_gallery(data, model, pyramid, cache, on_progress, distractors, keys, points)
        say(f"features: kept in {cache}")
        _say_shards(whole.shards)
        if distractors:
            say(f"with the pictures of --distractors, {len(whole.sizes)} are ranked")
        if exclude_copies:
            data = data.without(whole.copies)
        how = {"points": bool(depth), "turned": turned, "off_ground": bool(depth or refine)}
        asked = ev.read_queries(data, model, query, **how, on_progress=on_progress)
        features = np.array([each.feature for each in asked])
        for level, settings in zip(chosen, made, strict=True):
            gallery = whole.at_level(level)
            on_progress(0, 0, f"opening the index of level {level}")
            opened = ev.open_engine(gallery, settings, gallery.store.path / "indexes")
            folder.begin()
            label = f"L{level}"
            steps = settings.steps(model)
            results[label] = ev.run_benchmark(data, gallery, asked, opened, settings, steps, on_progress)
            n_distractors = results[label]["dataset"]["n_distractors"]
            file = out / f"results-{label}-{n_distractors}-distractors.json"
            unwritten += attempt(ev.write_results, results[label], file)
            if opened.name != EXACT:
                exact = ev.EvalSettings(level, query=query, top=top)
                plain = results[label]
                if depth or refine or turned:
                    plain = ev.run_benchmark(
                        data, gallery, features, opened, replace(settings, depth=0, refine=0, turned=False)
                    )
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
@_EXCLUDE_COPIES
@click.option("--k", type=_COUNT, default=1000, show_default=True, help="The k of mAP@k, 0 for all.")
def score_command(results: Path, dataset: str, boxes: str, exclude_copies: bool, k: int) -> None:
    """Score a RESULTS file of `eval` again, against DATASET; no search is made. Prints JSON."""
    from ..datasets import open_dataset
    from ..evaluate import copies_of, read_results, score
    from ._output import print_line

    data = open_dataset(dataset)
    found = read_results(results)
    if exclude_copies:
        data = data.without(copies_of(found, data))
    scored = score(found, data, boxes=boxes, k=k)
    _say_notes(dict.fromkeys([*data.first_notes, *scored["notes"]]))
    print_line(json.dumps(scored, indent=2))


def _say_notes(notes: Iterable[str]) -> None:
    for note in notes:
        say(note, prefix="note: ")


def _say_shards(shards: "Sequence[DistractorTar]") -> None:
    """What of the tars is no distractor, and which tars share a name."""
    from ._output import printable
    from ._report import passed_over_text

    for shard in shards:
        if shard.name != shard.path.name:
            names = printable(shard.path.name), printable(shard.name)
            say("several tars are called {}; the ids of this one begin with {}".format(*names), prefix="note: ")
    for name, why in (pair for shard in shards for pair in shard.unreadable.items()):
        say(f"failed: {printable(name)}: {why}", level=logging.WARNING, image=name, reason=why)
    passed_over = sum((shard.passed_over for shard in shards), Counter[str]())
    if passed_over:
        text = passed_over_text(passed_over, can_follow=False)
        say(f"distractors passed over: {text}", passed_over=dict(passed_over))


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
    from ._targets import check_folder

    check_folder(out or folder)
    data = prepare_ilias(folder, out or folder, allow_missing=allow_missing)
    _say_notes(data.first_notes)
    print_line(str(data))
