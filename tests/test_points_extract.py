"""Points of pictures and of queries: what ships and what computes it, where points lie, and odd pictures."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image
from scipy.ndimage import maximum_filter

import patchseek.points
from patchseek.encoders._onnxruntime import OnnxRuntimeNetwork
from patchseek.encoders._openvino import capabilities
from patchseek.encoders._openvino_sizes import OpenVinoSizesNetwork
from patchseek.errors import EncoderError, MissingExtra, PatchseekError
from patchseek.images import Picture, from_image, read
from patchseek.points import _network as network_file
from patchseek.points import find_points, find_points_of, open_network
from patchseek.points._maps import described, placed, strongest
from patchseek.points._network import Maps, agreement, make_probe

FOLDER = Path(patchseek.points.__file__).parent / "embedded"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
MODEL = FOLDER / MANIFEST["file"]
DATA = Path(skimage.__file__).parent / "data"
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


@pytest.fixture(scope="module")
def greys():
    """Photographs as grey pixels of several sizes, all multiples of 32."""
    sizes = ((512, 512), (448, 288), (320, 640), (96, 64))
    photos = (Image.open(DATA / name).convert("RGB") for name in PHOTOS)
    return [np.asarray(photo.convert("L").resize(size)) for photo, size in zip(photos, sizes, strict=True)]


@pytest.fixture(scope="module")
def photograph() -> Picture:
    return read(DATA / "astronaut.png")


def shares_alike(one, other) -> tuple[float, float]:
    """Of points as pixels (n, 2) and descriptors: which share has one of the other's within a pixel; least cosine."""
    (places, descriptors), (others, their_descriptors) = one, other
    apart = np.abs(places[:, None] - others[None]).max(axis=2)
    near = apart.min(axis=1) <= 1
    cosines = (descriptors * their_descriptors[apart.argmin(axis=1)]).sum(axis=1)
    return float(near.mean()), float(cosines[near].min())


def own_points(network, pixels, n=500):
    """Points as pixels x, y (n, 2), and descriptors."""
    maps = network(pixels)
    rows, columns = strongest(maps, n)
    return np.stack([columns, rows], axis=1), described(maps, rows, columns)


@pytest.mark.extra("onnx")
def test_onnx_runtime_gives_the_same_points(greys):
    for grey in greys:
        own, other = (own_points(open_network(engine), grey) for engine in ("openvino", "onnxruntime"))
        share, cosine = shares_alike(own, other)
        assert (share > 0.98, cosine > 0.998) == (True, True)
    assert open_network("onnxruntime").runs_on == "ONNX Runtime CPU f32"
    assert open_network().runs_on == f"OpenVINO CPU {'bf16' if 'BF16' in capabilities() else 'f32'}"


@pytest.mark.extra("onnx")
def test_openvino_in_float32_gives_the_points_of_onnx_runtime_to_the_last_one(greys):
    ways = OpenVinoSizesNetwork(MODEL, make_probe()), OnnxRuntimeNetwork(MODEL)
    for grey in greys:
        own, other = (own_points(lambda pixels, way=way: Maps(*way.run(pixels)), grey) for way in ways)
        share, cosine = shares_alike(own, other)
        assert (share > 0.99, cosine > 0.9999) == (True, True)


def test_behind_a_seam_precision_may_fall_and_where_points_are_likely_stays_as_it_is(greys):
    """On a processor without bfloat16, both are in float32, and alike in everything."""
    whole, cut = OpenVinoSizesNetwork(MODEL, make_probe()), OpenVinoSizesNetwork(MODEL, make_probe(), "div_8")
    for grey in greys:
        expected, found = whole.run(grey), cut.run(grey)
        assert [array.shape for array in found] == [array.shape for array in expected]
        np.testing.assert_allclose(found[0], expected[0], atol=1e-6)
        assert (found[2] * expected[2]).sum(axis=2).mean() > 0.999


