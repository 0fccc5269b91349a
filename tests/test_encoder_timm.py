"""The timm encoders, on small models with seeded random weights that take the same way as published ones."""

import logging
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from PIL import Image
from skimage import data

from patchseek.boxes import WHOLE
from patchseek.encoders import ENCODERS, open_encoder
from patchseek.encoders._spec import SHORT_NAMES, Spec, parse_spec
from patchseek.errors import BoxError, EncoderError
from patchseek.images import Picture
from patchseek.patches import Feed, crop
from patchseek.regions import Pyramid

from .contract_encoder import check_encoder, cosines

pytestmark = pytest.mark.extra("timm")

PLAIN = "test_vit.r160_in1k"
# timm's own for tests: 64 numbers, 160 px, 100 cells, a class token, 1000 classes, 0.5 for mean and std, crop 0.95
TINY = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
# the smallest of the real ones
MAP = "vit_pe_core_tiny_patch16_384.fb"
# attention pooling, a class token, rotary positions; built for 128 px, which is faster
OPTIONS = {MAP: {"img_size": 128}}


@pytest.fixture(scope="module", autouse=True)
def no_network():
    assert huggingface_hub.is_offline_mode()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """weights(model) -> a safetensors file as the hub has it, with the classifier."""
    folder = tmp_path_factory.mktemp("weights")

    def make(model: str) -> Path:
        path = folder / f"{model}.safetensors"
        if not path.exists():
            safetensors.torch.save_file(random_model(model, **OPTIONS.get(model, {})).state_dict(), path)
        return path

    return make


def random_model(model: str, **options):
    """A model that sees differences: linear layers as strong as trained ones, where timm starts with weak ones."""
    torch.manual_seed(7)
    net = timm.create_model(model, pretrained=False, **options).eval()
    for name, parameter in net.named_parameters():
        if parameter.ndim == 2 and "weight" in name:
            torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
        if name.endswith("gamma"):
            torch.nn.init.constant_(parameter, 0.5)
    return net


def photos() -> list[np.ndarray]:
    return [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.astronaut()[200:, :300]]


def patches_for(feed: Feed) -> np.ndarray:
    """Nine real patches: five photos, and four of their quarters."""
    whole = [crop(picture(photo), [WHOLE], feed) for photo in photos()]
    part = [crop(picture(photo), [(0.2, 0.2, 0.7, 0.7)], feed) for photo in photos()[:4]]
    return np.concatenate(whole + part)


def picture(pixels: np.ndarray) -> Picture:
    return Picture(pixels, pixels.shape[1], pixels.shape[0])


def reference(model: str, path: Path, patches: np.ndarray) -> np.ndarray:
    """Features as a user of timm would compute them: torch in float32, no code of ours."""
    net = timm.create_model(model, pretrained=False, **OPTIONS.get(model, {}))
    net.load_state_dict(safetensors.torch.load_file(path), strict=True)
    net.reset_classifier(0)
    config = timm.data.resolve_model_data_config(net)
    mean, std = torch.tensor(config["mean"]), torch.tensor(config["std"])
    with torch.inference_mode():
        return net.eval()(((torch.from_numpy(patches) / 255 - mean) / std).permute(0, 3, 1, 2)).numpy()


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_it_keeps_the_promises_of_every_encoder(weights, engine):
    encoder = open_encoder(f"timm:{PLAIN}", weights=weights(PLAIN), engine=engine, batch=4)
    assert encoder.batch == 4
    assert encoder.identity.preprocessing == "squash, bicubic, mean 0.5 0.5 0.5, std 0.5 0.5 0.5, pool head"
    check_encoder(encoder, patches_for(encoder.feed))


