"""Partners, maps and evidence from points made by hand: what was laid into a picture is found where it was laid."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from patchseek.points import Points, QueryPoints, borne_out, gains, match
from patchseek.points._fit import Pairs, errors_of, fit
from patchseek.points._partners import deviations_of, find_partners, weights_of

N_STRANGERS = 40
SIZE = (1200, 900)


def units(rng, n):
    vectors = rng.normal(size=(n, 64)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def near(rng, vectors, cosine=0.95):
    """Unit vectors that have about that cosine with the vectors given."""
    askew = units(rng, len(vectors))
    mixed = cosine * vectors + np.sqrt(1 - cosine**2) * askew
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def query_of(rng, n=80, aspect=1.5, scale=256.0, turn=0.0):
    places = rng.random((n, 2)).astype(np.float32)
    return QueryPoints(places, units(rng, n), np.full(n, turn, np.float32), np.full(n, scale, np.float32), aspect)


def stranger(rng, n=150):
    return Points(rng.random((n, 2)).astype(np.float32), units(rng, n))


def strangers(rng, n=N_STRANGERS):
    return [stranger(rng) for _ in range(n)]


def laid(query, middle, longer, degrees=0.0, mirrored=False):
    """Where (n, 2), in pixels, the query's points and then its four corners lie in a picture.

    middle: pixels; longer: the box's longer side in pixels; degrees: counter-clockwise as one sees it.
    """
    frame = np.array([query.aspect, 1]) / max(query.aspect, 1) * longer
    corners = [[0, 0], [1, 0], [1, 1], [0, 1]]
    flat = (np.concatenate([query.places, corners]) - 0.5) * ([-1, 1] if mirrored else [1, 1]) * frame
    radians = np.radians(degrees)
    turn = np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]])
    return flat @ turn.T + middle


def with_object(rng, query, pixels, size=SIZE, shaken=0.0, shown=None):
    """A stranger into which the query's points, or those shown, were laid."""
    chosen = np.arange(len(query)) if shown is None else shown
    own = pixels[chosen] + rng.normal(size=(len(chosen), 2)) * shaken
    other = stranger(rng)
    places = np.concatenate([own / size, other.places]).astype(np.float32)
    return Points(places, np.concatenate([near(rng, query.descriptors[chosen]), other.descriptors]))


def found_in(query, picture, rng, size=SIZE, **options):
    """The agreements of one picture asked for among strangers, and its gain."""
    pictures = [*strangers(rng), picture]
    found = match(query, pictures, [SIZE] * N_STRANGERS + [size], **options)
    return found[-1], gains(found)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("size", [SIZE, (600, 1000)])
@pytest.mark.parametrize("aspect", [1.5, 0.6])
def test_a_box_lies_where_its_points_were_laid(rng, size, aspect):
    query = query_of(rng, aspect=aspect)
    pixels = laid(query, (300, 400), 256)
    (agreement,), gain = found_in(query, with_object(rng, query, pixels, size), rng, size)
    corners = pixels[-4:] / size
    assert np.allclose(agreement.outline, corners, atol=1e-3)
    assert np.allclose(agreement.box, [*corners.min(axis=0), *corners.max(axis=0)], atol=1e-3)
    assert np.allclose(agreement.map @ [0.5, 0.5, 1], np.array([300, 400]) / size, atol=1e-3)
    assert gain[-1] > 2
    assert gain[:-1].max() == 0


def test_each_pair_that_agrees_is_a_point_and_what_it_was_laid_to(rng):
    query = query_of(rng)
    (agreement,), _ = found_in(query, with_object(rng, query, laid(query, (300, 400), 256)), rng)
    assert len(agreement.pairs) == 80
    assert (agreement.pairs[:, 0] == agreement.pairs[:, 1]).all()
    cells = {tuple(cell) for cell in np.floor(query.places * 20).astype(int).tolist()}
    assert agreement.count == len(cells)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_query_turned_before_its_points_were_taken_is_found_turned(rng, turn):
    query = query_of(rng, turn=turn)
    pixels = laid(query, (500, 450), 256, turn)
    (agreement,), gain = found_in(query, with_object(rng, query, pixels), rng)
    assert np.allclose(agreement.outline, pixels[-4:] / SIZE, atol=1e-3)
    assert gain[-1] > 2


