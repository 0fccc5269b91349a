"""The original's command line, word for word: `python main.py --model_name siglip --tile_size_res 3 ...`

A translation into `patchseek.evaluate` and nothing else. Reads ilias/, writes features/, faiss_indices/ and logs/, all
relative to the working directory. The last line of the output is one JSON object of the metrics in percent.
"""

import argparse
import json
import re
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from patchseek import evaluate, metrics
from patchseek.cli._targets import check_folder
from patchseek.compression import MOST_BITS, PQ_ENGINES, compress_report, pq_engine
from patchseek.datasets import Dataset, open_dataset
from patchseek.encoders import open_encoder, options_of
from patchseek.errors import DatasetError, EncoderError, PatchseekError
from patchseek.regions import MAX_LEVEL

ORIGINAL_CONFIG = "src/eval_retrieval.py"
DATA = Path("ilias")
TOP_K = ("top-1", "top-5", "top-10")
"""What the original's table means by top-k."""
MANY = 1 << 24
RANGES = {
    "tile_size_res": (0, MAX_LEVEL),
    "batch_size": (1, 65_536),
    "pq_m": (1, MANY),
    "pq_nlist": (1, MANY),
    "pq_nprobe": (1, MANY),
    "pq_nbits": (1, MOST_BITS),
    "pq_train_res": (-2, MAX_LEVEL),
}
"""Option -> least and most; what depends on encoder and data too is judged before the first picture is encoded."""
SIZES = (8, 4096)
HELP = {
    "config": "the original's evaluator file, or a TOML file with these settings",
    "model_name": "siglip, dinov2, clip, or any encoder of patchseek",
    "tile_size_res": "pyramid level: 0 whole picture, 3 up to the 4x4 grid, all levels below included",
    "multi_scale": "pyramid, the only one",
    "crop": "True: encode pixel crops; False: one pass a picture, regions pooled from its patch tokens",
    "image_size": "encoder input size, 0 = native",
    "split": "test, or a folder of ilias/",
    "compute_metrics": "any of mAP, locscore, top-1, top-5, ..., separated by commas; top-k: top-1, top-5 and top-10",
    "iou_threshold": "default: 0.4; average: the mean over 0.2, 0.3, 0.4, 0.5, 0.6",
    "visualize": "save pictures of the top results",
    "batch_size": "patches encoded at once",
    "pq": "False: exact; pq; ivfpq",
    "pq_m": "sub-quantizers",
    "pq_nlist": "IVF clusters",
    "pq_nprobe": "clusters probed",
    "pq_nbits": "bits a sub-code",
    "pq_dist_type": "IP or L2",
    "pq_train_res": "level whose features train the quantizer; -1 the searched level, -2 all levels",
    "weights": "the encoder's file, where it is not found by itself (not in the original)",
    "query": "box or whole: what of a query picture is encoded (not in the original)",
    "exclude_copies": "True: leave out gallery pictures that are byte for byte the query's (not in the original)",
}