@pytest.mark.parametrize(
    ("name", "engine", "precision", "least"),
    [
        (TINY, "torch", "f32", 0.999999),
        (TINY, "openvino", "f32", 0.9999),
        (TINY, "openvino", "bf16", 0.999),
        (f"{MAP}?size=128", "openvino", "f32", 0.9999),
        (f"{MAP}?size=128", "openvino", "bf16", 0.999),
    ],
)
def test_features_are_those_of_timm(weights, name, engine, precision, least):
    model = name.partition("?")[0]
    encoder = open_encoder(f"timm:{name}", weights=weights(model), engine=engine, precision=precision)
    patches = patches_for(encoder.feed)
    expected = reference(model, weights(model), patches)
    assert cosines(expected, np.roll(expected, 1, axis=0)).max() < 0.99, "the random model sees no difference"
    found = cosines(encoder.encode(patches), expected).min()
    assert found >= least, encoder.runs_on


def test_center_crop_is_what_timms_own_transform_does(weights):
    encoder = open_encoder(f"timm:{PLAIN}?fit=center-crop", weights=weights(PLAIN), engine="torch")
    assert encoder.identity.preprocessing.startswith("center-crop 0.95, bicubic")
    net = timm.create_model(PLAIN, pretrained=False)
    net.load_state_dict(safetensors.torch.load_file(weights(PLAIN)))
    net.reset_classifier(0)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(net), is_training=False)
    for photo in photos()[:4]:
        with torch.inference_mode():
            expected = net.eval()(transform(Image.fromarray(photo))[None]).numpy()
        ours = encoder.encode(crop(picture(photo), [WHOLE], encoder.feed))
        assert cosines(ours, expected)[0] > 0.9999


def test_another_size_resizes_positions_as_timm_does(weights):
    encoder = open_encoder(f"timm:{PLAIN}?size=224", weights=weights(PLAIN), engine="torch")
    assert (encoder.identity.size, encoder.feed.size) == (224, 224)
    net = timm.create_model(PLAIN, pretrained=False)
    net.load_state_dict(safetensors.torch.load_file(weights(PLAIN)))
    net.set_input_size(224)  # timm's other way to the same end
    net.reset_classifier(0)
    patches = patches_for(encoder.feed)
    with torch.inference_mode():
        expected = net.eval()((torch.from_numpy(patches) / 127.5 - 1).permute(0, 3, 1, 2)).numpy()
    assert cosines(encoder.encode(patches), expected).min() > 0.9999
    own = open_encoder(f"timm:{PLAIN}", weights=weights(PLAIN), engine="torch")
    assert encoder.identity.weights == own.identity.weights


def test_pools_are_means_of_the_cells_without_the_class_token(weights):
    def features(pool):
        encoder = open_encoder(f"timm:{PLAIN}?pool={pool}", weights=weights(PLAIN), engine="torch")
        return encoder.encode(patches_for(encoder.feed)[:2])

    net = timm.create_model(PLAIN, pretrained=False)
    net.load_state_dict(safetensors.torch.load_file(weights(PLAIN)))
    patches = torch.from_numpy(patches_for(Feed(160))[:2])
    with torch.inference_mode():
        tokens = net.eval().forward_features((patches / 127.5 - 1).permute(0, 3, 1, 2)).numpy()
    assert cosines(features("cls"), tokens[:, 0]).min() > 0.99999
    assert cosines(features("head"), tokens[:, 0]).min() > 0.99999
    assert cosines(features("mean"), tokens[:, 1:].mean(axis=1)).min() > 0.99999
    assert cosines(features("gem"), np.cbrt((tokens[:, 1:].astype(float) ** 3).mean(axis=1))).min() > 0.99999


# ---- dense mode


