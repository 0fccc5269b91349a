"""The pictures that points.py makes: turned queries, pieces of photographs, galleries of smaller objects; and texture.

Knows pixels and annotation files, no collection. What is random is so by a fixed seed.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageStat

from patchseek.images import read

Picture = Image.Image

TURNS: dict[str, Callable[[Picture], Picture]] = {
    "upright": lambda p: p,
    "turned by 90": lambda p: p.transpose(Image.Transpose.ROTATE_90),
    "turned by 180": lambda p: p.transpose(Image.Transpose.ROTATE_180),
    "mirrored": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}
"""What is done to a query; without loss."""


def turned_by_45(picture: Picture) -> Picture:
    """Turned, on a ground of its mean colour."""
    mean = tuple(round(value) for value in ImageStat.Stat(picture).mean)
    return picture.rotate(45, Image.Resampling.BICUBIC, expand=True, fillcolor=mean)


def compressed(picture: Picture, quality: int = 10) -> Picture:
    """After a JPEG of this quality."""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality)
    return Image.open(content).convert("RGB")


def smaller(picture: Picture, times: int = 4) -> Picture:
    """With sides so many times shorter."""
    return picture.resize([max(1, round(side / times)) for side in picture.size], Image.Resampling.LANCZOS)


def oblique(picture: Picture) -> Picture:
    """Seen from the right: the left edge is half as high as the right one, the width 0.7 times as long."""
    w, h = picture.size
    # the map from the answer to the picture that takes its corners (0, h/4), (0.7 w, 0), (0.7 w, h), (0, 3h/4) to ours
    answer, corners = [(0, h / 4), (0.7 * w, 0), (0.7 * w, h), (0, 0.75 * h)], [(0, 0), (w, 0), (w, h), (0, h)]
    rows, right = [], []
    for (x, y), (u, v) in zip(answer, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    map_ = np.linalg.solve(np.array(rows), np.array(right)).tolist()
    mean = tuple(round(value) for value in ImageStat.Stat(picture).mean)
    size = (max(1, round(0.7 * w)), h)
    return picture.transform(size, Image.Transform.PERSPECTIVE, map_, Image.Resampling.BICUBIC, fillcolor=mean)


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "as cut": TURNS["upright"],
    "turned by 45": turned_by_45,
    "turned by 90": TURNS["turned by 90"],
    "JPEG quality 10": compressed,
    "a quarter of the size": smaller,
    "oblique": oblique,
}
"""What is done to a piece."""
BANDS: dict[str, tuple[float, float]] = {
    "1 to 4 %": (0.01, 0.04),
    "4 to 9 %": (0.04, 0.09),
    "9 to 16 %": (0.09, 0.16),
    "16 to 25 %": (0.16, 0.25),
}
"""Sizes of pieces, shares of the photograph."""
LEAST_SIDE = 512  # of a photograph, in pixels: a quarter of a piece of a smaller one is a dozen pixels
LEAST_SPREAD = 20.0  # of a piece's greys, of 255: a piece of bare sky is nowhere in particular


def upright(path: Path) -> Picture:
    """A picture as pixels."""
    return Image.fromarray(read(path).pixels)


def crop(path: Path, box: Sequence[float] | None) -> Picture:
    """The box (x y w h in pixels) of a picture, all of it for None."""
    picture = upright(path)
    if box is None:
        return picture
    x, y, w, h = (round(value) for value in box)
    return picture.crop((x, y, x + w, y + h))


@dataclass(frozen=True)
class Piece:
    """A part of a photograph."""

    photograph: Path
    box: tuple[int, int, int, int]
    # x y w h in pixels
    band: str
    # one of BANDS

    @property
    def picture(self) -> Picture:
        """As pixels."""
        return crop(self.photograph, self.box)


def choose_photographs(paths: Sequence[Path], n: int, seed: int = 0) -> list[Path]:
    """n of the pictures that are large enough, fewer where there are not so many."""
    order = np.random.default_rng(seed).permutation(len(paths))
    large = (paths[i] for i in order if max(upright(paths[i]).size) >= LEAST_SIDE)
    return [path for path, _ in zip(large, range(n), strict=False)]


def cut_pieces(photographs: Sequence[Path], n: int, seed: int = 0) -> list[Piece]:
    """n pieces of each of BANDS, each of another photograph as far as there are enough, at random places.

    As wide for their height as the photograph, give or take a third; those without contrast are passed over.
    """
    rng, pieces = np.random.default_rng(seed), list[Piece]()
    order = rng.permutation(len(photographs)).tolist()
    for band, (low, high) in BANDS.items():
        for _ in range(n):
            path = photographs[order[len(pieces) % len(order)]]
            picture = upright(path)
            boxes = [_place(picture.size, rng.uniform(low, high), rng) for _ in range(20)]
            spreads = [
                ImageStat.Stat(picture.convert("L").crop((x, y, x + w, y + h))).stddev[0] for x, y, w, h in boxes
            ]
            chosen = next((i for i, spread in enumerate(spreads) if spread >= LEAST_SPREAD), int(np.argmax(spreads)))
            pieces.append(Piece(path, boxes[chosen], band))
    return pieces


def _place(size: tuple[int, int], share: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A random box x y w h of this share of a picture."""
    stretch = rng.uniform(0.75, 1.33) ** 0.5
    w, h = round(size[0] * share**0.5 * stretch), round(size[1] * share**0.5 / stretch)
    return int(rng.integers(size[0] - w + 1)), int(rng.integers(size[1] - h + 1)), w, h


