"""What a person is answered: options of a search, confidence, and the exit code for nothing."""

import json
import math

import numpy as np
import pytest
from PIL import Image

import patchseek as ps
from patchseek.answers import SearchOptions, scale_below
from patchseek.answers._near import less_like
from patchseek.answers._order import not_rising
from patchseek.boxes import iou
from patchseek.cli._search import _say_if_doubtful
from patchseek.confidence import DOUBTFUL, Background
from patchseek.indexes import open_index
from patchseek.rank import StoreView
from patchseek.search import FoundBox, encode_query, join
from patchseek.store import Writer

from .commands import run
from .conftest import TinyEncoder, blot

INNER = (0.5, 0.5, 1.0, 1.0)


@pytest.fixture
def collection(tmp_path, make_folder, tiny):
    names = [f"{i:02}.png" for i in range(12)]
    opened = ps.Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)
    opened.add(make_folder(*names))
    return opened


@pytest.fixture
def query(tmp_path):
    """A photograph that shows the last quarter of 05.png."""
    photo = Image.new("RGB", (240, 180), "white")
    with Image.open(tmp_path / "pictures" / "05.png") as picture:
        photo.paste(picture.crop((32, 24, 64, 48)).resize((64, 48)), (100, 40))
    photo.save(tmp_path / "photo.png")
    return tmp_path / "photo.png", (100, 40, 64, 48)


def names(matches):
    return [match.image.path for match in matches]


def test_refined_results_stand_first_and_scores_never_rise_down_the_list(collection, query):
    path, box = query
    plain = collection.search(path, box=box, top=None, refine=0, depth=0, turned=False)
    for n in (1, 4, 12, 50):
        matches = collection.search(path, box=box, top=None, refine=n, depth=0, turned=False)
        scores = [match.score for match in matches]
        assert scores == sorted(scores, reverse=True)
        assert set(names(matches[:n])) == set(names(plain[:n]))
        assert names(matches[n:]) == names(plain[n:])
        by_name = {match.image.path: match for match in plain}
        for match in matches[:n]:
            assert match.likeness == pytest.approx(by_name[match.image.path].score)
            assert match.score >= match.likeness - 2e-3, "the region itself is among what is tried"


def test_plain_scores_are_moved_below_refined_ones():
    assert scale_below([0.3, 0.2], [0.6, 0.5]) == pytest.approx(0.2 / 0.6)
    assert scale_below([0.9], [0.6]) == 1
    assert scale_below([], [0.6]) == scale_below([0.3], []) == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([0.9, 0.5, 0.5, 0.1], [0.9, 0.5, 0.5, 0.1]),
        ([0.9, 0.03, 0.3, 0.39], [0.9, 0.24, 0.24, 0.24]),
        ([0.2, 0.4, 0.9], [0.5, 0.5, 0.5]),
        ([0.8, 0.9, 0.1, 0.2], [0.85, 0.85, 0.15, 0.15]),
    ],
)
def test_what_rises_down_the_list_is_evened_out(values, expected):
    assert not_rising(values) == pytest.approx(expected)


def test_confidence_never_rises_down_the_list(collection, query):
    path, box = query
    for refine in (0, 4, 12):
        sure = [match.confidence for match in collection.search(path, box=box, top=None, refine=refine)]
        assert None not in sure
        assert sure == sorted(sure, reverse=True)


def test_what_patches_say_is_told_first_and_what_files_say_before_copies_are_looked_for(collection, query):
    path, box = query
    told, opened = [], []

    def on_progress(_, __, doing):
        if doing == "refining boxes":
            opened.append(len(told))

    final = collection.search(path, box=box, top=5, several=True, on_answer=told.append, on_progress=on_progress)
    plain = collection.search(path, box=box, top=5, refine=0, depth=0)
    first, settled = told
    assert names(first) == names(plain)
    assert [m.box for m in first] == [m.box for m in plain]
    assert not any(m.is_refined for m in first)
    assert all(m.is_refined for m in settled)
    assert names(settled) == names(final)
    assert set(opened) == {1}
    told.clear()
    collection.search(path, box=box, refine=0, depth=0, on_answer=told.append)
    assert told == [], "the answer itself is the first one"


def test_a_picture_whose_file_has_gone_keeps_its_region(collection, query, tmp_path):
    path, box = query
    assert collection.search(path, box=box)[0].image.path == "05.png"
    (tmp_path / "pictures" / "05.png").unlink()
    found = {match.image.path: match for match in collection.search(path, box=box, top=None)}
    assert found["05.png"].box == pytest.approx(INNER)