@pytest.mark.parametrize(("model", "pool"), [(PLAIN, "mean"), (PLAIN, "gem"), (MAP, "head")])
def test_the_whole_region_is_the_pooled_picture(weights, model, pool):
    options = f"pool={pool}" + ("&size=128" if model == MAP else "")
    plain = open_encoder(f"timm:{model}?{options}", weights=weights(model), engine="torch")
    dense = open_encoder(f"timm:{model}?mode=dense&{options}", weights=weights(model))
    assert dense.regions is not None
    assert plain.regions is None
    pictures = patches_for(plain.feed)[:3]
    boxes = Pyramid().boxes
    features = dense.encode_regions(pictures, boxes)
    assert features.shape == (3, 30, dense.identity.dim)
    assert features.dtype == np.float32
    assert np.linalg.norm(features, axis=2) == pytest.approx(1, abs=1e-5)
    assert cosines(features[:, 0], plain.encode(pictures)).min() > 0.99999
    assert cosines(features[:, 0], dense.encode(pictures)).min() > 0.99999
    assert cosines(features[0, 1:], features[1, 1:]).max() < 0.9999
    assert dense.encode_regions(pictures[:0], boxes).shape == (0, 30, dense.identity.dim)
    assert dense.encode_regions(pictures, boxes[:0]).shape == (3, 0, dense.identity.dim)


def test_cells_count_by_the_share_that_lies_inside():
    from patchseek.encoders._dense import cell_shares, gem_pool, mean_pool

    # two by two cells; a box over the upper left one and half of its right neighbour
    shares = cell_shares([(0, 0, 0.75, 0.5)], 2)
    assert shares.tolist() == [[1, 0.5, 0, 0]]
    cells = torch.tensor([[[3.0], [6.0], [100.0], [100.0]]])
    assert mean_pool(cells, shares).item() == pytest.approx((3 + 0.5 * 6) / 1.5)
    pair = torch.tensor([[[1.0], [-2.0]]])
    assert gem_pool(pair, torch.ones(1, 2)).item() == pytest.approx(-(3.5 ** (1 / 3)))
    assert cell_shares([(0.3, 0.3, 0.3, 0.3), (1, 1, 1, 1)], 4).sum(dim=1).min() > 0


def test_a_class_token_has_no_region_so_the_mean_stands_in(weights):
    dense = open_encoder(f"timm:{PLAIN}?mode=dense", weights=weights(PLAIN))
    assert dense.identity.preprocessing.endswith("pool mean, dense")
    mean = open_encoder(f"timm:{PLAIN}?mode=dense&pool=mean", weights=weights(PLAIN))
    pictures = patches_for(dense.feed)[:2]
    assert cosines(dense.encode(pictures), mean.encode(pictures)).min() > 0.99999
    with pytest.raises(BoxError):
        dense.encode_regions(pictures, [(0, 0, np.nan, 1)])
    with pytest.raises(EncoderError, match="patches must be"):
        dense.encode_regions(pictures[:, :100], [WHOLE])
    with pytest.raises(EncoderError, match="torch engine"):
        open_encoder(f"timm:{PLAIN}?mode=dense", weights=weights(PLAIN), engine="openvino")


def test_a_convolutional_network_has_cells_too():
    from patchseek.encoders._timm import Pooled

    net = random_model("resnet10t", num_classes=0)
    pooled = Pooled(net, Spec("timm", "resnet10t", pool="mean"))
    images = torch.rand(2, 3, 96, 96)
    with torch.inference_mode():
        assert torch.allclose(pooled(images), net(images), atol=1e-5)


@pytest.mark.parametrize("pool", ["mean", "gem"])
def test_pools_are_the_same_on_either_engine(weights, pool):
    name = f"timm:resnet10t?pool={pool}&size=96"
    a = open_encoder(name, weights=weights("resnet10t"), engine="torch")
    b = open_encoder(name, weights=weights("resnet10t"), engine="openvino", precision="f32")
    assert a.identity == b.identity
    patches = patches_for(a.feed)
    assert cosines(a.encode(patches), b.encode(patches)).min() > 0.9999


# ---- cells


def lengthened(cells: np.ndarray) -> np.ndarray:
    return cells / np.linalg.norm(cells, axis=-1, keepdims=True)


