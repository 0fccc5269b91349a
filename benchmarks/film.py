"""Frames picked from films: how fast, how many, how many shots are met, whether their times are right, what is found.

    python benchmarks/film.py [--minutes 3] [--rounds 7] [--objects 7] [--every 2] [--refine 20] [--folder DIR]
        [--parts frames objects]

The films are made of the photographs of scikit-image, in 1080p H.264: shots at rest, pans and zooms of 0.6 to 9 seconds
under grain; every frame bears its number. They differ in where the encoder puts key frames: where a shot begins and at
most ten seconds apart, as x264 does by itself; every two seconds, as for streaming; every ten seconds. Needs the extras
`video` and `demo`. Writes results/CLASS/film.json, in which a part that is left out stays as it is.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from film_objects import RATE, encode, objects_found
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from turns import known, machine, write

from patchseek.sources import EVERY
from patchseek.sources._films import Picks, frames, pick

SIZE = (1920, 1080)
PHOTOS = ("astronaut", "chelsea", "coffee", "hubble_deep_field", "immunohistochemistry", "retina", "rocket")
STOPS = {
    "key frames at cuts": {},
    "key frames every 2 s": {"g": "50", "keyint_min": "50", "sc_threshold": "0"},
    "key frames every 10 s": {"g": "250", "keyint_min": "250", "sc_threshold": "0"},
}
BLOCK, BITS = 6, 16  # pixels of a side of a mark, marks of a frame's number

Pixels = NDArray[np.uint8]
View = tuple[float, float, float, float]


@dataclass(frozen=True)
class Shot:
    """A photograph that is shown for a while, through a window that may move over it."""

    photo: str
    start: int
    # frames from the film's start
    end: int
    # the first frame that is not its
    views: tuple[View, View]
    # x0 y0 x1 y1 in [0, 1], the part of the photograph that its first and its last frame show


def draw_shots(minutes: float, seed: int = 0) -> list[Shot]:
    """Shots that follow each other: a third at rest, a third pans, a third zooms. The same ones every time."""
    random = np.random.default_rng(seed)
    shots: list[Shot] = []
    start = 0
    while start < minutes * 60 * RATE:
        end = start + round(RATE * float(random.choice([0.6, 1.2, 2, 3, 4, 5, 7, 9])))
        wide = float(random.uniform(0.4, 0.6))
        corners = random.uniform(0, 1 - wide, (2, 2))
        first = (*corners[0], *(corners[0] + wide))
        still, moved = first, (*corners[1], *(corners[1] + wide))
        near = (first[0] + wide / 5, first[1] + wide / 5, first[2] - wide / 5, first[3] - wide / 5)
        names = [name for name in PHOTOS if not shots or name != shots[-1].photo]
        last = (still, moved, near)[random.integers(3)]
        shots.append(Shot(names[random.integers(len(names))], start, end, (first, last)))
        start = end
    return shots


def make_film(path: Path, shots: list[Shot], **options: str) -> Path:
    """A film of these shots. Each frame bears its number, see `number`."""
    encode({path: options}, _pictures(shots), SIZE)
    return path


def _pictures(shots: list[Shot]) -> Iterator[Pixels]:
    photos = {name: Image.fromarray(getattr(data, name)()).convert("RGB") for name in PHOTOS}
    random = np.random.default_rng(0)
    grain = random.normal(0, 4, (2 * SIZE[1], 2 * SIZE[0], 1)).astype(np.int16)
    for shot in shots:
        photo = photos[shot.photo]
        for i in range(shot.start, shot.end):
            share = (i - shot.start) / max(1, shot.end - shot.start - 1)
            view = (1 - share) * np.array(shot.views[0]) + share * np.array(shot.views[1])
            box = tuple((view * np.tile(photo.size, 2)).tolist())
            seen = np.asarray(photo.resize(SIZE, Image.Resampling.BILINEAR, box), np.int16)
            x, y = random.integers(0, SIZE[0]), random.integers(0, SIZE[1])
            pixels = (seen + grain[y : y + SIZE[1], x : x + SIZE[0]]).clip(0, 255).astype(np.uint8)
            marks = 90 + 80 * (i >> np.arange(BITS) & 1)
            pixels[:BLOCK, : BITS * BLOCK] = np.repeat(marks, BLOCK)[None, :, None]
            yield pixels


def number(ppm: bytes) -> int:
    """Which frame of such a film a picture is."""
    marks = np.asarray(Image.open(BytesIO(ppm)))[1 : BLOCK - 1, : BITS * BLOCK].mean((0, 2)).reshape(BITS, BLOCK)
    return int(((marks[:, 1:-1].mean(1) > 130) << np.arange(BITS)).sum())


def figures(path: Path, shots: list[Shot], rounds: int) -> dict[str, Any]:
    """What picking from a film costs and gives."""
    seconds, busy = [], []
    for _ in range(rounds):
        began, started = time.perf_counter(), time.process_time()
        picks = pick(path)
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - started)
    began = time.perf_counter()
    off = [abs(ms - 1000 * number(shown) / RATE) for ms, shown in frames(path, picks.times)]
    took = time.perf_counter() - began
    return {
        "megabits a second": round(8e-6 * path.stat().st_size / picks.seconds, 1),
        "picked at times real time": round(picks.seconds / statistics.median(seconds)),
        "at best": round(picks.seconds / min(seconds)),
        "seconds of a core a minute": round(60 * statistics.median(busy) / picks.seconds, 2),
        "frames a minute": round(60 * len(picks.times) / picks.seconds, 1),
        "shots with a frame, %": round(100 * statistics.mean(_met(shots, picks)), 1),
        "of those of a second or less, %": round(100 * statistics.mean(_met(_short(shots), picks) or [1]), 1),
        "largest distance from the truth, ms": round(max(off), 1),
        "milliseconds to read a frame": round(1000 * took / len(picks.times)),
    }


def _short(shots: list[Shot]) -> list[Shot]:
    return [shot for shot in shots if shot.end - shot.start <= RATE]


def _met(shots: list[Shot], picks: Picks) -> list[bool]:
    """Of each shot, whether one of its frames was picked."""
    picked = [ms * RATE / 1000 for ms in picks.times]
    return [any(shot.start <= i < shot.end for i in picked) for shot in shots]


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--objects", type=int, default=7, help="that are shown and searched; see film_objects.py")
    parser.add_argument("--every", type=float, default=EVERY, help="seconds, as of `patchseek index`, for these")
    parser.add_argument("--refine", type=int, default=20, help="frames that a search looks at closely")
    parser.add_argument("--folder", type=Path, help="where the films are, or are to be made and kept")
    parser.add_argument("--parts", nargs="+", choices=["frames", "objects"], default=["frames", "objects"])
    asked = parser.parse_args()
    kept, before = known("film"), machine()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        if "frames" in asked.parts:
            kept |= {"machine": before} | frames_picked(folder, asked.minutes, asked.rounds)
        if "objects" in asked.parts:
            found = objects_found(folder, STOPS, asked.objects, asked.every, asked.refine)
            kept["objects by time on screen"] = {"machine": before} | found
    write("film", kept)


def frames_picked(folder: Path, minutes: float, rounds: int) -> dict[str, Any]:
    """Of each film what `figures` says."""
    shots = draw_shots(minutes)
    films = {name: folder / f"{minutes:g}-{i}.mp4" for i, name in enumerate(STOPS)}
    for name, path in films.items():
        if not path.exists():
            make_film(path, shots, **STOPS[name])
    found = {name: figures(path, shots, rounds) for name, path in films.items()}
    return {"minutes": minutes, "shots": len(shots), **found}


if __name__ == "__main__":
    main()
