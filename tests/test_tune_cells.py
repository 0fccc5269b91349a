"""What cells are worth, chosen from pictures alone: pieces, choices by planted numbers, and where they are kept."""

import json
from pathlib import Path

import numpy as np
import pytest
import skimage
import tune_cells
from cell_choice import Looks, Seen, choose, differences, direction, overlaps, strictest
from cell_pieces import take_piece
from PIL import Image

import patchseek as ps
from patchseek.boxes import iou
from patchseek.encoders import open_encoder
from patchseek.errors import EncoderError, PatchseekError
from patchseek.images import Picture, from_image
from patchseek.rerank import Recipe, Refiner, keep, recipe_of
from patchseek.search import encode_query

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("PATCHSEEK_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def ramps(width: int, height: int) -> Picture:
    """Red says how far to the right, green how far down."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return from_image(Image.fromarray(np.stack([x, y, np.full_like(x, 128)], axis=2).astype(np.uint8)))


def test_a_piece_shows_what_lies_in_its_box(monkeypatch):
    monkeypatch.setattr("cell_pieces.HIDDEN", 0)
    picture, random = ramps(600, 400), np.random.default_rng(0)
    pieces = [take_piece(picture, picture, random) for _ in range(60)]
    boxes = np.array([piece.box for piece in pieces])
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= 1).all() and (boxes[:, :2] < boxes[:, 2:]).all()
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    assert areas.min() >= 0.029 and areas.max() <= 0.51
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    seen = [piece.seen.pixels[piece.seen.height // 2, piece.seen.width // 2, :2] / 255 for piece in pieces]
    # light, contrast and what hides them change shades, but not their order by much
    assert [np.corrcoef(middles[:, i], np.array(seen)[:, i])[0, 1] > 0.8 for i in (0, 1)] == [True, True]
    assert all(119 <= max(piece.seen.width, piece.seen.height) <= 501 for piece in pieces)


def test_weights_are_fishers_with_half_of_each_covariance():
    """Two columns of variance 1 and means 1 and 2, whose covariance of 0.5 counts as 0.25, and one that says nothing.

    The inverse of ((1, 0.25), (0.25, 1)) times (1, 2) is (0.5, 1.75) / 0.9375.
    """
    random = np.random.default_rng(0)
    white = random.normal(size=(500, 3))
    white -= white.mean(axis=0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.cov(white.T)).T)  # covariance 1 exactly
    apart = white @ np.linalg.cholesky(np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])).T + (1, 2, -1)
    assert direction(apart) == pytest.approx([0.5 / 2.25, 1.75 / 2.25, 0], abs=1e-6)
    assert direction(-apart) == pytest.approx([0, 0, 1])


def looks(likeness, cosines, overlap, same=0.0, fit=0.0) -> Looks:
    """Boxes whose cells all have the same two cosines, on either side."""
    columns = np.float32([[pair, pair] for pair in cosines])
    n = len(likeness)
    fits = np.full(n, fit, np.float32)
    return Looks(np.float32(likeness), columns, fits, fits, np.array(overlap), np.full(n, same, np.float32))


def planted(same=0.01) -> Seen:
    """The right box has half of its parts at 0.9 and is less alike; the wrong one all of them at 0.55."""
    own = looks([0.5, 0.7], [(0.9, 0.0), (0.55, 0.55)], [0.9, 0.1], same=1.0, fit=0.5)
    stranger = looks([0.5], [(0.3, 0.3)], [0.0], same)
    return Seen(own, [stranger], [looks([0.2], [(0.0, 0.0)], [0.0], 0.01 + 1e-4 * np.random.default_rng(0).random())])


def test_the_box_that_scores_best_is_judged_by_its_overlap():
    # agreement at floor 0: 0.45 and 0.55; at 0.5: 0.4 and 0.1, so that a weight of 1 makes 0.45 and 0.4, of 0.3 less
    assert [overlaps([planted()], *pair) for pair in ((0.0, 9.6), (0.5, 1.0), (0.5, 0.3))] == [0.1, 0.9, 0.1]


def test_floor_and_agreement_are_chosen_by_overlap_and_weights_by_strangers():
    chosen = choose([planted()] * 20)
    floor, weight = chosen.settings["floor"], chosen.settings["agreement"]
    assert overlaps([planted()], floor, weight) == 0.9
    assert floor >= 0.2 and weight >= 0.6
    weights = chosen.settings["weights"]
    # both are as alike as a stranger is: half of the usual weight is left
    assert weights[0] == Recipe().weights[0] / 2 and sum(weights) == pytest.approx(1, abs=0.02)
    assert chosen.reasons["strangers"] == 20


def test_the_strictest_of_what_is_as_good_as_the_best_is_chosen():
    """0.4 with 2 and 8, which differ from the best by chance alone; 0.6 is surely worse, and a weight of 0 is none."""
    random = np.random.default_rng(0)
    best = random.random(100)

    def nearly() -> np.ndarray:
        other = best - random.normal(0, 0.1, 100)
        return other + (best - other).mean() - 1e-3

    tried = {(0.2, 4.8): best, (0.4, 2.0): nearly(), (0.4, 8.0): nearly(), (0.6, 4.8): best - 0.1, (0.8, 0.0): best}
    assert strictest(tried) == (0.4, 4.0)
    assert strictest({(0.2, 4.8): best, (0.4, 2.0): best - 0.1, (0.4, 0.0): best}) == (0.2, 4.8)


def test_strangers_that_show_the_very_thing_are_passed_over():
    seen = [planted()] * 20 + [planted(same=0.6)] * 5
    apart, n_same = differences(seen, 0.5, 1.0)
    assert (len(apart), n_same) == (20, 5)
    with pytest.raises(PatchseekError, match="0 strangers show another thing"):
        choose([planted(same=0.6)] * 20)
    with pytest.raises(PatchseekError, match="19 pieces were seen"):
        choose([planted()] * 19)


def test_what_is_kept_is_taken_by_the_encoder_of_that_name_alone(models):
    assert recipe_of("embedded") == Recipe()
    keep("embedded", 0.3, 2.4, (0.1, 0.2, 0.3, 0.4))
    path = keep("timm:a?size=448", 0.5, 1.0, (1, 0, 0, 0))
    assert path == models / "cells.json" and [each.name for each in models.iterdir()] == ["cells.json"]
    assert recipe_of("embedded") == Recipe(floor=0.3, agreement=2.4, weights=(0.1, 0.2, 0.3, 0.4))
    assert recipe_of("timm:a?size=448").weights == (1, 0, 0, 0)
    assert recipe_of("timm:a") == Recipe()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"embedded": 3}',
        '{"embedded": {"floor": 0.4}}',
        '{"embedded": {"floor": 1, "agreement": 1, "weights": [1, 1, 1, 1]}}',
        '{"embedded": {"floor": 0.4, "agreement": -1, "weights": [1, 1, 1, 1]}}',
        '{"embedded": {"floor": NaN, "agreement": 1, "weights": [1, 1, 1, 1]}}',
        '{"embedded": {"floor": 0.4, "agreement": 1, "weights": [1, 1, 1]}}',
        '{"embedded": {"floor": 0.4, "agreement": 1, "weights": [0, 0, 0, 1]}}',  # words have no colour
        '{"embedded": {"floor": 0.4, "agreement": 1, "weights": "1111"}}',
        '{"embedded": {"floor": "x", "agreement": 1, "weights": [1, 1, 1, 1]}}',
        '{"other": {}}',
        "[" * 100_000,
    ],
)
def test_a_file_of_anything_else_is_named_in_one_line(models, text):
    models.mkdir()
    (models / "cells.json").write_text(text)
    with pytest.raises(EncoderError, match=r"cells\.json") as raised:
        recipe_of("embedded")
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400
    with pytest.raises(EncoderError):  # and what is there is not written over
        keep("embedded", 0.4, 4.8, (1, 1, 1, 1))
    assert (models / "cells.json").read_text() == text


def test_where_no_home_is_known_nothing_is_kept_in_a_folder_called_so(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("patchseek.rerank._settings.models_folder", lambda: Path("~/models"))
    assert recipe_of("embedded") == Recipe()
    with pytest.raises(EncoderError, match="no home folder"):
        keep("embedded", 0.4, 4.8, (1, 1, 1, 1))
    assert not (tmp_path / "~").exists()


@pytest.fixture(scope="module")
def embedded():
    return open_encoder("embedded")


def test_a_search_takes_what_is_kept(embedded):
    photo = ps.read(Path(skimage.__file__).parent / "data" / "coffee.png")
    query, patches = encode_query(photo, embedded, (0.2, 0.2, 0.7, 0.8)), np.zeros((1, 224, 224, 3), np.uint8)
    usual = Refiner(query, embedded)
    assert usual.recipe == Recipe()
    keep("embedded", 0.0, 9.6, (1, 1, 1, 1))
    own = Refiner(query, embedded)
    assert own.recipe.floor == 0.0 and own.score(patches) > usual.score(patches)


def test_the_script_prints_and_keeps_a_choice(tmp_path, models, monkeypatch, capsys):
    """On eight pictures, and by half as many boxes; what is chosen of so few is not judged."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in PHOTOGRAPHS:
        with Image.open(Path(skimage.__file__).parent / "data" / name) as photo:
            width, height = photo.size
            for i, x in enumerate((0, width // 2)):
                photo.convert("RGB").crop((x, 0, x + width // 2, height)).save(folder / f"{i}-{name}")
    (folder / "broken.png").write_bytes(b"no picture")
    monkeypatch.setattr("cell_choice.FEWEST", 6)
    monkeypatch.setattr("tune_cells.FEWEST", 6)
    monkeypatch.setattr("tune_cells.N_NEAR", 16)
    assert tune_cells.main([str(folder), "--pictures", "8", "--keep"]) == 0
    printed, told = capsys.readouterr()
    chosen, kept = json.JSONDecoder().raw_decode(printed)
    assert printed[kept:].split()[-1] == str(models / "cells.json")
    assert json.loads((models / "cells.json").read_text())["embedded"] == chosen["embedded"]
    assert chosen["chosen by"]["mean IoU"] > 0.6
    assert chosen["chosen by"]["pieces"] == 8 and "broken.png" in told


def test_the_script_says_in_one_line_what_it_cannot_do(tmp_path, capsys):
    assert tune_cells.main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_boxes_beside_the_true_one_lie_about_it():
    boxes = tune_cells.near((0.4, 0.4, 0.6, 0.6), np.random.default_rng(0))
    overlaps = iou(boxes, [(0.4, 0.4, 0.6, 0.6)])[:, 0]
    assert overlaps[0] == 1 and 0.3 < overlaps[1:].mean() < 0.8
