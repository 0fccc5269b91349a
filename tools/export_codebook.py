"""Write the codebook by which points become bytes. For maintainers; the library reads the file only.

    python tools/export_codebook.py [--output DIR]

Points of the photographs that come inside scikit-image's wheel decide it, looked at in three sizes. Their descriptors
do not use all of their 64 numbers alike: along the axes of their second moments, the last ones hardly vary. So the 48
strongest are kept, in levels that lie evenly: 64 of them on the first 32 axes, 16 on the others, three axes in 16 bits.
Nine in ten of the nearest partners between two pictures stay what they are, where 64 numbers of 4 bits or product codes
of as many bytes keep eight.

Where the levels lie follows from least squares, without chance: the same descriptors give the same file, and
descriptors that differ by rounding one that differs by as little.
"""

import argparse
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import skimage
from numpy.typing import NDArray

from patchseek.images import read
from patchseek.points import PointNetwork, find_points, open_network
from patchseek.points._codebook import WORD

TARGET = Path(__file__).parents[1] / "src" / "patchseek" / "points" / "embedded"
NAME = "codebook.npy"
PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png"),
    *("coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "microaneurysms.png", "moon.png"),
    *("motorcycle_left.png", "motorcycle_right.png", "page.png", "retina.jpg", "rocket.jpg", "text.png"),
)
"""Of scikit-image's data folder; not the drawings, nor what it would have to download."""
SIDES = (1024, 512, 256)
MOST = 800
# points of a photograph in each size
BITS = (6, 6, 4)
# of the levels in a word
N_WORDS = 16
WIDTHS = {6: 3.6, 4: 2.8}
# standard deviations from the mean to where fitting levels of so many bits begins, and shares of them to try
TRIES = (0.7, 0.85, 1.0, 1.15)
ROUNDS = 30

Numbers = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the points' codebook and its manifest.")
    parser.add_argument("--output", type=Path, default=TARGET, help="folder to write to (default: the package's own)")
    codebook_file, manifest_file = export(parser.parse_args().output)
    print(codebook_file, codebook_file.stat().st_size, "bytes")
    print(manifest_file.read_text(), end="")


def export(folder: Path) -> tuple[Path, Path]:
    """Write the codebook and its manifest into folder; the paths of both."""
    photographs = [Path(skimage.__file__).parent / "data" / name for name in PHOTOGRAPHS]
    network = open_network("onnxruntime")  # in float32 on every processor
    descriptors = describe(photographs, network)
    book = fit(descriptors)
    folder.mkdir(parents=True, exist_ok=True)
    codebook_file, manifest_file = folder / NAME, folder / "codebook.json"
    np.save(codebook_file, book.astype(np.float32))
    manifest = {
        "file": codebook_file.name,
        "sha256": hashlib.sha256(codebook_file.read_bytes()).hexdigest(),
        "bits": BITS,
        "network": network.weights,
        "n_points": len(descriptors),
        "source": {
            "package": "scikit-image",
            "version": version("scikit-image"),
            "files": PHOTOGRAPHS,
            "sha256": hashlib.sha256(b"".join(path.read_bytes() for path in photographs)).hexdigest(),
        },
    }
    manifest_file.write_text(json.dumps(manifest, indent=2) + "\n")
    return codebook_file, manifest_file


def describe(photographs: list[Path], network: PointNetwork) -> Numbers:
    """Descriptors (n, 64) of the points of photographs in each of the sizes that they fill."""
    found = []
    for path in photographs:
        picture = read(path)
        longer = max(picture.image.size)
        sides = [SIDES[0], *(side for side in SIDES[1:] if side < longer)]
        found += [find_points(picture, MOST, side, network).descriptors for side in sides]
    return np.concatenate(found).astype(np.float64)


def fit(descriptors: Numbers) -> Numbers:
    """The codebook (66, K) of descriptors (n, 64): the axes as columns, where level 0 lies, the step between levels."""
    n_axes = N_WORDS * len(BITS)
    assert sum(BITS) == WORD
    _, axes = np.linalg.eigh(descriptors.T @ descriptors / len(descriptors))
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    strongest = np.argsort(-(descriptors @ axes).var(axis=0), kind="stable")[:n_axes]
    axes = axes[:, strongest]
    turned = descriptors @ axes
    levels = [fit_levels(turned[:, i], BITS[i // N_WORDS]) for i in range(n_axes)]
    return np.concatenate([axes, np.array(levels).T])


def fit_levels(numbers: Numbers, bits: int) -> tuple[float, float]:
    """The lowest of 2^bits levels and the step between them, for the least squared error of numbers (n,).

    Rounding to given levels and fitting levels to what was rounded take turns, from several beginnings.
    """
    highest, mean, width = 2**bits - 1, numbers.mean(), WIDTHS[bits] * numbers.std()
    found = []
    for share in TRIES:
        floor, step = mean - share * width, 2 * share * width / highest
        for _ in range(ROUNDS):
            rounded = np.clip(np.rint((numbers - floor) / step), 0, highest)
            step = np.cov(rounded, numbers, bias=True)[0, 1] / rounded.var()
            floor = mean - step * rounded.mean()
        error = (floor + step * np.clip(np.rint((numbers - floor) / step), 0, highest) - numbers).std()
        found.append((error, floor, step))
    return min(found)[1:]


if __name__ == "__main__":
    main()