def with_positions(weights, strength, folder):
    """A file of PLAIN's weights that is told the row and the column so loudly, and that whole network."""
    net = timm.create_model(PLAIN, pretrained=False)
    net.load_state_dict(safetensors.torch.load_file(weights(PLAIN)))
    directions = torch.randn((2, 64), generator=torch.Generator().manual_seed(1))
    rows, columns = torch.linspace(-1, 1, 10).repeat_interleave(10), torch.linspace(-1, 1, 10).repeat(10)
    with torch.no_grad():
        net.pos_embed.zero_()
        net.pos_embed[0, -100:] = strength * torch.stack([rows, columns], dim=1) @ directions
    safetensors.torch.save_file(net.state_dict(), folder / f"{strength}.safetensors")
    return folder / f"{strength}.safetensors", net.eval()


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_the_cells_of_a_transformer_that_knows_no_places_are_its_tokens_row_by_row(weights, engine, tmp_path):
    file, net = with_positions(weights, 0, tmp_path)
    encoder = open_encoder(f"timm:{PLAIN}", weights=file, engine=engine, precision="f32")
    assert encoder.cells is not None
    patches = patches_for(encoder.feed)[:3]
    with torch.inference_mode():
        images = (torch.from_numpy(patches) / 127.5 - 1).permute(0, 3, 1, 2)
        tokens = net.forward_features(images)[:, 1:].numpy().reshape(3, 10, 10, 64)
    features, cells = encoder.encode_cells(patches)
    assert features == pytest.approx(encoder.encode(patches), abs=1e-6)
    assert cells.fine == pytest.approx(lengthened(tokens), abs=1e-3)
    fours = tokens.reshape(3, 5, 2, 5, 2, 64).mean(axis=(2, 4))
    assert cells.coarse == pytest.approx(lengthened(fours), abs=1e-3)
    assert (encoder.window, encoder.power) == (160, None)
    assert encoder.encode_map(patches) == pytest.approx(cells.fine, abs=1e-5)
    assert encoder.encode_cells(patches[1:2])[1].fine[0] == pytest.approx(cells.fine[1], abs=1e-4)
    with pytest.raises(EncoderError, match="patches must be"):
        encoder.encode_cells(patches[:, :100])


def test_where_cells_stand_makes_no_two_pictures_agree(weights, tmp_path):
    """Each picture beside itself with a little noise, and beside others, in a network that is told places loudly."""
    file, net = with_positions(weights, 1.0, tmp_path)
    encoder = open_encoder(f"timm:{PLAIN}", weights=file, engine="torch", precision="f32")
    patches = patches_for(encoder.feed)[:4]
    noise = np.random.default_rng(0).integers(-6, 7, patches.shape)
    noisy = np.clip(patches + noise, 0, 255).astype(np.uint8)
    with torch.inference_mode():
        images = (torch.from_numpy(np.concatenate([patches, noisy])) / 127.5 - 1).permute(0, 3, 1, 2)
        tokens = lengthened(net.forward_features(images)[:, 1:].numpy()).reshape(8, 10, 10, 64)
    cells = encoder.encode_cells(np.concatenate([patches, noisy]))[1].fine

    def agreed(cells):
        """Of unlike pictures, and of a picture and itself: how much more cells in one place agree than all others."""
        flat = cells.reshape(2, 4, 100, 64)
        cosines = np.einsum("anc,bmc->abnm", flat[0], flat[1])
        excess = np.einsum("abnn->ab", cosines) / 100 - cosines.mean(axis=(2, 3))
        return excess[~np.eye(4, dtype=bool)].mean(), np.diag(excess).mean()

    (unlike, alike), (unlike_then, alike_then) = agreed(cells), agreed(tokens)
    assert unlike_then > 0.3 and unlike < unlike_then / 3
    assert alike - unlike > 0.9 * (alike_then - unlike_then)
    assert np.linalg.norm(cells, axis=3) == pytest.approx(1, abs=1e-4)
    assert encoder.encode_map(patches) == pytest.approx(cells[:4], abs=1e-5)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_convolutional_network_shows_two_stages_and_looks_around_at_twice_the_size(weights, engine):
    name = "timm:resnet10t?size=96"
    encoder = open_encoder(name, weights=weights("resnet10t"), engine=engine, precision="f32")
    assert encoder.cells is not None
    patches = patches_for(encoder.feed)[:3]
    features, cells = encoder.encode_cells(patches)
    assert features == pytest.approx(encoder.encode(patches), abs=1e-6)
    assert (cells.coarse.shape, cells.fine.shape) == ((3, 3, 3, 512), (3, 6, 6, 256))
    assert np.linalg.norm(cells.fine, axis=3) == pytest.approx(1, abs=1e-4)
    assert encoder.window == 192
    maps = encoder.encode_map(patches_for(Feed(192))[:2])
    assert maps.shape == (2, 6, 6, 512)
    assert encoder.encode_map(patches_for(Feed(192))[1:2])[0] == pytest.approx(maps[1], abs=1e-4)


