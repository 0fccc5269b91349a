"""What is kept of a picture is made by several extractors, each of which makes the same whatever the others make."""

import weakref

import numpy as np
import pytest
from PIL import Image

from patchseek import encode, images
from patchseek.encode import Content, Regions, _load, encode_tasks, load_content
from patchseek.patches import Feed, cut
from patchseek.regions import Pyramid
from patchseek.store import Failure, FileState

from .conftest import TinyEncoder, blot

PYRAMID = Pyramid.up_to(1)


class Corners:
    """The colours of a picture's corners, as many of the four as differ: 35 bytes each, the colour first."""

    kind = "points"

    def __init__(self, need: int | None = None) -> None:
        self.needs = (need,)

    def cut(self, picture, i):
        assert i == 0
        return codes_of(picture.pixels)


def codes_of(pixels: np.ndarray) -> np.ndarray:
    """What Corners should say of pixels (h, w, 3)."""
    colours = np.unique(pixels[[0, 0, -1, -1], [0, -1, 0, -1]], axis=0)
    return np.pad(colours, ((0, 0), (0, 32)))


def tiles(seed: int, n: int) -> Image.Image:
    """A picture with n colours in its corners."""
    pixels = np.array(blot(seed))
    for i, corner in enumerate([(0, 0), (0, -1), (-1, 0), (-1, -1)]):
        pixels[corner] = [min(i, n - 1), seed, 200]
    return Image.fromarray(pixels)


def nine_pictures(folder):
    """A folder with 0.png to 8.png, of 1, 2, 3, 4, 1 and so on colours in their corners."""
    folder.mkdir()
    for i in range(9):
        tiles(i, 1 + i % 4).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def folder(tmp_path):
    return nine_pictures(tmp_path / "pictures")


def load(path, extractors):
    content = path.read_bytes()
    return load_content(Content.of(path.name, FileState(len(content), 0), content), None, extractors)


def loaded(folder, extractors, on_other=None):
    return list(encode_tasks(sorted(folder.iterdir()), load, extractors, 2, on_other or pytest.fail))


def patches_of(file, encoder, pyramid=PYRAMID):
    return load(file, [Regions(encoder, pyramid)]).extracts["regions"]


@pytest.fixture
def reads(monkeypatch):
    """The needs for which pictures are decoded from now on."""
    needs = []

    def noting(*given, need, **options):
        needs.append(need)
        return images.read(*given, need=need, **options)

    monkeypatch.setattr(_load, "read", noting)
    return needs


def test_every_picture_has_what_each_extractor_makes_of_it(folder, tiny):
    out = loaded(folder, [Regions(tiny, PYRAMID), Corners()])
    assert [each.picture.path for each in out] == [f"{i}.png" for i in range(9)]
    for i, each in enumerate(out):
        assert each.extracts.keys() == {"regions", "points"}
        picture = images.read(folder / f"{i}.png")
        np.testing.assert_array_equal(each.extracts["regions"], tiny.encode(cut(picture, PYRAMID, tiny.feed)))
        np.testing.assert_array_equal(each.extracts["points"], codes_of(np.asarray(tiles(i, 1 + i % 4))))
        assert len(each.extracts["points"]) == 1 + i % 4


def test_no_encoder_is_needed_for_what_needs_none(folder):
    out = loaded(folder, [Corners()])
    assert [len(each.extracts["points"]) for each in out] == [1, 2, 3, 4, 1, 2, 3, 4, 1]