@pytest.mark.parametrize(("degrees", "times"), [(20, 1.0), (-15, 1.3), (0, 0.7), (10, 0.75)])
def test_what_is_askew_and_of_another_size_than_it_was_looked_at_is_found(rng, degrees, times):
    query = query_of(rng)
    pixels = laid(query, (500, 450), 256 * times, degrees)
    (agreement,), gain = found_in(query, with_object(rng, query, pixels, shaken=1.0), rng)
    assert np.abs(agreement.outline - pixels[-4:] / SIZE).max() < 0.01
    assert gain[-1] > 2


def test_points_that_lie_about_agree_on_nothing(rng):
    query = query_of(rng)
    _, gain = found_in(query, with_object(rng, query, rng.random((80, 2)) * SIZE), rng)
    assert gain[-1] < 0.3


def test_what_is_mirrored_gains_less_than_half(rng):
    query = query_of(rng)
    _, plain = found_in(query, with_object(rng, query, laid(query, (500, 450), 256)), rng)
    _, mirrored = found_in(query, with_object(rng, query, laid(query, (500, 450), 256, mirrored=True)), rng)
    assert mirrored[-1] < plain[-1] / 2


def test_half_of_an_object_is_enough(rng):
    query = query_of(rng)
    pixels = laid(query, (500, 450), 256)
    picture = with_object(rng, query, pixels, shown=np.flatnonzero(query.places[:, 0] < 0.5))
    (agreement,), gain = found_in(query, picture, rng)
    assert np.abs(agreement.outline - pixels[-4:] / SIZE).max() < 0.01
    assert gain[-1] > 1


def test_a_box_stays_within_the_picture_and_its_outline_need_not(rng):
    query = query_of(rng)
    pixels = laid(query, (60, 450), 256)
    shown = np.flatnonzero((pixels[:-4] > 0).all(axis=1))
    (agreement,), _ = found_in(query, with_object(rng, query, pixels, shown=shown), rng)
    assert agreement.box[0] == 0
    assert agreement.outline[:, 0].min() == pytest.approx((60 - 128) / 1200, abs=2e-3)


def test_two_copies_are_two_maps_the_more_evident_first(rng):
    query = query_of(rng)
    whole, part = laid(query, (250, 300), 256), laid(query, (850, 600), 230)
    shown = np.arange(40, 80)
    first = with_object(rng, query, whole)
    copy = near(rng, query.descriptors[shown], 0.97)
    both = Points(
        np.concatenate([first.places, (part[shown] / SIZE).astype(np.float32)]),
        np.concatenate([first.descriptors, copy]),
    )
    agreements, gain = found_in(query, both, rng, copies=2)
    assert len(agreements) == 2
    assert agreements[0].evidence >= agreements[1].evidence
    middles = sorted(tuple(one.outline.mean(axis=0)) for one in agreements)
    assert np.allclose(middles, [np.array([250, 300]) / SIZE, np.array([850, 600]) / SIZE], atol=5e-3)
    assert gain[-1] > 1
    assert len(found_in(query, both, np.random.default_rng(7))[0]) == 1


def test_there_may_be_no_points_no_pictures_and_one_point(rng):
    none = Points(np.zeros((0, 2), np.float32), np.zeros((0, 64), np.float32))
    empty = QueryPoints(none.places, none.descriptors, np.zeros(0, np.float32), np.zeros(0, np.float32), 1.0)
    query, one = query_of(rng), query_of(rng, 1)
    assert match(query, [], np.zeros((0, 2))) == []
    assert match(empty, [stranger(rng), none], [SIZE] * 2) == [[], []]
    assert match(one, [stranger(rng), none], [SIZE] * 2) == [[], []]
    assert match(query, [none, none], [SIZE] * 2) == [[], []]
    picture = with_object(rng, query, laid(query, (300, 400), 256))
    assert [len(found) for found in match(query, [none, picture, none], [SIZE] * 3)] == [0, 1, 0]
    assert gains([]).shape == (0,)
    assert gains([[], []]).tolist() == [0, 0]


