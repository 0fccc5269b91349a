"""The command line as a user meets it: real pictures, the embedded encoder, some in processes of their own."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from patchseek.cli._search import show

from .commands import run, run_apart
from .conftest import blot, wait_for


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder of eight pictures, one broken, indexed once; and a photograph that shows a part of picture 3."""
    home = tmp_path_factory.mktemp("home")
    (home / "pictures").mkdir()
    for i in range(8):
        blot(i, 320, 240).save(home / "pictures" / f"{i}.png")
    (home / "pictures" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a JPEG")
    photo = Image.new("RGB", (400, 300), "white")
    photo.paste(blot(3, 320, 240).crop((160, 120, 320, 240)), (100, 50))
    photo.save(home / "photo.png")
    run(home, "index", "pictures", code=3)
    return home


def test_an_index_made_by_one_process_is_searched_by_another(tmp_path):
    (tmp_path / "pictures").mkdir()
    for i in range(2):
        blot(i, 320, 240).save(tmp_path / "pictures" / f"{i}.png")
    done = run_apart(tmp_path, "index", "pictures")
    assert "2 added" in done.stderr
    assert done.stdout == ""
    answer = json.loads(run_apart(tmp_path, "search", "pictures/1.png", "--json").stdout)
    assert answer["results"][0]["image"] == "1.png"
    assert "no collection here" in run_apart(tmp_path, "search", "pictures/1.png", "-c", "nowhere", code=1).stderr


def test_indexing_again_says_what_is_unchanged_and_why_some_failed(home):
    done = run(home, "index", "pictures", code=3)
    assert "0 added, 8 unchanged, 0 changed, 0 moved, 0 removed, 1 failed" in done.stderr
    assert "failed: broken.jpg: " in done.stderr
    assert done.stdout == ""


def test_search_finds_the_picture_and_the_quarter_of_it(home):
    done = run(home, "search", "photo.png", "--box", "100,50,160,120", "--json", "--top", "3", "-c", "pictures")
    answer = json.loads(done.stdout)
    assert answer["query"] == {
        "image": "photo.png",
        "box": [100, 50, 160, 120],
        "bbox_format": "xywh_px",
        "width": 400,
        "height": 300,
    }
    assert answer["collection"]["encoder"] == "embedded"
    assert len(answer["results"]) == 3
    best = answer["results"][0]
    assert best.keys() >= {"rank", "image", "image_id", "score", "box", "bbox_format", "width", "height"}
    assert (best["rank"], best["image"]) == (1, "3.png")
    assert best["box"] == pytest.approx([160, 120, 160, 120], abs=3), "in pixels"
    assert (best["bbox_format"], best["width"], best["height"]) == ("xywh_px", 320, 240)
    assert best["score"] > 0.95


def test_the_last_collection_indexed_is_searched_where_none_is_named(home):
    done = run(home, "search", "photo.png", "--box", "0.25,0.1667,0.4,0.4", "--jsonl", "--top", "all")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["rank"] for line in lines] == list(range(1, 9))
    assert lines[0]["image"] == "3.png"
    assert "pictures/.patchseek" in done.stderr


def test_a_picture_of_the_collection_can_be_the_query(home):
    image_id = json.loads(run(home, "search", "photo.png", "--json").stdout)["results"][0]["image_id"]
    rows = list(csv.DictReader(io.StringIO(run(home, "search", "--image-id", str(image_id), "--csv").stdout)))
    assert rows[0]["image_id"] == str(image_id)
    assert (rows[0]["w"], rows[0]["h"]) == ("320", "240")


def test_a_pipe_gets_tab_separated_values(home):
    lines = run(home, "search", "photo.png").stdout.splitlines()
    assert lines[0].split("\t")[:4] == ["rank", "image", "image_id", "score"]
    assert len(lines) == 9


@pytest.mark.extra("parquet")
def test_results_are_saved_as_parquet(home):
    import pyarrow.parquet

    run(home, "search", "photo.png", "--parquet", "found.parquet")
    assert pyarrow.parquet.read_table(home / "found.parquet").num_rows == 8


