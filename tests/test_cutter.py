"""Patches cut by torch, on any device, are those that Pillow cuts; so are features, and what refinement finds."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from skimage import data

from patchseek.encode import Regions, encode_stream
from patchseek.encoders import open_encoder
from patchseek.encoders._cutter import Cutter
from patchseek.encoders._torch_network import TorchNetwork
from patchseek.errors import DeviceFailed, EncoderError
from patchseek.patches import LATE_BYTES, Feed, Uncut, crop, cut, joined
from patchseek.regions import Pyramid
from patchseek.rerank import Refiner, of_boxes
from patchseek.search import encode_query

from .contract_encoder import cosines
from .test_encoder_timm import PLAIN, random_model
from .test_patches import picture_of

pytestmark = pytest.mark.extra("timm")

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
BOXES = np.array([(0, 0, 1, 1), (0.1, 0.2, 0.35, 0.9), (0.5, 0.5, 0.502, 0.503), (0.71, 0.02, 1, 0.4), (0, 0.9, 1, 1)])


def late(feed: Feed) -> Feed:
    return replace(feed, late=True)


def differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(int) - b.astype(int)).mean(axis=(1, 2, 3))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("exact", [True, False], ids=["exact", "between pixels"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "lanczos"])
@pytest.mark.parametrize("fit", ["squash", "center-crop", "pad"])
def test_patches_are_those_that_pillow_cuts(fit, interpolation, exact, device):
    feed = Feed(96, fit, interpolation, 0.9 if fit == "center-crop" else 1.0, exact)
    for picture in (picture_of(data.coffee()), picture_of(data.chelsea()[:40, :90])):
        expected = crop(picture, BOXES, feed, gap=1e9)  # nothing is averaged beforehand
        cut_there = Cutter(device)(crop(picture, BOXES, late(feed)))
        assert cut_there.is_contiguous(), "a first layer takes patches that lie otherwise more slowly"
        found = cut_there.cpu().numpy()
        assert found.shape == expected.shape
        assert differences(found, expected).max() < 0.3


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("pyramid", [Pyramid(), Pyramid((0, 2), 0.5)])
def test_a_pyramid_is_cut_as_by_pillow(pyramid, device):
    feed = Feed(64, exact=True)
    for pixels in (data.coffee(), data.rocket()[:, :200], np.tile(data.astronaut(), (1, 4, 1))):
        picture = picture_of(pixels)
        found = Cutter(device)(cut(picture, pyramid, late(feed))).cpu().numpy()
        assert differences(found, cut(picture, pyramid, feed)).max() < 0.3


def test_a_cutter_keeps_a_picture_for_as_long_as_somebody_has_it():
    cutter, picture = Cutter("cpu"), picture_of(data.coffee())
    first = crop(picture, BOXES, late(Feed(32)))
    cutter(first)
    held = cutter._held[picture]
    cutter(crop(picture, BOXES[:2], late(Feed(48))))
    assert cutter._held[picture] is held
    del first, picture
    assert not len(cutter._held)


def test_uncut_patches_have_the_length_shape_and_slices_of_patches():
    feed = Feed(32, exact=True)
    pictures = [picture_of(data.coffee()), picture_of(data.chelsea())]
    ready = crop(pictures[0], BOXES[:2], feed)
    lots = [crop(pictures[0], BOXES, late(feed)), ready, crop(pictures[1], BOXES[:3], late(feed))]
    plain = np.concatenate([crop(pictures[0], BOXES, feed), ready, crop(pictures[1], BOXES[:3], feed)])
    patches = joined(lots)
    assert isinstance(patches, Uncut)
    assert (patches.shape, patches.ndim, patches.dtype) == (plain.shape, 4, plain.dtype)
    for low in range(11):
        for high in range(low, 12):
            part = patches[low:high]
            assert len(part) == len(plain[low:high])
            assert differences(Cutter("cpu")(part).numpy(), plain[low:high]).max(initial=0) < 0.3
    assert joined([ready, ready]).shape == (4, 32, 32, 3)


def test_a_picture_of_very_many_pixels_is_cut_at_once():
    pixels = np.zeros((LATE_BYTES // 6000 + 1, 2000, 3), np.uint8)
    assert isinstance(crop(picture_of(pixels), BOXES, late(Feed(32))), np.ndarray)


@pytest.fixture(scope="module", params=DEVICES)
def encoders(request, tmp_path_factory):
    """The same encoder, given patches that Pillow cut, and cutting for itself."""
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    safetensors.torch.save_file(random_model(PLAIN).state_dict(), path)
    options = {"weights": path, "engine": "torch", "precision": "f32", "device": request.param}
    plain, own = (open_encoder(f"timm:{PLAIN}", **options) for _ in range(2))
    assert plain.feed.late == (request.param != "cpu"), "on a CPU Pillow is quicker"
    plain.feed, own.feed = replace(plain.feed, late=False), late(own.feed)
    return plain, own


def test_features_and_cells_are_the_same_whoever_cuts(encoders):
    plain, own = encoders
    assert plain.identity == own.identity, "a collection is continued on either"
    picture = picture_of(data.coffee())
    patches = [cut(picture, Pyramid(), encoder.feed) for encoder in encoders]
    assert cosines(plain.encode(patches[0]), own.encode(patches[1])).min() > 0.9999
    cells = [encoder.encode_cells(lot)[1] for encoder, lot in zip(encoders, patches, strict=True)]
    assert np.abs(cells[0].fine - cells[1].fine).max() < 0.02


def test_batches_are_filled_across_pictures_that_are_cut_on_the_device(encoders):
    pictures = [picture_of(photo) for photo in (data.coffee(), data.chelsea(), data.rocket())]
    streams = [
        list(encode_stream([(i, r.cut(p, 0)) for i, p in enumerate(pictures)], r))
        for r in (Regions(encoder, Pyramid()) for encoder in encoders)
    ]
    for (i, expected), (j, found) in zip(*streams, strict=True):
        assert i == j
        assert cosines(expected, found).min() > 0.9999


def test_refinement_finds_the_same_boxes_whoever_cuts(encoders):
    picture = picture_of(data.coffee())
    boxes = []
    for encoder in encoders:
        query = encode_query(picture, encoder, (0.3, 0.2, 0.7, 0.8))
        (found,) = Refiner(query, encoder).refine([picture], [of_boxes(np.array([(0.25, 0.25, 0.75, 0.75)]))])
        boxes.append(found.box)
    assert np.abs(np.subtract(*boxes)).max() < 0.05


# ---- devices that are short of memory, or fail


class Network(torch.nn.Module):
    """The mean colour of each patch, where the device plays along."""

    def __init__(self, problem):
        super().__init__()
        self.problem, self.sizes = problem, []
        self.register_buffer("scale", torch.tensor(1 / 255))

    def forward(self, patches):
        self.sizes.append(len(patches))
        self.problem(len(patches))
        return patches.float().mean(dim=(1, 2)) * self.scale


PATCHES = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
MEANS = PATCHES.mean(axis=(1, 2)) / 255


def test_too_little_memory_halves_the_batch_and_is_said_once(caplog):
    def problem(n):
        if n > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    network = Network(problem)
    running = TorchNetwork(network, 16, "f32", "cpu")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert running(PATCHES) == pytest.approx(MEANS, abs=1e-6)
    assert network.sizes[:5] == [16, 8, 4, 4, 4]
    assert max(network.sizes[2:]) == 4
    assert [record.getMessage() for record in caplog.records] == [
        "cpu: too little memory for 16 patches at once; going on with fewer"
    ]


def test_words_of_other_libraries_for_too_little_memory_are_understood():
    for words in ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"):

        def problem(n, words=words):
            if n > 5:
                raise RuntimeError(words)

        assert TorchNetwork(Network(problem), 16, "f32", "cpu")(PATCHES) == pytest.approx(MEANS, abs=1e-6)


def test_too_little_memory_for_one_patch_is_an_error_of_one_line():
    def problem(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(EncoderError, match="cpu: too little memory for a single patch"):
        TorchNetwork(Network(problem), 16, "f32", "cpu")(PATCHES)


def test_a_device_that_fails_is_an_error_that_says_what_to_do():
    def problem(_):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(DeviceFailed, match=r"illegal memory access .* what was finished is kept, run the same command"):
        TorchNetwork(Network(problem), 16, "f32", "cpu")(PATCHES)


def test_what_is_wrong_with_a_network_is_an_error_of_one_line():
    def problem(_):
        raise RuntimeError("mat1 and mat2\nshapes cannot be multiplied")

    with pytest.raises(EncoderError, match="cpu: the network cannot be run: mat1 and mat2 shapes cannot"):
        TorchNetwork(Network(problem), 16, "f32", "cpu")(PATCHES)