def test_a_cpu_with_avx2_alone_gives_the_same_points(greys, tmp_path):
    """Newer ones are told to forget what they have; where there is nothing to forget, nothing can differ."""
    np.save(tmp_path / "grey.npy", greys[0])
    code = (
        "import numpy as np; from patchseek.points import open_network; maps = open_network()(np.load('grey.npy')); "
        "np.savez('maps.npz', likelihoods=maps.likelihoods, descriptors=maps.descriptors)"
    )
    held_back = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "OV_CPU_MAX_ISA": "AVX2"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=held_back, check=True)
    with np.load(tmp_path / "maps.npz") as maps:
        assert agreement(open_network()(greys[0]), maps) > 0.998


@pytest.mark.extra("onnx")
def test_threads_that_call_it_at_once_each_get_the_maps_of_their_own_picture(greys, monkeypatch):
    """One compiled network for inputs of any size, shared by threads, has corrupted memory."""
    monkeypatch.setenv("PATCHSEEK_CORES", "3")
    network, one = OpenVinoSizesNetwork(MODEL, make_probe()), OnnxRuntimeNetwork(MODEL)
    expected = [one.run(grey)[2] for grey in greys]
    worst: list[float] = []

    def work(seed: int) -> None:
        for i in np.random.default_rng(seed).permutation(12) % len(greys):
            worst.append(float((network.run(greys[i])[2] * expected[i]).sum(axis=2).min()))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(worst) == 48
    assert min(worst) > 0.9999


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux says which cores a thread may use")
def test_threads_that_call_it_at_once_are_free_to_use_every_core(greys, monkeypatch):
    """OpenVINO would pin each of the networks, of one thread each, and so its callers, to the first core."""
    monkeypatch.setenv("PATCHSEEK_CORES", "2")
    network = OpenVinoSizesNetwork(MODEL, make_probe())
    allowed = os.sched_getaffinity(0)
    threads = [threading.Thread(target=lambda: [network.run(greys[0]) for _ in range(6)]) for _ in range(2)]
    seen: list[set[int]] = []
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for thread in threads:
            with suppress(OSError):  # it ended
                seen.append(os.sched_getaffinity(thread.native_id))
    assert len(seen) > 10
    assert all(cores == allowed for cores in seen)


def test_the_same_picture_has_the_same_points(photograph):
    first, second = find_points(photograph, 300), find_points(photograph, 300)
    assert (first.places == second.places).all()
    assert (first.descriptors == second.descriptors).all()


def test_there_are_no_more_points_than_asked_for_and_they_are_the_strongest(photograph):
    many, few = find_points(photograph, 300), find_points(photograph, 20)
    assert (len(many), len(few), len(find_points(photograph, 0))) == (300, 20, 0)
    assert (many.places[:20] == few.places).all()
    assert many.places.shape == (300, 2) and many.descriptors.shape == (300, 64)
    assert many.places.dtype == many.descriptors.dtype == np.float32
    assert ((many.places >= 0) & (many.places <= 1)).all()
    np.testing.assert_allclose(np.linalg.norm(many.descriptors, axis=1), 1, atol=1e-5)


TURNS = [90, 180, 270, -90, 20, 45, -130]


@pytest.mark.parametrize("turn", TURNS)
def test_points_of_a_turned_query_lie_where_there_is_something_to_see(turn):
    image, tiles = Image.new("L", (320, 200), 128), np.random.default_rng(0).integers(0, 256, (10, 10), np.uint8)
    image.paste(Image.fromarray(tiles.repeat(8, axis=0).repeat(8, axis=1)), (200, 20))
    points = find_points_of(from_image(image), sides=(320,), turns=(turn,))
    x, y = (points.places * (320, 200)).T
    assert len(points) > 20
    assert ((x > 196) & (x < 284) & (y > 16) & (y < 104)).mean() > 0.9


