"""What a GPU does: indexing by stage and as a whole, the plain way beside it, search in its memory, a refined query.

    python benchmarks/gpu.py [--device cuda] [--reference REFERENCE.py] [--parts agree stages ...] [--out FILE]

Weights are random, which is right for speed and for comparing features; pictures are JPEGs of one megapixel, a quarter
as many for the large network. At most --cores cores are used, and as many threads decode.
agree: for every short name's network, patches cut on the device beside Pillow's, and features of both. stages: decoding
and cutting on one core, the same on the device, the network by batch and precision. compile: torch.compile, attention
that is not fused, all numbers in 16 bits. index: `add_files` over all pictures, without points, cut on the device and
by Pillow; "card busy" is what the driver says (the share of time in which any kernel ran), "of its pace" patches a
second beside those of the network alone, for a second at its start and for six seconds on end. kernels: where the
card's time goes meanwhile. points: pictures a second of threads that only find points; of indexing with points, which
cores find, and without. processes: without points, in one process and with two of their own on the one card, as
--device cuda:0,cuda:0 has them.
plain: REFERENCE.py (torch, timm, PIL, float32), its model moved to the device and its answers back. jpeg: the device's
own decoder beside Pillow. search: one query and a thousand over rows of 1,024 numbers, beside reading every byte once
on the device, and beside the CPU. refined: a search with 20 refined boxes.
Writes results/CARD/gpu.json, which keeps what was measured with other parts; --device cpu prints a small run.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from encode import new_store
from gpu_compile import compiled
from gpu_kernels import kernels
from gpu_machine import REGIONS, SIZE, TINY, Machine
from gpu_points import points
from PIL import Image
from turns import RESULTS, keep, known, machine

from patchseek.collection import Collection
from patchseek.encode import add_files
from patchseek.encoders import Encoder, open_encoder
from patchseek.encoders._cutter import Cutter
from patchseek.encoders._replays import Replays
from patchseek.encoders._spec import SHORT_NAMES
from patchseek.encoders._torch_network import TorchNetwork
from patchseek.images import Picture, read
from patchseek.indexes import open_index
from patchseek.patches import cut, joined
from patchseek.points import PointsIdentity
from patchseek.regions import Pyramid
from patchseek.store import Snapshot

PARTS = ("stages", "index", "kernels", "points", "processes", "plain", "jpeg", "search", "refined", "agree", "compile")
DIM = 1024

PLAIN = """
import runpy, sys, timm
device, create = sys.argv[1], timm.create_model
def on_device(*arguments, **options):
    model = create(*arguments, **options).to(device)
    model.register_forward_pre_hook(lambda _, given: (given[0].to(device),))
    model.register_forward_hook(lambda _, given, answer: answer.cpu())
    return model
timm.create_model = on_device
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of unit vectors (N, D)."""
    return np.asarray((a.astype(np.float64) * b).sum(axis=1))


def agree(here: Machine, short_names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Patches and features of the device beside Pillow's, for each of these short names' networks."""
    names = {name: SHORT_NAMES[name].removeprefix("timm:") for name in short_names} if here.is_gpu else {TINY: TINY}
    picture = photograph()
    for name, model in names.items():
        plain = model.partition(".")[0]
        encoder = open_encoder(
            f"timm:{model}", weights=here.weights(plain), engine="torch", device=here.device, batch=30
        )
        patches = [cut(picture, Pyramid(), replace(encoder.feed, late=late)) for late in (False, True)]
        own = Cutter(here.device)(patches[1]).cpu().numpy().astype(int)  # type: ignore[arg-type]
        apart = np.abs(own - patches[0]).mean(axis=(1, 2, 3))
        features = [encoder.encode(lot) for lot in patches]
        found = {
            "runs on": encoder.runs_on,
            "patches, mean and worst difference of 255": [round(float(apart.mean()), 3), round(float(apart.max()), 3)],
            "features, lowest cosine": round(float(cosines(*features).min()), 6),
            "of two patches of the picture, median cosine": round(float(np.median(features[0] @ features[0].T)), 4),
        }
        (here.folder / f"{plain}.safetensors").unlink()
        print(name, found, flush=True)
        yield name, found