def test_several_pictures_are_asked_together_and_score_by_their_mean(collection, query, tmp_path):
    files = [tmp_path / "pictures" / f"0{i}.png" for i in (1, 2)]
    both = collection.search(files, top=None, refine=0, depth=0, turned=False)
    asked = [encode_query(ps.read(file), collection.encoder).feature for file in files]
    snapshot = collection.store.snapshot()
    means = np.mean([snapshot.features(np.arange(12)) @ feature for feature in asked], axis=0).max(axis=1)
    expected = np.sort(means / np.linalg.norm(np.mean(asked, axis=0)))[::-1]
    assert [match.score for match in both] == pytest.approx(expected, abs=1e-3)
    with pytest.raises(ps.QueryError, match="a box for each of 2 pictures is needed, found 1"):
        collection.search(files, box=[query[1]])


def test_what_is_excluded_falls(collection, tmp_path):
    first, second = (tmp_path / "pictures" / name for name in ("01.png", "02.png"))
    before = names(collection.search([first, second], top=None, refine=0, turned=False))
    after = names(collection.search([first, second], exclude=[second], top=None, refine=0, turned=False))
    assert before.index("02.png") <= 1
    assert after[0] == "01.png"
    assert sorted([*after, "02.png"]) == sorted(before), "what is refused does not answer, all others do"


def test_near_twins_of_what_is_refused_do_not_answer(collection, make_folder, query):
    path, box = query
    folder = make_folder("other.png", folder="more")
    Image.open(path.parent / "pictures" / "05.png").save(folder / "copy-of-05.png", compress_level=1)
    collection.add(folder)
    refused = next(m.image.id for m in collection.search(path, box=box) if m.image.path == "05.png")
    for refine in (0, 20):
        left = names(collection.search(path, box=box, exclude=refused, top=None, refine=refine))
        assert len(left) == 12
        assert not {"05.png", "copy-of-05.png"} & set(left)


def test_what_is_not_wanted_may_be_a_file_that_is_open(collection, query, tmp_path):
    path, box = query
    refused = tmp_path / "pictures" / "05.png"
    named = collection.search(path, box=box, exclude=refused, top=None)
    with refused.open("rb") as file:
        assert names(collection.search(path, box=box, exclude=file, top=None)) == names(named)


def test_strangers_are_measured_as_the_query_is_after_an_exclusion():
    """Median and spread of what they score fall as far as their likeness does, kind by kind."""
    background = Background({"likeness": (0.5, 0.1), "fitting": (0.7, 0.1), "points": (0.2, 0.1)}, 100)
    lowered = background.lowered(0.2)
    assert lowered.confidence({"likeness": 0.4}) == pytest.approx(background.confidence({"likeness": 0.6}))
    assert lowered.confidence({"fitting": 0.4}) == pytest.approx(background.confidence({"fitting": 0.6}))
    assert lowered.confidence({"points": 0.4}) == background.confidence({"points": 0.4})


def test_how_much_less_alike_strangers_are_is_the_median_of_what_their_best_region_lost(collection, tmp_path):
    first, second = (tmp_path / "pictures" / name for name in ("01.png", "02.png"))
    asked, refused = (encode_query(ps.read(file), collection.encoder) for file in (first, second))
    query = join([asked], [refused])
    assert query.wanted == pytest.approx(asked.feature)
    snapshot = collection.store.snapshot()
    every = snapshot.features(np.arange(12))
    lost = (every @ asked.feature).max(axis=1) - (every @ query.feature).max(axis=1)
    candidates = StoreView(open_index("exact", snapshot, tmp_path), snapshot, collection.store).find(query, 12)
    assert less_like(query, candidates, snapshot) == pytest.approx(np.median(lost), abs=1e-5)
    assert less_like(asked, candidates, snapshot) == 0


def test_nearly_identical_results_are_shown_once(collection, make_folder, query):
    path, box = query
    folder = make_folder("other.png", folder="more")
    Image.open(path.parent / "pictures" / "05.png").save(folder / "copy-of-05.png", compress_level=1)
    collection.add(folder)
    both = names(collection.search(path, box=box, top=3))
    assert {"05.png", "copy-of-05.png"} == set(both[:2])
    once = collection.search(path, box=box, top=13, distinct=True)
    assert len({"05.png", "copy-of-05.png"} & set(names(once))) == 1
    assert len(once) == 13


