"""The OpenCLIP encoder, on a model of two layers with seeded random weights."""

import json

import numpy as np
import open_clip
import pytest
import safetensors.torch
import torch

from patchseek.collection import Collection
from patchseek.encoders import open_encoder
from patchseek.errors import EncoderError
from patchseek.regions import Pyramid

from .conftest import blot
from .contract_encoder import check_encoder, cosines

pytestmark = pytest.mark.extra("openclip")

TOWERS = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A model, and the file of its weights."""
    folder = tmp_path_factory.mktemp("openclip")
    (folder / "tiny-clip.json").write_text(json.dumps(TOWERS))
    open_clip.add_model_config(folder / "tiny-clip.json")
    torch.manual_seed(1)
    model = open_clip.create_model("tiny-clip", pretrained=None).eval()
    path = folder / "tiny-clip.safetensors"
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    return model, path


def patches() -> np.ndarray:
    blots = np.random.default_rng(5).integers(0, 256, (9, 8, 8, 3), np.uint8)
    return blots.repeat(8, axis=1).repeat(8, axis=2)


@pytest.mark.parametrize(("engine", "least"), [("torch", 0.999999), ("openvino", 0.9999)])
def test_it_keeps_the_promises_and_answers_as_openclip_does(tiny, engine, least):
    model, path = tiny
    encoder = open_encoder("openclip:tiny-clip", weights=path, engine=engine, precision="f32")
    assert encoder.identity.name == "openclip:tiny-clip"
    assert encoder.identity.dim == 32
    check_encoder(encoder, patches())
    mean, std = (torch.tensor(model.visual.preprocess_cfg[name]) for name in ("mean", "std"))
    with torch.inference_mode():
        images = ((torch.from_numpy(patches()) / 255 - mean) / std).permute(0, 3, 1, 2)
        expected = model.encode_image(images).numpy()
    assert cosines(encoder.encode(patches()), expected).min() > least


def test_texts_lie_in_the_same_space(tiny):
    model, path = tiny
    encoder = open_encoder("openclip:tiny-clip", weights=path, engine="torch")
    features = encoder.encode_text(["a red cup", "a dog"])
    assert features.shape == (2, 32)
    with torch.inference_mode():
        expected = model.encode_text(open_clip.tokenize(["a red cup", "a dog"])).numpy()
    assert cosines(features, expected).min() > 0.99999


def test_words_rank_a_collection_by_the_text_tower_and_say_where(tiny, tmp_path):
    model, path = tiny
    encoder = open_encoder("openclip:tiny-clip", weights=path, engine="torch")
    (tmp_path / "pictures").mkdir()
    for i in range(4):
        blot(i, 128, 96).save(tmp_path / "pictures" / f"{i}.png")
    opened = Collection.open(tmp_path / "collection", encoder=encoder, pyramid=Pyramid.up_to(1), create=True)
    opened.add(tmp_path / "pictures")
    with torch.inference_mode():
        words = model.encode_text(open_clip.tokenize(["a red cup"])).numpy()[0]
    features = opened.store.snapshot().features(np.arange(4))
    expected = (features @ (words / np.linalg.norm(words))).max(axis=1)
    matches = opened.search(text="a red cup", refine=0)
    assert [match.score for match in matches] == pytest.approx(np.sort(expected)[::-1], abs=1e-4)
    refined = opened.search(text="a red cup")
    assert {match.image.path for match in refined} == {match.image.path for match in matches}
    assert refined[0].score >= matches[0].score - 1e-4


def test_another_size_keeps_the_weights(tiny):
    _, path = tiny
    big = open_encoder("openclip:tiny-clip?size=96", weights=path, engine="torch")
    own = open_encoder("openclip:tiny-clip", weights=path, engine="torch")
    assert (big.identity.size, own.identity.size) == (96, 64)
    assert big.identity.weights == own.identity.weights
    assert big.encode(np.zeros((2, 96, 96, 3), np.uint8)).shape == (2, 32)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "openclip:ViT-B-16/openai",
            "bring open_clip_model.safetensors of the hub repository timm/vit_base_patch16_clip",
        ),
        ("openclip:ViT-B-16/nobody", "known: openai"),
        ("openclip:ViT-B-16", "takes --weights FILE"),
        ("openclip:ViT-Q/openai", "no model 'ViT-Q'"),
        ("openclip:ViT-B-16/openai?pool=gem", "no option 'pool'"),
    ],
)
def test_what_cannot_be_opened_says_why(monkeypatch, tmp_path, name, reason):
    monkeypatch.setenv("PATCHSEEK_MODELS", str(tmp_path))
    with pytest.raises(EncoderError, match=reason):
        open_encoder(name)
