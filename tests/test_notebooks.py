"""Results where people work on: shown in notebooks, as a table of pandas, as detections of supervision."""

import ast
import base64
import copy
import io
import json
import pickle
import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import patchseek as ps
from patchseek._html import MOST_BYTES, MOST_FIGURES
from patchseek.boxes import from_pixels, iou
from patchseek.search import FoundBox

from .conftest import blot

NOTEBOOK = Path(__file__).parents[1] / "examples" / "find_an_object.ipynb"
COLUMNS = [
    *("rank", "image", "image_id", "score", "confidence"),
    *("x", "y", "w", "h", "bbox_format", "width", "height"),
]
OUTLINE = ((0.5, 0.25), (0.75, 0.5), (0.5, 0.75), (0.25, 0.5))


@pytest.fixture
def found(server_collection) -> ps.Matches:
    """All twelve pictures, 64 x 48, best first."""
    return server_collection.search(blot(5), box=(0.25, 0.25, 0.5, 0.5), top=None, refine=0)


def parsed(html: str) -> ElementTree.Element:
    """The HTML as a tree: every tag that is opened is closed, but for <br> and <img>."""
    closed = re.sub(r"<(br|img)([^>]*)>", r"<\1\2/>", html)
    return ElementTree.fromstring(f"<all>{closed}</all>")


def test_a_list_of_matches_is_a_list(found):
    assert isinstance(found, ps.Matches)
    assert found == list(found)
    assert isinstance(found[:3], ps.Matches)
    assert found[:3] == list(found)[:3]
    assert isinstance(found[0], ps.Match)
    for other in (pickle.loads(pickle.dumps(found)), copy.copy(found), copy.deepcopy(found)):
        assert isinstance(other, ps.Matches)
        assert other == found


def test_matches_show_their_pictures_with_the_boxes_over_them(found):
    tree = parsed(found[:2]._repr_html_())
    figures = tree.findall(".//figure")
    assert [figure.find("figcaption/b").text for figure in figures] == [
        f"{i}. {match.image.path}" for i, match in enumerate(found[:2], 1)
    ]
    for figure, match in zip(figures, found, strict=False):
        kind, _, data = figure.find(".//img").get("src").partition(",")
        assert kind == "data:image/jpeg;base64"
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), int)
        assert np.abs(shown - np.asarray(Image.open(match.image.file), int)).mean() < 12, "the picture itself"
        assert figure.find(".//svg").get("viewBox") == "0 0 64 48"
        x, y, w, h = match.pixels
        corners = {(x, y), (x + w, y), (x + w, y + h), (x, y + h)}
        for line in figure.findall(".//polygon"):
            assert {tuple(map(float, point.split(","))) for point in line.get("points").split()} == corners


def test_one_match_shows_itself_with_an_outline_where_it_lies_turned(found):
    turned = replace(found[0], outline=OUTLINE, confidence=0.876)
    tree = parsed(turned._repr_html_())
    assert tree.find(".//polygon").get("points") == "32.0,12.0 48.0,24.0 32.0,36.0 16.0,24.0"
    assert "88 % sure, score " in "".join(tree.itertext())
    copies = replace(turned, boxes=(FoundBox(turned.box, 0.9), FoundBox((0.0, 0.0, 0.5, 0.5), 0.8)))
    assert len(parsed(copies._repr_html_()).findall(".//polygon")) == 2 * 2, "a dark and a light line each"


def test_nothing_of_a_name_becomes_html_and_nothing_outside_is_asked_for(found):
    evil = '<script>x</script>"onload="y\u202e\udcff.png'
    match = replace(found[0], image=replace(found[0].image, path=evil))
    html = match._repr_html_()
    assert "<script" not in html
    assert '"onload' not in html
    assert "\\u202e\\udcff.png" in parsed(html).find(".//b").text
    html.encode()
    sources = re.findall(r"(?:src|href|url)\W{1,2}[^\"]{4}", found._repr_html_())
    assert set(sources) == {'src="data'}


def test_a_picture_that_is_gone_or_changed_is_said_to_be(found):
    files = [match.image.file for match in found[:2]]
    files[0].unlink()
    gone, changed = parsed(found[0]._repr_html_()), parsed(replace(found[1], changed=True)._repr_html_())
    assert "its file cannot be opened" in "".join(gone.itertext())
    assert "changed since it was indexed" in "".join(changed.itertext())
    assert (gone.find(".//img"), changed.find(".//img"), changed.find(".//svg")) == (None, None, None)
    assert gone.find(".//svg") is not None, "where it was, on a grey field of the same shape"