@pytest.mark.parametrize("turn", TURNS)
def test_points_of_a_turned_query_are_those_of_the_picture_turned_by_hand(photograph, turn):
    """A complex number times exp(i t) is turned by t, clockwise where y points down."""
    grey = photograph.image.convert("L", (1 / 3, 1 / 3, 1 / 3, 0)).crop((0, 0, 400, 300))
    turned = grey.rotate(turn, Image.Resampling.BICUBIC, expand=True, fillcolor=round(np.asarray(grey).mean()))
    found = find_points(from_image(turned), 400).places.astype(np.float64)
    offsets = (found[:, 0] - 0.5) * turned.width + 1j * (found[:, 1] - 0.5) * turned.height
    upright = offsets * np.exp(1j * np.radians(turn))
    expected = np.stack([upright.real / 400, upright.imag / 300], axis=1) + 0.5
    points = find_points_of(photograph, (0, 0, 400 / 512, 300 / 512), sides=(400,), turns=(turn,))
    assert set(points.turns.tolist()) == {turn}
    kept = np.abs(expected - 0.5).max(axis=1) < 0.48  # those along the edges are left out where it is askew
    assert kept.sum() > 200
    assert np.abs(expected[kept][:, None] - points.places[None]).max(axis=2).min(axis=1).max() < 1e-4


def test_places_lie_between_pixels_where_likelihoods_say_so():
    likelihoods = np.zeros((32, 32), np.float32)
    likelihoods[10, 20:22] = 0.6, 0.2  # the mean lies a quarter to the right of the middle of pixel 20
    likelihoods[31, 0] = 0.5
    maps = Maps(likelihoods, np.ones((4, 4), np.float32), np.ones((4, 4, 64), np.float32) / 8)
    np.testing.assert_allclose(placed(maps, *strongest(maps, 5)), [[20.75, 10.5], [0.5, 31.5]])


@pytest.mark.parametrize("size", [(8, 8), (256, 40), (257, 40), (700, 64)])
def test_points_are_where_none_of_the_5_by_5_pixels_around_is_likelier(size):
    steps = np.random.default_rng(0).integers(0, 40, size)  # many are alike, and many next to nothing
    likelihoods = (steps.astype(np.float32) / 40) ** 3
    maps = Maps(likelihoods, np.ones((1, 1), np.float32), np.ones((1, 1, 64), np.float32) / 8)
    likeliest = (maximum_filter(likelihoods, 5, mode="constant") == likelihoods) & (likelihoods > 0.05)
    found = np.transpose(strongest(maps, likelihoods.size))
    assert sorted(found.tolist()) == np.argwhere(likeliest).tolist()


def test_points_of_a_box_are_those_of_the_picture_cut_by_hand(photograph):
    cut = from_image(photograph.image.crop((128, 64, 384, 256)))
    points = find_points_of(photograph, (0.25, 0.125, 0.75, 0.5), sides=(256,))
    assert (points.places == find_points(cut, 400).places).all()
    assert points.aspect == 256 / 192


def test_a_query_is_looked_at_in_every_size_and_turn_but_enlarged_four_times_at_most(photograph):
    points = find_points_of(photograph, (0.25, 0.25, 0.75, 0.5), sides=(64, 128), turns=(0, 90), n=50)
    assert [*dict.fromkeys(zip(points.scales.tolist(), points.turns.tolist(), strict=True))] == [
        *((64, 0), (64, 90), (128, 0), (128, 90))
    ]
    small = from_image(photograph.image.crop((200, 60, 240, 90)))
    assert set(find_points_of(small, sides=(128, 256, 512)).scales.tolist()) == {128, 160}


def test_a_large_picture_is_shrunk_to_the_side_and_a_small_one_is_squeezed_to_cells_at_most(monkeypatch):
    seen = []
    whole = network_file.PointNetwork.__call__
    monkeypatch.setattr(network_file.PointNetwork, "__call__", lambda self, p: seen.append(p.shape) or whole(self, p))
    for size in ((1500, 900), (300, 500), (1024, 64), (7, 12)):
        find_points(from_image(Image.new("RGB", size)), 10)
    assert seen == [(608, 1024), (480, 288), (64, 1024), (32, 32)]


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (31, 5), (33, 33), (6000, 12), (7, 3000)])
def test_tiny_and_long_pictures_have_few_points(size):
    picture = from_image(Image.effect_noise(size, 80).convert("RGB"))
    for points in (find_points(picture, 800), find_points_of(picture, turns=(0, 90, 30))):
        assert points.descriptors.shape == (len(points), 64)
        assert ((points.places >= 0) & (points.places <= 1)).all()


