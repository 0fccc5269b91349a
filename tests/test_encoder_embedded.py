"""The embedded encoder: its contract, its ways of computing on this processor and others, and what ships."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage

import patchseek.encoders
from patchseek.encoders import open_encoder
from patchseek.encoders._embedded import LEAST, open_embedded
from patchseek.encoders._openvino import OpenVinoNetwork, import_openvino
from patchseek.encoders._probes import agreement
from patchseek.errors import EncoderError
from patchseek.images import read
from patchseek.patches import cut
from patchseek.regions import Pyramid

from .contract_encoder import check_encoder, cosines

FOLDER = Path(patchseek.encoders.__file__).parent / "embedded"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "grass.png", "coins.png")


@pytest.fixture(scope="module")
def patches():
    """The 14 regions of six photographs: (84, 224, 224, 3)."""
    data = Path(skimage.__file__).parent / "data"
    feed = open_embedded(precision="f32").feed
    return np.concatenate([cut(read(data / name), Pyramid.up_to(2), feed) for name in PHOTOS])


@pytest.fixture(scope="module")
def photographs():
    data = Path(skimage.__file__).parent / "data"
    return [read(data / name) for name in PHOTOS]


def cut_all(photographs, encoder, level=2):
    """The regions of each, 14 unless told otherwise: (84, S, S, 3)."""
    return np.concatenate([cut(photo, Pyramid.up_to(level), encoder.feed) for photo in photographs])


def test_it_keeps_the_contract_of_encoders(patches):
    check_encoder(open_encoder("embedded"), patches[::4])


@pytest.mark.parametrize("name", LEAST)
def test_features_of_this_cpu_are_those_of_float32(name, photographs):
    """For 8 bits: of the same file with its numbers rounded to 8 bits and multiplied in float32."""
    encoder = open_encoder(name)
    patches = cut_all(photographs, encoder)
    assert cosines(encoder.encode(patches), open_encoder(name, precision="f32").encode(patches)).min() >= LEAST[name]


@pytest.mark.parametrize("name", LEAST)
def test_features_of_a_cpu_with_avx2_alone_are_the_same(name, photographs, tmp_path):
    """Newer ones are told to forget what they have; where there is nothing to forget, this is the test above again."""
    encoder = open_encoder(name)
    patches = cut_all(photographs, encoder)
    np.save(tmp_path / "patches.npy", patches)
    code = (
        "import numpy as np; from patchseek.encoders import open_encoder; "
        f"np.save('features.npy', open_encoder('{name}').encode(np.load('patches.npy')))"
    )
    held_back = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "OV_CPU_MAX_ISA": "AVX2"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=held_back, check=True)
    assert cosines(encoder.encode(patches), np.load(tmp_path / "features.npy")).min() >= LEAST[name]


def test_no_sum_of_two_products_of_8_bits_can_leave_16_bits():
    """What processors without VNNI add them in; a number of a patch is at most 255. Depthwise filters add no pairs."""
    file = FOLDER / json.loads((FOLDER / "manifest-fast.json").read_text())["files"][0]
    operations = import_openvino().Core().read_model(file).get_ordered_ops()
    weights = [op.data for op in operations if op.get_type_name() == "Constant" and op.data.dtype == np.int8]
    assert len(weights) == 33
    assert max(np.abs(each.astype(int)).max() for each in weights) * 2 * 255 < 2**15


def test_the_precision_of_this_cpu_is_chosen():
    has_bf16 = "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert open_embedded().runs_on == f"OpenVINO CPU {'bf16' if has_bf16 else 'f32'}"
    assert open_encoder("embedded-fast").runs_on == "OpenVINO CPU 8 bits"


@pytest.mark.parametrize(
    ("chosen", "name", "falls_back_to"),
    [
        ("bf16", "embedded", "OpenVINO CPU f32"),
        ("f16", "embedded", "OpenVINO CPU f32"),
        ("f32", "embedded-fast", "OpenVINO CPU f32 in steps of 8 bits"),
    ],
)
def test_a_way_of_computing_that_gives_other_features_is_passed_over(monkeypatch, caplog, chosen, name, falls_back_to):
    """As 8-bit kernels that saturate do, or 16 bits of a processor never tried."""
    found = iter([0.9, 0.9999])
    monkeypatch.setattr("patchseek.encoders._embedded.chosen_precision", lambda: chosen)
    monkeypatch.setattr("patchseek.encoders._embedded.agreement", lambda *_: next(found))
    encoder = open_encoder(name)
    assert encoder.runs_on == falls_back_to
    assert "other features" in encoder.why
    assert "cosine 0.9000 with its own features" in caplog.text


def test_a_way_of_computing_that_cannot_be_compiled_is_passed_over(monkeypatch, caplog):
    whole = OpenVinoNetwork.__init__

    def refuse(self, model, batch, precision="auto", *rest, **options):
        if precision == "bf16":
            raise EncoderError("OpenVINO cannot run the model: object is not initialized")
        whole(self, model, batch, precision, *rest, **options)

    monkeypatch.setattr("patchseek.encoders._embedded.chosen_precision", lambda: "bf16")
    monkeypatch.setattr(OpenVinoNetwork, "__init__", refuse)
    assert open_encoder("embedded").runs_on == "OpenVINO CPU f32"
    assert "not initialized; trying another way" in caplog.text
    with pytest.raises(EncoderError, match="not initialized"):
        open_encoder("embedded", precision="bf16")


def test_where_nothing_gives_its_features_there_is_an_error(monkeypatch):
    monkeypatch.setattr("patchseek.encoders._embedded.agreement", lambda *_: 0.9)
    with pytest.raises(EncoderError, match=r"nothing on this processor .*cosine 0.9000 instead of 0.999"):
        open_encoder("embedded")


def test_a_network_that_computes_something_else_does_not_agree():
    encoder, expected = open_encoder("embedded", precision="f32"), np.load(FOLDER / MANIFEST["probes"])
    assert agreement(encoder, expected) > 0.9999
    assert agreement(encoder, np.roll(expected, 1, axis=0)) < 0.9


def test_the_manifest_names_the_bytes_that_ship():
    content = (FOLDER / MANIFEST["files"][0]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == MANIFEST["sha256"]
    assert len(content) < 10_000_000
    notice = (FOLDER / "NOTICE").read_text()
    assert "EfficientNet" in notice and "its text is patchseek's LICENSE" in notice
    assert "Apache License" in (Path(__file__).parents[1] / "LICENSE").read_text()


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


@pytest.mark.parametrize("wrong", [{"engine": "torch"}, {"precision": "f8"}])
def test_an_unknown_engine_or_precision_is_an_error(wrong):
    with pytest.raises(EncoderError, match="must be"):
        open_embedded(**wrong)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(EncoderError, match=r"'nonsense'.*embedded"):
        open_encoder("nonsense")


def test_the_fast_encoder_keeps_the_contract_and_stays_close_to_the_other(photographs):
    """Its own way of resizing, its own numbers: near, but of another collection."""
    fast, plain = open_encoder("embedded-fast"), open_encoder("embedded")
    assert fast.identity != plain.identity
    check_encoder(fast, cut_all(photographs, fast, 1))
    found = cosines(*(encoder.encode(cut_all(photographs, encoder, 1)) for encoder in (fast, plain)))
    assert found.mean() > 0.9


def test_the_fast_encoder_refuses_what_only_the_other_can():
    with pytest.raises(EncoderError, match="auto, openvino, found 'onnxruntime'"):
        open_encoder("embedded-fast", engine="onnxruntime")
    with pytest.raises(EncoderError, match="auto or f32, found 'bf16'"):
        open_encoder("embedded-fast", precision="bf16")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux says which cores a thread may use")
@pytest.mark.parametrize("engine", ["openvino", pytest.param("onnxruntime", marks=pytest.mark.extra("onnx"))])
def test_no_thread_is_bound_to_a_core_that_other_processes_are_bound_to_as_well(engine):
    """Else two workers on one machine share its first core, and leave the others alone."""
    code = (
        "import os, numpy as np; from patchseek.encoders import open_encoder; "
        f"open_encoder('embedded', engine={engine!r}).encode(np.zeros((3, 224, 224, 3), np.uint8)); "
        "tasks = map(int, os.listdir('/proc/self/task')); "
        "print(len({frozenset(os.sched_getaffinity(task)) for task in tasks}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1"]
