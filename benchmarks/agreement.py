"""Compare features and ranking with those of a plain pipeline (torch, timm, PIL, faiss) with the same random weights.

    python benchmarks/agreement.py REFERENCE.py SET [--model vit_base_patch16_siglip_224] [--images 4]

REFERENCE.py takes `SET --model M --images N --weights FILE --save FILE.npz` and keeps features (N, 30, D) and ids.
Writes results/CLASS/agreement.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import safetensors.torch
import timm
import torch
from turns import keep

from patchseek.encoders import open_encoder
from patchseek.images import read
from patchseek.patches import cut
from patchseek.regions import Pyramid


def main() -> None:
    """Run both on the same pictures, print and keep the cosines and whether the rankings are the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path)
    parser.add_argument("set", type=Path)
    parser.add_argument("--model", default="vit_base_patch16_siglip_224")
    parser.add_argument("--images", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights, saved = Path(folder) / "weights.safetensors", Path(folder) / "reference.npz"
        torch.manual_seed(0)
        model = timm.create_model(arguments.model, pretrained=False, num_classes=0)
        safetensors.torch.save_file({k: v.contiguous() for k, v in model.state_dict().items()}, weights)
        command = [sys.executable, arguments.reference, arguments.set, "--model", arguments.model, "--weights", weights]
        subprocess.run([*map(str, command), "--images", str(arguments.images), "--save", str(saved)], check=True)
        content = np.load(saved)
        expected, ids = content["features"], content["ids"].tolist()
        gallery = {e["id"]: e["image"] for e in json.loads((arguments.set / "gallery.json").read_text())}
        pictures = [read(arguments.set / gallery[name]) for name in ids]
        figures: dict[str, object] = {"model": arguments.model, "pictures": len(ids)}
        for precision in ("f32", "bf16"):
            encoder = open_encoder(f"timm:{arguments.model}", weights=weights, precision=precision)
            found = np.stack([encoder.encode(cut(p, Pyramid(), encoder.feed)) for p in pictures])
            cosines = (found * expected).sum(axis=2)
            queries = expected[:, 0]
            ranks = [np.argsort(-(queries @ f.transpose(0, 2, 1)).max(axis=2).T, axis=1) for f in (found, expected)]
            figures[precision] = {
                "cosine min": round(float(cosines.min()), 6),
                "cosine mean": round(float(cosines.mean()), 6),
                "same ranking": bool((ranks[0] == ranks[1]).all()),
            }
    keep("agreement", figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