@pytest.mark.parametrize("size", [(1, 1), (640, 480), (2000, 40)])
def test_a_flat_picture_has_no_points(size):
    picture = from_image(Image.new("RGB", size, (200, 40, 90)))
    assert len(find_points(picture, 800)) == len(find_points_of(picture, turns=(0, 90))) == 0


@pytest.mark.parametrize(
    "wrong", [{"n": -1}, {"sides": ()}, {"sides": (0, 128)}, {"turns": ()}, {"turns": (float("nan"),)}]
)
def test_impossible_numbers_sides_or_turns_are_an_error(photograph, wrong):
    with pytest.raises(PatchseekError, match="points are asked for by n >= 0, sides >= 1 and turns in degrees"):
        find_points_of(photograph, **wrong)


def test_an_unknown_engine_is_an_error():
    with pytest.raises(EncoderError, match="auto, openvino, onnxruntime, found 'torch'"):
        open_network("torch")


def test_the_manifest_names_the_bytes_that_ship():
    assert hashlib.sha256(MODEL.read_bytes()).hexdigest() == MANIFEST["sha256"] == open_network().weights
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_500_000
    notice = (FOLDER / "NOTICE").read_text()
    assert "XFeat" in notice and "its text is patchseek's LICENSE" in notice


@pytest.fixture
def unopened(monkeypatch):
    """As in a process that has not opened the network yet."""
    monkeypatch.setattr(network_file, "_OPEN", {})


@pytest.mark.usefixtures("unopened")
def test_a_file_with_other_bytes_is_refused(tmp_path, monkeypatch):
    (tmp_path / "embedded").mkdir()
    for path in FOLDER.iterdir():
        (tmp_path / "embedded" / path.name).write_bytes(path.read_bytes())
    model = tmp_path / "embedded" / MANIFEST["file"]
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(network_file, "files", lambda _: tmp_path)
    with pytest.raises(EncoderError, match="SHA-256 differs"):
        open_network()


@pytest.mark.extra("onnx")
@pytest.mark.usefixtures("unopened")
def test_an_engine_that_finds_other_points_is_passed_over(monkeypatch, caplog):
    monkeypatch.setattr(network_file, "capabilities", lambda: ["FP32", "BF16"])
    found = iter([0.9, 0.9, 0.9999])
    monkeypatch.setattr(network_file, "agreement", lambda *_: next(found))
    assert open_network().runs_on == "ONNX Runtime CPU f32"
    for precision in ("bf16", "f32"):
        assert f"OpenVINO CPU {precision}: agrees to 0.9000 with its own points" in caplog.text


@pytest.mark.extra("onnx")
@pytest.mark.usefixtures("unopened")
def test_where_no_engine_finds_its_points_there_is_an_error(monkeypatch):
    monkeypatch.setattr(network_file, "agreement", lambda *_: 0.9)
    with pytest.raises(EncoderError, match="nothing on this processor gives the points"):
        open_network()


@pytest.mark.extra("onnx")
@pytest.mark.usefixtures("unopened")
def test_an_engine_that_cannot_be_compiled_is_passed_over(monkeypatch):
    def refuse(*_):
        raise EncoderError("OpenVINO cannot run the model: object is not initialized")

    monkeypatch.setattr(network_file, "OpenVinoSizesNetwork", refuse)
    assert open_network().runs_on == "ONNX Runtime CPU f32"
    with pytest.raises(EncoderError, match="not initialized"):
        open_network("openvino")


@pytest.mark.usefixtures("unopened")
def test_without_any_engine_the_install_line_is_told(monkeypatch):
    def refuse(*_):
        raise MissingExtra("openvino", "openvino")

    monkeypatch.setattr(network_file, "OpenVinoSizesNetwork", refuse)
    monkeypatch.setattr(network_file, "OnnxRuntimeNetwork", refuse)
    with pytest.raises(MissingExtra, match="pip install"):
        open_network()


def test_maps_of_something_else_do_not_agree():
    with np.load(FOLDER / MANIFEST["probe"]) as expected:
        assert agreement(open_network()(make_probe()), expected) > 0.999
        assert agreement(open_network()(make_probe()[::-1].copy()), expected) < 0.9
