"""Objects that are shown in films for a while: how many of them a search finds, at the right time. A part of film.py.

The objects are those of demo/make_pictures.py, cut out of photographs. Each is shown for 0.5, 1, 2, 4 and 8 seconds,
twice: for a whole shot, and coming up and going within one, which no cut tells. Shots are at rest, pan or zoom under
grain over photographs without any of them; the object is a quarter to two fifths as high as the picture. One collection
holds the films; each object is searched with the photograph that it was cut from, the motorcycle with the other one of
a stereo pair, and its box there. A time counts as right where it lies within one picked frame of the truth.
"""

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from patchseek import Collection
from patchseek._progress import OnProgress
from patchseek.rank import REFINING
from patchseek.search import Match
from patchseek.sources import split_page

SIZE, RATE = (960, 540), 25
SECONDS = (0.5, 1, 2, 4, 8)
WAYS = ("for a whole shot", "within a shot")
OBJECTS = ("cup", "motorcycle", "cat", "helmet", "shuttle", "patch", "coin")
SHARES = ("with a picked frame", "found", "found from begin to end")
GROUNDS = ("hubble_deep_field", "immunohistochemistry", "brick", "gravel", "grass", "moon")

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Showing:
    """A shot in which an object is shown."""

    name: str
    # "" for none: such a shot follows each of the others
    start: int
    # frames from the film's start, of the shot
    end: int
    # the first frame that is not its
    begins: int
    # the first frame that shows the object
    seconds: float
    # for which the object is
    ground: str
    views: tuple[NDArray[np.float64], NDArray[np.float64]]
    # x0 y0 x1 y1 in [0, 1], the part of the ground that its first and its last frame show
    height: int
    place: tuple[float, float]
    # of the object: pixels; share of the room to its left and above

    @property
    def way(self) -> str:
        """How it is shown."""
        return WAYS[self.end - self.start > self.n]

    @property
    def n(self) -> int:
        """Frames that show it."""
        return round(RATE * self.seconds)


