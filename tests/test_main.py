"""The original's command line, end to end on a few pictures, with random weights where no others are at hand."""

import functools
import gc
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from PIL import Image

from patchseek.encoders import open_encoder
from patchseek.encoders._spec import SHORT_NAMES

from .commands import run_script
from .conftest import blot

pytestmark = pytest.mark.extra("timm")

ROOT = Path(__file__).parent.parent
WEIGHTS = "timm:vit_tiny_patch16_224"


@pytest.fixture
def ilias(tmp_path):
    """A working directory with twelve pictures under ilias/, two objects, a query for each."""
    core = tmp_path / "ilias" / "ilias_core"
    for i in range(12):
        core.mkdir(parents=True, exist_ok=True)
        blot(i, 128, 96).save(core / f"{i}.png")
    queries, gallery = [], []
    for i in range(12):
        known = {"instance": [f"object{i}"], "bbox": [[64, 48, 64, 48]]} if i < 2 else {"instance": None, "bbox": None}
        gallery.append({"id": f"g{i}", "image": f"{i}.png", **known})
    for i in range(2):
        photo = Image.new("RGB", (200, 150), "white")
        photo.paste(blot(i, 128, 96).crop((64, 48, 128, 96)), (20, 30))
        photo.save(core / f"q{i}.png")
        queries.append({"id": f"q{i}", "image": f"q{i}.png", "instance": f"object{i}", "bbox": [20, 30, 64, 48]})
    (tmp_path / "ilias" / "query.json").write_text(json.dumps(queries))
    (tmp_path / "ilias" / "gallery.json").write_text(json.dumps(gallery))
    return tmp_path


def save_random(model: str, folder: Path, **options: int) -> Path:
    """Seeded random weights of a timm model as a safetensors file."""
    torch.manual_seed(0)
    path = folder / f"{model}.safetensors"
    state = timm.create_model(model, pretrained=False, **options).state_dict()
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path