def test_expansion_searches_with_the_results_too(collection, query):
    path, box = query
    plain = collection.search(path, box=box, top=None, refine=0)
    more = collection.search(path, box=box, top=None, refine=0, expand=1)
    assert names(more)[0] == names(plain)[0] == "05.png"
    assert more[0].score > plain[0].score, "the first result now asks for itself"


def test_all_copies_come_with_their_scores_on_request(collection, query):
    path, box = query
    first, *others = collection.search(path, box=box, several=True, top=3)
    assert first.boxes
    assert first.confidence >= DOUBTFUL
    assert all(not match.boxes for match in others if match.confidence < DOUBTFUL), "not worth the time"
    for match in [first, *(match for match in others if match.boxes)]:
        assert match.boxes[0].box == match.box
        assert all(isinstance(found, FoundBox) for found in match.boxes)
        overlaps = iou([f.box for f in match.boxes], [f.box for f in match.boxes])
        assert (overlaps - np.eye(len(overlaps))).max(initial=0) <= 0.3
    assert collection.search(path, box=box, top=1)[0].boxes == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"top": 0}, "at least 1, found 0"),
        ({"refine": -1}, "at least 0, found -1"),
        ({"expand": -2}, "at least 0"),
        ({"min_confidence": 1.5}, r"\[0, 1\], found 1.5"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(ps.QueryError, match=words):
        SearchOptions(**options)


def test_a_search_for_nothing_and_for_words_that_nobody_knows(collection):
    with pytest.raises(ps.QueryError, match="give a picture or words"):
        collection.search()
    with pytest.raises(ps.QueryError, match="tiny knows no words"):
        collection.search(text="a red cup")


class Reader(TinyEncoder):
    """Knows three words, each the feature of a picture all in that colour."""

    words = property(lambda self: self)

    def encode_text(self, texts):
        colours = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
        return self.encode(np.array([np.full((8, 8, 3), colours[text], np.uint8) for text in texts]))


def test_words_find_what_they_mean_alone_and_beside_a_picture(tmp_path):
    folder = tmp_path / "colours"
    folder.mkdir()
    for name in ("red", "green", "blue"):
        Image.new("RGB", (64, 48), name if name != "green" else "lime").save(folder / f"{name}.png")
    opened = ps.Collection.open(tmp_path / "c", encoder=Reader("reader"), create=True)
    opened.add(folder)
    assert names(opened.search(text="green", top=1)) == ["green.png"]
    both = opened.search(folder / "red.png", text="blue", top=2)
    assert set(names(both)) == {"red.png", "blue.png"}


def test_confidence_is_the_share_of_strangers_that_score_less(collection):
    collection.add_points()
    background = collection.background
    assert background.n_images == 12
    assert set(background.kinds) == {"likeness", "points", "fitting", "colour"}
    assert background.kinds["points"][1] >= 0.5, "that they find few points here makes nobody certain"
    for kind, (median, spread) in background.kinds.items():
        assert background.confidence({kind: median}) == pytest.approx(0.5)
        assert background.confidence({kind: median + spread}) == pytest.approx(0.5 * (1 + math.erf(1 / math.sqrt(2))))
    assert Background.from_json(background.to_json()) == background


def test_what_an_earlier_version_measured_is_measured_anew(collection, make_folder):
    with Writer(collection.store) as writer:
        writer.set_option("background", '{"likeness": [0.7, 0.1], "evidence": [1.1, 0.1], "n_images": 12}')
    assert collection.background is None
    assert collection.search(ps.read(next(iter(make_folder("a.png", folder="asked").iterdir()))))[0].confidence is None
    collection.add(make_folder("b.png", folder="more"))
    assert collection.background.n_images == 13


def test_confidence_is_measured_again_when_a_quarter_is_new(collection, make_folder):
    first = collection.background
    collection.add(make_folder("a.png", "b.png", folder="two"))
    assert collection.background == first
    collection.add(make_folder(*(f"n{i}.png" for i in range(6)), folder="six"))
    assert collection.background.n_images == 20


def test_doubtful_matches_can_be_left_out(collection, query):
    path, box = query
    matches = collection.search(path, box=box, top=None)
    least = matches[0].confidence
    sure = collection.search(path, box=box, top=None, min_confidence=least)
    assert names(sure) == [match.image.path for match in matches if match.confidence >= least]
    assert len(sure) < len(matches)


def test_a_match_says_whether_its_picture_was_opened(collection, query):
    path, box = query
    assert [match.is_refined for match in collection.search(path, box=box, top=4, refine=2)] == [True, True] + 2 * [
        False
    ]
    assert not any(match.is_refined for match in collection.search(path, box=box, top=4, refine=0))
    first = collection.search(path, box=box, top=1, refine=1)[0].image
    first.file.unlink()
    gone = next(match for match in collection.search(path, box=box, refine=9) if match.image.id == first.id)
    assert not gone.is_refined


@pytest.mark.parametrize(
    ("best", "is_said"),
    [
        ({"confidence": DOUBTFUL - 0.01, "refined": True}, True),
        ({"confidence": DOUBTFUL, "refined": True}, False),
        ({"confidence": 0.1, "refined": False}, False),
        ({"confidence": None, "refined": True}, False),
        ({"confidence": 0.1}, False),  # of an earlier server
    ],
)
def test_probably_not_here_is_said_of_refined_finds_alone(capsys, best, is_said):
    _say_if_doubtful(best)
    assert ("probably not in this collection" in capsys.readouterr().err) == is_said


def test_a_collection_too_small_to_compare_says_nothing_of_confidence(tmp_path, make_folder, tiny):
    opened = ps.Collection.open(tmp_path / "c", encoder=tiny, points=False, create=True)
    opened.add(make_folder("a.png", "b.png"))
    assert opened.background is None
    assert [match.confidence for match in opened.search(tmp_path / "pictures" / "a.png", min_confidence=0.9)] == [
        None
    ] * 2


def test_the_command_line_takes_all_of_it(tmp_path):
    (tmp_path / "pictures").mkdir()
    for i in range(9):
        blot(i, 160, 120).save(tmp_path / "pictures" / f"{i}.png")
    Image.effect_noise((160, 120), 90).save(tmp_path / "stranger.png")
    run(tmp_path, "index", "pictures")
    asked = ["search", "pictures/3.png", "pictures/4.png", "--box", "0,0,80,60", "--box", "0,0,80,60", "--json"]
    answer = json.loads(run(tmp_path, *asked, "--several", "--expand", "1", "--not", "stranger.png").stdout)
    assert [query["box"] for query in answer["queries"]] == [[0, 0, 80, 60]] * 2
    assert answer["results"][0]["image"] in ("3.png", "4.png")
    assert answer["results"][0]["boxes"][0]["box"] == answer["results"][0]["box"]
    assert 0 <= answer["results"][0]["confidence"] <= 1
    nothing = run(tmp_path, "search", "stranger.png", "--min-confidence", "1", "--csv", code=4)
    assert "nothing found" in nothing.stderr
    assert nothing.stdout.splitlines() == ["rank,image,image_id,score,confidence,x,y,w,h,bbox_format,width,height"]
    assert "1 box" not in run(tmp_path, "search", "pictures/3.png", "--precision", "f32", "--top", "1").stderr
    refused = run(tmp_path, "search", "pictures/3.png", "--box", "1,1,9,9", "--box", "1,1,9,9", code=2)
    assert "2 boxes for 1 picture:" in refused.stderr
    assert "knows no words" in run(tmp_path, "search", "--text", "cup", code=1).stderr


def test_the_embedded_encoder_shows_cells_that_belong_to_its_features():
    encoder = ps.open_encoder("embedded")
    assert encoder.cells is not None
    patches = np.random.default_rng(0).integers(0, 256, (5, 224, 224, 3), np.uint8)
    features, cells = encoder.encode_cells(patches)
    assert features == pytest.approx(encoder.encode(patches), abs=1e-6)
    assert (cells.coarse.shape, cells.fine.shape) == ((5, 7, 7, 192), (5, 14, 14, 112))
    assert np.linalg.norm(cells.coarse, axis=3) == pytest.approx(1, abs=1e-3)
    assert np.linalg.norm(cells.fine, axis=3) == pytest.approx(1, abs=1e-3)
    windows = np.random.default_rng(1).integers(0, 256, (2, encoder.window, encoder.window, 3), np.uint8)
    maps = encoder.encode_map(windows)
    assert maps.shape == (2, 10, 10, 1280)
    assert maps.min() > 0
    assert encoder.encode_map(windows[1:]) == pytest.approx(maps[1:], abs=1e-5)
    with pytest.raises(ps.EncoderError, match="patches must be"):
        encoder.encode_map(patches)