def test_what_is_shown_is_bounded(found, tmp_path):
    many = ps.Matches(list(found) * 3)
    html = many._repr_html_()
    assert html.count("<figure") == MOST_FIGURES == 24
    assert html.endswith("<p>and 12 more</p>")
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    folder = tmp_path / "noise"
    folder.mkdir()
    (tmp_path / "noise.png").rename(folder / "noise.png")
    image = replace(found[0].image, root=folder, path="noise.png", width=600, height=600)
    image = replace(image, state=replace(image.state, size=(folder / "noise.png").stat().st_size, mtime_ns=0))
    large = ps.Matches([replace(found[0], image=image)] * 40)._repr_html_()
    assert MOST_BYTES * 0.9 < len(large) < MOST_BYTES + 1000
    assert large.endswith(f"<p>and {40 - large.count('<figure')} more</p>")
    assert ps.Matches()._repr_html_() == "<p>nothing found</p>"


@pytest.mark.extra("dev")
def test_matches_become_a_table_with_the_columns_of_the_csv(found):
    import pandas

    table = found.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert list(table) == COLUMNS
    assert list(table["rank"]) == list(range(1, 13))
    for row, match in zip(table.itertuples(), found, strict=True):
        assert (row.image, row.image_id, row.score) == (match.image.path, match.image.id, match.score)
        assert (row.x, row.y, row.w, row.h) == match.pixels
        assert (row.bbox_format, row.width, row.height) == ("xywh_px", 64, 48)
    copies = ps.Matches([replace(found[0], boxes=(FoundBox(found[0].box, 0.9), FoundBox((0.0, 0.0, 0.5, 0.5), 0.8)))])
    assert copies.to_pandas()[["rank", "score", "x", "y"]].values.tolist()[1] == [1, 0.8, 0, 0]
    assert list(ps.Matches().to_pandas()) == list(table)


@pytest.mark.extra("dev")
def test_matches_become_detections_that_a_dataset_takes(found, tmp_path):
    import supervision

    sure = ps.Matches(replace(match, confidence=0.75) for match in found)
    sure[0] = replace(sure[0], boxes=(FoundBox((0.25, 0.25, 0.75, 0.75), 0.9), FoundBox((0.0, 0.0, 0.5, 0.5), 0.8)))
    detections = sure.to_supervision()
    first = detections[str(sure[0].image.file)]
    assert isinstance(first, supervision.Detections)
    assert first.xyxy.tolist() == [[16, 12, 48, 36], [0, 0, 32, 24]]
    assert first.confidence.tolist() == [0.75, 0.75]
    assert first.data["score"].tolist() == [0.9, 0.8]
    assert first.data["image_id"].tolist() == [sure[0].image.id] * 2
    unsure = ps.Matches([replace(found[0], confidence=None)]).to_supervision()
    assert next(iter(unsure.values())).confidence is None
    assert ps.Matches().to_supervision() == {}
    dataset = supervision.DetectionDataset(["object"], list(detections), detections)
    dataset.as_yolo(annotations_directory_path=str(tmp_path / "labels"))
    assert (tmp_path / "labels" / sure[0].image.path).with_suffix(".txt").read_text().splitlines() == [
        "0 0.50000 0.50000 0.50000 0.50000",
        "0 0.25000 0.25000 0.50000 0.50000",
    ]


@pytest.mark.parametrize(("library", "call"), [("pandas", "to_pandas"), ("supervision", "to_supervision")])
def test_without_the_library_one_line_says_what_to_install(found, monkeypatch, library, call):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ps.MissingLibrary) as raised:
        getattr(found, call)()
    assert str(raised.value) == f"{library} is not installed; install it with: pip install {library}"


@pytest.mark.extra("dev")
def test_the_notebook_runs_and_finds_what_it_shows(monkeypatch, tmp_path):
    """Its cells in order, in one namespace; the value of a cell's last line is what a notebook shows."""
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(NOTEBOOK.read_text())
    assert (notebook["nbformat"], len({cell["id"] for cell in notebook["cells"]})) == (4, len(notebook["cells"]))
    names: dict[str, Any] = {}
    shown = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert (cell["outputs"], cell["execution_count"]) == ([], None), "kept without what it printed"
        *rest, last = ast.parse("".join(cell["source"])).body
        ends_with_value = isinstance(last, ast.Expr)
        exec(compile(ast.Module(rest if ends_with_value else [*rest, last], []), str(NOTEBOOK), "exec"), names)
        value = eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names) if ends_with_value else None
        shown += [] if value is None else [value]
    n_pictures, found, best, (path, pixels, _), table, again = shown
    assert n_pictures == 7
    assert (path, best.image.path, again[0].image.path) == ("wall.png", "wall.png", "garage.png")
    turned = Image.new("L", (202, 187)).rotate(20, expand=True).size
    assert iou([found[0].box], [from_pixels((210, 120, *turned), 512, 512)]).item() > 0.6
    assert pixels == tuple(table.loc[0, ["x", "y", "w", "h"]])
    assert [each._repr_html_().count("data:image/jpeg") for each in (found, best, again)] == [3, 1, 1]
    names["home"].cleanup()
