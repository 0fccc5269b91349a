"""`make demo`: make sample pictures, index them, search every object, draw what was found and say how good it was."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from make_pictures import make_pictures

import patchseek as ps
from patchseek.boxes import from_pixels, iou
from patchseek.draw import ANSWER, RIGHT, Tile, contact_sheet, save

HERE = Path(__file__).parent
DRAWN = ("cup", "shuttle", "cat")
"""The objects whose results are drawn."""


def say(text: str = "") -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")


def is_right(match: ps.Match, truth: dict[str, Any], instance: str) -> bool:
    """Whether a picture holds the object."""
    return instance in (truth[match.image.path]["instance"] or [])


def overlap(match: ps.Match, truth: dict[str, Any], instance: str) -> float:
    """IoU of a match's box with the nearest true box of the object."""
    entry, image = truth[match.image.path], match.image
    boxes = [b for n, b in zip(entry["instance"], entry["bbox"], strict=True) if n == instance]
    return float(iou([match.box], [from_pixels(b, image.width, image.height) for b in boxes]).max())


def sheet(query: ps.Picture, box: list[float], matches: list[ps.Match], right: list[bool]) -> Any:
    """Query and first ten matches; the boxes of right pictures are green."""
    tiles = [
        Tile(
            ps.read(m.image.file).pixels,
            m.image.path,
            [m.box],
            (RIGHT if r else ANSWER,),
            score=m.score,
            confidence=m.confidence,
            outlines=[m.outline],
        )
        for m, r in zip(matches[:10], right, strict=False)
    ]
    own = np.array([from_pixels(box, query.width, query.height)])
    return contact_sheet(Tile(query.pixels, "what is searched", own), tiles)


def main() -> None:
    """The main job, start to end."""
    if not (HERE / "gallery.json").is_file():
        say("making sample pictures from the photographs of scikit-image")
        make_pictures(HERE)
    truth = {Path(e["image"]).name: e for e in json.loads((HERE / "gallery.json").read_text())}
    began = time.perf_counter()
    collection = ps.Collection.open(HERE / "pictures" / ".patchseek", create=True)
    opened = time.perf_counter() - began
    report = collection.add(HERE / "pictures")
    precisions, overlaps, firsts, seconds, sheets = [], [], [], [], []
    for query in json.loads((HERE / "query.json").read_text()):
        picture = ps.read(HERE / query["image"])
        began = time.perf_counter()
        matches = collection.search(picture, box=query["bbox"], top=None)
        seconds.append(time.perf_counter() - began)
        right = [is_right(match, truth, query["instance"]) for match in matches]
        ranks = np.flatnonzero(right) + 1
        precisions.append(float(np.mean(np.arange(1, len(ranks) + 1) / ranks)))
        firsts.append(right[0])
        overlaps += [overlap(m, truth, query["instance"]) for m, r in zip(matches, right, strict=True) if r]
        if query["instance"] in DRAWN:
            sheets.append(sheet(picture, query["bbox"], matches, right))
    width = max(s.shape[1] for s in sheets)
    save(
        np.concatenate([np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0)), constant_values=255) for s in sheets]),
        HERE / "results.png",
    )
    speed = f"{report.added / report.seconds:.1f} pictures/s" if report.added else "all unchanged"
    say(f"encoder    {collection.encoder.runs_on}, opened in {opened:.1f} s")
    say(f"indexed    {len(collection)} pictures ({speed}), {collection.store.n_bytes() / 1e6:.1f} MB")
    say(f"searched   {len(seconds)} objects, {1000 * float(np.median(seconds)):.0f} ms each")
    say(f"found      mAP {np.mean(precisions):.3f}, first answer right {sum(firsts)} of {len(firsts)}")
    say(f"located    mean IoU {np.mean(overlaps):.3f} over {len(overlaps)} pictures that hold an object")
    say(f"drawn      {HERE / 'results.png'}   (green: the picture does hold the object)")
    command = Path(sys.executable).with_name("patchseek")
    say()
    say("Now your own pictures, on a page or with a command:")
    say(f"  {command} serve ~/Pictures")
    say(f"  {command} index ~/Pictures")
    say(f"  {command} search photo.jpg --box X,Y,W,H --save found.png")


if __name__ == "__main__":
    main()