def test_several_may_fill_batches_of_their_own(folder):
    class Mirrored(Regions):
        kind = "mirrored"

        def cut(self, picture, i):
            return np.ascontiguousarray(super().cut(picture, i)[:, :, ::-1])

    sizes = {"a": [], "b": []}

    class Noting(TinyEncoder):
        def encode(self, patches):
            sizes[self.identity.name].append(len(patches))
            return super().encode(patches)

    out = loaded(folder, [Regions(Noting("a"), PYRAMID), Mirrored(Noting("b"), Pyramid((0,))), Corners()])
    assert ({*sizes["a"]}, sorted(sizes["b"])) == ({7, 3}, [2, 7]), "9 pictures of 5 patches and of 1"
    for i, each in enumerate(out):
        mirrored = images.from_image(tiles(i, 1 + i % 4).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        expected = TinyEncoder().encode(cut(mirrored, Pyramid((0,)), TinyEncoder.feed))
        assert each.extracts["mirrored"] == pytest.approx(expected, abs=0.02)
        assert each.extracts.keys() == {"regions", "mirrored", "points"}


def test_a_dense_encoder_has_its_place_among_them(folder):
    class Dense(TinyEncoder):
        regions = property(lambda self: self)

        def encode_regions(self, pictures, boxes):
            return np.stack([self.encode(pictures)] * len(boxes), axis=1)

    out = loaded(folder, [Corners(), Regions(Dense(), PYRAMID)])
    for i, each in enumerate(out):
        assert each.extracts["regions"].shape == (5, 13)
        np.testing.assert_array_equal(each.extracts["points"], codes_of(np.asarray(tiles(i, 1 + i % 4))))
        whole = cut(images.read(folder / f"{i}.png"), Pyramid((0,)), TinyEncoder.feed)
        np.testing.assert_array_equal(each.extracts["regions"], TinyEncoder().encode(whole).repeat(5, axis=0))


# ---- decodings


@pytest.fixture(params=["JPEG", "PNG"])
def photo(request, tmp_path):
    """A picture of 1200 x 900 pixels, of which 32 pixels a patch take a fraction."""
    blot(5, 1200, 904).resize((1200, 900)).save(tmp_path / "photo", request.param)
    return tmp_path / "photo"


@pytest.mark.parametrize("need", [20, 128, 600, None])
@pytest.mark.parametrize("levels", [(0, 1, 2, 3), (0, 1, 4, 5)])
@pytest.mark.parametrize("exact", [False, True])
def test_neither_changes_what_the_other_makes(photo, need, levels, exact):
    encoder, pyramid = TinyEncoder(), Pyramid(levels)
    encoder.feed = Feed(32, exact=exact)
    regions, corners = Regions(encoder, pyramid), Corners(need)
    for extractors in ([regions, corners], [corners, regions]):
        both = load(photo, extractors).extracts
        np.testing.assert_array_equal(both["regions"], patches_of(photo, encoder, pyramid))
        np.testing.assert_array_equal(both["points"], codes_of(images.read(photo, need=need).pixels))


@pytest.mark.parametrize(
    ("need", "expected"),
    [
        pytest.param(128, [128], id="the same"),
        pytest.param(20, [20, 128], id="a smaller one comes first"),
        pytest.param(400, [128, 400], id="all pixels, where fewer would do for the patches"),
        pytest.param(None, [128, None], id="every pixel"),
    ],
)
def test_a_picture_is_decoded_once_for_what_asks_for_the_same(photo, reads, need, expected):
    encoder = TinyEncoder()
    encoder.feed = Feed(32)  # levels 0 to 3 need 4 x 32 pixels
    load(photo, [Regions(encoder, PYRAMID), Corners(need)])
    assert reads == expected


def test_a_picture_that_is_small_anyway_is_decoded_once(folder, reads, tiny):
    load(folder / "1.png", [Regions(tiny, Pyramid((0, 3, 4, 5))), Corners(None), Corners(900)])
    assert reads == [32]


def test_one_decoding_is_held_at_a_time(photo, monkeypatch):
    held = []

    def noting(*given, **options):
        assert all(pixels() is None for pixels in held)
        picture = images.read(*given, **options)
        held.append(weakref.ref(picture.pixels))
        return picture

    monkeypatch.setattr(_load, "read", noting)
    encoder = TinyEncoder()
    encoder.feed = Feed(32)
    load(photo, [Regions(encoder, Pyramid((0, 4))), Corners(None), Corners(20)])
    assert len(held) == 4


# ---- failures


def test_a_picture_for_which_memory_is_short_fails_for_now(folder, tiny):
    class Greedy(Corners):
        def cut(self, picture, i):
            if (picture.pixels[0, 0] == [0, 3, 200]).all():
                raise MemoryError
            return super().cut(picture, i)

    from patchseek.store import Settings, Store

    store = Store.create(folder.parent / "collection", Settings(tiny.identity, PYRAMID))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("patchseek.encode._run.extractors_of", lambda *_: [Regions(tiny, PYRAMID), Greedy()])
        report = encode.add_folder(store, folder, tiny)
    assert [(f.path, f.reason, f.passing) for f in report.failed] == [("3.png", "too little memory to cut it", True)]
    assert encode.add_folder(store, folder, tiny).added == 1


def test_a_picture_without_sound_features_is_not_kept_for_its_points(folder):
    class Broken(TinyEncoder):
        def encode(self, patches):
            features = super().encode(patches)
            features[(patches == 255).all(axis=(1, 2, 3))] = np.nan
            return features

    Image.new("RGB", (64, 48), "white").save(folder / "4.png")
    others = []
    out = loaded(folder, [Regions(Broken(), PYRAMID), Corners()], others.append)
    assert [each.picture.path for each in out] == [f"{i}.png" for i in range(9) if i != 4]
    (failure,) = others
    assert isinstance(failure, Failure)
    assert (failure.path, failure.passing) == ("4.png", True)
    assert failure.reason == "the encoder tiny answers with NaN in 5 of 5 features"
