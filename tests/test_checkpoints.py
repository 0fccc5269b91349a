"""Weights under any name, beside anything, under any prefix. What must come out are those that timm made."""

import argparse
import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from patchseek.encoders import open_encoder
from patchseek.errors import EncoderError

from .contract_encoder import cosines
from .test_encoder_openclip import patches as clip_patches
from .test_encoder_openclip import tiny  # noqa: F401  a fixture
from .test_encoder_timm import PLAIN, patches_for, random_model

pytestmark = pytest.mark.extra("timm")


@pytest.fixture(scope="module")
def own():
    """The weights of a model."""
    return {name: tensor.clone() for name, tensor in random_model(PLAIN).state_dict().items()}


@pytest.fixture(scope="module")
def plain(own, tmp_path_factory):
    """An encoder of these, from a plain file."""
    path = tmp_path_factory.mktemp("plain") / "plain.safetensors"
    safetensors.torch.save_file(own, path)
    return opened(path)


def opened(path: Path):
    return open_encoder(f"timm:{PLAIN}", weights=path, engine="torch")


def check(path: Path, plain) -> None:
    """The encoder of this file is that of the plain one, by what it says of itself and by what it does."""
    encoder = opened(path)
    assert encoder.identity == plain.identity
    patches = patches_for(plain.feed)[:2]
    assert cosines(encoder.encode(patches), plain.encode(patches)).min() > 0.999999


def under(prefix: str, own, **more):
    return {f"{prefix}{name}": tensor for name, tensor in own.items()} | more


def others(own):
    return {name: tensor + 1 for name, tensor in own.items()}


def headless(own):
    return {name: tensor for name, tensor in own.items() if not name.startswith("head.")}


SAVED = {
    "model_best.pth.tar": lambda own: {"epoch": 9, "best_acc1": 0.7, "state_dict": under("module.", own)},
    "last.ckpt": lambda own: {
        "state_dict": under("model.", own, **{"criterion.weight": torch.ones(3), "metric.total": torch.ones(())}),
        "hyper_parameters": {"lr": 1e-3, "name": "vit"},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(4)}}}],
        "pytorch-lightning_version": "2.5.0",
    },
    "torch.compile in lightning.ckpt": lambda own: {"state_dict": under("model._orig_mod.", own)},
    "lightning in ddp.ckpt": lambda own: {"state_dict": under("module.model.", own)},
    "no suffix": lambda own: own,
    "weights.bin": lambda own: {"model_state_dict": own},
    "weights.pt2.old.2024": lambda own: {"model_state": under("_orig_mod.module.", own)},
    "net.pth": lambda own: {"net": own, "acc": 93.1, "epoch": 4},
    "averaged.pth": lambda own: {"network": others(own), "ema": own},
    "averaged side by side.pth": lambda own: {"state_dict": under("net.", others(own)) | under("ema_model.", own)},
    "dino.pth": lambda own: {
        "student": under("module.backbone.", others(own)),
        "teacher": under("module.backbone.", own, **{"module.head.mlp.0.weight": torch.ones(2, 2)}),
    },
    "moco.pth.tar": lambda own: {
        "state_dict": under("module.encoder_q.", own) | under("module.encoder_k.", others(own))
    },
    "backbone.pth": lambda own: under(
        "backbone.", own, **{"head.weight": torch.ones(7, 3), "neck.bias": torch.ones(2)}
    ),
    "deep.pth": lambda own: {"checkpoint": {"model": {"encoder": under("module.", own)}}},
    "with arguments.pth": lambda own: {"model": own, "args": argparse.Namespace(lr=0.1, name="vit")},
    "with a word.pth": lambda own: {"classifier_of_mine": own},
}


@pytest.mark.parametrize("name", SAVED)
def test_weights_are_found_whatever_the_file_is_called_and_wherever_they_lie_in_it(tmp_path, own, plain, name):
    torch.save(SAVED[name](own), tmp_path / name)
    check(tmp_path / name, plain)


def test_encoders_under_a_prefix_need_no_classifier(tmp_path, own, plain):
    torch.save({"state_dict": under("encoder.", headless(own))}, tmp_path / "moco.pth.tar")
    patches = patches_for(plain.feed)[:2]
    assert cosines(opened(tmp_path / "moco.pth.tar").encode(patches), plain.encode(patches)).min() > 0.999999