@dataclass(frozen=True)
class Arguments:
    """The original's arguments with the original's defaults; the last three are ours."""

    config: str = ORIGINAL_CONFIG
    model_name: str = "siglip"
    tile_size_res: int = 3
    multi_scale: str = "pyramid"
    crop: bool = True
    image_size: int = 0
    split: str = "test"
    compute_metrics: str = "mAP, locscore"
    iou_threshold: str = "average"
    visualize: bool = False
    batch_size: int = 16
    pq: str = "False"
    pq_m: int = 16
    pq_nlist: int = 256
    pq_nprobe: int = 256
    pq_nbits: int = 8
    pq_dist_type: str = "IP"
    pq_train_res: int = -1
    weights: str = ""
    query: str = "whole"
    exclude_copies: bool = False

    def __post_init__(self) -> None:
        allowed: dict[str, Sequence[object]] = {
            "multi_scale": ("pyramid",),
            "iou_threshold": tuple(metrics.THRESHOLDS),
            "pq": ("False", *PQ_ENGINES),
            "pq_dist_type": ("IP", "L2"),
            "query": evaluate.QUERY_CROPS,
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise PatchseekError(f"--{name} must be one of {', '.join(map(str, values))}: {getattr(self, name)!r}")
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise PatchseekError(f"--{name} must lie in {low}..{high}, found {getattr(self, name)}")
        if self.image_size and not SIZES[0] <= self.image_size <= SIZES[1]:
            raise PatchseekError(f"--image_size must be 0 or lie in {SIZES[0]}..{SIZES[1]}, found {self.image_size}")
        if self.pq != "False" and self.pq_train_res > self.tile_size_res:
            found = f"found {self.pq_train_res}"
            raise PatchseekError(f"--pq_train_res must lie in -2..{self.tile_size_res} (--tile_size_res), {found}")
        for name in self.metric_names:
            if name not in ("map", "locscore") and not re.fullmatch("(top-)?[1-9][0-9]{0,8}", name):
                raise PatchseekError(f"--compute_metrics knows mAP, locscore, top-k and top-N from N = 1, not {name!r}")
        if not self.metric_names:
            raise PatchseekError(
                "--compute_metrics names none: it takes any of mAP, locscore, top-k, top-1, top-5, ..."
            )

    @property
    def metric_names(self) -> list[str]:
        """The metrics asked for, in small letters, each once; top-k as what it stands for."""
        words = [name.strip().lower() for name in self.compute_metrics.split(",") if name.strip()]
        return list(dict.fromkeys(name for word in words for name in (TOP_K if word == "top-k" else (word,))))

    @property
    def encoder(self) -> str:
        """The encoder's name with its options. Raises EncoderError, naming the flag, for those that it has not."""
        name, given = self.model_name, {}
        if not self.crop:
            given["mode"] = ("dense", "--crop False", "no other way than to encode crops")
        if self.image_size:
            given["size"] = (str(self.image_size), f"--image_size {self.image_size}", "no other size than its own")
        for option, (value, flag, has) in given.items():
            if option not in options_of(self.model_name):
                raise EncoderError(f"{flag}: the encoder {self.model_name} has {has}; leave it out")
            name += f"{'&' if '?' in name else '?'}{option}={value}"
        return name


def parse(words: Sequence[str] | None = None) -> Arguments:
    """The arguments of a command line over those of its TOML file over the defaults."""
    parser = argparse.ArgumentParser(description="Patchify on ILIAS, by the original's command line.")
    for field in fields(Arguments):
        kind: Any = {int: int, bool: _boolean, str: str}[type(field.default)]  # type: ignore[index]
        flags = [f"--{field.name}"]
        if field.name in ("multi_scale", "exclude_copies"):
            flags.append(f"--{field.name.replace('_', '-')}")
        parser.add_argument(*flags, type=kind, default=None, help=f"{HELP[field.name]}  [{field.default}]")
    given = {name: value for name, value in vars(parser.parse_args(words)).items() if value is not None}
    config = given.get("config", ORIGINAL_CONFIG)
    if config != ORIGINAL_CONFIG:
        given = _read_toml(Path(config)) | given
    return Arguments(**given)


def _boolean(word: str) -> bool:
    if word not in ("True", "False"):
        raise argparse.ArgumentTypeError(f"True or False, found {word!r}")
    return word == "True"


def _read_toml(path: Path) -> dict[str, Any]:
    known = {field.name: type(field.default) for field in fields(Arguments)}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        values = {key.replace("-", "_"): value for key, value in content.items()}
    except (OSError, ValueError) as error:
        raise PatchseekError(f"{path}: cannot be read as TOML ({error})") from error
    if "pq" in values:
        values["pq"] = str(values["pq"])
    for key, value in values.items():
        if key not in known or type(value) is not known[key]:
            raise PatchseekError(f"{path}: {key} = {value!r} is not a setting; see --help")
    return values


def run(arguments: Arguments) -> dict[str, float]:
    """Encode, search, score; print the table; the metrics in percent by name."""
    name = arguments.encoder
    for folder in ("features", "faiss_indices", "logs"):
        check_folder(Path(folder))
    dataset = _open_data(arguments.split)
    say(str(dataset))
    counted = dataset.without(evaluate.find_copies_on_disk(dataset)) if arguments.exclude_copies else dataset
    for note in counted.first_notes:
        sys.stderr.write(f"note: {note}\n")
    if counted.unlocated and arguments.metric_names == ["locscore"]:
        raise DatasetError(f"--compute_metrics locscore: {counted.unlocated}")
    weights = Path(arguments.weights) if arguments.weights else None
    encoder = open_encoder(name, weights=weights, batch=arguments.batch_size)
    say(f"encoder {encoder.identity.name} on {encoder.runs_on}")
    exact_settings = evaluate.EvalSettings(arguments.tile_size_res, follows_shape=False, query=arguments.query)
    settings, report = exact_settings, None
    if arguments.pq != "False":
        n_images = len({picture.image for picture in dataset.gallery})
        settings = pq_settings(arguments, exact_settings, encoder.identity.dim, n_images)
        Path("faiss_indices").mkdir(exist_ok=True)
    gallery = evaluate.encode_gallery(dataset, encoder, exact_settings.pyramid, Path("features"), _progress)
    for line in evaluate.describe_copies(dataset, gallery.copies, are_excluded=arguments.exclude_copies):
        sys.stderr.write(f"note: {line}\n")
    dataset = counted
    queries = evaluate.encode_queries(dataset, encoder, arguments.query)
    engine = evaluate.open_engine(gallery, settings, Path("faiss_indices") / gallery.store.path.name)
    results = evaluate.run_benchmark(dataset, gallery, queries, engine, settings)
    if arguments.pq != "False":
        report = compress_report(dataset, gallery, queries, engine, results, exact_settings)
        say(report.table())
    figures = {name: 100 * value for name, value in _figures(arguments, results, dataset).items()}
    try:
        if arguments.visualize:
            from patchseek.report import draw_results

            say(f"pictures: {draw_results(results, dataset, Path('logs') / 'visualize')}")
        _log(arguments, results, figures, report and report.figures)
    except (PatchseekError, OSError) as error:
        raise Unkept(str(error), figures) from error
    return figures


class Unkept(PatchseekError):
    """A run whose log or pictures could not be written."""

    def __init__(self, message: str, figures: dict[str, float]) -> None:
        super().__init__(message)
        self.figures = figures


def pq_settings(arguments: Arguments, exact: evaluate.EvalSettings, dim: int, n_images: int) -> evaluate.EvalSettings:
    """The settings of a compressed run: see HELP. A level's own grid trains, as the original keeps levels apart."""
    levels = {-1: arguments.tile_size_res, -2: None}
    train_level = levels.get(arguments.pq_train_res, arguments.pq_train_res)
    settings = replace(exact, train_level=train_level)
    n_regions = settings.pyramid.n_regions if settings.train_regions is None else len(settings.train_regions)
    engine = pq_engine(
        arguments.pq,
        dim,
        n_images * n_regions,
        m=arguments.pq_m,
        nbits=arguments.pq_nbits,
        nlist=arguments.pq_nlist,
        nprobe=arguments.pq_nprobe,
        is_l2=arguments.pq_dist_type == "L2",
    )
    return replace(settings, engine=engine)


def _open_data(split: str) -> Dataset:
    if not (DATA / "query.json").is_file() and not (DATA / "ilias_core").is_dir():
        raise DatasetError(
            f"{DATA}/: no data here; put ILIAS core into {DATA}/ilias_core/ with {DATA}/query.json and "
            f"{DATA}/gallery.json (patchseek dataset ilias prepare makes both from the official download)"
        )
    return open_dataset(DATA, split)


def _figures(arguments: Arguments, results: Mapping[str, Any], dataset: Dataset) -> dict[str, float]:
    """The metrics asked for, as fractions. `locscore` is the gate definition; method and thresholds are in the name."""
    ranked = evaluate.rankings(results, dataset)
    thresholds = metrics.THRESHOLDS[arguments.iou_threshold]
    found: dict[str, float] = {}
    for name in arguments.metric_names:
        if name == "map":
            found["mAP"] = metrics.mean_over_queries(ranked, metrics.average_precision)
        elif name == "locscore" and not dataset.unlocated:
            found["locscore"] = metrics.mean_over_queries(ranked, lambda r: metrics.loc_score(r, "gate", thresholds))
        elif name != "locscore":
            k = int(name.removeprefix("top-"))
            found[name] = metrics.mean_over_queries(ranked, lambda r, k=k: metrics.hit_at(r, k))  # type: ignore[misc]
    return found


def _log(arguments: Arguments, results: Mapping[str, Any], figures: Mapping[str, float], report: Any) -> None:
    """One log a run: what was run and what came out."""
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{arguments.model_name.replace('/', '_').replace(':', '_')}"
    path, n = Path("logs") / f"{name}.json", 1
    while path.exists():  # of a run in the same second
        n += 1
        path = path.with_name(f"{name}-{n}.json")
    kept = {key: value for key, value in results.items() if key != "results"}
    evaluate.write_results(
        kept | {"arguments": vars(arguments), "metrics_percent": figures, "compression": report}, path
    )
    say(f"log: {path}")


def _progress(done: int, total: int, _doing: str) -> None:
    if done and (sys.stderr.isatty() or done == total):
        sys.stderr.write(f"\rencoded {done} of {total} pictures" + ("\n" if done == total else ""))


def say(text: str) -> None:
    """A line for people."""
    sys.stdout.write(text + "\n")


def main() -> None:
    """Run, print the table and the JSON line; an error is one line and exit code 1."""
    try:
        show(run(parse()))
    except Unkept as error:
        show(error.figures)
        _fail(error)
    except (PatchseekError, OSError) as error:
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    sys.stderr.write(f"error: {error}\n")
    sys.exit(1)


def show(figures: Mapping[str, float]) -> None:
    """The table and the JSON line."""
    for name, value in figures.items():
        say(f"{name:10} {value:6.2f} %")
    say(json.dumps({name: round(float(np.round(value, 4)), 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
