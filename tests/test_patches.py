import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patchseek.encode import Content, Regions, load_content
from patchseek.errors import BoxError, PatchseekError
from patchseek.images import Picture
from patchseek.patches import Feed, crop, cut
from patchseek.regions import Pyramid
from patchseek.store import FileState

from .conftest import TinyEncoder

PYRAMID = Pyramid((0, 1, 2, 3))


def picture_of(pixels: np.ndarray) -> Picture:
    pixels = np.ascontiguousarray(pixels, np.uint8)
    pixels.flags.writeable = False
    return Picture(pixels, pixels.shape[1], pixels.shape[0])


def photo(width: int, height: int, seed: int = 0) -> Picture:
    """Detail at every scale, as natural pictures have it: an octave of noise has half the strength of the one below."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for octave in range(1, 9):
        noise = rng.integers(0, 256, (2**octave, 2**octave, 3), np.uint8)
        total += np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)) / 2**octave
    return picture_of(total)


def exact(picture: Picture, boxes: np.ndarray, size: int) -> np.ndarray:
    """Each box by one plain bicubic resize from all pixels: slow, and the truth for what follows."""
    image, (h, w) = Image.fromarray(picture.pixels), picture.pixels.shape[:2]
    rows = [image.resize((size, size), Image.Resampling.BICUBIC, box=tuple(b * [w, h, w, h])) for b in boxes]
    return np.stack([np.asarray(row) for row in rows])


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean absolute difference (N,) of two stacks of patches, in 255ths."""
    return np.abs(a.astype(int) - b.astype(int)).mean(axis=(1, 2, 3))


def test_patches_come_in_the_order_of_the_boxes() -> None:
    grid = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
    picture = picture_of(np.stack([grid, grid.T, 255 - grid], axis=2).repeat(60, 0).repeat(60, 1))
    patches = cut(picture, Pyramid((3,)), Feed(30))
    assert patches.shape == (16, 30, 30, 3)
    assert patches.dtype == np.uint8
    assert patches[:, 15, 15, 0].tolist() == [16 * i for i in range(16)]  # row by row
    assert patches[:4, 15, 15, 1].tolist() == [0, 64, 128, 192]


@pytest.mark.parametrize("size", [(400, 400), (331, 517), (640, 480), (90, 70), (30, 1100), (1500, 1100)])
def test_a_cut_is_the_crops_of_the_same_boxes(size: tuple[int, int]) -> None:
    picture = photo(*size)
    patches = cut(picture, PYRAMID, Feed(64))
    assert patches.shape == (30, 64, 64, 3)
    boxes = PYRAMID.boxes_of(*size)
    assert difference(patches, exact(picture, boxes, 64)).mean() < 1
    assert difference(patches, crop(picture, boxes, Feed(64))).mean() < 1


def test_a_level_made_straight_from_the_picture_is_the_same_to_the_rounding() -> None:
    picture = photo(300, 280)
    patches, truth = cut(picture, PYRAMID, Feed(64)), exact(picture, PYRAMID.boxes, 64)
    straight = np.isin(PYRAMID.level_of, [2, 3])
    np.testing.assert_allclose(patches[straight].astype(int), truth[straight], atol=1)


def test_a_picture_smaller_than_its_canvases_is_enlarged_level_by_level() -> None:
    picture = photo(50, 40)
    assert difference(cut(picture, PYRAMID, Feed(64)), exact(picture, PYRAMID.boxes, 64)).max() < 0.7


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_overlapping_windows_are_cut_at_the_nearest_pixel(overlap: float) -> None:
    picture, pyramid = photo(500, 400), Pyramid((0, 1, 2), overlap)
    patches = cut(picture, pyramid, Feed(56))
    assert patches.shape == (pyramid.n_regions, 56, 56, 3)
    assert difference(patches, exact(picture, pyramid.boxes, 56)).mean() < 1


def test_a_pyramid_need_not_begin_at_the_whole_picture() -> None:
    picture, pyramid = photo(500, 400), Pyramid((1, 4))
    assert difference(cut(picture, pyramid, Feed(32)), exact(picture, pyramid.boxes, 32)).mean() < 1