def test_points_in_one_place_and_points_alike_give_finite_numbers(rng):
    query = query_of(rng)
    flat = Points(np.full((80, 2), 0.5, np.float32), query.descriptors)
    alike = Points(rng.random((80, 2)).astype(np.float32), np.repeat(query.descriptors[:1], 80, axis=0))
    spot = QueryPoints(np.full_like(query.places, 0.5), query.descriptors, query.turns, query.scales, 1.0)
    for asked, picture in itertools.product((query, spot), (flat, alike)):
        agreements, gain = found_in(asked, picture, rng)
        assert np.isfinite(gain).all()
        for agreement in agreements:
            assert np.isfinite(agreement.map).all()
            assert (agreement.box >= 0).all()
            assert (agreement.box <= 1).all()


def test_the_order_of_the_pictures_changes_no_answer(rng):
    query = query_of(rng)
    pictures = [*strangers(rng, 37), with_object(rng, query, laid(query, (300, 400), 256))]
    forth, back = match(query, pictures, [SIZE] * 38), match(query, pictures[::-1], [SIZE] * 38)[::-1]
    for one, other in zip(forth, back, strict=True):
        assert [agreement.evidence for agreement in one] == pytest.approx([agreement.evidence for agreement in other])
        assert [agreement.count for agreement in one] == [agreement.count for agreement in other]


def test_of_many_pictures_the_last_and_the_first_are_found_though_not_all_are_looked_at_closely(rng):
    query = query_of(rng, 200)
    pixels = laid(query, (300, 400), 256)
    right = [with_object(rng, query, pixels, shaken=1.0) for _ in range(2)]
    found = match(query, [right[0], *strangers(rng, 237), right[1]], [SIZE] * 239)
    gain = gains(found)
    assert sorted(np.argsort(gain)[-2:].tolist()) == [0, 238]
    assert gain[1:238].max() < 0.2
    for own in (found[0], found[-1]):
        assert len(own[0].pairs) > 150
        assert np.abs(own[0].outline - pixels[-4:] / SIZE).max() < 0.01


def test_a_box_is_believed_where_points_gain_or_patches_say_the_same(rng):
    query = query_of(rng)
    weak = np.arange(4)
    pixels = laid(query, (150, 225), 256)
    pictures = [with_object(rng, query, pixels, shown=shown) for shown in (np.arange(80), weak, weak)]
    found = match(query, [*pictures, *strangers(rng)], [SIZE] * (N_STRANGERS + 3))
    quarters = [[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]]
    likenesses = np.full((len(found), 4), 0.2)
    likenesses[:3, 3] = 0.7
    likenesses[1, 0] = 0.65
    assert gains(found)[0] > 1
    found[1:4] = [*([replace(agreement, gain=0.0) for agreement in own] for own in found[1:3]), []]
    regions = np.tile(np.array(quarters), (len(found), 1, 1))
    believed = borne_out(found, likenesses, regions)
    assert believed[:4].tolist() == [True, True, False, False]
    regions[2] = regions[2, ::-1]  # its best region lies where the box does
    believed = borne_out(found, likenesses, regions)
    assert believed[:4].tolist() == [True, True, True, False], "each picture has regions of its own"


def test_partners_are_each_others_most_like(rng):
    query, pictures = units(rng, 50), [stranger(rng, 30), stranger(rng, 70)]
    partners = find_partners(query, pictures, np.arange(2))
    for picture, asked, found in zip(partners.picture, partners.asked, partners.found, strict=True):
        cosines = pictures[picture].descriptors.astype(np.float64) @ query[asked]
        assert cosines.argmax() == found
        assert (query.astype(np.float64) @ pictures[picture].descriptors[found]).argmax() == asked
    assert (partners.weight > 0).all()


