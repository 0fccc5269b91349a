"""The five-line API, on small pictures and an encoder that can be followed by hand."""

import numpy as np
import pytest
from PIL import Image

import patchseek as ps
from patchseek.boxes import iou
from patchseek.patches import crop, cut
from patchseek.regions import Pyramid

from .conftest import TinyEncoder, blot


@pytest.fixture
def collection(tmp_path, tiny, make_folder):
    collection = ps.Collection.open(tmp_path / "collection", encoder=tiny, create=True)
    collection.add(make_folder(*(f"{i}.png" for i in range(12))))
    return collection


@pytest.fixture
def query(collection, tmp_path):
    """A photograph that holds the lower right quarter of picture 5.png at 100, 40."""
    assert len(collection) == 12
    quarter = Image.open(tmp_path / "pictures" / "5.png").crop((32, 24, 64, 48)).resize((64, 48))
    photo = Image.new("RGB", (240, 180), "grey")
    photo.paste(quarter, (100, 40))
    photo.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_box_on_a_photograph_finds_the_picture_and_the_place(collection, query):
    best = collection.search(query, box=(100, 40, 64, 48))[0]
    assert best.image.path == "5.png"
    assert best.pixels == (32, 24, 32, 24)
    assert best.score > 0.99


@pytest.mark.parametrize("top", [1, 5, 12, 100, None])
def test_k_pictures_asked_are_k_distinct_pictures_best_first(collection, query, top):
    matches = collection.search(query, box=(100, 40, 64, 48), top=top)
    assert len({match.image.id for match in matches}) == len(matches) == min(top or 12, 12)
    assert sorted(matches, key=lambda match: -match.score) == matches


def test_each_match_is_the_best_region_of_its_picture(collection, query, tiny):
    feature = tiny.encode(crop(ps.read(query), [[100 / 240, 40 / 180, 164 / 240, 88 / 180]], tiny.feed))[0]
    for match in collection.search(query, box=(100, 40, 64, 48), top=None, refine=0, depth=0, turned=False):
        features = tiny.encode(cut(ps.read(match.image.file), Pyramid(), tiny.feed))
        region = int((features @ feature).argmax())
        assert match.box == pytest.approx(Pyramid().boxes[region])
        assert match.score == pytest.approx(float((features @ feature).max()), abs=2e-3)


def test_file_bytes_pixels_and_id_are_the_same_query(collection, tmp_path):
    path = tmp_path / "pictures" / "5.png"
    image_id = collection.search(path, top=1)[0].image.id
    answers = [collection.search(q) for q in (path, str(path), path.read_bytes(), ps.read(path), image_id)]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0].box == (0, 0, 1, 1)


def test_what_is_added_or_removed_is_seen_by_the_next_search(collection, query, make_folder):
    assert len(collection.search(query, top=None)) == 12
    collection.add(make_folder("new.png"))
    assert len(collection.search(query, top=None)) == 13
    assert collection.remove("5.png", "new*") == ["5.png", "new.png"]
    assert "5.png" not in {match.image.path for match in collection.search(query, top=None)}


def test_another_process_may_change_the_collection_between_searches(collection, query, tiny, make_folder):
    collection.search(query)
    ps.Collection.open(collection.path, encoder=tiny).add(make_folder("new.png"))
    assert len(collection.search(query, top=None)) == 13


def test_the_engine_is_opened_again_when_what_it_finds_has_changed_and_not_before(
    collection, query, make_folder, monkeypatch
):
    collection.use_index("SQ8")
    other = ps.Collection.open(collection.path, encoder=collection.encoder)
    assert len(other.search(query, top=None)) == 12
    opened, real = [], ps.engine.open_index
    monkeypatch.setattr(ps.engine, "open_index", lambda name, *a, **k: opened.append(name) or real(name, *a, **k))
    collection.tag("blue", "3.png")
    assert [match.image.path for match in other.search(query, tags=["blue"])] == ["3.png"]
    collection.refresh_background()
    other.search(query)
    assert opened == []
    collection.remove("5.png")
    assert "5.png" not in {match.image.path for match in other.search(query, top=None)}
    collection.add(make_folder("new.png"))
    assert len(other.search(query, top=None)) == 12
    assert opened == ["SQ8", "SQ8"]


def test_an_engine_that_no_longer_fits_is_looked_for_anew(collection, query):
    collection.search(query)
    opened = collection.engine._opened
    opened[-1].outgrown = "it is of another day"
    collection.tag("blue", "3.png")
    collection.search(query)
    assert collection.engine._opened[-1] is not opened[-1] and collection.outgrown is None


