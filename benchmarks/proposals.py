"""How often a proposed box is the annotated one, beside boxes that look at nothing.

    python benchmarks/proposals.py [--data FOLDER] [--sets dev-set composite-set]

FOLDER (by default $PATCHSEEK_DATA) holds the sets. Pictures are the queries that have a box, and those of the gallery
that hold an object whose box is known (of several objects, any one counts: somebody may mean it). A share is that of
pictures in which one of at most three boxes reaches an IoU of 0.5 (0.7) with it; "first" are those where the first
does. Milliseconds are those of a picture that is decoded, on this machine, both kinds of cells always included. Writes
results/CLASS/proposals.json.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from turns import machine, parse_with_data, write

from patchseek.boxes import WHOLE, Boxes, from_pixels, iou
from patchseek.datasets import Dataset, open_dataset
from patchseek.encoders import Encoder, open_encoder
from patchseek.images import Picture, read
from patchseek.proposals import boxes_of, maps, propose


def centred(*sides: float) -> Boxes:
    """Boxes in the middle, with these shares of both sides."""
    return np.array([(0.5 - side / 2, 0.5 - side / 2, 0.5 + side / 2, 0.5 + side / 2) for side in sides])


def ways(encoder: Encoder) -> dict[str, Callable[[Picture], Boxes]]:
    """What is compared; the last one is what the page shows."""
    assert encoder.cells
    seen = partial(maps, feed=encoder.feed, encoder=encoder.cells)
    return {
        "whole picture": lambda _: np.array([WHOLE]),
        "centred, 1/3 2/3 3/3 of each side": lambda _: centred(1 / 3, 2 / 3, 1),
        "centred, 1/4 2/4 3/4 of each side": lambda _: centred(1 / 4, 2 / 4, 3 / 4),
        "proposed by the map alone": lambda picture: boxes_of(seen(picture)[:1]),
        "proposed by fine cells alone": lambda picture: boxes_of(seen(picture)[1:]),
        "proposed": lambda picture: propose(picture, encoder),
    }


def annotated(data: Dataset) -> dict[str, list[tuple[Path, list[Any]]]]:
    """Pictures and the boxes x y w h in them: queries, and positives of the gallery."""
    where = {entry.id: entry.image for entry in data.gallery}
    held: dict[str, list[Any]] = {}
    for query in data.queries:
        for name, boxes in data.positives(query).items():
            held.setdefault(name, []).extend(boxes or [])
    return {
        "queries": [(query.image, [query.box]) for query in data.queries if query.box is not None],
        "gallery": [(where[name], boxes) for name, boxes in held.items() if boxes],
    }


def judge(way: Callable[[Picture], Boxes], pictures: list[tuple[Picture, NDArray[np.float64]]]) -> dict[str, Any]:
    """The figures of one way."""
    best, first, number, seconds = [], [], [], []
    for picture, truth in pictures:
        began = time.perf_counter()
        boxes = way(picture)
        seconds.append(time.perf_counter() - began)
        shares = iou(boxes, truth).max(axis=1, initial=0.0)
        number.append(len(boxes))
        best.append(shares.max(initial=0.0))
        first.append(shares[:1].max(initial=0.0))
    return {
        "IoU50": round(float(np.mean(np.array(best) >= 0.5)), 3),
        "IoU70": round(float(np.mean(np.array(best) >= 0.7)), 3),
        "IoU50, first": round(float(np.mean(np.array(first) >= 0.5)), 3),
        "median IoU": round(float(np.median(best)), 3),
        "boxes": round(float(np.mean(number)), 2),
        "ms": round(1000 * statistics.median(seconds), 1),
    }


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["dev-set", "composite-set"])
    arguments = parse_with_data(parser)
    encoder = open_encoder()
    figures: dict[str, Any] = {}
    for name in arguments.sets:
        for kind, entries in annotated(open_dataset(arguments.data / name)).items():
            pictures = []
            for path, boxes in entries:
                picture = read(path)
                truth = np.array([from_pixels(box, picture.width, picture.height) for box in boxes])
                pictures.append((picture, truth))
            propose(pictures[0][0], encoder)  # opens the network of maps
            table = {way: judge(run, pictures) for way, run in ways(encoder).items()}
            figures[f"{name}, {kind}"] = {"pictures": len(pictures), "ways": table}
    write("proposals", {"machine": machine(), "sets": figures})


if __name__ == "__main__":
    main()
