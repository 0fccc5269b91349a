"""Which engine computes the embedded network where two could: what the other answers, and how one is chosen."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import patchseek.encoders
from patchseek.encoders import _engines, open_encoder
from patchseek.encoders._engines import PATCHES, fastest
from patchseek.encoders._onnx_bytes import of_side, with_outputs
from patchseek.encoders._probes import make_probes
from patchseek.errors import EncoderError

MODEL = Path(patchseek.encoders.__file__).parent / "embedded" / "efficientnet-lite0-gem3-224.onnx"
onnx_runtime = pytest.mark.extra("onnx")


@onnx_runtime
def test_onnx_runtime_shows_what_is_where_as_openvino_does():
    """So that boxes are refined there, too. 33 patches: more than go through it together."""
    ours, other = open_encoder("embedded", precision="f32"), open_encoder("embedded", engine="onnxruntime")
    assert ours.cells is not None and other.cells is not None
    assert (ours.identity, ours.window, ours.power) == (other.identity, other.window, other.power)
    patches = np.concatenate([np.roll(make_probes(224), 7 * i, axis=1) for i in range(9)])[:33]
    (features, cells), (others, other_cells) = (encoder.encode_cells(patches) for encoder in (ours, other))
    for mine, its in ((features, others), (cells.coarse, other_cells.coarse), (cells.fine, other_cells.fine)):
        assert mine.shape == its.shape and its.dtype == np.float32
        assert (mine * its).sum(axis=-1).min() > 0.999
    windows = make_probes(ours.window)[:3]
    mine, its = ours.encode_map(windows), other.encode_map(windows)
    assert mine.shape == its.shape
    assert np.abs(mine - its).max() < 1e-3 * np.abs(mine).max()


def test_outputs_are_added_and_the_input_is_resized_as_onnx_itself_reads_it():
    onnx = pytest.importorskip("onnx")
    content = MODEL.read_bytes()
    told = onnx.load_from_string(with_outputs(of_side(content, 224, 336), ("add_113", "clip_142"))).graph
    assert [output.name for output in told.output] == ["features", "add_113", "clip_142"]
    dims = [axis.dim_value or axis.dim_param for axis in told.input[0].type.tensor_type.shape.dim]
    assert dims == ["batch", 336, 336, 3]
    assert told.node == onnx.load_from_string(content).graph.node
    assert with_outputs(of_side(content, 224, 224), ()) == content


@pytest.mark.parametrize(("side", "other"), [(225, 336), (224, 100)])
def test_an_input_that_is_not_there_is_refused(side, other):
    with pytest.raises(ValueError, match="no one input of"):
        of_side(MODEL.read_bytes(), side, other)


# ---- the choice


class Engine:
    """Measures as many patches a second as it is told, and counts how often it is opened."""

    def __init__(self, speed: float) -> None:
        self.speed, self.n_opened, self.n_measured = speed, 0, 0

    def open(self) -> "Engine":
        self.n_opened += 1
        return self

    def measure(self, seconds: float = 1.0) -> float:
        assert 0 < seconds < 2
        self.n_measured += 1
        return self.speed


def chosen(slow: Engine, fast: Engine, name: str = "net") -> Engine:
    return fastest(name, {"openvino": slow.open, "numpy": fast.open})


def test_the_fastest_is_measured_once_and_remembered(own_cache):
    slow, fast = Engine(50), Engine(100)
    assert chosen(slow, fast) is fast and chosen(slow, fast) is fast
    assert (slow.n_opened, slow.n_measured, fast.n_opened, fast.n_measured) == (1, 1, 2, 1)
    (key,) = json.loads((own_cache / "patchseek" / "engines.json").read_text())
    assert key.startswith("net ") and f"openvino {version('openvino')}" in key
    assert chosen(slow, fast, "another") is fast and slow.n_measured == 2
    assert len(list((own_cache / "patchseek").iterdir())) == 1


def test_another_version_of_an_engine_is_measured_anew(own_cache, monkeypatch):  # noqa: ARG001
    slow, fast = Engine(50), Engine(100)
    chosen(slow, fast)
    monkeypatch.setattr(_engines, "version", lambda _: "2099.1")
    slow.speed = 200
    assert chosen(slow, fast) is slow


def test_the_time_to_open_counts(own_cache, monkeypatch):  # noqa: ARG001
    clock = iter([0, 1, 10, 10 + PATCHES / 50])  # seconds at which each begins, and is open
    monkeypatch.setattr(_engines.time, "perf_counter", lambda: next(clock))
    soon, late = Engine(60), Engine(100)
    assert chosen(soon, late) is soon


def test_what_cannot_be_opened_is_passed_over_and_none_at_all_said(own_cache):  # noqa: ARG001
    def broken():
        raise EncoderError("no such engine")

    good = Engine(1)
    assert fastest("net", {"openvino": broken, "numpy": good.open}) is good
    assert fastest("net", {"numpy": good.open, "openvino": broken}) is good
    with pytest.raises(EncoderError, match="no such engine"):
        fastest("net", {"openvino": broken, "numpy": broken})


@pytest.mark.parametrize("kept", ["", "[]", '{"net": 7', "a file"])
def test_without_a_folder_or_with_a_broken_file_it_is_measured(own_cache, kept):
    slow, fast = Engine(50), Engine(100)
    place = own_cache / "patchseek"
    if kept == "a file":
        own_cache.write_text("in the way")
    else:
        place.mkdir(parents=True)
        (place / "engines.json").write_text(kept)
    assert chosen(slow, fast) is fast
    assert (slow.n_measured, fast.n_measured) == (1, 1)


@onnx_runtime
def test_other_processors_measure_and_intel_and_amd_take_openvino(own_cache, monkeypatch):
    monkeypatch.setattr(_engines.platform, "machine", lambda: "x86_64")
    assert open_encoder("embedded").runs_on.startswith("OpenVINO")
    assert not (own_cache / "patchseek" / "engines.json").exists()
    monkeypatch.setattr(_engines.platform, "machine", lambda: "arm64")
    found = open_encoder("embedded").runs_on
    (engine,) = json.loads((own_cache / "patchseek" / "engines.json").read_text()).values()
    assert found.startswith({"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}[engine])
    assert open_encoder("embedded").runs_on == found


def test_without_onnx_runtime_other_processors_take_openvino(own_cache, monkeypatch):  # noqa: ARG001
    monkeypatch.setattr(_engines.platform, "machine", lambda: "arm64")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert open_encoder("embedded").runs_on.startswith("OpenVINO")
