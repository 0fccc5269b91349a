"""How fast pictures become features, stage by stage, and how busy the encoder is kept.

    python benchmarks/encode.py [--reference REFERENCE.py --set SET] [--vit] [--memory]

Stages: one thread, one picture after another, synthetic JPEGs of 1, 12 and 48 megapixels, the stages in turn; shares of
their sum. Pipeline: the same files through `add_folder`; "encoder busy" is the share of the time in which at least one
batch was under way. REFERENCE.py is a plain pipeline (torch, timm, PIL) that takes `SET --model M --images N --weights
FILE` and prints JSON with images_per_s; both ways run in turn on the same pictures, --vit with a ViT-B/16 of random
weights too. --memory: peak of indexing 400 and 4,000 small pictures, levels 0 and 1. Writes results/encode.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from turns import machine, write

from patchseek.encode import add_files, add_folder
from patchseek.encoders import Encoder, Features, open_encoder
from patchseek.images import read
from patchseek.patches import Patches, cut
from patchseek.regions import Pyramid
from patchseek.store import Settings, Store

SIZES = {"1 MP": (1152, 864), "12 MP": (4000, 3000), "48 MP": (8000, 6000)}
ROUNDS = 3


class Watched:
    """An encoder that notes for how long at least one of its calls was under way."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self._lock = encoder, threading.Lock()
        self.identity, self.feed, self.batch = encoder.identity, encoder.feed, encoder.batch
        self.streams, self.runs_on = encoder.streams, encoder.runs_on
        self.busy, self._n, self._since = 0.0, 0, 0.0

    def encode(self, patches: Patches) -> Features:
        """See Encoder."""
        with self._lock:
            self._since = time.perf_counter() if not self._n else self._since
            self._n += 1
        try:
            return self._encoder.encode(patches)
        finally:
            with self._lock:
                self._n -= 1
                self.busy += 0 if self._n else time.perf_counter() - self._since


def make_pictures(folder: Path, size: tuple[int, int], n: int) -> list[Path]:
    """n JPEGs of smooth noise: as hard to decode as photographs, each different."""
    folder.mkdir()
    for i in range(n):
        coarse = np.random.default_rng(i).integers(0, 256, (size[1] // 40, size[0] // 40, 3), np.uint8)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / f"{i}.jpg", quality=90)
    return sorted(folder.iterdir())


def new_store(folder: Path, encoder: Encoder, pyramid: Pyramid | None = None) -> Store:
    """An empty collection under a name that is free."""
    return Store.create(Path(tempfile.mkdtemp(dir=folder)) / "c", Settings(encoder.identity, pyramid or Pyramid()))


def stages(paths: list[Path], encoder: Encoder, folder: Path) -> dict[str, Any]:
    """Milliseconds a picture and share of each stage, and the pipeline over the same pictures."""
    spent: dict[str, list[float]] = {name: [] for name in ("read", "decode", "resize", "encode", "write")}
    need = 4 * encoder.feed.size
    for path in paths:
        marks = [time.perf_counter()]
        content = path.read_bytes()
        marks.append(time.perf_counter())
        picture = read(content, need=need, name=path.name)
        marks.append(time.perf_counter())
        patches = cut(picture, Pyramid(), encoder.feed)
        marks.append(time.perf_counter())
        features = encoder.encode(patches)
        marks.append(time.perf_counter())
        np.save(folder / "features.npy", features.astype(np.float16))
        marks.append(time.perf_counter())
        for values, seconds in zip(spent.values(), np.diff(marks).tolist(), strict=True):
            values.append(1000 * seconds)
    ms = {name: statistics.median(values) for name, values in spent.items()}
    rates, busy = [], []
    for _ in range(ROUNDS):
        watched = Watched(encoder)
        seconds = add_folder(new_store(folder, encoder), paths[0].parent, watched).seconds
        rates.append(len(paths) / seconds)
        busy.append(watched.busy / seconds)
    return {
        "ms a picture": {name: round(value, 1) for name, value in ms.items()},
        "share": {name: round(value / sum(ms.values()), 3) for name, value in ms.items()},
        "pipeline pictures/s": round(statistics.median(rates), 2),
        "pipeline crops/s": round(30 * statistics.median(rates)),
        "encoder busy": round(statistics.median(busy), 3),
    }


def against(reference: Path, set_folder: Path, model: str, name: str, n: int, folder: Path) -> dict[str, Any]:
    """Ours and the plain way with a model of the same shape, in turn, on the first n pictures of a set."""
    import timm
    import torch
    from safetensors.torch import save_file

    weights = folder / f"{model}.safetensors"
    torch.manual_seed(0)
    state = timm.create_model(model, pretrained=False, num_classes=0).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, weights)
    encoder = open_encoder(name, weights=None if name == "embedded" else weights)
    paths = [e["image"] for e in json.loads((set_folder / "gallery.json").read_text())][:n]
    add_files(new_store(folder, encoder), set_folder, paths[:2], encoder)  # warm
    ours, plain = [], []
    for _ in range(ROUNDS):
        command = [sys.executable, reference, set_folder, "--model", model, "--weights", weights, "--images", n]
        done = subprocess.run([str(w) for w in command], capture_output=True, text=True, check=True)
        plain.append(json.loads(done.stdout.splitlines()[-1])["images_per_s"])
        ours.append(n / add_files(new_store(folder, encoder), set_folder, paths, encoder).seconds)
    ratios = [a / b for a, b in zip(ours, plain, strict=True)]
    return {
        "runs on": encoder.runs_on,
        "pictures": n,
        "plain pictures/s": round(statistics.median(plain), 2),
        "ours pictures/s": round(statistics.median(ours), 2),
        "times as fast": round(statistics.median(ratios), 1),
        "in each round": [round(ratio, 1) for ratio in ratios],
    }


PEAK = """
import resource, sys
from pathlib import Path
from encode import add_folder, new_store, open_encoder, Pyramid
encoder = open_encoder("embedded")
add_folder(new_store(Path(sys.argv[2]), encoder, Pyramid((0, 1))), Path(sys.argv[1]), encoder)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def memory(folder: Path) -> dict[str, int]:
    """Peak MB of processes that index 400 and 4,000 pictures."""
    peaks = {}
    for n in (400, 4000):
        pictures = make_pictures(folder / f"small-{n}", (320, 240), n)[0].parent
        command = [sys.executable, "-c", PEAK, str(pictures), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
        peaks[f"{n} pictures, peak MB"] = int(done.stdout)
    return peaks


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--set", type=Path)
    parser.add_argument("--vit", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--images", type=int, default=24, help="1 MP pictures; a quarter as many of the larger.")
    parser.add_argument("--compared", type=int, default=12, help="Pictures of the set that both ways encode.")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as temporary:
        folder, encoder = Path(temporary), open_encoder("embedded")
        figures["encoder"] = encoder.runs_on
        for name, size in SIZES.items():
            n = arguments.images if name == "1 MP" else max(arguments.images // 4, 2)
            figures[name] = stages(make_pictures(folder / name, size, n), encoder, folder)
            print(name, figures[name], flush=True)
        if arguments.reference:
            how = (arguments.reference, arguments.set)
            figures["embedded"] = against(*how, "tf_efficientnet_lite0", "embedded", arguments.compared, folder)
            print(figures["embedded"], flush=True)
            if arguments.vit:
                model = "vit_base_patch16_siglip_224"
                figures["ViT-B/16"] = against(*how, model, f"timm:{model}", 3, folder)
        if arguments.memory:
            figures["memory"] = memory(folder)
    write("encode", figures)


if __name__ == "__main__":
    main()