def test_results_are_saved_as_a_picture(home):
    run(home, "search", "photo.png", "--save", "found.png")
    with Image.open(home / "found.png") as sheet:
        assert sheet.width > 500


def test_a_preview_is_drawn_and_its_path_printed(home):
    path = Path(run(home, "search", "photo.png", "--preview").stderr.split("drawn: ")[1].splitlines()[0])
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
    path.unlink()


def test_a_drawn_sheet_is_opened_in_the_viewer_of_the_system(home, viewer):
    done = run(home, "search", "photo.png", "--box", "100,50,160,120", "--save", "seen.png", "--open")
    wait_for(viewer.is_file)
    assert viewer.read_text() == str(home / "seen.png")
    assert done.stderr.splitlines()[-1] == "drawn: seen.png"


def test_where_nothing_can_be_opened_a_line_says_so(viewer, monkeypatch, capsys):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    for name, value in (("DISPLAY", ""), ("PATH", "/nowhere")):
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            show(Path("found.png"))
        assert capsys.readouterr().err.startswith("nothing here shows pictures: ")
    assert not viewer.exists()


def test_info_says_what_the_collection_is(home):
    about = json.loads(run(home, "info", "--json").stdout)
    assert (about["images"], about["regions"], about["dim"], about["levels"]) == (8, 30, 1280, [0, 1, 2, 3])
    assert about["failures"][0]["image"] == "broken.jpg"
    assert "failures" in run(home, "info").stdout


def test_encoders_says_how_the_default_runs(home):
    assert "embedded runs on " in run(home, "encoders").stdout


def test_a_compressed_engine_answers_too(home):
    done = run(home, "search", "photo.png", "--box", "100,50,160,120", "--index", "SQ8", "--json")
    assert json.loads(done.stdout)["results"][0]["image"] == "3.png"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["index", "nowhere"], 1, "nowhere: not a folder"),
        (["index", "empty"], 1, "no pictures found"),
        (["index", "pictures", "--levels", "2"], 1, "pyramid: 1x1+2x2+3x3+4x4"),
        (["index", "pictures", "--levels", "many"], 2, "--levels"),
        (["index", "pictures", "--encoder", "nonsense"], 1, "no encoder is called 'nonsense'"),
        (["index", "pictures", "--fit", "pad"], 2, "need --encoder"),
        (["index", "pictures", "--fast"], 2, "was indexed without --fast, which is for new collections"),
        (["search", "nowhere.jpg"], 1, "nowhere.jpg: "),
        (["search", "notes.txt"], 1, "notes.txt: "),
        (["search", "photo.png", "--box", "390,10,100,50"], 1, "outside the picture of 400 x 300"),
        (["search", "photo.png", "--box", "1,2,3"], 2, "four numbers"),
        (["search", "photo.png", "--top", "0"], 2, "--top"),
        (["search", "--image-id", "999"], 1, "no picture with id 999"),
        (["search"], 2, "QUERY"),
        (["search", "photo.png", "-c", "empty"], 1, "no collection here"),
        (["search", "photo.png", "--index", "PQ7"], 1, "cannot build"),
        (["search", "photo.png", "--index", "HNSW1"], 1, "HNSW needs at least 2 links"),
        (["use-index", "OPQ64,PQ64"], 1, "240 features are too few to rotate 1280 numbers"),
        (["use-index", "PQ16x22"], 1, "GB of memory"),
        (["use-index", " "], 1, "an engine has a name"),
        (["index", "pictures", "--index", ""], 1, "an engine has a name"),
        (["search", "photo.png", "--save", "found.xyz"], 2, ".xyz"),
        (["remove", "nothing*"], 1, "matches 'nothing*'"),
    ],
)
def test_bad_input_gets_one_clear_line_and_changes_nothing(home, arguments, code, message):
    (home / "empty").mkdir(exist_ok=True)
    (home / "notes.txt").write_text("no picture")
    before = json.loads(run(home, "info", "--json", "-c", "pictures").stdout)
    run(home, "index", "pictures", code=3)
    done = run(home, *arguments, code=code)
    assert message in done.stderr
    assert code == 2 or len([line for line in done.stderr.splitlines() if not line.startswith("collection:")]) == 1
    assert done.stdout == ""
    assert json.loads(run(home, "info", "--json", "-c", "pictures").stdout) == before


