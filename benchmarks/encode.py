"""How fast pictures become features, stage by stage, and how busy the encoder is kept.

    python benchmarks/encode.py [--reference REFERENCE.py --set SET] [--vit] [--memory]

Stages: one picture after another, synthetic JPEGs of 1, 12 and 48 megapixels, the stages in turn; shares of their sum.
All but `encode`, which uses every core, run on one. Pipeline: the same files through `add_folder`; "encoder busy" is
the share of the time in which at least one batch was under way, "of the cores" the share of all cores' time that the
stages account for: 1 where nothing is lost between them. REFERENCE.py is a plain pipeline (torch, timm, PIL) that takes
`SET --model M --images N --weights FILE --save FEATURES.npz` and prints JSON with images_per_s; both ways run in turn
on the same pictures, --vit with a ViT-B/16 of random weights too, whose features are compared. --memory: peak of
indexing 400 and 4,000 small pictures, 30 patches each (Linux). Writes results/CLASS/encode.json, which keeps
what was measured with other options.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from turns import known, machine, write

from patchseek._platform import n_cores
from patchseek.encode import add_files, add_folder
from patchseek.encoders import Encoder, Features, open_encoder
from patchseek.images import read
from patchseek.patches import Patches, cut
from patchseek.points import PointsIdentity
from patchseek.regions import Pyramid
from patchseek.store import Settings, Store

SIZES = {"1 MP": (1152, 864), "12 MP": (4000, 3000), "48 MP": (8000, 6000)}
ROUNDS = 3
FAST_FEWER = "--fast --levels 0,2,3"
FEWER = {FAST_FEWER: Pyramid((0, 2, 3))}


class Watched:
    """An encoder that notes for how long at least one of its calls was under way."""

    cells = words = regions = None

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
    """n JPEGs of smooth colours under grain, each different: 0.29 bytes a pixel, as a good camera writes."""
    folder.mkdir()

    def make(i: int) -> None:
        rng = np.random.default_rng(i)
        coarse = Image.fromarray(rng.integers(0, 256, (size[1] // 40, size[0] // 40, 3), np.uint8))
        smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))
        grained = smooth + rng.integers(-8, 9, (size[1], size[0], 1), np.int16)
        Image.fromarray(grained.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.jpg", quality=90)

    with ThreadPoolExecutor(n_cores()) as pool:
        list(pool.map(make, range(n)))
    return sorted(folder.iterdir())


def new_store(
    folder: Path, encoder: Encoder, pyramid: Pyramid | None = None, points: PointsIdentity | None = None
) -> Store:
    """An empty collection under a name that is free; by default of the patches that `index` would cut, no points."""
    settings = Settings(encoder.identity, pyramid or Pyramid(), points)
    return Store.create(Path(tempfile.mkdtemp(dir=folder)) / "c", settings)


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
    core_ms = sum(ms.values()) + (n_cores() - 1) * ms["encode"]
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
        "of the cores": round(statistics.median(rates) * core_ms / 1000 / n_cores(), 3),
    }


def against(
    reference: Path, set_folder: Path, model: str, names: Mapping[str, str], n: int, folder: Path
) -> dict[str, Any]:
    """Ours, in each of the precisions named, and the plain way with a model of the same shape, in turn.

    names: precision -> encoder. Other encoders than the embedded one get the weights of the plain way, and the cosines
    of their features with its features are noted.
    """
    weights, features = _random_weights(model, folder), folder / "plain.npz"
    paths = [e["image"] for e in json.loads((set_folder / "gallery.json").read_text())][:n]
    ours = {
        precision: open_encoder(name) if name.startswith("embedded") else _open(name, precision, weights, set_folder)
        for precision, name in names.items()
    }
    for encoder in ours.values():
        add_files(new_store(folder, encoder), set_folder, paths[:2], encoder)  # warm
    command = [sys.executable, reference, set_folder, "--model", model, "--weights", weights, "--images", n]
    command += ["--save", features]
    rates: dict[str, list[float]] = {"plain": [], **{precision: [] for precision in ours}}
    found: dict[str, Any] = {"pictures": n, "runs on": {p: encoder.runs_on for p, encoder in ours.items()}}
    for _ in range(ROUNDS):
        done = subprocess.run([str(w) for w in command], capture_output=True, text=True, check=True)
        rates["plain"].append(json.loads(done.stdout.splitlines()[-1])["images_per_s"])
        for precision, encoder in ours.items():
            store = new_store(folder, encoder, FEWER.get(precision))
            rates[precision].append(n / add_files(store, set_folder, paths, encoder).seconds)
            if not encoder.identity.name.startswith("embedded"):
                found[f"cosine, {precision}"] = _cosines(store, paths, features)
    found["pictures/s"] = {name: round(statistics.median(values), 2) for name, values in rates.items()}
    for precision in ours:
        ratios = [a / b for a, b in zip(rates[precision], rates["plain"], strict=True)]
        found[f"times as fast, {precision}"] = round(statistics.median(ratios), 1)
        found[f"in each round, {precision}"] = [round(ratio, 1) for ratio in ratios]
    return found


def _open(name: str, precision: str, weights: Path, calibration: Path) -> Encoder:
    options = {"calibration": calibration} if precision == "int8" else {}
    return open_encoder(name, weights=weights, engine="openvino", precision=precision, **options)


def _random_weights(model: str, folder: Path) -> Path:
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    state = timm.create_model(model, pretrained=False, num_classes=0).state_dict()
    path = folder / f"{model}.safetensors"
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path


def _cosines(store: Store, paths: Sequence[str], plain: Path) -> dict[str, float]:
    """Of our features of these files with the plain way's, patch by patch."""
    snapshot, place = store.snapshot(), {path: i for i, _, path in store.paths()}
    position = {image: p for p, image in enumerate(snapshot.ids.tolist())}
    own = snapshot.features(np.array([position[place[path]] for path in paths]))
    cosines = (own * np.load(plain)["features"]).sum(axis=2) / np.linalg.norm(own, axis=2)
    return {"mean": round(float(cosines.mean()), 6), "lowest": round(float(cosines.min()), 6)}


