"""What points cost beside the work of a card: found by threads alone, and while it indexes. See gpu.py."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from typing import Any

import numpy as np
from gpu_machine import Machine

from patchseek.encoders import Encoder
from patchseek.images import Picture, read
from patchseek.points import PointsIdentity, encode, find_points, identify, open_network
from patchseek.points._network import STEP

Add = Callable[[Encoder, list[str], PointsIdentity | None], float]
"""Seconds that a new collection takes to take in some of the pictures."""


def points(here: Machine, add: Add) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pictures a second of threads that find points and do nothing else; of the whole pipeline with points, which its
    decoding threads find, and without."""
    network, kept = open_network(), identify()
    contents = [path.read_bytes() for path in here.pictures]

    def find(picture: Picture) -> Any:
        return encode(find_points(picture, kept.n_most, kept.side, network))

    picture = read(contents[0])
    scale = min(kept.side / max(picture.width, picture.height), 1.0)
    size = [round(length * scale) // STEP * STEP for length in (picture.width, picture.height)]
    grey = np.asarray(picture.image.convert("L").resize(size))
    found: dict[str, Any] = {"day": date.today().isoformat(), "runs on": network.runs_on}
    found["decoding threads"] = here.cores
    found["ms of one core"] = here.ms(lambda: find(picture), 5)
    found["of these its network"] = here.ms(lambda: network(grey), 5)
    found["decoded and found by threads alone, pictures/s"] = by_threads(here, contents, lambda one: find(read(one)))
    found["its network alone, pictures/s"] = by_threads(here, contents, lambda _: network(grey))
    print("points", found, flush=True)
    yield f"{here.cores} cores", found
    for model in dict.fromkeys((here.large, here.base)):
        encoder, names = here.open(model), here.some(model)
        add(encoder, names[:8], kept)
        found[model] = {"without": {"pictures/s": []}, "with": {"pictures/s": []}}
        for _ in range(2):
            for way, figures in found[model].items():
                index(here, partial(add, encoder, names, kept if way == "with" else None), len(names), figures)
        rates = {way: max(figures["pictures/s"]) for way, figures in found[model].items()}
        found[model]["of the time without"] = round(rates["without"] / rates["with"], 3)
        print("points", model, found[model], flush=True)
        yield f"{here.cores} cores", found


def by_threads(here: Machine, contents: list[bytes], work: Callable[[bytes], Any]) -> dict[str, float]:
    """Calls a second of so many threads, the better of two tries."""
    rates: dict[str, float] = {}
    for n in [n for n in (1, 2, 4, 8, 16) if n <= here.cores]:
        given = contents[: 8 * n] if here.is_gpu else contents[:n]
        with ThreadPoolExecutor(n) as pool:
            spent = []
            for _ in range(3):  # of which the first compiles what each thread needs
                began = time.perf_counter()
                list(pool.map(work, given))
                spent.append(time.perf_counter() - began)
        rates[str(n)] = round(len(given) / min(spent[1:]), 2)
    return rates


def index(here: Machine, run: Callable[[], float], n: int, figures: dict[str, Any]) -> None:
    """Note pictures a second of a run that takes in n, how much of the time of its cores the process had, and how busy
    the card was."""
    with here.busy(figures):
        before = time.process_time()
        seconds = run()
        figures["of the cores' time"] = round((time.process_time() - before) / seconds / here.cores, 3)
    figures["pictures/s"].append(round(n / seconds, 2))