def write_smaller(folder: Path, target: Path, times: int = 2, seed: int = 0) -> Path:
    """A set with smaller objects: each picture that shows one, its sides so many times shorter, on one that shows none.

    At a random place; the rest of the gallery and the queries are those of the set. Returns the target.
    """
    rng, gallery = np.random.default_rng(seed), json.loads((folder / "gallery.json").read_text())
    plain = [entry for entry in gallery if not entry["instance"]]
    for part in ("query.json", "gallery.json"):
        for entry in json.loads((folder / part).read_text()):
            (target / entry["image"]).parent.mkdir(parents=True, exist_ok=True)
            if not (target / entry["image"]).exists():
                (target / entry["image"]).symlink_to((folder / entry["image"]).resolve())
    for entry in gallery:
        if not entry["instance"]:
            continue
        picture, ground = upright(folder / entry["image"]), upright(folder / plain[rng.integers(len(plain))]["image"])
        small = smaller(picture, times)
        x, y = (int(rng.integers(a - b + 1)) for a, b in zip(picture.size, small.size, strict=True))
        ground = ground.resize(picture.size, Image.Resampling.LANCZOS)
        ground.paste(small, (x, y))
        entry["image"] = f"{Path(entry['image']).with_suffix('')}-smaller.jpg"
        entry["bbox"] = [[x + a / times, y + b / times, w / times, h / times] for a, b, w, h in entry["bbox"]]
        ground.save(target / entry["image"], quality=95)
    (target / "gallery.json").write_text(json.dumps(gallery))
    (target / "query.json").write_text((folder / "query.json").read_text())
    return target


TEXTURE_SIDE, CELL = 256, 8  # pixels
STRONG = 100.0
"""Least square of the change of grey a pixel, over 5x5 pixels, in whichever direction it is least."""


def texture(picture: Picture) -> float:
    """How many strong corners it has for its area: the share of its cells of 8x8 pixels that hold one, in [0, 1].

    The picture's longer side is brought to 256 pixels. A corner is where the smaller eigenvalue of the structure tensor
    is at least STRONG (Shi and Tomasi, "Good features to track", 1994): 0 for plain colours and for stripes.
    """
    scale = TEXTURE_SIDE / max(picture.size)
    size = [max(CELL, round(side * scale)) for side in picture.size]
    grey = np.asarray(picture.convert("L").resize(size, Image.Resampling.BICUBIC), np.float64)
    down, across = np.gradient(grey)
    a, b, c = (_mean_of_5x5(product) for product in (across**2, across * down, down**2))
    least = (a + c) / 2 - np.sqrt(((a - c) / 2) ** 2 + b**2)
    h, w = (side // CELL * CELL for side in least.shape)
    cells = least[:h, :w].reshape(h // CELL, CELL, w // CELL, CELL).max(axis=(1, 3))
    return float((cells >= STRONG).mean())


def _mean_of_5x5(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean (h, w) around each pixel, edges repeated."""
    return np.asarray(sliding_window_view(np.pad(values, 2, mode="edge"), (5, 5)).mean(axis=(2, 3)))