def test_what_is_padded_or_dense_shows_no_cells(weights):
    for options in ("fit=pad", "mode=dense"):
        encoder = open_encoder(f"timm:{PLAIN}?{options}", weights=weights(PLAIN), engine="torch")
        assert encoder.cells is None


# ---- names


def test_a_name_says_only_what_is_not_default():
    assert str(parse_spec("timm:a?size=448&fit=pad")) == "timm:a?fit=pad&size=448"
    assert str(parse_spec("timm:a?fit=squash&pool=head&mode=crops")) == "timm:a"
    assert str(parse_spec("siglip?pool=gem")) == SHORT_NAMES["siglip"] + "?pool=gem"
    for name in ("timm:a?fit=pad&interpolation=bilinear&pool=cls&size=64", "timm:a?mode=dense", "onnx:/x/y.onnx"):
        assert str(parse_spec(name)) == name
        assert parse_spec(str(parse_spec(name))) == parse_spec(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("timm:a?colour=red", "no option 'colour'"),
        ("timm:a?fit=stretch", "fit must be one of squash, center-crop, pad"),
        ("timm:a?size=big", "size must be a number"),
        ("timm:a?size=0", "size must be 8 to 4096"),
        ("timm:a?fit=pad&fit=pad", "given twice"),
        ("timm:a?mode=dense&fit=pad", "fit must be squash"),
        ("timm:a?mode=dense&pool=cls", "no class token"),
        ("timm:", "LIBRARY:MODEL"),
        ("timm:vit_tiny_patch16_225", "did you mean vit_tiny_patch16_224"),
        ("timm:vit_tiny_patch16_224.nobody", "known: vit_tiny_patch16_224.augreg"),
        ("nothing", "known: embedded, embedded-fast, siglip"),
    ],
)
def test_a_name_that_is_none_is_refused_with_what_is_allowed(name, reason):
    with pytest.raises(EncoderError, match=reason):
        open_encoder(name)


def test_every_short_name_is_a_published_model_of_timm():
    assert set(SHORT_NAMES) <= set(ENCODERS)
    published = set(timm.list_pretrained())
    assert {parse_spec(name).model for name in SHORT_NAMES} <= published


def test_what_is_the_models_own_is_not_said_and_the_name_is_complete(weights):
    path = weights(PLAIN)
    name = "timm:test_vit?size=160&interpolation=bicubic"
    encoder = open_encoder(name, weights=path, engine="torch")
    assert encoder.identity.name == f"timm:{PLAIN}"
    again = open_encoder(encoder.identity.name, weights=path, engine="torch")
    assert again.identity == encoder.identity
    padded = open_encoder(f"timm:{PLAIN}?fit=pad&size=224", weights=path, engine="torch")
    assert padded.identity.name == f"timm:{PLAIN}?fit=pad&size=224"
    assert open_encoder(padded.identity.name, weights=path, engine="torch").identity == padded.identity


# ---- weights