@pytest.mark.parametrize("size", [(300, 280), (1900, 1700), (3000, 700)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_patches_of_a_level_do_not_depend_on_the_levels_beside_it(
    tmp_path: Path, size: tuple[int, int], kind: str
) -> None:
    file, encoder = tmp_path / "picture", TinyEncoder()
    encoder.feed = Feed(32)
    Image.fromarray(photo(*size).pixels).save(file, kind)
    content = file.read_bytes()

    def load(levels: tuple[int, ...]) -> np.ndarray:
        given, regions = Content.of("p", FileState(len(content), 0), content), Regions(encoder, Pyramid(levels))
        return load_content(given, None, [regions]).extracts["regions"]  # type: ignore[union-attr]

    whole, level_of = load((0, 1, 2, 3, 4, 6)), Pyramid((0, 1, 2, 3, 4, 6)).level_of
    for levels in [(0,), (1,), (2,), (3,), (4,), (6,), (0, 1), (1, 4), (0, 1, 2, 3)]:
        np.testing.assert_array_equal(load(levels), whole[np.isin(level_of, levels)], err_msg=str(levels))


def test_a_large_picture_is_first_shrunk_without_shifting_anything() -> None:
    columns = np.linspace(0, 255, 2003).round()[None, :, None]  # 2003 pixels do not divide by any factor
    picture = picture_of(np.broadcast_to(columns, (1009, 2003, 3)))
    patch = cut(picture, Pyramid((0,)), Feed(50))[0, 25, :, 0]
    np.testing.assert_allclose(patch[2:-2], ((np.arange(50) + 0.5) / 50 * 255)[2:-2], atol=1)


def test_a_crop_takes_the_box_and_squashes_it() -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[10:20, 40:80] = [250, 100, 50]  # x 0.5..1, y 0.25..0.5
    patches = crop(picture_of(pixels), [[0.5, 0.25, 1, 0.5], [0, 0.5, 1, 1], [0, 0, 1, 1]], Feed(16))
    assert patches.shape == (3, 16, 16, 3)
    assert patches.dtype == np.uint8
    assert (patches[0, 4:-4, 4:] == [250, 100, 50]).all()  # the filter reaches past the edges of a box
    assert (patches[1, 4:] == 0).all()
    np.testing.assert_allclose(
        patches[2, 5, [3, 12]], [[0, 0, 0], [250, 100, 50]], atol=5
    )  # bicubic overshoots a little


def test_a_crop_is_at_least_a_pixel_and_inside_the_picture() -> None:
    picture = photo(4, 5)
    thin = [[0, 0, 0, 0], [1, 1, 1, 1], [0.5, 0, 0.5, 0.2], [-1, -1, 0.25, 0.2], [0.9999, 0.9999, 5, 5]]
    pixel = [[0, 0, 0.25, 0.2], [0.75, 0.8, 1, 1], [0.5, 0, 0.75, 0.2], [0, 0, 0.25, 0.2], [0.75, 0.8, 1, 1]]
    np.testing.assert_array_equal(crop(picture, thin, Feed(6)), crop(picture, pixel, Feed(6)))
    assert crop(photo(1, 1), [[0.2, 0.2, 0.8, 0.8]], Feed(4)).shape == (1, 4, 4, 3)


def test_crops_of_a_large_picture_stay_within_one_grey_level() -> None:
    picture = photo(2400, 1800)
    boxes = np.array([[0, 0, 1, 1], [0.1, 0.2, 0.35, 0.5], [0.333, 0.111, 0.999, 0.777]])
    assert difference(crop(picture, boxes, Feed(96)), exact(picture, boxes, 96)).max() < 1


def test_no_boxes_make_no_patches() -> None:
    assert crop(photo(20, 20), np.zeros((0, 4)), Feed(8)).shape == (0, 8, 8, 3)


@pytest.mark.parametrize("boxes", [[0, 0, 1, 1], [[0, 0, 1]], [[0, 0, np.nan, 1]], [[0.5, 0, 0.4, 1]]])
def test_what_is_no_box_is_refused(boxes: object) -> None:
    with pytest.raises(BoxError, match="boxes must be"):
        crop(photo(20, 20), boxes, Feed(8))


def test_many_threads_cut_what_one_thread_cuts() -> None:
    pictures = [photo(200 + 30 * i, 300, seed=i) for i in range(8)]
    alone = [cut(picture, PYRAMID, Feed(32)) for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        for one, other in zip(alone, pool.map(lambda p: cut(p, PYRAMID, Feed(32)), pictures), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_region_is_squashed_cut_or_padded_to_a_square() -> None:
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:, :50, 0], pixels[:, 150:, 1], pixels[:, 50:150, 2] = 255, 255, 255  # red, blue, green from left to right
    for feed, expected in [
        (Feed(20), "rbbg"),
        (Feed(20, "center-crop"), "bbbb"),
        (Feed(20, "center-crop", keep=0.5), "bbbb"),
        (Feed(20, "pad"), "rbbg"),
    ]:
        for patch in (
            crop(picture_of(pixels), [[0, 0, 1, 1]], feed)[0],
            cut(picture_of(pixels), Pyramid((0,)), feed)[0],
        ):
            assert "".join("rgb"[c] for c in patch[10, [2, 8, 12, 17]].argmax(axis=1)) == expected
            grey = feed.fit == "pad"
            assert [bool((patch[y] == 127).all()) for y in (0, 4, 5, 14, 15, 19)] == [
                grey,
                grey,
                False,
                False,
                grey,
                grey,
            ]


def test_an_exact_feed_cuts_at_whole_pixels_and_resizes_each_region_alone() -> None:
    picture, feed = photo(331, 517), Feed(32, exact=True)
    image = Image.fromarray(picture.pixels)
    for patch, (x0, y0, x1, y1) in zip(cut(picture, PYRAMID, feed), PYRAMID.boxes, strict=True):
        corners = (round(x0 * 331), round(y0 * 517), round(x1 * 331), round(y1 * 517))
        np.testing.assert_array_equal(patch, image.crop(corners).resize((32, 32), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("fit", ["center-crop", "pad"])
@pytest.mark.parametrize("size", [(640, 480), (300, 900)])
def test_a_cut_is_the_crops_of_the_same_boxes_however_they_are_fitted(fit: str, size: tuple[int, int]) -> None:
    picture, feed = photo(*size), Feed(48, fit, keep=0.9)
    assert difference(cut(picture, PYRAMID, feed), crop(picture, PYRAMID.boxes, feed)).mean() < 1.5


@pytest.mark.parametrize("wrong", [{"fit": "stretch"}, {"interpolation": "nearest"}])
def test_an_unknown_fit_or_filter_is_an_error(wrong: dict[str, str]) -> None:
    with pytest.raises(PatchseekError, match="must be one of"):
        Feed(8, **wrong)


def test_a_picture_is_gone_as_soon_as_it_is_cut() -> None:
    """Python's collector comes late for what refers to itself; by then many pictures would be waiting for it."""
    gc.collect()
    gc.disable()
    try:
        picture = photo(640, 480)
        pixels = weakref.ref(picture.pixels)
        patches = cut(picture, PYRAMID, Feed(32))
        del picture
        assert pixels() is None
        assert len(patches) == 30
        assert gc.collect() == 0
    finally:
        gc.enable()