def photograph() -> Picture:
    """Detail at every scale, as natural pictures have it, of one megapixel."""
    rng = np.random.default_rng(0)
    total = np.zeros((SIZE[1], SIZE[0], 3))
    for octave in range(1, 10):
        noise = rng.integers(0, 256, (2**octave, 2**octave, 3), np.uint8)
        total += np.asarray(Image.fromarray(noise).resize(SIZE, Image.Resampling.BICUBIC)) / 2**octave
    return Picture(total.astype(np.uint8), *SIZE)


def stages(here: Machine) -> dict[str, Any]:
    """Milliseconds a picture of 30 patches, stage by stage."""
    content = here.pictures[0].read_bytes()
    figures: dict[str, Any] = {"decode, one core": here.ms(lambda: read(content))}
    for model in dict.fromkeys((here.large, here.base)):
        figures[model] = stages_of(here, here.open(model), content)
        print(model, figures[model], flush=True)
    return figures


def stages_of(here: Machine, encoder: Encoder, content: bytes) -> dict[str, Any]:
    """The same with one encoder."""
    found: dict[str, Any] = {}
    feed, network, picture = encoder.feed, encoder._network, read(content)
    by_pillow = replace(feed, late=False)
    found["cut by Pillow, one core"] = here.ms(lambda: cut(picture, Pyramid(), by_pillow), 3)
    found["cut on the device"] = here.ms(lambda: network._cutter(cut(picture, Pyramid(), feed)), 20)
    fresh = [read(content) for _ in range(12)]
    found["upload and cut on the device"] = here.ms(lambda: network._cutter(cut(fresh.pop(), Pyramid(), feed)), 10)
    if not here.is_gpu:
        return found | {"network": network_ms(here, network, feed.size, encoder.batch)}
    large = Picture(np.tile(picture.pixels, (4, 4, 1))[:3000, :4000], 4000, 3000)
    found["12 megapixels: cut by Pillow, one core"] = here.ms(lambda: cut(large, Pyramid(), by_pillow), 1)
    found["12 megapixels: cut on the device"] = here.ms(lambda: network._cutter(cut(large, Pyramid(), feed)), 10)
    own = network.precision
    for precision in ("f32", "f16", "bf16"):
        network.precision = precision
        found[f"network, {precision}, 64 at once"] = network_ms(here, network, feed.size, 64)
    network.precision = own
    for batch in (16, 32, 64, 128):
        found[f"network, {own}, {batch} at once, kernel by kernel"] = network_ms(here, network, feed.size, batch)
        found[f"network, {own}, {batch} at once, replayed"] = network_ms(here, network, feed.size, batch, Replays())
    return found


def network_ms(here: Machine, network: TorchNetwork, size: int, batch: int, replays: Replays | None = None) -> float:
    """Milliseconds of 30 patches that are on the device already, a batch at a time, kernel by kernel or replayed."""
    patches = torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8, device=here.device)

    def call() -> None:
        with torch.inference_mode(), network.autocast():
            for _ in range(4):
                network.module(patches) if replays is None else replays(network.module, patches)

    return round(here.ms(call, 3) * REGIONS / batch / 4, 3)


