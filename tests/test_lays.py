"""A query that lies otherwise in a picture: turned by quarters, mirrored on request. By patches and by points."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageOps

import patchseek as ps
from patchseek import search
from patchseek.images import Picture
from patchseek.indexes import Hits
from patchseek.lays import TURNED, UPRIGHT, Lay, lays_of
from patchseek.points import QueryPoints
from patchseek.rank import _turned_looks as looks
from patchseek.rank import best_lays
from patchseek.rank._laid import HANDICAP
from patchseek.search import CropPoints, Query, encode_query, encode_words, join

from .conftest import blot
from .test_points_match import SIZE, laid, query_of, rng, strangers, with_object  # noqa: F401

MIRROR = Lay(0, mirrored=True)
ALL = (UPRIGHT, *lays_of(turned=True, mirrored=True))


def as_picture(image):
    pixels = np.asarray(image.convert("RGB"))
    return Picture(pixels, image.width, image.height)


def by_pillow(image, lay):
    """The picture laid so, as Pillow does it."""
    return (ImageOps.mirror(image) if lay.mirrored else image).rotate(lay.turn, expand=True)


@pytest.mark.parametrize("lay", ALL, ids=str)
def test_pixels_are_laid_as_pillow_lays_them_and_the_map_says_where(lay):
    square = Image.fromarray(np.random.default_rng(3).integers(0, 256, (8, 8, 3), np.uint8))
    turned = lay.of(np.asarray(square)[None])[0]
    assert np.array_equal(turned, np.asarray(by_pillow(square, lay)))
    x, y = 5, 2
    u, v = lay.map @ ((x + 0.5) / 8, (y + 0.5) / 8, 1) * 8 - 0.5
    assert np.array_equal(turned[round(v), round(u)], np.asarray(square)[y, x])


def test_mirrored_alone_is_one_lay_and_with_turns_seven():
    assert lays_of(turned=False, mirrored=False) == ()
    assert lays_of(turned=False, mirrored=True) == (MIRROR,)
    assert lays_of(turned=True, mirrored=False) == TURNED
    assert len(set(ALL)) == 8


@pytest.mark.parametrize("late", [False, True])
def test_features_are_those_of_the_picture_laid_so(tiny, late):
    image = blot(3, 48, 48)
    if late:
        tiny.feed = replace(tiny.feed, late=True)
        tiny.encode = lambda patches, encode=tiny.encode: encode(np.concatenate([cut(part) for part in patches.parts]))

        def cut(part):
            return (
                part
                if isinstance(part, np.ndarray)
                else search.crop(part[0], part[1] / 48, replace(tiny.feed, late=False))
            )

    query = encode_query(as_picture(image), tiny, lays=ALL[1:])
    lays, features = query.features
    assert lays == ALL
    for lay, feature in zip(lays, features, strict=True):
        alone = encode_query(as_picture(by_pillow(image, lay)), tiny).feature
        assert feature == pytest.approx(alone, abs=0.02)
        assert feature @ query.feature < 0.9 or lay == UPRIGHT, "each sees something else"


def test_without_lays_a_query_is_what_it_was(tiny):
    query = encode_query(as_picture(blot(3)), tiny)
    assert query.features[0] == (UPRIGHT,)
    assert query.laid == {}
    assert encode_query(as_picture(blot(3)), tiny, lays=TURNED).feature == pytest.approx(query.feature)


def test_a_lay_without_numbers_is_left_out_and_an_upright_query_without_is_an_error(tiny):
    usual = tiny.encode

    def spoiled(row):
        def encode(patches):
            features = usual(patches)
            features[row] = np.nan
            return features

        return encode

    tiny.encode = spoiled(2)
    assert list(encode_query(as_picture(blot(3)), tiny, lays=TURNED).laid) == [Lay(90), Lay(270)]
    tiny.encode = spoiled(0)
    with pytest.raises(ps.QueryError, match="answers the query with NaN: nothing is like that"):
        encode_query(as_picture(blot(3)), tiny, lays=TURNED)


def test_several_pictures_are_joined_lay_by_lay_and_what_has_no_lays_counts_upright(tiny):
    first, second = (encode_query(as_picture(blot(i, 48, 48)), tiny, lays=TURNED[:1]) for i in (1, 2))
    plain = Query(second.feature)
    for other, theirs in ((second, second.laid[Lay(90)]), (plain, plain.feature)):
        mean = (first.laid[Lay(90)] + theirs) / 2
        assert join([first, other]).laid[Lay(90)] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)


def test_of_all_lays_each_picture_stands_once_as_its_best_lay_has_it_turned_ones_with_a_handicap():
    hits = Hits(
        np.array([[4, 2, 7, -1], [2, 4, 9, 7]]),
        np.array([[0, 1, 2, -1], [5, 6, 7, 8]]),
        np.array([[0.9, 0.8, 0.3, -np.inf], [0.8 + HANDICAP + 0.01, 0.85, 0.3 + HANDICAP, 0.1]], np.float32),
    )
    found = best_lays(hits, [UPRIGHT, Lay(180)])
    assert [(hit.position, hit.region, hit.lay.turn) for hit in found] == [
        (4, 0, 0),
        (2, 5, 180),
        (7, 2, 0),
        (9, 7, 180),
    ]
    assert [hit.likeness for hit in found] == pytest.approx([0.9, 0.81, 0.3, 0.3])


def test_a_turned_find_says_how_the_query_lies_in_its_region():
    (hit,) = best_lays(Hits(*(np.array([[value]]) for value in (3, 0)), np.float32([[0.7]])), [Lay(90)])
    found = hit.candidate("name", (400, 200), (0.5, 0.0, 1.0, 1.0))
    assert (found.lay, found.map) == (Lay(90), None), "no more than a guess"


@pytest.fixture
def collection(tmp_path, make_folder, tiny):
    opened = ps.Collection.open(tmp_path / "collection", encoder=tiny, points=False, create=True)
    opened.add(make_folder(*(f"{i:02}.png" for i in range(12))))
    return opened


@pytest.mark.parametrize("lay", ALL[1:], ids=str)
def test_a_search_finds_what_lies_otherwise_and_the_mirrored_on_request_alone(collection, tmp_path, lay):
    with Image.open(tmp_path / "pictures" / "05.png") as image:
        asked = np.asarray(by_pillow(image, lay))
    plain, turned, whole = (
        collection.search(asked, top=1, refine=0, **options)[0]
        for options in ({"turned": False}, {}, {"mirrored": True})
    )
    assert whole.image.path == "05.png"
    assert whole.score == pytest.approx(1 - HANDICAP, abs=0.02)
    assert (turned.score > 0.9) == (not lay.mirrored)
    assert plain.score < 0.9
    opened = collection.search(asked, top=1, refine=1, mirrored=True)[0]
    assert opened.likeness == pytest.approx(1 - HANDICAP, abs=0.02)
    assert opened.boxes == ()
    assert opened.box == pytest.approx((0, 0, 1, 1), abs=0.1)
    assert opened.outline[0] == pytest.approx(lay_back(lay), abs=0.1)


def lay_back(lay):
    """Where the upper left corner of what `by_pillow` made lies in the picture that it was made from."""
    corners = {lay.map[:, 2].round().tolist().__str__(): (0, 0)}
    for corner in ((1, 0), (1, 1), (0, 1)):
        corners[str((lay.map @ (*corner, 1)).round().tolist())] = corner
    return corners["[0.0, 0.0]"]


def test_an_expanded_query_still_lies_in_every_way(collection, tmp_path):
    with Image.open(tmp_path / "pictures" / "05.png") as image:
        asked = np.asarray(image.rotate(180))
    found = collection.search(asked, top=3, refine=0, expand=2)
    assert found[0].image.path == "05.png"


def test_words_lie_in_no_way(tiny):
    tiny.words = SimpleNamespace(encode_text=lambda texts: np.eye(13, dtype=np.float32)[: len(texts)])
    assert encode_words("a red cup", tiny).features[0] == (UPRIGHT,)


def as_crop(query, asked, upright, mirror=None):
    """Points by hand: upright ones, and `query` where its own turn is asked for; asked: notes what is."""

    def find(turns, mirrored):
        asked.extend((turn, mirrored) for turn in turns)
        return query if mirrored == query.mirrored else query.chosen(np.zeros(len(query), bool))

    return CropPoints(upright, mirror, find)


def seen(crop, pictures):
    kept = looks.Kept(pictures, [SIZE] * len(pictures), 1024)
    return looks.look_at_all(0, crop, kept, lambda: None)


def test_points_that_are_found_upright_are_looked_for_in_no_other_turn(rng):  # noqa: F811
    query, asked = query_of(rng), []
    picture = with_object(rng, query, laid(query, (600, 450), 256))
    assert len(seen(as_crop(query, asked, query), [*strangers(rng), picture])) == 1
    assert asked == []


@pytest.mark.parametrize("turn", [180.0, 225.0])
def test_points_that_are_not_found_upright_are_looked_for_by_quarters_and_then_by_eighths(rng, turn):  # noqa: F811
    query, asked = query_of(rng, turn=turn), []
    picture = with_object(rng, query, laid(query, (600, 450), 256, turn))
    (found,) = seen(as_crop(query, asked, query_of(rng)), [picture, *strangers(rng)])
    for own in ("places", "descriptors", "turns", "scales"):
        assert np.array_equal(getattr(found.points, own), getattr(query, own)), "what is upright is nothing beside that"
    assert found.found[0][0].gain > 2.5
    assert found.found[0][0].outline * SIZE == pytest.approx(laid(query, (600, 450), 256, turn)[-4:], abs=6)
    eighths = [] if turn == 180 else [45, 135, 225, 315]
    assert [turn for turn, _ in asked] == [90, 180, 270, *eighths]


def test_of_very_many_pictures_only_the_first_are_looked_at_in_another_turn(rng, monkeypatch):  # noqa: F811
    monkeypatch.setattr(looks, "TURNED_DEPTH", 30)
    query = query_of(rng, turn=90.0)
    picture = with_object(rng, query, laid(query, (600, 450), 256, 90))
    (found,) = seen(as_crop(query, [], query_of(rng)), [picture, *strangers(rng), picture])
    assert found.found[0][0].gain > 2.5
    assert found.found[-1] == []
    assert len(found.found) == len(strangers(rng)) + 2


def test_the_mirror_image_is_looked_for_though_the_query_is_found_upright(rng):  # noqa: F811
    query, mirror, asked = query_of(rng), replace(query_of(rng), mirrored=True), []
    pictures = [
        with_object(rng, query, laid(query, (600, 450), 256)),
        with_object(rng, mirror, laid(mirror, (500, 400), 300, mirrored=True)),
        *strangers(rng),
    ]
    first, second = seen(as_crop(query, asked, query, mirror), pictures)
    assert first.found[0][0].gain > 2.5
    assert asked == [], "both were found"
    assert second.found[1][0].outline * SIZE == pytest.approx(laid(mirror, (500, 400), 300, mirrored=True)[-4:], abs=6)


@pytest.mark.parametrize("mirrored", [False, True])
def test_points_of_a_mirror_image_lie_where_they_are_in_the_query(mirrored):
    """They are those of the picture mirrored by Pillow, at places counted from the other side."""
    image = Image.effect_noise((96, 64), 80).convert("RGB")
    shown = ImageOps.mirror(image) if mirrored else image
    own = search.find_points_of(as_picture(image), n=50, mirrored=mirrored)
    by_hand = search.find_points_of(as_picture(shown), n=50)
    places = by_hand.places * ([-1, 1] if mirrored else [1, 1]) + ([1, 0] if mirrored else [0, 0])
    assert own.places == pytest.approx(places, abs=1e-6)
    assert own.descriptors == pytest.approx(by_hand.descriptors, abs=1e-5)
    assert isinstance(own, QueryPoints)
    assert own.mirrored == mirrored
