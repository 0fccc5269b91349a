"""Would a faster, rougher mode of indexing pay? Ways to do less for each picture: speed and mAP on the sets.

    python benchmarks/fast.py [--data FOLDER] [--ways NAME ...]

Every way decodes, cuts and encodes each gallery picture; the ways take turns picture by picture, and "times as fast" is
the median over pictures of the ratio to what patchseek does. Queries go through the same network. "8 bits" is the
embedded network quantized by NNCF with the first pictures of the set; "fast" is the encoder embedded-fast: the file
that ships, whose ranges were measured on other pictures, with inputs of 196 pixels and bilinear resizing. Skipped
patches: those whose pixels vary by less than a standard deviation of 4, 8 or 16 of 255 in a thumbnail; the most that
skipping could save is their share.

A set has about 40 queries, and mAP moves by a point or two for no reason. So 1,500 pieces of gallery pictures, 2 to
25 % of their area, turned by up to 15 degrees, brighter or darker, smaller and saved as JPEG, are searched for as well:
"own pieces" is the mean of 1 / rank of the picture they are from, in points. "mAP with points" ranks by what points
gain as well; these are found in the same pictures whatever the way, at "times the cost" of a picture's patches as they
are. Writes results/CLASS/fast.json.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance
from turns import known, machine, parse_with_data, write

from patchseek import evaluate as ev
from patchseek.boxes import WHOLE, from_pixels
from patchseek.datasets import clamp, open_dataset
from patchseek.encode._extractors import POINTS_NEED
from patchseek.encoders import open_encoder
from patchseek.encoders._nncf import quantize
from patchseek.encoders._openvino import OpenVinoNetwork, import_openvino
from patchseek.images import Picture, read
from patchseek.metrics import average_precision, mean_over_queries
from patchseek.patches import Feed, crop, cut
from patchseek.points import KEPT, WORTH, Points, QueryPoints, find_points, gains, match
from patchseek.regions import Pyramid

FOLDER = Path(str(files("patchseek.encoders") / "embedded"))
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
MODEL, N_EXACT = FOLDER / MANIFEST["files"][0], MANIFEST["n_exact"]
FEED, PYRAMID = Feed(224), Pyramid()
DEVIATIONS = (4, 8, 16)
CALIBRATED_ON = 10  # pictures, all their patches
PIECES = 1500


@dataclass(frozen=True)
class Way:
    """How pictures become features."""

    network: Callable[[Any], Any]
    feed: Feed = FEED
    pyramid: Pyramid = PYRAMID

    def encode(self, path: Path) -> tuple[Any, Any]:
        """Patches and features (R, D) of a picture."""
        patches = cut(read(path, need=4 * self.feed.size), self.pyramid, self.feed)
        return patches, self.network(patches)


def ways(dataset: Any) -> dict[str, Way]:
    """What is compared; the first is what patchseek does."""
    small = {size: OpenVinoNetwork(MODEL, 1, shape=(size, size, 3), n_exact=N_EXACT) for size in (224, 192, 160)}
    plain = Way(small[224])
    patches = np.concatenate([plain.encode(picture.image)[0] for picture in dataset.gallery[:CALIBRATED_ON]])
    eight = import_openvino().Core().read_model(MODEL)
    eight.reshape([1, 224, 224, 3])
    fast = open_encoder("embedded-fast")
    return {
        "as it is": plain,
        "192 px": Way(small[192], Feed(192)),
        "160 px": Way(small[160], Feed(160)),
        "bilinear": Way(small[224], Feed(224, interpolation="bilinear")),
        "without the 3 x 3 level": Way(small[224], pyramid=Pyramid((0, 1, 3))),
        "without the 2 x 2 level": Way(small[224], pyramid=Pyramid((0, 2, 3))),
        "8 bits": Way(OpenVinoNetwork(quantize(eight, patches, 1), 1, "f32")),
        "fast": Way(fast.encode, fast.feed),
        "fast, levels 0,2,3": Way(fast.encode, fast.feed, Pyramid((0, 2, 3))),
        "batches of 8": Way(OpenVinoNetwork(MODEL, 8, n_exact=N_EXACT)),
    }


def likenesses(features: Any, queries: Any) -> Any:
    """(Q, N) of queries (Q, D) and the best of each picture's regions (N, R, D)."""
    return np.stack([(features @ query).max(axis=1) for query in queries])


def with_points(scores: Any, kept: list[Points], asked: list[QueryPoints], sizes: Any) -> Any:
    """Likenesses (Q, N) and what points gain, as a search adds it up. sizes (N, 2): pixels of the pictures."""
    added = scores.copy()
    for row, own in zip(added, asked, strict=True):
        order = np.argsort(-row, kind="stable")
        row[order] += WORTH * gains(match(own, [kept[i] for i in order], sizes[order]))
    return added


def accuracy(dataset: Any, scores: Any) -> float:
    """mAP in points of scores (Q, N)."""
    order = np.argsort(-scores, axis=1, kind="stable")
    names = [picture.id for picture in dataset.gallery]
    results = {
        "dataset": {"data_hash": dataset.data_hash},
        "results": {
            q.id: [[names[i], float(scores[k, i]), None] for i in order[k]] for k, q in enumerate(dataset.queries)
        },
    }
    return 100 * mean_over_queries(ev.rankings(results, dataset), average_precision)


