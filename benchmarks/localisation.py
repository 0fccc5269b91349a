"""What each step of refinement buys: boxes and order by grid, by map, by patches, by agreement, by shifts.

    python benchmarks/localisation.py [--data FOLDER] [--sets dev-set composite-set] [--pictures FOLDER] [--ways NAME]
        [--encoder NAME --weights FILE]

FOLDER (by default $PATCHSEEK_DATA) holds the sets and `evaluate.py`, a scorer that shares no code with us: mAP and the
share of boxes with IoU >= 0.5 are its figures. The first 20 results of each query are refined. Seconds are those of a
query, refinement included, on this machine. No points are looked at: what these add, points.py prints, and how well
confidence tells what is there from what is not. --encoder: another one, whose figures are kept apart (weights for
timm:tf_efficientnet_lite0: `benchmarks/precision.py --save FILE`). "its own settings": those that the models folder has
of it, see tools/tune_cells.py. --pictures: draw the ten best and the ten worst
boxes there. Writes results/CLASS/localisation.json.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from quality import load_scorer
from turns import keep, known, machine, parse_with_data

from patchseek import evaluate as ev
from patchseek.boxes import from_pixels, iou
from patchseek.datasets import Dataset, open_dataset
from patchseek.draw import ANSWER, RIGHT, Tile, contact_sheet, save
from patchseek.encoders import Encoder, open_encoder
from patchseek.images import read
from patchseek.rank import Step, closer_looks
from patchseek.rerank import Recipe, recipe_of

N_REFINED = 20
BANDS = (("small", 0.0, 0.05), ("medium", 0.05, 0.2), ("large", 0.2, 1.0))
"""Object sizes, as shares of the picture."""
DEFAULT = Recipe()
ALIKE, AGREEING = (1.0, 0.0, 0.0, 0.0), (1.0, DEFAULT.agreement, 0.0, 0.0)
STEPS: dict[str, Recipe] = {
    "map, three patches by likeness": replace(DEFAULT, turns=0, agreement=0.0, weights=ALIKE),
    "and agreement": replace(DEFAULT, turns=0, weights=AGREEING),
    "and one turn of moves": replace(DEFAULT, turns=1, weights=AGREEING),
    "and a second": replace(DEFAULT, weights=AGREEING),
    "and details": replace(DEFAULT, weights=(*DEFAULT.weights[:3], 0.0)),
    "and colours: the default": DEFAULT,
    "all of it by likeness alone": replace(DEFAULT, agreement=0.0, weights=ALIKE),
}


class Blind:
    """The encoder without its cells and maps, as one of another library."""

    cells = words = regions = None

    def __init__(self, encoder: Encoder) -> None:
        self.identity, self.feed = encoder.identity, encoder.feed
        self.batch, self.streams, self.runs_on, self.encode = (
            encoder.batch,
            encoder.streams,
            encoder.runs_on,
            encoder.encode,
        )


def overlaps(results: dict[str, Any], data: Dataset, n: int | None) -> list[tuple[float, float, str, str, list[int]]]:
    """(IoU, size of the true box, query id, gallery id, predicted box) of the positives among the first n results."""
    found = []
    for query in data.queries:
        positives = data.positives(query)
        for name, _, box in results["results"][query.id][:n]:
            if name in positives and positives[name] is not None:
                corners = [(x, y, x + w, y + h) for x, y, w, h in positives[name]]
                x, y, w, h = box
                shares = iou([(x, y, x + w, y + h)], corners)[0]
                found.append(
                    (float(shares.max()), _size(corners[int(shares.argmax())], name, data), query.id, name, box)
                )
    return found


def _size(box: tuple[float, float, float, float], name: str, data: Dataset) -> float:
    picture = next(entry for entry in data.gallery if entry.id == name)
    pixels = read(picture.image)
    return (box[2] - box[0]) * (box[3] - box[1]) / (pixels.width * pixels.height)


def judge(results: dict[str, Any], data: Dataset, scorer: Any, folder: Path) -> dict[str, float]:
    """All figures of one way."""
    theirs = scorer.score(str(folder), results["results"])["all"]
    ours = ev.score(results, data)["metrics"]
    assert abs(ours["mAP"] - theirs["mAP"]) < 1e-4, "the two scorers disagree"
    first = overlaps(results, data, N_REFINED)
    figures = {"mAP": theirs["mAP"], "R1": theirs["R1"], "IoU50": theirs["IoU50"]}
    figures["IoU50 of hits"] = float(np.mean([share >= 0.5 for share, *_ in first]))
    figures |= {name: round(ours[name], 4) for name in ours if name.startswith("LocScore") and "0.4" in name}
    for band, low, high in BANDS:
        within = [share >= 0.5 for share, size, *_ in first if low <= size < high]
        figures[f"IoU50 of hits, {band}"] = float(np.mean(within)) if within else float("nan")
    return {name: round(value, 4) for name, value in figures.items()}


def auroc(present: list[float], absent: list[float]) -> float:
    """The share of pairs in which the present one is surer; ties count half (Mann and Whitney 1947)."""
    a, b = np.array(present)[:, None], np.array(absent)
    return float((a > b).mean() + (a == b).mean() / 2)


def draw(results: dict[str, Any], data: Dataset, folder: Path) -> None:
    """The ten best and the ten worst boxes among the first results, beside the true ones (green)."""
    found = sorted(overlaps(results, data, N_REFINED), key=lambda entry: -entry[0])
    for label, entries in (("best", found[:10]), ("worst", found[-10:])):
        tiles = []
        for share, _, query_id, name, box in entries:
            query = next(entry for entry in data.queries if entry.id == query_id)
            picture = read(next(entry.image for entry in data.gallery if entry.id == name))
            truth = [from_pixels(each, picture.width, picture.height) for each in data.positives(query)[name] or []]
            boxes = [from_pixels(box, picture.width, picture.height), *truth]
            colours = [ANSWER] + [RIGHT] * len(truth)
            tiles.append(Tile(picture.pixels, f"{query_id}: IoU {share:.2f}", np.array(boxes), colours=colours))
        folder.mkdir(parents=True, exist_ok=True)
        save(contact_sheet(tiles[0], tiles[1:]), folder / f"{data.name}-{label}.png")


def measure(
    folder: Path, encoder: Encoder, scorer: Any, pictures: Path | None, wanted: list[str] | None
) -> dict[str, dict[str, float]]:
    """All ways on one set or those wanted."""
    data = open_dataset(folder)
    with tempfile.TemporaryDirectory() as temporary:
        gallery = ev.encode_gallery(data, encoder, ev.EvalSettings().pyramid, Path(temporary))
        asked = [ev.read_queries(data, encoder, off_ground=closer) for closer in (False, True)]
        engine = ev.open_engine(gallery, ev.EvalSettings())

        def run(steps: Sequence[Step[str]]) -> tuple[dict[str, Any], float]:
            settings, began = ev.EvalSettings(refine=N_REFINED if steps else 0), time.perf_counter()
            found = ev.run_benchmark(data, gallery, asked[bool(steps)], engine, settings, steps)
            return found, (time.perf_counter() - began) / len(data.queries)

        table: dict[str, dict[str, float]] = {}
        ways: dict[str, Sequence[Step[str]]] = {"grid": ()}
        ways["shifted patches by likeness, no map"] = closer_looks(Blind(encoder), N_REFINED)
        own = recipe_of(encoder.identity.name)
        recipes = STEPS | ({} if own == DEFAULT else {"its own settings": own})
        ways |= {name: closer_looks(encoder, N_REFINED, recipe) for name, recipe in recipes.items()}
        for name, steps in ways.items():
            if wanted is not None and name not in wanted:
                continue
            results, seconds = run(steps)
            table[name] = judge(results, data, scorer, folder) | {"seconds": round(seconds, 2)}
            print(f"{data.name}: {name}: {table[name]}", flush=True)
            if pictures and name.endswith("the default"):
                draw(results, data, pictures)
    return table


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["dev-set", "composite-set"])
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--ways", nargs="+", help="only those of these names; the others keep their figures")
    parser.add_argument("--encoder", default="embedded")
    parser.add_argument("--weights", type=Path)
    arguments = parse_with_data(parser)
    data = arguments.data
    scorer, encoder = load_scorer(data), open_encoder(arguments.encoder, weights=arguments.weights)
    figures = known("localisation").get("sets", {})
    for name in arguments.sets:
        label = name if arguments.encoder == "embedded" else f"{name}, {arguments.encoder}"
        table = measure(data / name, encoder, scorer, arguments.pictures, arguments.ways)
        before = figures.get(label, {}).get("ways", {}) if arguments.ways else {}
        figures[label] = {"ways": before | table}
    keep("localisation", {"machine": machine(), "sets": figures})


if __name__ == "__main__":
    main()