def test_a_format_under_the_suffix_of_the_other_is_what_it_holds(tmp_path, own, plain):
    safetensors.torch.save_file(own, tmp_path / "weights.bin")
    torch.save(own, tmp_path / "weights.safetensors")
    torch.save(own, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(under("module.", own), tmp_path / "parallel.safetensors")
    for name in ("weights.bin", "weights.safetensors", "old.pth", "parallel.safetensors"):
        check(tmp_path / name, plain)


def test_what_is_plain_is_read_where_it_lies(tmp_path, own, plain, monkeypatch):
    monkeypatch.setattr("patchseek.encoders._checkpoint.temporary_folder", None)
    torch.save({"state_dict": under("module.", own)}, tmp_path / "model_best.pth.tar")
    check(tmp_path / "model_best.pth.tar", plain)


# ---- several files


def shards(folder: Path, own, kind: str) -> Path:
    """The weights in three files, and the index that lists them."""
    folder.mkdir(exist_ok=True)
    stem, suffix = {"safetensors": ("model", ".safetensors"), "bin": ("pytorch_model", ".bin")}[kind]
    weight_map, save = {}, safetensors.torch.save_file if kind == "safetensors" else torch.save
    for i in range(3):
        part = dict(list(own.items())[i::3])
        file = f"{stem}-{i + 1:05}-of-00003{suffix}"
        save(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = folder / f"{stem}{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return index


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards_are_one_model_by_their_index_their_folder_or_any_of_them(tmp_path, own, plain, kind):
    index = shards(tmp_path / "model", own, kind)
    (index.parent / "config.json").write_text("{}")
    for path in (index, index.parent, next(index.parent.glob("*-00002-of-*"))):
        check(path, plain)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_another_shard_is_another_encoder(tmp_path, own, plain, kind):
    index = shards(tmp_path / "model", own, kind)
    last = sorted(index.parent.glob("*-of-*"))[-1]
    shards(tmp_path / "other", others(own), kind)
    shutil.copy(tmp_path / "other" / last.name, last)
    assert opened(index).identity.weights != plain.identity.weights


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_a_missing_shard_is_named(tmp_path, own, kind):
    index = shards(tmp_path / "model", own, kind)
    gone = sorted(index.parent.glob("*-of-*"))[1]
    gone.unlink()
    for path in (index, index.parent):
        with pytest.raises(EncoderError) as caught:
            opened(path)
        assert str(caught.value) == f"{index}: lists {gone.name}, which is not beside it; bring that file, too"


@pytest.mark.parametrize("name", ["../w.safetensors", "/w.safetensors", "sub/w.safetensors", "..", ""])
def test_an_index_lists_files_of_its_folder(tmp_path, own, name):
    (tmp_path / "model" / "sub").mkdir(parents=True)
    for place in (tmp_path, tmp_path / "model" / "sub"):
        safetensors.torch.save_file(own, place / "w.safetensors")
    index = tmp_path / "model" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"norm.bias": name}}))
    with pytest.raises(EncoderError, match="which is no file of its folder"):
        opened(index)


def test_a_folder_has_the_file_that_hubs_have(tmp_path, own, plain):
    safetensors.torch.save_file(own, tmp_path / "model.safetensors")
    torch.save(others(own), tmp_path / "training_state.pt")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("A model.")
    check(tmp_path, plain)
    (tmp_path / "model.safetensors").rename(tmp_path / "epoch_9")
    with pytest.raises(EncoderError, match=r"one file of weights, .* is meant; found epoch_9, training_state\.pt"):
        opened(tmp_path)
    (tmp_path / "training_state.pt").unlink()
    check(tmp_path, plain)
    (tmp_path / "epoch_9").unlink()
    with pytest.raises(EncoderError, match="is meant; found none"):
        opened(tmp_path)


# ---- what is no weights, or of another model


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as made:
        made.addfile(tarfile.TarInfo("storages"), io.BytesIO())


