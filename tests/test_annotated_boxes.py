"""Boxes of annotated sets: shares or pixels, inside or refused by row, before anything is encoded. Every edge alike."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from patchseek import evaluate as ev
from patchseek import report
from patchseek.boxes import from_pixels
from patchseek.datasets import Dataset, open_dataset, prepare_ilias, write_schema
from patchseek.draw.pages import judged_tile
from patchseek.errors import BoxError, DatasetError
from patchseek.images import read
from patchseek.search import encode_query

from .conftest import TinyEncoder, blot

ROOT = Path(__file__).parent.parent
QUARTER = [32, 24, 32, 24]  # of 64 x 48: the lower right one
IN_PHOTO = [10, 20, 40, 30]  # of 100 x 100


def shares(box: list[float], width: int, height: int) -> list[float]:
    x, y, w, h = box
    return [x / width, y / height, w / width, h / height]


def make_set(folder: Path, query_box: object, gallery_box: object) -> Path:
    """Six pictures of 64 x 48 with an object in the lower right quarter of 0, and a photograph of 100 x 100 of it."""
    folder.mkdir(parents=True)
    gallery = []
    for i in range(6):
        blot(i).save(folder / f"{i}.png")
        known = {"instance": ["cup"], "bbox": [gallery_box]} if i == 0 else {"instance": None, "bbox": None}
        gallery.append({"id": f"g{i}", "image": f"{i}.png", **known})
    photo = Image.new("RGB", (100, 100), "white")
    photo.paste(blot(0).crop((32, 24, 64, 48)).resize((40, 30)), (10, 20))
    photo.save(folder / "q.png")
    query = {"id": "q7", "image": "q.png", "instance": "cup", "bbox": query_box}
    (folder / "query.json").write_text(json.dumps([query]))
    (folder / "gallery.json").write_text(json.dumps(gallery))
    return folder


def make_table(folder: Path, query_box: object, gallery_box: object) -> Path:
    """The same as a CSV file."""
    make_set(folder, query_box, gallery_box)
    for name in ("query.json", "gallery.json"):
        (folder / name).unlink()
    boxes = [",".join(map(str, box)) for box in (query_box, gallery_box)]
    lines = ["image,instance,x,y,w,h,role", f"q.png,cup,{boxes[0]},query", f"0.png,cup,{boxes[1]},gallery"]
    (folder / "own.csv").write_text("\n".join([*lines, *(f"{i}.png,,,,,,gallery" for i in range(1, 6))]))
    return folder / "own.csv"


def figures(data: Dataset, tiny: TinyEncoder, cache: Path) -> tuple[dict, dict]:
    """The results of a run, and our figures of them."""
    settings = ev.EvalSettings(level=1)
    gallery = ev.encode_gallery(data, tiny, settings.pyramid, cache)
    queries = ev.encode_queries(data, tiny)
    results = ev.run_benchmark(data, gallery, queries, ev.open_engine(gallery, settings), settings)
    return results["results"], ev.score(results, data)["metrics"]


def one_line(error) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- shares


@pytest.mark.parametrize("make", [make_set, make_table])
def test_boxes_in_shares_are_those_in_pixels(tmp_path, make):
    data = open_dataset(make(tmp_path / "s", shares(IN_PHOTO, 100, 100), shares(QUARTER, 64, 48)))
    query = data.queries[0]
    assert query.box == (10, 20, 40, 30)
    assert list(data.positives(query).values()) == [[(32, 24, 32, 24)]]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_set_in_shares_scores_as_the_one_in_pixels_by_our_figures_and_the_sets_own(tmp_path, tiny, data_sets):
    scorer = runpy.run_path(str(data_sets / "evaluate.py"))["score"]
    in_pixels = make_set(tmp_path / "pixels", IN_PHOTO, QUARTER)
    in_shares = make_set(tmp_path / "shares", shares(IN_PHOTO, 100, 100), shares(QUARTER, 64, 48))
    results, ours = figures(open_dataset(in_pixels), tiny, tmp_path / "a")
    again, of_shares = figures(open_dataset(in_shares), tiny, tmp_path / "b")
    assert (again, of_shares) == (results, ours)
    theirs = scorer(str(in_pixels), results)["all"]
    assert (ours["mAP"], ours["top-1"], ours["mean IoU"]) == (theirs["mAP"], theirs["R1"], theirs["meanIoU"])
    assert ours["LocScore(gate, 0.4)"] == ours["mean IoU"] == 1


def test_the_whole_picture_and_lists_of_boxes_may_be_shares_too(tmp_path):
    folder = make_set(tmp_path / "s", [[0, 0, 1, 1], [0.5, 0.5, 0.25, 0.5]], None)
    rows = json.loads((folder / "gallery.json").read_text())
    rows[0] |= {"instance": ["cup", "cup", "jug"], "bbox": [[0.5, 0, 0.5, 1], [1, 2, 3, 4], [0, 0, 0.1, 0.1]]}
    (folder / "gallery.json").write_text(json.dumps(rows))
    data = open_dataset(folder)
    assert data.queries[0].boxes == ((0, 0, 100, 100), (50, 50, 25, 50))
    assert data.positives("q7") == {"g0": [(32, 0, 32, 48), (1, 2, 3, 4)]}


def test_a_box_of_less_than_a_pixel_stays_that_small(tmp_path, tiny):
    data = open_dataset(make_set(tmp_path / "s", [0.5, 0.5, 0.005, 0.005], [0, 0, 0.01, 0.01]))
    assert data.queries[0].box == (50, 50, 0.5, 0.5)
    assert data.positives("q7") == {"g0": [(0, 0, 0.64, 0.48)]}
    write_schema(data, tmp_path / "again")
    again = open_dataset(tmp_path / "again")
    assert (again.queries, again.positives("q7")) == (data.queries, data.positives("q7"))
    corner = open_dataset(make_set(tmp_path / "corner", [0, 0, 0.005, 0.005], QUARTER))
    expected = encode_query(read(corner.queries[0].image), tiny, (0, 0, 0.005, 0.005))
    assert (ev.encode_queries(corner, tiny)[0] == expected.feature).all()
    assert (expected.feature != encode_query(read(corner.queries[0].image), tiny, (0, 0, 1, 1)).feature).any()


# ---- inside


LAPPING = [
    ([-2, -1, 40, 30], (0, 0, 38, 29)),
    ([62, 40, 4, 10], (62, 40, 2, 8)),
    ([-0.01, 0, 0.5, 0.51], (0, 0, 31.36, 24.48)),
]


@pytest.mark.parametrize(("written", "inside"), LAPPING)
@pytest.mark.parametrize("make", [make_set, make_table])
def test_a_box_that_laps_over_an_edge_is_cut_there(tmp_path, make, written, inside):
    data = open_dataset(make(tmp_path / "s", IN_PHOTO, written))
    (boxes,) = data.positives(data.queries[0]).values()
    assert boxes[0] == pytest.approx(inside)
    x0, y0, x1, y1 = from_pixels(written, 64, 48)
    assert boxes[0] == pytest.approx((x0 * 64, y0 * 48, (x1 - x0) * 64, (y1 - y0) * 48))
    assert data.notes == ()


OUTSIDE = [[32, 24, 64, 48], [-3, 0, 10, 10], [0, 0, 10, 51], [70, 0, 3, 3], [1, 1, 1, 1], [0.5, 0.5, 0.9, 0.9]]


@pytest.mark.parametrize("box", OUTSIDE)
def test_a_box_that_reaches_farther_out_is_refused_by_row_and_id(tmp_path, box):
    with pytest.raises(BoxError):
        from_pixels(box, 64, 48)
    text = ",".join(f"{v:g}" for v in box)
    reaches = f"box {text} reaches outside the picture of 64 x 48 pixels; boxes are x y w h"
    with pytest.raises(DatasetError) as error:
        open_dataset(make_set(tmp_path / "a", IN_PHOTO, box))
    assert one_line(error).startswith(f"{tmp_path}/a/gallery.json: row 1 ('g0'): {reaches}")
    with pytest.raises(DatasetError) as error:
        open_dataset(make_table(tmp_path / "b", IN_PHOTO, box))
    assert one_line(error).startswith(f"{tmp_path}/b/own.csv: line 3 ('0.png'): {reaches}")
    box = [3 * v for v in box] if max(box) > 1 else box
    text = ",".join(f"{v:g}" for v in box)
    reaches = f"box {text} reaches outside the picture of 100 x 100 pixels; boxes are x y w h"
    for boxes in (box, [IN_PHOTO, box]):
        with pytest.raises(DatasetError) as error:
            open_dataset(make_set(tmp_path / f"c{len(boxes)}", boxes, QUARTER))
        assert one_line(error).startswith(f"{tmp_path}/c{len(boxes)}/query.json: row 1 ('q7'): {reaches}")
    with pytest.raises(DatasetError) as error:
        open_dataset(make_table(tmp_path / "d", box, QUARTER))
    assert one_line(error).startswith(f"{tmp_path}/d/own.csv: line 2 ('q.png'): {reaches}")


def test_corners_are_asked_after(tmp_path):
    with pytest.raises(
        DatasetError, match=r"row 1 \('g0'\): box 32,24,64,48 .*; boxes are x y w h of 0\.png: were these corners\?$"
    ):
        open_dataset(make_set(tmp_path / "a", IN_PHOTO, [32, 24, 64, 48]))
    with pytest.raises(DatasetError, match=r"x y w h of 0\.png, of the upright picture, in pixels, or shares of 1$"):
        open_dataset(make_set(tmp_path / "b", IN_PHOTO, [60, 0, 20, 20]))
    with pytest.raises(DatasetError, match=r"of the upright picture, in pixels, or shares of 1$"):
        open_dataset(make_set(tmp_path / "c", IN_PHOTO, [0, 0, 80, 40]))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_the_picture_is_the_upright_one(tmp_path, suffix):
    folder = make_set(tmp_path / "s", IN_PHOTO, None)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(folder / f"turned.{suffix}", exif=exif)  # upright 48 x 64
    rows = json.loads((folder / "gallery.json").read_text())
    rows[1] |= {"image": f"turned.{suffix}", "instance": ["cup", "cup"], "bbox": [[0, 40, 48, 24], [0, 0.5, 0.5, 0.5]]}
    (folder / "gallery.json").write_text(json.dumps(rows))
    assert open_dataset(folder).positives("q7")["g1"] == [(0, 40, 48, 24), (0, 32, 24, 32)]
    rows[1]["bbox"][0] = [40, 0, 24, 48]
    (folder / "gallery.json").write_text(json.dumps(rows))
    with pytest.raises(DatasetError, match=r"row 2 \('g1'\): box 40,0,24,48 reaches outside the picture of 48 x 64"):
        open_dataset(folder)


def test_a_box_on_a_picture_that_cannot_be_read_is_named_and_no_other_picture_is_opened(tmp_path):
    folder = make_set(tmp_path / "s", IN_PHOTO, QUARTER)
    (folder / "1.png").write_bytes(b"no picture, and no box either")
    assert len(open_dataset(folder).gallery) == 6
    (folder / "0.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"gallery\.json: row 1 \('g0'\): it has a box, but .*0\.png: not a picture"):
        open_dataset(folder)


def test_absent_pictures_are_named_before_boxes(tmp_path):
    folder = make_set(tmp_path / "s", IN_PHOTO, [32, 24, 64, 48])
    (folder / "3.png").unlink()
    with pytest.raises(DatasetError, match=r"1 of 7 pictures are missing: 3\.png$"):
        open_dataset(folder)
    with pytest.raises(DatasetError, match=r"row 1 \('g0'\): box 32,24,64,48"):
        open_dataset(folder, allow_missing=True)
    (folder / "0.png").unlink()
    rows = json.loads((folder / "gallery.json").read_text())
    rows[1] |= {"instance": "cup"}
    (folder / "gallery.json").write_text(json.dumps(rows))
    assert open_dataset(folder, allow_missing=True).missing == ("0.png", "3.png")


# ---- before anything is encoded, at every edge


def test_eval_and_main_refuse_a_box_before_they_encode(tmp_path):
    folder = make_set(tmp_path / "ilias", [10, 20, 90, 95], QUARTER)
    for command in (["-m", "patchseek", "eval", "ilias"], [str(ROOT / "main.py"), "--model_name", "embedded"]):
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.removeprefix("patchseek: ").startswith(
            f"error: {folder.relative_to(tmp_path)}/query.json: row 1 ('q7'): box 10,20,90,95 reaches"
        )
        assert {path.name for path in tmp_path.iterdir()} == {"ilias"}


def test_tiny_boxes_are_drawn_where_they_are(tmp_path, tiny, monkeypatch):
    data = open_dataset(make_set(tmp_path / "s", [0, 0, 0.005, 0.005], [0, 0, 0.01, 0.01]))
    settings, drawn = ev.EvalSettings(level=1), []

    def draw(pixels, name, predicted, true, *more, **options):
        drawn.append((name, true))
        return judged_tile(pixels, name, predicted, true, *more, **options)

    monkeypatch.setattr(report, "judged_tile", draw)
    gallery = ev.encode_gallery(data, tiny, settings.pyramid, tmp_path / "cache")
    engine = ev.open_engine(gallery, settings)
    results = ev.run_benchmark(data, gallery, ev.encode_queries(data, tiny), engine, settings)
    assert report.draw_results(results, data, tmp_path / "sheets").is_file()
    assert dict(drawn)["g0"] == [pytest.approx((0, 0, 0.01, 0.01))]


# ---- sets as their authors publish them


def official_ilias(root: Path, query: str, positive: str) -> Path:
    for key, boxes in (("cup/query/Q000_00", query), ("cup/pos/P000_00", positive), ("jug/pos/P001_00", "1 1 5 5")):
        path = root / "ilias_core" / f"{key}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48)).save(path)
        path.with_name(f"{path.stem}_bbox.txt").write_text(boxes)
    return root


def test_official_boxes_are_never_refused_but_cut_to_the_picture_and_noted(tmp_path):
    root = official_ilias(tmp_path / "official", "10 10 100 20\n", "50 40 20 20\n70 0 5 5\n0 0 1 1\n")
    data = open_dataset(f"ilias:{root}")
    positive = "cup/pos/P000_00.jpg"
    assert data.queries[0].boxes == ((10, 10, 54, 20),)
    assert data.positives(data.queries[0]) == {positive: [(50, 40, 14, 8), (0, 0, 1, 1)]}
    assert [note.split(": ", 1)[1] for note in data.notes] == [
        "box 10,10,100,20 reaches outside the picture of 64 x 48 pixels; what is inside counts",
        "box 50,40,20,20 reaches outside the picture of 64 x 48 pixels; what is inside counts",
        "box 70,0,5,5 lies outside the picture of 64 x 48 pixels; it is left out",
    ]
    assert "Q000_00" in data.notes[0]
    ours = prepare_ilias(root, tmp_path / "ours")
    again = open_dataset(tmp_path / "ours")
    assert (again.queries, again.positives(again.queries[0])) == (data.queries, ours.positives(ours.queries[0]))


def test_an_official_picture_all_of_whose_boxes_lie_outside_has_none(tmp_path):
    data = open_dataset(official_ilias(tmp_path / "official", "70 0 5 5\n", "0 50 5 5\n"))
    assert (data.queries[0].box, data.positives(data.queries[0])) == (None, {"cup/pos/P000_00.jpg": None})


def test_instre_and_revisited_boxes_are_cut_to_the_picture(tmp_path):
    for name in ("INSTRE-S1/01a_cup/001", "INSTRE-S1/01a_cup/002", "jpg/q", "jpg/a"):
        path = tmp_path / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48)).save(path)
    (tmp_path / "INSTRE-S1/01a_cup/001.txt").write_text("10 10 60 20\n")
    (tmp_path / "INSTRE-S1/01a_cup/002.txt").write_text("50 40 20 20\n")
    gnd = {
        "qimlist": ["INSTRE-S1/01a_cup/001.jpg"],
        "imlist": ["INSTRE-S1/01a_cup/002.jpg"],
        "gnd": [{"ok": [0], "bbx": [10, 10, 70, 30]}],
    }
    (tmp_path / "gnd_instre.json").write_text(json.dumps(gnd))
    data = open_dataset(f"instre:{tmp_path}")
    assert data.queries[0].box == (10, 10, 54, 20)
    assert data.positives(data.queries[0]) == {"INSTRE-S1/01a_cup/002.jpg": [(50, 40, 14, 8)]}
    gnd = {"qimlist": ["q"], "imlist": ["a"], "gnd": [{"bbx": [1.5, 1, 80, 40], "easy": [0], "hard": [], "junk": []}]}
    (tmp_path / "gnd_roxford5k.json").write_text(json.dumps(gnd))
    data = open_dataset(f"roxford5k:{tmp_path}")
    assert data.queries[0].box == (1.5, 1, 62.5, 39)
    assert "gnd 1: box 1.5,1,78.5,39 reaches outside the picture of 64 x 48 pixels" in data.notes[0]