def encode_queries(dataset: Any, way: Way) -> Any:
    """Features (Q, D) of the queries, each cut to its box."""
    crops = []
    for entry in dataset.queries:
        picture, box = read(entry.image), WHOLE
        if entry.box is not None:
            inside = clamp(entry.box, picture.width, picture.height)
            box = from_pixels(inside, picture.width, picture.height)
        crops.append(crop(picture, [box], way.feed)[0])
    return way.network(np.array(crops))


def make_pieces(dataset: Any, n: int) -> tuple[list[Picture], Any]:
    """n altered pieces of gallery pictures, and the number (n,) of the picture each is from. Even ones are left out."""
    rng = np.random.default_rng(7)
    pieces: list[Picture] = []
    sources: list[int] = []
    while len(pieces) < n:
        source = int(rng.integers(len(dataset.gallery)))
        image = Image.fromarray(read(dataset.gallery[source].image).pixels)
        area = np.exp(rng.uniform(*np.log((0.02, 0.25)))) * image.width * image.height
        aspect = np.exp(rng.uniform(-0.5, 0.5))
        w, h = min(int((area * aspect) ** 0.5), image.width - 1), min(int((area / aspect) ** 0.5), image.height - 1)
        x, y = int(rng.integers(image.width - w)), int(rng.integers(image.height - h))
        turned = image.rotate(rng.uniform(-15, 15), Image.Resampling.BICUBIC, center=(x + w / 2, y + h / 2))
        piece = ImageEnhance.Brightness(turned.crop((x, y, x + w, y + h))).enhance(rng.uniform(0.7, 1.3))
        scale, quality = rng.uniform(0.4, 1), int(rng.integers(50, 90))
        if np.asarray(piece.convert("L").resize((16, 16))).std() < 12:
            continue
        saved = BytesIO()
        smaller = piece.resize((max(int(w * scale), 16), max(int(h * scale), 16)), Image.Resampling.BICUBIC)
        smaller.save(saved, "JPEG", quality=quality)
        pieces.append(read(saved.getvalue()))
        sources.append(source)
    return pieces, np.array(sources)


def find_pieces(way: Way, pieces: list[Picture], sources: Any, features: Any) -> float:
    """Mean of 1 / rank, in points, of the pictures that pieces are from, by gallery features (N, R, D)."""
    queries = np.concatenate([way.network(crop(piece, [WHOLE], way.feed)) for piece in pieces])
    flat = features.reshape(-1, features.shape[2])
    scores = [(flat @ query).reshape(len(features), -1).max(axis=1) for query in queries]
    ranks = [1 + int((each > each[source]).sum()) for each, source in zip(scores, sources, strict=True)]
    return 100 * float(np.mean(1 / np.array(ranks)))


def measure(dataset: Any, wanted: list[str] | None) -> dict[str, Any]:
    """The figures of one set, of all ways or of the first and those wanted."""
    compared = ways(dataset)
    if wanted is not None:
        compared = {name: way for name, way in compared.items() if name == "as it is" or name in wanted}
    pieces, sources = make_pieces(dataset, PIECES)
    features: dict[str, list[Any]] = {name: [] for name in compared}
    seconds: dict[str, list[float]] = {name: [] for name in compared}
    deviations, kept, sizes, spent = [], list[Points](), [], []
    for picture in dataset.gallery:
        opened = read(picture.image, need=POINTS_NEED)
        began = time.perf_counter()
        kept.append(find_points(opened, KEPT))
        spent.append(time.perf_counter() - began)
        sizes.append((opened.width, opened.height))
        for name, way in compared.items():
            began = time.perf_counter()
            patches, encoded = way.encode(picture.image)
            seconds[name].append(time.perf_counter() - began)
            features[name].append(encoded)
            if name == "as it is":
                thumbnails = patches.reshape(len(patches), 16, 14, 16, 14, 3).mean(axis=(2, 4))
                deviations.append(thumbnails.std(axis=(1, 2)).max(axis=1))
    found: dict[str, Any] = {
        "points": {"times the cost": round(float(np.median(np.divide(spent, seconds["as it is"]))), 2)}
    }
    asked = [query.points[0].upright for query in ev.read_queries(dataset, open_encoder("embedded"), points=True)]
    queries = {name: encode_queries(dataset, way) for name, way in compared.items()}
    for name in compared:
        ratio = float(np.median(np.divide(seconds["as it is"], seconds[name])))
        gallery = np.array(features[name])
        scores = likenesses(gallery, queries[name])
        found[name] = {
            "times as fast": round(ratio, 2),
            "mAP": round(accuracy(dataset, scores), 2),
            "mAP with points": round(accuracy(dataset, with_points(scores, kept, asked, np.array(sizes))), 2),
            "own pieces": round(find_pieces(compared[name], pieces, sources, gallery), 2),
        }
    for deviation in DEVIATIONS:
        skipped = np.array(deviations) < deviation
        skipped[:, 0] = False
        rest = np.where(skipped[:, :, None], 0, np.array(features["as it is"]))
        found[f"patches below {deviation} skipped"] = {
            "times as fast, at most": round(1 / (1 - float(skipped.mean())), 2),
            "mAP": round(accuracy(dataset, likenesses(rest, queries["as it is"])), 2),
        }
    return found


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", nargs="+", help='beside "as it is", only those of these names; others are kept')
    arguments = parse_with_data(parser)
    before = known("fast") if arguments.ways else {}
    figures: dict[str, Any] = {"machine": machine()}
    for name in ("dev-set", "composite-set"):
        figures[name] = before.get(name, {}) | measure(open_dataset(arguments.data / name), arguments.ways)
    write("fast", figures)


if __name__ == "__main__":
    main()