def test_missing_weights_say_in_one_line_which_file_to_bring(monkeypatch, tmp_path):
    monkeypatch.setenv("PATCHSEEK_MODELS", str(tmp_path))
    with pytest.raises(EncoderError) as caught:
        open_encoder("dinov2")
    model = "vit_large_patch14_dinov2.lvd142m"
    assert str(caught.value) == (
        f"{model}: no weights here and none could be fetched; bring model.safetensors of the hub repository "
        f"timm/{model} and pass it with --weights FILE, or put it at {tmp_path}/{model}.safetensors"
    )


def test_weights_in_the_models_folder_are_found(monkeypatch, tmp_path, weights):
    monkeypatch.setenv("PATCHSEEK_MODELS", str(tmp_path))
    (tmp_path / f"{PLAIN}.safetensors").write_bytes(weights(PLAIN).read_bytes())
    found = open_encoder("timm:test_vit", engine="torch")
    assert found.identity == open_encoder(f"timm:{PLAIN}", weights=weights(PLAIN), engine="torch").identity


def test_a_pt_file_with_the_same_tensors_is_the_same_encoder(tmp_path, weights):
    state = safetensors.torch.load_file(weights(PLAIN))
    torch.save({"state_dict": state}, tmp_path / "weights.pt")
    a = open_encoder(f"timm:{PLAIN}", weights=tmp_path / "weights.pt", engine="torch")
    b = open_encoder(f"timm:{PLAIN}", weights=weights(PLAIN), engine="torch")
    assert a.identity == b.identity
    patches = patches_for(a.feed)[:2]
    assert cosines(a.encode(patches), b.encode(patches)).min() > 0.999999
    state["norm.bias"] = state["norm.bias"] + 1
    safetensors.torch.save_file(state, tmp_path / "other.safetensors")
    other = open_encoder(f"timm:{PLAIN}", weights=tmp_path / "other.safetensors", engine="torch")
    assert other.identity.weights != b.identity.weights


def test_weights_without_the_classifier_or_with_another_are_welcome(tmp_path, weights):
    state = safetensors.torch.load_file(weights(PLAIN))
    patches = patches_for(Feed(160))[:2]
    full = open_encoder(f"timm:{PLAIN}", weights=weights(PLAIN), engine="torch").encode(patches)
    bare = {name: tensor for name, tensor in state.items() if not name.startswith("head")}
    ten = state | {"head.weight": state["head.weight"][:10].clone(), "head.bias": state["head.bias"][:10].clone()}
    for name, changed in {"bare": bare, "ten": ten}.items():
        safetensors.torch.save_file(changed, tmp_path / f"{name}.safetensors")
        encoder = open_encoder(f"timm:{PLAIN}", weights=tmp_path / f"{name}.safetensors", engine="torch")
        assert cosines(encoder.encode(patches), full).min() > 0.999999


def test_weights_that_do_not_fit_are_refused(tmp_path, weights):
    state = safetensors.torch.load_file(weights(PLAIN))
    state.pop("blocks.3.attn.qkv.weight")
    safetensors.torch.save_file(state, tmp_path / "hole.safetensors")
    (tmp_path / "noise.safetensors").write_bytes(b"noise" * 100)
    torch.save(Path("/"), tmp_path / "pickle.pt")
    (tmp_path / "notes.txt").write_text("bring weights")
    for file, reason in {
        "hole.safetensors": "does not fit .*blocks.3.attn.qkv.weight",
        "noise.safetensors": "cannot be read as weights",
        "pickle.pt": "cannot be read as weights",
        "absent.safetensors": "no such file",
        "notes.txt": "weights are a .safetensors, .pt, .pth or .bin file",
    }.items():
        with pytest.raises(EncoderError, match=reason) as caught:
            open_encoder(f"timm:{PLAIN}", weights=tmp_path / file, engine="torch")
        assert "\n" not in str(caught.value)


