"""What stored points add to patches, and what is missing without: whole searches, judged by way of asking.

    python benchmarks/points.py [--data FOLDER] [--sets dev-set composite-set] [--parts NAME ...] [--quick]

FOLDER (by default $PATCHSEEK_DATA) holds the sets and `evaluate.py`, a scorer that shares no code with us and judges
the same lists: an error where the two disagree. Everything is asked through Collection.search, in the ways that
points_asked.py lists as far as this version knows their options. Parts:

ways        each set: order, boxes, recall; by size of the object, and by texture of the query in thirds
smaller     the same by size, where each picture that shows an object is pasted at half its size on one that does not,
            so that objects of 1 % of a picture and less are among them
turned      the queries' boxes cut out and turned by 90 and 180 degrees or mirrored, as shares of the upright mAP
confidence  AUROC of the first answer's confidence: the object is there, or all its pictures are taken out; how many of
            both are not called doubtful
cost        ms of a whole query, and against patches alone; peak memory; bytes; pictures/s of indexing
pieces      of 150 photographs of dev-set, pieces of 1 to 25 %: as cut, turned, compressed, shrunk, oblique
sift        beside them plain SIFT with a homography against every picture; needs OpenCV: pip install --group bench

Takes half an hour and more. --quick: a few queries and pieces, in a few minutes, whose figures are printed and not
kept. Writes results/CLASS/points.json, where parts that are not measured keep their figures.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import points_crops
from points_asked import Indexed, Question, Way, confidence, cost, index, possible, price
from points_pictures import TURNS, crop, texture, write_smaller
from points_rows import by_size, by_texture, check, of_upright, rankings, row
from quality import load_scorer
from sift import Sift
from turns import RESULTS, keep, known, machine, parse_with_data

PARTS = ("ways", "smaller", "turned", "confidence", "cost", "pieces", "sift")
OF_PIECES = "dev-set"  # the composites share their backgrounds: a piece would be right in several of them
N_PHOTOGRAPHS, N_PIECES = 150, 16
Note = Callable[[str, Mapping[str, Any]], None]
"""Called with the name of a set, or "pieces", and figures."""


def judge(indexed: Indexed, way: Way, scorer: Any) -> dict[str, Any]:
    """The row of a way on a set, by size and by texture."""
    ranked = indexed.ask(indexed.questions, way)
    check(ranked, indexed.data, scorer, str(indexed.folder))
    judged = rankings(ranked, indexed.data)
    textures = [texture(crop(query.image, query.box)) for query in indexed.data.counted]
    return row(judged) | {
        "by size": by_size(judged, indexed.data, indexed.sizes),
        "by texture": by_texture(judged, textures),
    }


def judge_turned(indexed: Indexed, way: Way) -> dict[str, Any]:
    """A row for each turn of the queries' boxes, which are asked as pictures of their own."""
    rows = {}
    for name, turn in TURNS.items():
        asked = [Question(query.id, turn(crop(query.image, query.box))) for query in indexed.data.queries]
        rows[name] = row(rankings(indexed.ask(asked, way), indexed.data))
    return of_upright(rows)


def measure(
    folder: Path, parts: Sequence[str], ways: Mapping[str, Way], scorer: Any, n: int | None, note: Note
) -> None:
    """Note the parts that are asked for, of one set, with the first n queries."""
    name = folder.name
    with tempfile.TemporaryDirectory() as temporary:
        if {"ways", "turned", "confidence", "cost"} & set(parts):
            indexed = index(folder, Path(temporary), n)
            if "cost" in parts:
                note(name, {"cost": cost(indexed, ways, min(n or 8, 8), 3) | {"collection": price(indexed)}})
            for label, way in ways.items():
                if "ways" in parts:
                    note(name, {"ways": {label: judge(indexed, way, scorer)}})
                if "turned" in parts:
                    note(name, {"turned": {label: judge_turned(indexed, way)}})
            if "confidence" in parts:
                note(name, {"confidence": confidence(indexed, ways)})
    if "smaller" in parts:
        with tempfile.TemporaryDirectory() as temporary:
            indexed = index(write_smaller(folder, Path(temporary) / "set"), Path(temporary), n)
            for label, way in ways.items():
                note(name, {"smaller": {label: judge(indexed, way, scorer)}})


def measure_pieces(folder: Path, ways: Mapping[str, Way], is_quick: bool, with_rival: bool, note: Note) -> None:
    """Note what is made of pieces of a set's gallery."""
    n_photographs, n_pieces = (30, 2) if is_quick else (N_PHOTOGRAPHS, N_PIECES)
    paths = [folder / entry["image"] for entry in json.loads((folder / "gallery.json").read_text())]
    with tempfile.TemporaryDirectory() as temporary:
        collection, pieces = points_crops.gather(paths, n_photographs, n_pieces, Path(temporary))
        for label, way in ways.items():
            note("pieces", {label: points_crops.rows(points_crops.by_search(collection, way), pieces)})
        if with_rival:
            note("pieces", {"SIFT": points_crops.rows(points_crops.by_sift(collection), pieces)})


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", default=["dev-set", "composite-set"])
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--ways", nargs="+", help="only those of these names; the others keep their figures")
    parser.add_argument("--quick", action="store_true")
    arguments = parse_with_data(parser)
    ways = {name: way for name, way in possible().items() if not arguments.ways or name in arguments.ways}
    data, parts, is_quick = arguments.data, arguments.parts, arguments.quick
    if "sift" in parts:
        Sift([])  # an hour later would be late to say what is missing
    scorer, where = load_scorer(data), machine()

    def note(name: str, figures: Mapping[str, Any]) -> None:
        tell(name, figures)
        if not is_quick:
            keep_beside({name: figures}, where)

    for name in arguments.sets:
        measure(data / name, parts, ways, scorer, 4 if is_quick else None, note)
    if {"pieces", "sift"} & set(parts):
        measure_pieces(data / OF_PIECES, ways if "pieces" in parts else {}, is_quick, "sift" in parts, note)


def tell(name: str, figures: Mapping[str, Any]) -> None:
    """Print figures, a line for each row."""
    own = [f"{key} {value:g}" for key, value in figures.items() if not isinstance(value, Mapping)]
    if own:
        print(f"{name}: {', '.join(own)}", flush=True)
    for key, value in figures.items():
        if isinstance(value, Mapping):
            tell(f"{name}: {key}", value)


def keep_beside(figures: Mapping[str, Any], where: Mapping[str, Any], folder: Path = RESULTS) -> None:
    """Keep figures as soon as they are known: a run takes long, and may be ended. Those known before stay."""
    kept = known("points", folder).get("figures", {})
    keep("points", {"machine": where, "figures": merged(kept, figures)}, folder)


def merged(kept: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The new figures, and of the kept ones those that the new lack, at every depth."""
    both = dict(kept)
    for name, value in new.items():
        before = both.get(name)
        both[name] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return both


if __name__ == "__main__":
    main()