def index(here: Machine) -> dict[str, Any]:
    """Pictures a second of the whole pipeline, cut on the device and by Pillow; of features alone, without points."""
    figures: dict[str, Any] = {"decoding threads": here.cores}
    for model in dict.fromkeys((here.large, here.base)):
        encoder = here.open(model)
        network = encoder._network
        pace = network_pace(here, encoder)
        lasting = lasting_pace(here, encoder)
        found: dict[str, Any] = {"runs on": encoder.runs_on, "network alone, patches/s": round(pace)}
        found["network alone, on end"] = lasting
        print(model, found, flush=True)
        for way, late in (("cut on the device", True), ("cut by Pillow", False)):
            encoder.feed = replace(encoder.feed, late=late)
            names = here.some(model, 1 if late else 4)
            figures_of: dict[str, Any] = {"pictures": len(names)}
            with here.peak(figures_of):
                add(here, encoder, names[:8])  # what is recorded takes its memory at the first batches
                with here.busy(figures_of):
                    rates = [len(names) / add(here, encoder, names) for _ in range(2)]
            figures_of["replayed"] = here.is_gpu and network._replays._graph is not None
            figures_of["pictures/s"] = [round(rate, 2) for rate in rates]
            figures_of["of its pace"] = round(max(rates) * REGIONS / pace, 3)
            figures_of["of its pace on end"] = round(max(rates) * REGIONS / lasting["patches/s"], 3)
            found[way] = figures_of
            print(model, way, figures_of, flush=True)
        figures[model] = found
    return figures


def add(here: Machine, encoder: Encoder, names: list[str], points: PointsIdentity | None = None) -> float:
    """Seconds that a new collection takes to take in some of the pictures, with points or without."""
    store = new_store(here.folder, encoder, points=points)
    return add_files(store, here.pictures[0].parent, names, encoder, n_workers=here.cores).seconds


def processes(here: Machine) -> dict[str, Any]:
    """Pictures a second where the encoder is in this process, and where it is in two others that share the device."""
    figures: dict[str, Any] = {}
    names = here.some(here.base)
    options = {"weights": here.weights(here.base), "engine": "torch"}
    for way, device in (("in this process", here.device), ("in two others", f"{here.device},{here.device}")):
        encoder = open_encoder(f"timm:{here.base}", device=device, **options)
        rates = [round(once / add(here, encoder, names[:once]), 2) for once in (4, len(names), len(names))]
        figures[way] = {"pictures/s": rates[1:]}
        print(way, figures[way], flush=True)
        if way != "in this process":
            encoder.close()
    return figures


def network_pace(here: Machine, encoder: Encoder) -> float:
    """Patches a second of the network alone, of patches that are on the device, a batch of the encoder's at a time."""
    replays = Replays() if here.is_gpu else None
    return 1000 * REGIONS / network_ms(here, encoder._network, encoder.feed.size, encoder.batch, replays)


def lasting_pace(here: Machine, encoder: Encoder) -> dict[str, Any]:
    """The same for as long as indexing takes, on patches of the pictures: a card that computes for long slows down."""
    figures: dict[str, Any] = {}
    network, patches = encoder._network, some_patches(here, encoder)
    replays = Replays()
    run = partial(replays, network.module) if here.is_gpu else network.module
    with torch.inference_mode(), network.autocast():
        for _ in range(3):
            run(patches)
        with here.busy(figures):
            n, began = 0, time.perf_counter()
            while (spent := time.perf_counter() - began) < (6 if here.is_gpu else 0.5):
                for _ in range(16 if here.is_gpu else 1):
                    run(patches)
                    n += len(patches)
                here.wait()
    return {"patches/s": round(n / spent)} | figures