class Program(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


WRONG = {
    "text.pth.tar": (
        lambda path: path.write_text("bring weights"),
        "cannot be read as weights: neither of safetensors",
    ),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read as weights: neither of safetensors"),
    "real.tar": (tar, "cannot be read as weights: neither of safetensors"),
    "notes.json": (lambda path: path.write_text('{"a": 1}'), "cannot be read as weights: neither of safetensors"),
    "arrays.npz": (lambda path: np.savez(path, a=np.ones(3)), "cannot be read as weights"),
    "cut.safetensors": (
        lambda path: path.write_bytes(safetensors.torch.save({"a": torch.ones(99)})[:-9]),
        "cannot be read as weights",
    ),
    "numbers.pth": (lambda path: torch.save({"epoch": 3}, path), "there are no tensors under names in it"),
    "list.pth": (lambda path: torch.save([torch.ones(3)], path), "there are no tensors under names in it"),
    "path.ckpt": (
        lambda path: torch.save({"state_dict": {"a": torch.ones(1)}, "hyper_parameters": Path("/")}, path),
        r"cannot be read as weights: it holds more than tensors \(pathlib\.\w+\), and loading that could run any code; "
        r"where you trust it, save its weights alone: torch\.save\(torch\.load\('path\.ckpt', weights_only=False\)",
    ),
    "program.pt": (
        lambda path: torch.jit.save(torch.jit.script(Program()), path),
        r"it is a TorchScript program, which is not run; save its state_dict\(\) alone",
    ),
    "stranger.ckpt": (
        lambda path: torch.save({"state_dict": {"model.a.weight": torch.ones(3)}}, path),
        f"does not fit {PLAIN}",
    ),
}


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_weights_of_this_model_says_why_in_one_line(tmp_path, name):
    write, reason = WRONG[name]
    write(tmp_path / name)
    with pytest.raises(EncoderError, match=reason) as caught:
        opened(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hole_under_a_prefix_is_named_and_so_is_the_file(tmp_path, own):
    hole = {name: tensor for name, tensor in own.items() if name != "blocks.3.attn.qkv.weight"}
    torch.save({"state_dict": under("model.", hole)}, tmp_path / "hole.ckpt")
    with pytest.raises(EncoderError, match=r"hole\.ckpt: does not fit .*blocks\.3\.attn\.qkv\.weight"):
        opened(tmp_path / "hole.ckpt")


def test_nothing_in_a_file_is_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "was run",)

    torch.save({"state_dict": {"a": torch.ones(1)}, "hyper_parameters": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(EncoderError, match="could run any code"):
        opened(tmp_path / "evil.ckpt")
    assert not (tmp_path / "was run").exists()


# ---- OpenCLIP


CLIP = {
    "epoch_32.pt": lambda own: {"epoch": 32, "state_dict": under("module.", own)},
    "last.ckpt": lambda own: {"state_dict": under("model.", own, **{"loss.scale": torch.ones(())})},
    "no suffix": lambda own: {"model_state": own},
    "averaged.pth.tar": lambda own: {"model": others(own), "ema": under("_orig_mod.", own)},
}


@pytest.mark.parametrize("name", CLIP)
def test_openclip_takes_them_as_well(tmp_path, tiny, name, caplog):  # noqa: F811
    model, path = tiny
    own = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    torch.save(CLIP[name](own), tmp_path / name)
    expected = open_encoder("openclip:tiny-clip", weights=path, engine="torch")
    encoder = open_encoder("openclip:tiny-clip", weights=tmp_path / name, engine="torch")
    assert encoder.identity == expected.identity
    assert cosines(encoder.encode(clip_patches()), expected.encode(clip_patches())).min() > 0.999999
    assert "andom" not in caplog.text


def test_openclip_takes_a_folder_and_shards(tmp_path, tiny):  # noqa: F811
    model, path = tiny
    own = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    expected = open_encoder("openclip:tiny-clip", weights=path, engine="torch").identity
    index = shards(tmp_path / "shards", own, "safetensors")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "open_clip_config.json").write_text("{}")
    shutil.copy(path, tmp_path / "folder" / "open_clip_model.safetensors")
    for given in (index, tmp_path / "folder"):
        assert open_encoder("openclip:tiny-clip", weights=given, engine="torch").identity == expected