def test_a_compressed_engine_becomes_the_collections_choice(collection, query):
    exact = collection.search(query, box=(100, 40, 64, 48))
    collection.use_index("SQ8")
    assert collection.index == "SQ8"
    assert collection.search(query, box=(100, 40, 64, 48))[0].image == exact[0].image
    assert list((collection.path / "indexes").glob("*.faiss"))


def test_all_that_takes_long_says_what_is_done(tmp_path, tiny, make_folder, query):
    def heard(work):
        told = []
        work(lambda done, total, doing: told.append((doing, done, total)))
        return list(dict.fromkeys(doing for doing, *_ in told)), told

    opened = ps.Collection.open(tmp_path / "c", encoder=tiny, create=True)
    folder = make_folder(*(f"{i}.png" for i in range(12)))
    doing, told = heard(lambda tell: opened.add(folder, on_progress=tell))
    assert doing == ["looking for pictures", "encoding pictures", "measuring confidence"]
    assert ("encoding pictures", 12, 12) in told
    assert told[-1] == ("measuring confidence", told[-1][2], told[-1][2])
    doing, told = heard(lambda tell: opened.search(query, on_progress=tell))
    looks = ["comparing patches", "comparing points of 12 pictures", "refining boxes"]
    assert doing == ["encoding the query", "opening the index", *looks]
    assert told[-1] == ("refining boxes", 12, 12)
    assert heard(opened.verify)[1][-1] == ("checking shards", 1, 1)
    assert heard(opened.repair)[1][-1] == ("mending shards", 1, 1)
    assert heard(opened.compact)[1][-1] == ("copying pictures into new shards", 12, 12)
    assert heard(lambda tell: opened.back_up(tmp_path / "b.tar", tell))[1][-1] == ("writing shards", 2, 2)


def test_an_engine_that_cannot_be_built_is_not_chosen(collection):
    with pytest.raises(ps.EngineError):
        collection.use_index("Nonsense")
    assert collection.index == "exact"


def test_an_empty_collection_has_no_matches(tmp_path, tiny):
    empty = ps.Collection.open(tmp_path / "empty", encoder=tiny, create=True)
    Image.new("RGB", (9, 9)).save(tmp_path / "q.png")
    assert empty.search(tmp_path / "q.png") == []


def test_a_mistyped_path_is_an_error_and_makes_nothing(tmp_path):
    with pytest.raises(ps.StoreError, match=r"colection: no collection here; .* create=True"):
        ps.Collection.open(tmp_path / "colection")
    assert list(tmp_path.iterdir()) == []


def test_another_encoder_or_pyramid_is_a_mismatch_that_names_both(collection):
    with pytest.raises(ps.StoreMismatch, match="'tiny' here, 'other' asked for"):
        ps.Collection.open(collection.path, encoder=TinyEncoder("other"))
    with pytest.raises(ps.StoreMismatch, match=r"30 regions here, .* 5 regions asked for"):
        ps.Collection.open(collection.path, pyramid=Pyramid.up_to(1))


def test_the_folder_stands_for_the_collection_inside_it(tiny, make_folder):
    folder = make_folder("a.png")
    made = ps.Collection.open(folder / ".patchseek", encoder=tiny, create=True)
    assert made.add(folder).added == 1
    assert made.add(folder).unchanged == 1
    assert ps.Collection.open(folder).path == folder / ".patchseek"


@pytest.mark.parametrize(
    ("query", "box", "top", "error"),
    [
        (999, None, 10, ps.QueryError),
        (b"not a picture", None, 10, ps.ImageError),
        ("nowhere.jpg", None, 10, ps.ImageError),
        ("photo", (500, 0, 10, 10), 10, ps.BoxError),
        ("photo", None, 0, ps.QueryError),
    ],
)
def test_a_query_that_cannot_be_answered_is_an_error_of_one_line(collection, tmp_path, query, box, top, error):
    if query == "photo":
        blot(1).save(tmp_path / "photo.png")
        query = tmp_path / "photo.png"
    with pytest.raises(error) as caught:
        collection.search(query, box=box, top=top)
    assert "\n" not in str(caught.value)


def test_a_pyramid_with_overlap_locates_between_the_cells(tmp_path, tiny, make_folder):
    folder = make_folder("a.png", "b.png", "c.png")
    collection = ps.Collection.open(tmp_path / "c", encoder=tiny, pyramid=Pyramid((0, 1), overlap=0.5), create=True)
    collection.add(folder)
    middle = Image.open(folder / "b.png").crop((16, 12, 48, 36))
    middle.save(tmp_path / "q.png")
    best = collection.search(tmp_path / "q.png")[0]
    assert (best.image.path, best.box) == ("b.png", (0.25, 0.25, 0.75, 0.75))
    assert iou([best.box], [[0.25, 0.25, 0.75, 0.75]])[0, 0] == np.float64(1)