def test_a_point_that_strangers_have_says_less_than_one_that_they_do_not(rng):
    query = query_of(rng, 80)
    common = np.arange(40)
    pictures = []
    for _ in range(60):
        other = stranger(rng)
        copied = near(rng, query.descriptors[common], rng.uniform(0.85, 1, (40, 1)))
        pictures.append(Points(other.places, np.concatenate([copied, other.descriptors[40:]])))
    pixels = laid(query, (300, 400), 256)
    asked = [with_object(rng, query, pixels, shown=shown) for shown in (common, common + 40)]
    found = match(query, [*pictures, *asked], [SIZE] * 62)
    gain = gains(found)
    assert found[-1][0].count > 20
    assert gain[-1] > gain[-2] + 0.5


def test_deviations_are_counted_from_what_the_pictures_have():
    """100 pictures whose best cosines are 0.50, 0.51, ... : known = 100 / 110, median 0.995, tenth percentile 0.599."""
    best = np.linspace(0.5, 1.49, 100, dtype=np.float32)[:, None]
    found = deviations_of(np.array([2.0], np.float32), np.array([0]), best)
    spread = (100 * (0.995 - 0.599) / 1.2816 + 10 * 0.04) / 110 + 0.005
    assert found[0] == pytest.approx((2.0 - (100 * 0.995 + 10 * 0.725) / 110) / spread, rel=1e-4)


def test_weights_rise_from_a_half_to_eight():
    assert weights_of(np.array([0.1, 0.5, 1.5, 9.0], np.float32)).tolist() == pytest.approx([0.5, 0.5, 2.7, 8.0])


def test_a_query_is_found_where_four_in_ten_pictures_show_it(rng):
    query = query_of(rng)
    pixels = laid(query, (300, 400), 256)
    right = [with_object(rng, query, pixels, shaken=2.0) for _ in range(40)]
    gain = gains(match(query, [*strangers(rng, 60), *right], [SIZE] * 100))
    assert gain[:60].max() < 0.1
    assert gain[60:].min() > 1


def test_a_single_picture_is_compared_with_what_was_measured_before(rng):
    query = query_of(rng)
    found = match(query, [with_object(rng, query, laid(query, (300, 400), 256))], [SIZE])
    assert gains(found)[0] > 1


@pytest.mark.parametrize("n", [1, 30, 150])
def test_pictures_without_points_change_nothing_for_the_others(rng, n):
    query = query_of(rng)
    none = Points(np.zeros((0, 2), np.float32), np.zeros((0, 64), np.float32))
    pictures = [with_object(rng, query, laid(query, (300, 400), 256)), *strangers(rng, n - 1)]
    alone = match(query, pictures, [SIZE] * n)
    beside = match(query, [*pictures, *[none] * n], [SIZE] * 2 * n)
    assert gains(alone)[0] > 1
    assert gains(beside)[0] == pytest.approx(gains(alone)[0], rel=0.05)
    assert not any(beside[n:])


@pytest.mark.parametrize("seed", range(8))
def test_no_map_among_all_that_two_pairs_make_has_many_more_that_agree(seed):
    """Brute force over every two of 60 pairs, of which 25 lie on a map with noise."""
    rng = np.random.default_rng(seed)
    query = query_of(rng, 60, aspect=1.0)
    pixels = laid(query, (500, 450), 256 * rng.uniform(0.75, 1.35), rng.uniform(-20, 20))[:60]
    pixels += rng.normal(size=pixels.shape) * 3
    pixels[25:] = rng.random((35, 2)) * SIZE
    x, u = query.places.astype(np.float64), pixels / 1200
    most = 0
    for i, j in itertools.combinations(range(60), 2):
        here, there = complex(*(x[j] - x[i])), complex(*(u[j] - u[i]))
        times = there / here
        ahead = (x - x[i]) @ [1, 1j] * times + complex(*u[i])
        if 0.5 < abs(times) * 1024 / 256 < 2:
            most = max(most, int((np.abs(ahead - u @ [1, 1j]) < 0.04 * abs(times)).sum()))
    shape = np.ones((1, 60), np.float32)
    places = np.stack([*x.T, *u.T]).astype(np.float32)[:, None]
    maps, sound = fit(Pairs(places, shape * 256 / 1024, shape * 0, shape))
    agreeing = (errors_of(maps.T[..., None], places) < 0.04).sum()
    assert sound.all()
    assert most >= 20
    assert agreeing >= 0.85 * most