def some_patches(here: Machine, encoder: Encoder) -> torch.Tensor:
    """As many patches of the pictures as a batch has, cut on the device."""
    n = -(-encoder.batch // REGIONS)
    lots = [cut(read(path.read_bytes()), Pyramid(), encoder.feed) for path in here.pictures[:n]]
    return encoder._network._cutter(joined(lots))[: encoder.batch].contiguous()


def plain(here: Machine, reference: Path) -> dict[str, Any]:
    """The plain way on the same device: one picture after another, in float32."""
    folder, n = here.pictures[0].parent, 16 if here.is_gpu else 2
    gallery = [{"id": i, "image": path.name, "instance": []} for i, path in enumerate(here.pictures[:n])]
    (folder / "gallery.json").write_text(json.dumps(gallery))
    (folder / "query.json").write_text(json.dumps([{"image": here.pictures[0].name, "instance": "none"}]))
    figures: dict[str, Any] = {"pictures": n}
    for model in dict.fromkeys((here.large, here.base)):
        command = [sys.executable, "-c", PLAIN, here.device, str(reference), str(folder)]
        command += ["--model", model, "--images", str(n)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures[model] = {"pictures/s": json.loads(done.stdout.splitlines()[-1])["images_per_s"]}
        print("plain", model, figures[model], flush=True)
    return figures


def jpeg(here: Machine) -> dict[str, Any]:
    """The device's decoder of JPEGs beside Pillow: how far apart in 255ths, and how fast."""
    from torchvision.io import decode_jpeg

    if not here.is_gpu:
        return {}
    figures: dict[str, Any] = {}
    image = Image.fromarray(photograph().pixels)
    for name, subsampling in (("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)):
        path = here.folder / "one.jpg"
        image.save(path, quality=90, subsampling=subsampling)
        content = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
        found = decode_jpeg(content, device=here.device).permute(1, 2, 0).cpu().numpy().astype(int)
        apart = np.abs(found - np.asarray(Image.open(path)))
        figures[name] = {
            "mean": round(float(apart.mean()), 3),
            "worst": int(apart.max()),
            "share beyond 2": round(float((apart > 2).mean()), 4),
        }
    contents = [torch.frombuffer(bytearray(p.read_bytes()), dtype=torch.uint8) for p in here.pictures[:32]]
    figures["pictures/s, 32 at once"] = round(32000 / here.ms(lambda: decode_jpeg(contents, device=here.device), 3))
    print(figures, flush=True)
    return figures


def snapshot_of(here: Machine, n_rows: int) -> Snapshot:
    """Random unit vectors, made on the device."""
    n_images = n_rows // REGIONS
    arrays, ends = [], np.linspace(0, n_images, max(n_images // 4000, 1) + 1).astype(int)
    generator = torch.Generator(here.device).manual_seed(0)
    for n in np.diff(ends).tolist():
        made = torch.randn((n, REGIONS, DIM), generator=generator, device=here.device)
        arrays.append(torch.nn.functional.normalize(made, dim=2).half().cpu().numpy())
    hashes = tuple(map(str, range(len(arrays))))
    return Snapshot(arrays, hashes, np.arange(n_images), np.ones(n_images, bool), REGIONS, DIM)


def search(here: Machine, sizes: list[int]) -> dict[str, Any]:
    """Exact search in the device's memory, beside reading all of it once, and beside the CPU."""
    figures: dict[str, Any] = {}
    for n_rows in sizes:
        snapshot = snapshot_of(here, n_rows)
        queries = np.random.default_rng(1).normal(size=(1000, DIM)).astype(np.float32)
        queries[:500] += (
            25 * snapshot.features(np.arange(500) % snapshot.n_positions)[:, 3]
        )  # half of them hold something
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        found: dict[str, Any] = {}
        with here.peak(found):
            began = time.perf_counter()
            engine = open_index(f"exact;device={here.device}", snapshot)
            here.wait()
            found["load, seconds"] = round(time.perf_counter() - began, 2)
            held = engine._features.view(torch.int64)  # type: ignore[attr-defined]
            found["read once, ms"] = here.ms(lambda: held.amax(), 20)  # noqa: B023
            found["one query, ms"] = here.ms(lambda: engine.search(queries[:1], 100), 20)  # noqa: B023
            found["a thousand queries, ms"] = here.ms(lambda: engine.search(queries, 100), 3)  # noqa: B023
        if n_rows <= 1_000_000:
            exact = open_index("exact", snapshot)
            found["one query on the CPU, ms"] = here.ms(lambda: exact.search(queries[:1], 100), 5)  # noqa: B023
            ours, theirs = engine.search(queries, 100), exact.search(queries, 100)
            same = (ours.positions == theirs.positions) & (ours.regions == theirs.regions)
            found["places with the CPU's picture and region"] = round(float(same.mean()), 6)
            found["scores apart, where they differ in place"] = float(
                np.abs(ours.scores - theirs.scores)[~same].max(initial=0)
            )
            found["scores apart at most"] = float(np.abs(ours.scores - theirs.scores).max())
        figures[f"{n_rows} rows"] = found
        print(n_rows, found, flush=True)
    return figures


def refined(here: Machine) -> dict[str, Any]:
    """Seconds of a search with 20 refined boxes, cut on the device and by Pillow, and of the grid alone."""
    figures: dict[str, Any] = {}
    encoder = here.open(here.large)
    store = new_store(here.folder, encoder)
    add_files(store, here.pictures[0].parent, here.some(here.large), encoder, n_workers=here.cores)
    collection = Collection(store, encoder)
    box = (0.2, 0.3, 0.4, 0.4)
    for way, late, n in (("cut on the device", True, 20), ("cut by Pillow", False, 20), ("the grid alone", True, 0)):
        encoder.feed = replace(encoder.feed, late=late)
        found: dict[str, Any] = {}
        with here.peak(found):
            found["ms"] = here.ms(lambda: collection.search(here.pictures[-1], box=box, refine=n), 5)  # noqa: B023
        figures[way] = found
        print(way, found, flush=True)
    return figures


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--pictures", type=int, help="Of one megapixel.  [640; 4 small ones on a CPU]")
    parser.add_argument("--rows", type=int, nargs="+", help="[150000 and 5000000; 6000 on a CPU]")
    parser.add_argument("--names", nargs="+", choices=SHORT_NAMES, default=list(SHORT_NAMES), help="Of agree.")
    parser.add_argument("--cores", type=int, default=8, help="At most; as many threads decode.  [8]")
    parser.add_argument("--out", type=Path, help="Write there too.")
    arguments = parser.parse_args()
    is_gpu = arguments.device.startswith("cuda")
    if is_gpu and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    with tempfile.TemporaryDirectory() as temporary:
        n = arguments.pictures or (640 if is_gpu else 4)
        here = Machine(arguments.device, Path(temporary), n, arguments.cores)
        card = re.sub(r"[^a-z0-9]+", "-", here.card.lower()).strip("-")
        folder = RESULTS.parent / card
        figures = known("gpu", folder) if is_gpu else {}
        figures["machine"] = machine() | {"card": here.card, "torch": torch.__version__, "timm": timm.__version__}
        runs: dict[str, Callable[[], dict[str, Any] | Iterator[tuple[str, dict[str, Any]]]]] = {
            "stages": lambda: stages(here),
            "index": lambda: index(here),
            "kernels": lambda: kernels(here, partial(add, here), partial(some_patches, here)),
            "points": lambda: points(here, partial(add, here)),
            "processes": lambda: processes(here),
            "plain": lambda: plain(here, arguments.reference),
            "jpeg": lambda: jpeg(here),
            "search": lambda: search(here, arguments.rows or ([150_000, 5_000_000] if is_gpu else [6000])),
            "refined": lambda: refined(here),
            "agree": lambda: agree(here, arguments.names),
            "compile": lambda: compiled(here),
        }

        def save() -> None:
            if arguments.out:
                arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
            if is_gpu:
                keep("gpu", figures, folder)

        for part, run in runs.items():
            if part not in arguments.parts or (part == "plain" and not arguments.reference):
                continue
            began = time.perf_counter()
            found = run()
            if isinstance(found, dict):
                figures[part] = found
            else:  # what was found of one network or another is kept as soon as it is known
                for name, of_it in found:
                    figures.setdefault(part, {})[name] = of_it
                    save()
            print(f"[{part}: {time.perf_counter() - began:.0f} s]", flush=True)
            save()
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
