"""Dense mode beside pixel crops: pictures a second with the same random weights. Accuracy needs published weights.

    python benchmarks/dense.py SET [--model vit_base_patch16_siglip_224] [--images 4]

Writes results/CLASS/dense.json.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import safetensors.torch
import timm
import torch
from turns import keep

from patchseek.encoders import open_encoder
from patchseek.images import read
from patchseek.patches import cut
from patchseek.regions import Pyramid


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--model", default="vit_base_patch16_siglip_224")
    parser.add_argument("--images", type=int, default=4)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    pictures = [read(path) for path in sorted((arguments.set / "images").iterdir())[: arguments.images]]
    figures: dict[str, object] = {"model": arguments.model, "pictures": len(pictures)}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.safetensors"
        state = timm.create_model(arguments.model, pretrained=False, num_classes=0).state_dict()
        safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in state.items()}, weights)
        for way, name, options in (
            ("crops, torch f32", "", {"engine": "torch", "precision": "f32"}),
            ("crops, OpenVINO", "", {"engine": "openvino"}),
            ("dense, torch f32", "?mode=dense", {"engine": "torch", "precision": "f32"}),
        ):
            encoder = open_encoder(f"timm:{arguments.model}{name}", weights=weights, **options)
            began = time.perf_counter()
            for picture in pictures:
                if name:
                    encoder.regions.encode_regions(cut(picture, Pyramid((0,)), encoder.feed), Pyramid().boxes)
                else:
                    encoder.encode(cut(picture, Pyramid(), encoder.feed))
            figures[f"{way} ({encoder.runs_on})"] = round(len(pictures) / (time.perf_counter() - began), 3)
    keep("dense", figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