def test_fetch_fills_a_folder_and_verify_watches_it(monkeypatch, tmp_path, weights):
    import huggingface_hub

    from patchseek.encoders import _fetch

    asked = []
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *a: asked.append(a) or str(weights(PLAIN)))
    path = _fetch.fetch("timm:test_vit?fit=pad", tmp_path)
    assert asked == [(f"timm/{PLAIN}", "model.safetensors")]
    assert path == tmp_path / f"{PLAIN}.safetensors"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["manifest.json", path.name]
    assert _fetch.verify(tmp_path) == []
    path.write_bytes(b"x")
    assert _fetch.verify(tmp_path) == [f"{path}: not the file that was fetched (SHA-256 differs)"]
    path.unlink()
    assert _fetch.verify(tmp_path) == [f"{path}: missing"]
    with pytest.raises(EncoderError, match="only timm and openclip"):
        _fetch.fetch("onnx:a.onnx", tmp_path)


def test_without_network_fetch_says_so_and_leaves_nothing(tmp_path):
    from patchseek.encoders import _fetch

    with pytest.raises(EncoderError, match="could not be fetched"):
        _fetch.fetch("siglip", tmp_path)
    assert list(tmp_path.iterdir()) == []


# ---- engines and devices


def test_a_gpu_left_idle_is_warned_of(monkeypatch, caplog):
    from patchseek.encoders import _torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with caplog.at_level(logging.WARNING):
        assert _torch.choose_device("auto", "auto") == "cuda"
        assert not caplog.records
        assert _torch.choose_device("cpu", "auto") == "cpu"
        assert _torch.choose_device("auto", "openvino") == "cpu"
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"engine": "steam"}, "none of auto, torch, openvino"),
        ({"precision": "f8"}, "none of auto, f32, bf16, f16, int8"),
        ({"device": "tpu"}, "device must be auto or one of"),
        ({"batch": 0}, "a batch is of at least one patch, found 0"),
        ({"engine": "torch", "precision": "int8"}, "needs the OpenVINO engine"),
        ({"precision": "int8"}, "pass calibration"),
        ({"engine": "torch", "precision": "f16"}, "f16 is for CUDA devices"),
    ],
)
def test_options_that_make_no_sense_are_refused(weights, options, reason):
    with pytest.raises(EncoderError, match=reason):
        open_encoder(f"timm:{PLAIN}", weights=weights(PLAIN), **options)


def test_dense_mode_in_bf16_is_close_to_f32(weights):
    name, pictures = f"timm:{MAP}?mode=dense&size=128", patches_for(Feed(128))[:3]
    a = open_encoder(name, weights=weights(MAP), precision="bf16").encode_regions(pictures, Pyramid().boxes)
    b = open_encoder(name, weights=weights(MAP), precision="f32").encode_regions(pictures, Pyramid().boxes)
    assert cosines(a.reshape(90, -1), b.reshape(90, -1)).min() > 0.999


def test_names_alone_load_no_library():
    code = "import sys, patchseek.encoders, patchseek.encoders._spec, patchseek.encoders._fetch; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "timm", "openvino", "onnxruntime", "huggingface_hub"} & set(loaded)


def test_torch_bf16_is_close_to_f32(weights):
    a = open_encoder(f"timm:{PLAIN}", weights=weights(PLAIN), engine="torch", precision="bf16")
    b = open_encoder(f"timm:{PLAIN}", weights=weights(PLAIN), engine="torch", precision="f32")
    assert a.runs_on == "torch cpu bf16"
    patches = patches_for(a.feed)
    assert cosines(a.encode(patches), b.encode(patches)).min() > 0.999


def test_int8_is_measured_on_pictures_and_stays_close(weights, tmp_path):
    for i, photo in enumerate(photos()):
        Image.fromarray(photo).save(tmp_path / f"{i}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    options = {"weights": weights(PLAIN), "precision": "int8", "calibration": tmp_path}
    a = open_encoder(f"timm:{PLAIN}", **options)
    b = open_encoder(f"timm:{PLAIN}", weights=weights(PLAIN), engine="torch")
    assert a.runs_on == "OpenVINO CPU int8"
    patches = patches_for(a.feed)
    assert cosines(a.encode(patches), b.encode(patches)).min() > 0.9