def load_demo() -> Any:
    """demo/make_pictures.py."""
    spec = importlib.util.spec_from_file_location(
        "make_pictures", Path(__file__).parent.parent / "demo" / "make_pictures.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def draw_showings(n_objects: int, seed: int = 0) -> list[Showing]:
    """Shots that follow each other, of every object for every time. The same ones every time."""
    random = np.random.default_rng(seed)
    wanted = [(name, seconds) for name in OBJECTS[:n_objects] for seconds in SECONDS for _ in WAYS]
    showings: list[Showing] = []
    start = 0
    for number in (each for shown in random.permutation(len(wanted)) for each in (shown, None)):
        name, seconds = ("", 0) if number is None else wanted[number]
        before, after = random.integers(RATE // 2, 2 * RATE, 2).tolist()
        if number is not None and number % len(WAYS) == 0:
            before = after = 0
        wide = float(random.uniform(0.5, 0.7))
        corners = random.uniform(0, 1 - wide, (2, 2))
        first, last = (np.array([*corner, *(corner + wide)]) for corner in corners)
        near = first + wide / 6 * np.array([1, 1, -1, -1])
        grounds = [ground for ground in GROUNDS if not showings or ground != showings[-1].ground]
        views = first, (first, last, near)[random.integers(3)]
        height, place = round(SIZE[1] * random.uniform(0.25, 0.4)), tuple(random.uniform(0, 1, 2).tolist())
        ground = grounds[random.integers(len(grounds))]
        end = start + before + round(RATE * seconds) + after
        showings.append(Showing(name, start, end, start + before, seconds, ground, views, height, (place[0], place[1])))
        start = end
    return showings


def pictures(showings: Sequence[Showing], demo: Any) -> Iterator[Pixels]:
    """The frames of such a film."""
    photos = demo.photographs()
    cuts = demo.cut_outs(photos)
    random = np.random.default_rng(0)
    grain = random.normal(0, 4, (2 * SIZE[1], 2 * SIZE[0], 1)).astype(np.int16)
    for showing in showings:
        photo = photos[showing.ground]
        shown, at = _placed(showing, cuts[showing.name].picture) if showing.name else (None, (0, 0))
        for i in range(showing.start, showing.end):
            share = (i - showing.start) / (showing.end - showing.start - 1)
            view = (1 - share) * showing.views[0] + share * showing.views[1]
            box = tuple((view * np.tile(photo.size, 2)).tolist())
            seen = photo.resize(SIZE, Image.Resampling.BILINEAR, box)
            if shown is not None and showing.begins <= i < showing.begins + showing.n:
                seen.paste(shown, at, shown)
            x, y = random.integers(0, SIZE[0]), random.integers(0, SIZE[1])
            yield (np.asarray(seen, np.int16) + grain[y : y + SIZE[1], x : x + SIZE[0]]).clip(0, 255).astype(np.uint8)


def _placed(showing: Showing, shown: Image.Image) -> tuple[Image.Image, tuple[int, int]]:
    """An object as large as it is shown, and its upper left corner."""
    wide = min(SIZE[0] // 2, round(showing.height * shown.width / shown.height))
    shown = shown.resize((wide, round(wide * shown.height / shown.width)), Image.Resampling.LANCZOS)
    x, y = (round(share * (SIZE[i] - shown.size[i])) for i, share in enumerate(showing.place))
    return shown, (x, y)


def encode(paths: Mapping[Path, Mapping[str, str]], frames: Iterator[Pixels], size: tuple[int, int]) -> None:
    """Films of the same frames, each with the settings of the encoder that stand by its path."""
    with ExitStack() as opened:
        films: list[tuple[Any, Any]] = []
        for path, options in paths.items():
            container = opened.enter_context(av.open(path, "w"))
            settings = {"preset": "veryfast", "crf": "23", **options}
            stream: Any = container.add_stream("libx264", rate=RATE, options=settings)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            films.append((container, stream))
        for i, pixels in enumerate(frames):
            shown: Any = av.VideoFrame.from_ndarray(pixels, "rgb24")
            shown.pts, shown.time_base = i, Fraction(1, RATE)
            for container, stream in films:
                container.mux(stream.encode(shown))
        for container, stream in films:
            container.mux(stream.encode())


def objects_found(
    folder: Path, stops: Mapping[str, Mapping[str, str]], n_objects: int, every: float, refine: int
) -> dict[str, Any]:
    """By film, way and time on screen the share of objects of which a frame was picked, that were found, and found from
    where to where they are seen.
    """
    demo, showings = load_demo(), draw_showings(n_objects)
    films = {name: folder / f"objects-{n_objects}-{i}.mp4" for i, name in enumerate(stops)}
    made = {path: stops[name] for name, path in films.items() if not path.exists()}
    if made:
        encode(made, pictures(showings, demo), SIZE)
    collection = Collection.open(folder / f"collection-{n_objects}-{every:g}", create=True)
    for path in films.values():
        collection.add(path, every=every)
    photos = demo.photographs()
    cuts = demo.cut_outs(photos)
    found: dict[str, dict[str, Match]] = {}
    looked_at: list[int] = []
    for name in OBJECTS[:n_objects]:
        query, box, opened = np.asarray(photos[cuts[name].query]), cuts[name].box, [0]
        matches = collection.search(query, box=box, top=len(films), refine=refine, on_progress=_counter(opened))
        found[name] = {match.image.stored.file.name: match for match in matches}
        looked_at.append(max(opened))
    figures: dict[str, Any] = {"objects": n_objects, "looked at every, s": every, "frames": len(collection)}
    figures |= {"refined": refine, "refined in all, by object": looked_at}
    for film, path in films.items():
        picked = _picked(collection, path.name)
        figures[film] = {way: {} for way in WAYS}
        for way, seconds in product(WAYS, SECONDS):
            judged = [
                _judged(showing, found[showing.name].get(path.name), picked)
                for showing in showings
                if (showing.way, showing.seconds) == (way, seconds)
            ]
            shares = np.mean(judged, axis=0, dtype=float).round(2).tolist()
            figures[film][way][f"{seconds:g} s"] = dict(zip(SHARES, shares, strict=True))
    return figures


def _counter(opened: list[int]) -> OnProgress:
    """Progress that notes how many frames are looked at closely."""

    def heard(done: int, _: int, doing: str) -> None:
        if doing == REFINING:
            opened.append(done)

    return heard


def _picked(collection: Collection, film: str) -> list[float]:
    pages = [split_page(path) for _, _, path in collection.store.paths()]
    return sorted((page - 1) / 1000 for path, page in pages if path == film)


def _judged(showing: Showing, match: Match | None, picked: Sequence[float]) -> tuple[bool, bool, bool]:
    """Of an object that is shown: whether a frame of it was picked; whether a time at which it was found lies within
    one picked frame of the truth; and whether the first and last of such times are within one of its begin and end.
    """
    begin, end = showing.begins / RATE, (showing.begins + showing.n) / RATE
    inside = [i for i, time in enumerate(picked) if begin <= time < end]
    if not inside:
        return False, False, False
    order = {time: i for i, time in enumerate(picked)}
    ranges = [] if match is None else [(order[a], order[b]) for a, b in match.ranges]
    first, last = inside[0], inside[-1]
    right = [(a, b) for a, b in ranges if first - 1 <= a <= last and first <= b <= last + 1]
    if not right:
        return True, False, False
    return True, True, abs(right[0][0] - first) <= 1 and abs(right[-1][1] - last) <= 1