PEAK = """
import sys
from pathlib import Path
from encode import add_folder, new_store, open_encoder
encoder = open_encoder("embedded")
add_folder(new_store(Path(sys.argv[2]), encoder), Path(sys.argv[1]), encoder)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) // 1024)
"""  # not getrusage: its peak starts at that of the process this one was started from


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
    parser.add_argument(
        "--images", type=int, default=160, help="1 MP pictures, a quarter as many of the larger; 0: no stages."
    )
    parser.add_argument(
        "--compared", type=int, default=24, help="Pictures of the set that both ways encode; half as many by the ViT."
    )
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as temporary:
        folder, encoder = Path(temporary), open_encoder("embedded")
        figures["encoder"] = encoder.runs_on
        for name, size in SIZES.items() if arguments.images else ():
            n = arguments.images if name == "1 MP" else max(arguments.images // 4, 2)
            figures[name] = stages(make_pictures(folder / name, size, n), encoder, folder)
            print(name, figures[name], flush=True)
        if arguments.reference:
            how = (arguments.reference, arguments.set)
            names = {"as it is": "embedded", "--fast": "embedded-fast", FAST_FEWER: "embedded-fast"}
            figures["embedded"] = against(*how, "tf_efficientnet_lite0", names, arguments.compared, folder)
            print(figures["embedded"], flush=True)
            if arguments.vit:
                model = "vit_base_patch16_siglip_224"
                names = dict.fromkeys(("f32", "bf16", "int8"), f"timm:{model}")
                figures["ViT-B/16"] = against(*how, model, names, max(arguments.compared // 2, 2), folder)
                print(figures["ViT-B/16"], flush=True)
        if arguments.memory:
            figures["memory"] = memory(folder)
    write("encode", known("encode") | figures)


if __name__ == "__main__":
    main()