def run(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`python main.py ...` in a working directory."""
    return run_script(ROOT / "main.py", folder, *arguments, code=code, PATCHSEEK_MODELS=str(folder / "models"))


def figures(done: subprocess.CompletedProcess[str]) -> dict[str, float]:
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("pq", ["False", "pq", "ivfpq"])
def test_every_kind_of_compression_runs_and_finds_the_objects(ilias, pq):
    weights = save_random("vit_tiny_patch16_224", ilias)
    sizes = ["--pq_m", "48", "--pq_nbits", "4", "--pq_nlist", "8", "--pq_nprobe", "8", "--pq_train_res", "-2"]
    arguments = ["--model_name", WEIGHTS, "--weights", str(weights), "--query", "box", "--tile_size_res", "1"]
    done = run(ilias, *arguments, "--pq", pq, *sizes, "--compute_metrics", "mAP, locscore, top-1")
    found = figures(done)
    assert found.keys() == {"mAP", "locscore", "top-1"}
    if pq == "False":
        assert found == {"mAP": 100, "locscore": 100, "top-1": 100}
    else:
        assert "compression" in done.stdout
        assert list((ilias / "faiss_indices").rglob("*.faiss"))
    assert list((ilias / "features").iterdir())
    log = json.loads(next((ilias / "logs").glob("*.json")).read_text())
    assert log["metrics_percent"] == pytest.approx(found, abs=1e-3)
    assert log["arguments"]["pq"] == pq


@pytest.mark.parametrize("name", ["siglip", "dinov2", "clip"])
def test_every_model_of_the_original_runs_with_every_kind_of_compression(ilias, name, monkeypatch, capsys):
    """The real architectures with random weights: two of the 24 blocks, on the whole picture at a small size.

    All of a ViT-L is slow on a CPU and takes gigabytes, and its blocks are alike. In this process, and with one encoder
    for the three runs: opening it takes most of the time.
    """
    gc.collect()  # the encoder of the model before, which refers to itself
    model = SHORT_NAMES[name].removeprefix("timm:")
    monkeypatch.setattr(timm, "create_model", functools.partial(timm.create_model, depth=2))
    save_random(model, ilias)
    monkeypatch.chdir(ilias)
    main = runpy.run_path(str(ROOT / "main.py"))["main"]
    monkeypatch.setitem(main.__globals__, "open_encoder", functools.cache(open_encoder))
    size = "112" if name != "siglip" else "96"
    arguments = ["--model_name", name, "--weights", f"{model}.safetensors", "--tile_size_res", "0"]
    sizes = ["--pq_m", "64", "--pq_nbits", "3", "--pq_nlist", "4", "--pq_nprobe", "4", "--pq_train_res", "-1"]
    for pq in ("False", "pq", "ivfpq"):
        monkeypatch.setattr(sys, "argv", ["main.py", *arguments, "--image_size", size, "--pq", pq, *sizes])
        main()
        assert json.loads(capsys.readouterr().out.splitlines()[-1]).keys() == {"mAP", "locscore"}
    assert len(list((ilias / "faiss_indices").rglob("*.faiss"))) == 2


def test_dense_mode_runs(ilias):
    weights = save_random("vit_tiny_patch16_224", ilias)
    done = run(ilias, "--model_name", WEIGHTS, "--weights", str(weights), "--crop", "False", "--query", "box")
    assert figures(done)["mAP"] > 20


def test_a_second_run_reads_the_cache_and_sheets_show_what_was_found(ilias):
    first = run(
        ilias, "--model_name", "embedded", "--query", "box", "--visualize", "True", "--iou_threshold", "default"
    )
    assert figures(first)["mAP"] > 50
    kept = sorted(path.stat().st_mtime_ns for path in (ilias / "features").rglob("*.npy"))
    again = run(ilias, "--model_name", "embedded", "--query", "box", "--iou_threshold", "default")
    assert figures(again) == figures(first)
    assert sorted(path.stat().st_mtime_ns for path in (ilias / "features").rglob("*.npy")) == kept
    with Image.open(ilias / "logs" / "visualize" / "0000.png") as sheet:
        green = np.abs(np.asarray(sheet.convert("RGB")).astype(int) - (0, 158, 115)).sum(axis=2) < 30
    assert green.sum() > 50
    assert (ilias / "logs" / "visualize" / "index.html").read_text().count("<img") == 2


def test_settings_may_stand_in_a_toml_file(ilias):
    (ilias / "eval.toml").write_text(
        'model_name = "embedded"\ntile_size_res = 1\nquery = "box"\ncompute_metrics = "top-1"\n'
    )
    assert figures(run(ilias, "--config", "eval.toml")).keys() == {"top-1"}
    assert figures(run(ilias, "--config", "src/eval_retrieval.py", "--model_name", "embedded")).keys() == {
        "mAP",
        "locscore",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pq", "pq", "--pq_m", "7", "--model_name", "embedded"], "these do: "),
        (
            ["--pq", "ivfpq", "--pq_nlist", "99999", "--model_name", "embedded", "--pq_nbits", "4"],
            "--pq_nlist must lie in 1..",
        ),
        (["--pq", "opq"], "--pq must be one of"),
        (["--model_name", "nonsense"], "nonsense"),
        (["--compute_metrics", "recall"], "--compute_metrics knows"),
        (["--config", "missing.toml"], "missing.toml"),
        (["--split", "train", "--model_name", "embedded"], "train"),
        (["--model_name", "siglip"], "vit_large_patch16_siglip_384.webli"),
    ],
)
def test_what_cannot_run_is_one_clear_line(ilias, arguments, message):
    done = run(ilias, *arguments, code=1)
    assert message in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1


def test_without_data_it_says_what_to_bring(tmp_path):
    assert "put ILIAS core into" in run(tmp_path, "--model_name", "embedded", code=1).stderr


@pytest.mark.parametrize("script", ["run_eval.sh", "run_eval_pq.sh", "run_table1.sh"])
def test_the_scripts_run_and_say_what_is_missing(tmp_path, script):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run([ROOT / "scripts" / script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "put ILIAS core into" in done.stderr