@pytest.mark.extra("timm")
def test_another_model_is_fed_and_run_as_asked(home):
    import safetensors.torch
    import timm
    import torch

    torch.manual_seed(0)
    state = timm.create_model("test_vit.r160_in1k", pretrained=False).state_dict()
    safetensors.torch.save_file(state, home / "weights.safetensors")
    how = ["--encoder", "timm:test_vit.r160_in1k", "--fit", "pad", "--engine", "torch", "--precision", "f32"]
    run(home, "index", "pictures", "-c", "other", *how, "--weights", "weights.safetensors", code=3)
    done = run(home, "search", "photo.png", "-c", "other", "--weights", "weights.safetensors", "--json")
    about = json.loads(run(home, "info", "--json", "-c", "other").stdout)
    assert json.loads(done.stdout)["collection"]["encoder"] == "timm:test_vit.r160_in1k?fit=pad"
    assert about["preprocessing"].startswith("pad, bicubic")
    assert about["dim"] == 64


def test_remove_verify_and_compact(tmp_path):
    (tmp_path / "pictures").mkdir()
    for i in range(4):
        blot(i, 320, 240).save(tmp_path / "pictures" / f"{i}.png")
    run(tmp_path, "index", "pictures")
    done = run(tmp_path, "remove", "[01].png")
    assert done.stdout.split() == ["0.png", "1.png"]
    assert "2 pictures taken out, also of later runs of index; back in with" in done.stderr
    assert (tmp_path / "pictures" / "0.png").exists()
    assert "passed over: 2 taken out (--with-removed)" in run(tmp_path, "index", "pictures").stderr
    assert json.loads(run(tmp_path, "info", "--json").stdout)["taken_out"] == 2
    assert "2 pictures kept" in run(tmp_path, "compact").stdout
    assert "sound, 2 pictures" in run(tmp_path, "verify").stdout
    files = (tmp_path / "pictures" / ".patchseek" / "shards").iterdir()
    shard = max(files, key=lambda file: file.stat().st_size)  # the features: to lose points alone costs no picture
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    assert "SHA-256 differs" in run(tmp_path, "verify", code=1).stdout
    run(tmp_path, "verify", "--repair")
    assert "4 added" in run(tmp_path, "index", "pictures", "--with-removed").stderr
    assert "sound, 4 pictures" in run(tmp_path, "verify").stdout


def test_compress_reports_what_it_lost_and_is_searched_with_from_then_on(home):
    done = run(home, "compress", "pictures", "--target-loss", "0.5", "--queries", "20")
    assert "chosen: PQ" in done.stdout
    assert "points of mAP lost, at most 0.5 wanted" in done.stdout
    engine = done.stdout.splitlines()[-1].removeprefix("chosen: ").split(",")[0]
    assert engine in run(home, "info", "-c", "pictures").stdout
    answer = json.loads(run(home, "search", "photo.png", "--box", "100,50,160,120", "--json", "-c", "pictures").stdout)
    assert answer["results"][0]["image"] == "3.png"
    run(home, "index", "pictures", "--index", "exact", code=3)


def test_a_fast_collection_is_searched_as_any_other(home):
    run(home, "index", "pictures", "--fast", "-c", "fast", code=3)
    facts = json.loads(run(home, "info", "-c", "fast", "--json").stdout)
    assert (facts["encoder"], facts["regions"]) == ("embedded-fast", 30)
    done = run(home, "search", "photo.png", "--box", "100,50,160,120", "--json", "--top", "1", "-c", "fast")
    assert json.loads(done.stdout)["results"][0]["image"] == "3.png"
    assert "not of siglip" in run(home, "index", "pictures", "--fast", "--encoder", "siglip", code=2).stderr
