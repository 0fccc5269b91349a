"""What other ways to ask are worth: whole pictures, turned and zoomed queries, two pictures of an object, expansion.

    python benchmarks/queries.py [--data FOLDER] [--sets dev-set composite-set]

mAP of exact search at level 3 without refinement; refined too where it matters (--refine, slow). Query boxes are those
of the set. For two pictures, the second is the object in its first positive, which is then left out of the ranking.
Writes results/CLASS/queries.json.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from turns import keep, machine, parse_with_data

from patchseek import evaluate as ev
from patchseek._ties import in_order
from patchseek.boxes import WHOLE, from_pixels
from patchseek.datasets import Dataset, open_dataset
from patchseek.encoders import Encoder, open_encoder
from patchseek.images import Picture, read
from patchseek.metrics import average_precision, make_ranking
from patchseek.patches import crop, cut
from patchseek.search import encode_query

Vector = NDArray[np.float32]
AUGMENTATIONS: dict[str, tuple[tuple[float, float, bool], ...]] = {  # degrees, zoom, mirrored
    "mirrored": ((0, 1, True),),
    "zoomed by 0.85 and 1.2": ((0, 0.85, False), (0, 1.2, False)),
    "turned by 15 degrees": ((15, 1, False), (-15, 1, False)),
    "zoomed and turned": ((0, 0.85, False), (0, 1.2, False), (15, 1, False), (-15, 1, False)),
}


def unit(vector: Vector) -> Vector:
    """The vector at length 1."""
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def changed(picture: Picture, box: Sequence[float], degrees: float, zoom: float, mirrored: bool, size: int) -> Vector:
    """The patch (size, size, 3) of a box, turned around its middle, zoomed, mirrored; corners in its mean colour."""
    image = Image.fromarray(picture.pixels)
    x0, y0, x1, y1 = np.asarray(box) * [*image.size, *image.size]
    middle, w, h = ((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0) / zoom, (y1 - y0) / zoom
    mean = np.asarray(image.crop((round(x0), round(y0), round(x1), round(y1)))).mean(axis=(0, 1))
    colour = tuple(int(value) for value in mean)
    turned = image.rotate(degrees, Image.Resampling.BICUBIC, center=middle, fillcolor=colour) if degrees else image
    corners = (middle[0] - w / 2, middle[1] - h / 2, middle[0] + w / 2, middle[1] + h / 2)
    part = turned.crop(tuple(round(value) for value in corners)).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else part)


class Bench:
    """A set, encoded, and the mean average precision of any scores on it."""

    def __init__(self, data: Dataset, encoder: Encoder, cache: Path) -> None:
        self.data, self.encoder = data, encoder
        gallery = ev.encode_gallery(data, encoder, ev.EvalSettings().pyramid, cache)
        self.features = gallery.snapshot.features(np.arange(gallery.snapshot.n_positions))
        self.names = [gallery.ids[position][0] for position in range(gallery.snapshot.n_positions)]
        self.gallery = gallery
        self.pictures = [read(query.image) for query in data.queries]
        self.boxes = [
            WHOLE if query.box is None else from_pixels(query.box, picture.width, picture.height)
            for query, picture in zip(data.queries, self.pictures, strict=True)
        ]
        self.plain = [encode_query(p, encoder, b).feature for p, b in zip(self.pictures, self.boxes, strict=True)]

    def precision(self, q: int, scores: Vector, without: str = "") -> float:
        """Average precision of query q by the scores (N,) of all pictures."""
        query = self.data.queries[q]
        order = in_order(self.names, scores)
        ranked = [(self.names[i], float(scores[i]), None) for i in order if self.names[i] != without]
        truth = {name: boxes for name, boxes in self.data.positives(query).items() if name != without}
        return average_precision(make_ranking(ranked, dict.fromkeys(truth), self.data.ignored(query)))

    def mean(self, features: Sequence[Vector]) -> float:
        """mAP of one feature a query."""
        return float(np.mean([self.precision(q, (self.features @ f).max(axis=1)) for q, f in enumerate(features)]))

    def refined(self, features: Sequence[Vector]) -> float:
        """The same after refinement of the first 20."""
        asked = [encode_query(p, self.encoder, b) for p, b in zip(self.pictures, self.boxes, strict=True)]
        queries = [replace(a, feature=f) for f, a in zip(features, asked, strict=True)]
        settings = ev.EvalSettings(refine=20)
        engine = ev.open_engine(self.gallery, settings)
        results = ev.run_benchmark(self.data, self.gallery, queries, engine, settings, settings.steps(self.encoder))
        return float(ev.score(results, self.data)["metrics"]["mAP"])

    def augmented(self, changes: Sequence[tuple[float, float, bool]]) -> list[Vector]:
        """The mean feature of each query and its changed forms."""
        size, found = self.encoder.identity.size, []
        for picture, box, plain in zip(self.pictures, self.boxes, self.plain, strict=True):
            patches = np.array([changed(picture, box, *change, size) for change in changes])
            found.append(unit(plain + self.encoder.encode(patches).sum(axis=0)))
        return found

    def framed(self, choose: Callable[[Vector], int] | None, box: Sequence[float] = WHOLE) -> list[Vector]:
        """Queries without their boxes: the region of the picture that is chosen from its features, or a fixed box."""
        pyramid = ev.EvalSettings().pyramid
        if choose is None:
            return [self.encoder.encode(crop(p, [box], self.encoder.feed))[0] for p in self.pictures]
        regions = [self.encoder.encode(cut(p, pyramid, self.encoder.feed)) for p in self.pictures]
        return [each[choose(each)] for each in regions]

    def two_pictures(self) -> dict[str, float]:
        """One picture of an object against two, whose scores are joined by mean or maximum."""
        found: dict[str, list[float]] = {"one": [], "mean": [], "maximum": []}
        for q, query in enumerate(self.data.queries):
            name, boxes = sorted(self.data.positives(query).items())[0]
            if len(self.data.positives(query)) < 2 or boxes is None:
                continue
            picture = read(next(entry.image for entry in self.data.gallery if entry.id == name))
            box = from_pixels(boxes[0], picture.width, picture.height)
            second = encode_query(picture, self.encoder, box).feature
            a, b = ((self.features @ feature).max(axis=1) for feature in (self.plain[q], second))
            mean = (self.features @ (self.plain[q] + second)).max(axis=1)
            for way, scores in (("one", a), ("mean", mean), ("maximum", np.maximum(a, b))):
                found[way].append(self.precision(q, scores, name))
        return {f"two pictures, {way}": float(np.mean(values)) for way, values in found.items()}

    def expanded(self, n: int) -> list[Vector]:
        """Alpha query expansion (alpha 3) by the first n results."""
        found = []
        for q, feature in enumerate(self.plain):
            scores = self.features @ feature
            ignored = self.data.ignored(self.data.queries[q])
            order = [i for i in np.argsort(-scores.max(axis=1), kind="stable") if self.names[i] not in ignored][:n]
            more = [max(scores[i].max(), 0) ** 3 * self.features[i, scores[i].argmax()] for i in order]
            found.append(unit(feature + np.sum(more, axis=0)))
        return found


def most_agreeing(features: Vector) -> int:
    """The region, the whole left out, that is most alike the others on average."""
    return int((features @ features.T).mean(axis=1)[1:].argmax()) + 1


def measure(folder: Path, refine: bool) -> dict[str, float]:
    """All figures of one set."""
    with tempfile.TemporaryDirectory() as cache:
        bench = Bench(open_dataset(folder), open_encoder(), Path(cache))
        figures = {"box": bench.mean(bench.plain), "whole picture": bench.mean(bench.framed(None))}
        figures["most salient region"] = bench.mean(bench.framed(most_agreeing))
        figures["middle, 0.8 of the sides"] = bench.mean(bench.framed(None, (0.1, 0.1, 0.9, 0.9)))
        for name, changes in AUGMENTATIONS.items():
            figures[name] = bench.mean(bench.augmented(changes))
        figures |= bench.two_pictures()
        figures |= {f"expanded by {n}": bench.mean(bench.expanded(n)) for n in (1, 3, 5)}
        if refine:
            figures["refined: box"] = bench.refined(bench.plain)
            for name in ("zoomed by 0.85 and 1.2", "zoomed and turned"):
                figures[f"refined: {name}"] = bench.refined(bench.augmented(AUGMENTATIONS[name]))
    return {name: round(value, 4) for name, value in figures.items()}


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["dev-set", "composite-set"])
    parser.add_argument("--refine", action="store_true")
    arguments = parse_with_data(parser)
    figures: dict[str, Any] = {}
    for name in arguments.sets:
        figures[name] = measure(arguments.data / name, arguments.refine)
        for way, value in figures[name].items():
            print(f"{name}: {way}: mAP {value:.4f}", flush=True)
    keep("queries", {"machine": machine(), "sets": figures})


if __name__ == "__main__":
    main()
