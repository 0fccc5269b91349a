"""What benchmarks/points.py makes and judges, on pictures and lists made by hand."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patchseek import Collection
from patchseek.datasets import open_dataset

from .conftest import blot

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    """The folder of the scripts, which import each other by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def make_set(tmp_path):
    """make_set() -> the folder of a set: a.png and b.png show a cup, at boxes x y w h, c.png and d.png nothing."""

    def make(a=(0, 0, 16, 16), b=(0, 0, 64, 32)):
        folder = tmp_path / "set"
        folder.mkdir()
        for seed, name in enumerate("abcdq"):
            blot(seed).save(folder / f"{name}.png")  # 64 x 48 pixels
        shown = {"a": a, "b": b}
        gallery = [
            {
                "id": name,
                "image": f"{name}.png",
                "instance": ["cup"] if name in shown else None,
                "bbox": [list(shown[name])] if name in shown else None,
            }
            for name in "abcd"
        ]
        query = [{"id": "q", "image": "q.png", "instance": "cup", "bbox": [8, 8, 32, 24]}]
        (folder / "gallery.json").write_text(json.dumps(gallery))
        (folder / "query.json").write_text(json.dumps(query))
        return folder

    return make


class TestRows:
    """Right are a and b; the list is a, c, b, d, and the box of a alone fits."""

    ranked = {  # noqa: RUF012
        "q": [["a", 0.9, [0, 0, 16, 16]], ["c", 0.8, [0, 0, 9, 9]], ["b", 0.7, [0, 0, 9, 9]], ["d", 0.6, [0, 0, 9, 9]]]
    }

    def test_a_row_holds_what_can_be_counted_by_hand(self, make_set):
        from points_rows import rankings, row

        assert row(rankings(self.ranked, open_dataset(make_set()))) == {
            "queries": 1,
            "positives": 2,
            "mAP": round((1 + 2 / 3) / 2, 4),
            "LocScore(gate, 0.4)": 0.5,
            "recall@20": 1.0,
            "recall@50": 1.0,
            "IoU@0.5 of right ones among 20": 0.5,
        }

    def test_recall_and_boxes_stop_where_the_list_is_cut(self, make_set):
        from points_rows import first, rankings, recall

        ranking = rankings(self.ranked, open_dataset(make_set()))[0]
        assert [recall(ranking, k) for k in (1, 2, 3)] == [0.5, 0.5, 1.0]
        assert first(ranking, 2).overlaps[0] == 1.0
        assert first(ranking, 2).ids == ("a", "c")

    def test_positives_are_sorted_by_their_share_of_the_picture(self, make_set):
        """16 x 16 of 64 x 48 are 8.3 %, 64 x 32 are 67 %; the right picture of another bin is left out of a list."""
        from points_rows import by_size, rankings

        data = open_dataset(make_set())
        rows = by_size(rankings(self.ranked, data), data, dict.fromkeys("abcd", (64, 48)))
        assert {label: (row["positives"], row["mAP"]) for label, row in rows.items()} == {
            "5 to 10 %": (1, 1.0),
            "20 % and more": (1, 0.5),
        }

    def test_queries_are_sorted_by_texture_into_thirds(self, make_set):
        from points_rows import by_texture, rankings

        rows = by_texture(rankings(self.ranked, open_dataset(make_set())) * 6, [0.5, 0.1, 0.9, 0.2, 0.6, 0.8])
        assert {label: (row["texture from"], row["to"], row["queries"]) for label, row in rows.items()} == {
            "plain": (0.1, 0.2, 2),
            "middling": (0.5, 0.6, 2),
            "rich": (0.8, 0.9, 2),
        }

    def test_turned_queries_are_measured_against_upright_ones(self):
        from points_rows import of_upright

        rows = of_upright({"upright": {"mAP": 0.8}, "mirrored": {"mAP": 0.6}})
        assert rows["mirrored"] == {"mAP": 0.6, "of the upright mAP": 0.75}

    def test_a_first_answer_counts_by_its_picture_and_its_box(self):
        """Half of the box, all of it, and the right box in the wrong picture."""
        from points_rows import answered

        box = (10, 10, 20, 20)
        found = answered([("a", (10, 10, 10, 20), "a", box), ("a", box, "a", box), ("b", box, "a", box)])
        assert found == {"first answer right": 0.6667, "mean IoU": 0.5, "mean IoU of right ones": 0.75}

    def test_a_scorer_that_disagrees_is_an_error(self, make_set):
        from points_rows import check

        class Scorer:
            """By hand: the whole list, then the same cut at 20."""

            def __init__(self, precision):
                self.answer = {"all": {"queries": 1, "mAP": precision, "loc_pairs": 2, "IoU50": 0.5}}

            def score(self, *_):
                return self.answer

        data = open_dataset(make_set())
        check(self.ranked, data, Scorer(0.8333), "set")
        with pytest.raises(AssertionError):
            check(self.ranked, data, Scorer(0.8), "set")


class TestPictures:
    def test_turned_queries_are_the_same_pixels_elsewhere(self):
        from points_pictures import TURNS

        picture = blot(1)
        pixels = np.asarray(picture)
        found = {name: np.asarray(turn(picture)) for name, turn in TURNS.items()}
        assert (found["upright"] == pixels).all()
        assert (found["turned by 90"] == np.rot90(pixels)).all()
        assert (found["turned by 180"] == pixels[::-1, ::-1]).all()
        assert (found["mirrored"] == pixels[:, ::-1]).all()

    def test_corners_are_texture_and_plain_colours_and_stripes_are_none(self):
        """Dots of one pixel in 1 of 4 cells of 8 x 8; the picture has the side to which others are brought."""
        from points_pictures import TEXTURE_SIDE, texture

        plain = np.full((TEXTURE_SIDE, TEXTURE_SIDE), 90, np.uint8)
        stripes, dotted = plain.copy(), plain.copy()
        stripes[:, ::9] = 255
        dotted[3::16, 3::16] = 255
        assert [texture(Image.fromarray(grey).convert("RGB")) for grey in (plain, stripes, dotted)] == [0, 0, 0.25]

    def test_pieces_are_of_the_size_and_place_that_they_say(self, tmp_path):
        from points_pictures import BANDS, cut_pieces

        paths = []
        for seed in range(3):
            paths.append(tmp_path / f"{seed}.png")
            blot(seed, 640, 480).save(paths[-1])
        pieces = cut_pieces(paths, 2)
        assert [piece.band for piece in pieces] == [band for band in BANDS for _ in range(2)]
        for piece in pieces:
            x, y, w, h = piece.box
            low, high = BANDS[piece.band]
            assert 0.95 * low < w * h / (640 * 480) < 1.05 * high
            whole = np.asarray(Image.open(piece.photograph))
            assert (np.asarray(piece.picture) == whole[y : y + h, x : x + w]).all()
        assert pieces == cut_pieces(paths, 2)

    def test_small_pictures_are_no_photographs_to_cut(self, tmp_path):
        from points_pictures import choose_photographs

        for name, width in (("small", 504), ("a", 512), ("b", 640)):
            blot(1, width).save(tmp_path / f"{name}.png")
        paths = sorted(tmp_path.iterdir())
        assert {path.stem for path in choose_photographs(paths, 5)} == {"a", "b"}
        assert len(choose_photographs(paths, 1)) == 1

    def test_a_changed_piece_has_the_size_that_its_change_says(self):
        from points_pictures import CHANGES

        sizes = {name: change(blot(1, 80, 40)).size for name, change in CHANGES.items()}
        assert sizes["as cut"] == sizes["JPEG quality 10"] == (80, 40)
        assert sizes["turned by 90"] == (40, 80)
        assert sizes["a quarter of the size"] == (20, 10)
        assert sizes["oblique"] == (56, 40)
        assert all(abs(side - 120 / 2**0.5) <= 2 for side in sizes["turned by 45"])

    def test_an_oblique_piece_has_its_corners_where_it_says(self):
        """A white left half: it begins a quarter below the top, and is as high as the right one at the right."""
        from points_pictures import oblique

        picture = Image.new("RGB", (100, 100), "white")
        picture.paste("red", (50, 0, 100, 100))
        seen = np.asarray(oblique(picture)).astype(int)
        assert (seen[50, 3] > 250).all()
        assert (seen[50, 66] == (255, 0, 0)).all()
        assert abs(seen[10, 2] - picture.resize((1, 1)).getpixel((0, 0))).max() <= 2  # above it is ground

    def test_a_set_of_smaller_objects_shows_them_at_half_the_size(self, make_set):
        """White objects, whose places are then seen in the pictures; the object's share is a quarter of what it was."""
        from points_pictures import write_smaller

        folder = make_set()
        for name, (w, h) in {"a": (16, 16), "b": (64, 32)}.items():
            picture = Image.new("RGB", (64, 48))
            picture.paste("white", (0, 0, w, h))
            picture.save(folder / f"{name}.png")
        for name in "cd":
            Image.new("RGB", (64, 48), (90, 90, 90)).save(folder / f"{name}.png")
        data = open_dataset(write_smaller(folder, folder.parent / "smaller"))
        assert [query.box for query in data.queries] == [(8, 8, 32, 24)]
        for entry in data.gallery:
            pixels = np.asarray(Image.open(entry.image).convert("L"))
            boxes = data.positives("q").get(entry.id)
            if boxes is None:
                assert (pixels == 90).all()
                continue
            down, across = np.nonzero(pixels > 160)
            seen = (across.min(), down.min(), np.ptp(across) + 1, np.ptp(down) + 1)
            assert np.abs(np.subtract(seen, boxes[0])).max() <= 1
            assert boxes[0][2:] == {"a": (8, 8), "b": (32, 16)}[entry.id]


class TestAsked:
    def test_an_option_that_is_not_known_is_off(self):
        from points_asked import possible

        ways = {
            "old": {"refine": 3},
            "without": {"refine": 3, "telepathy": 0},
            "with": {"refine": 3, "telepathy": 500},
        }
        assert possible(ways) == {"old": {"refine": 3}, "without": {"refine": 3}}

    def test_the_ways_of_today_can_be_asked(self, make_set, tiny, tmp_path):
        """A piece of a picture finds that picture first, in whichever way."""
        from points_asked import Indexed, Question, possible

        folder = make_set()
        collection = Collection.open(tmp_path / "c", encoder=tiny, create=True)
        report = collection.add(folder)
        ids = {f"{name}.png": name for name in "abcdq"}
        indexed = Indexed(open_dataset(folder), folder, collection, report, ids)
        assert indexed.sizes == dict.fromkeys("abcdq", (64, 48))
        for way in possible().values():
            ranked = indexed.ask([Question("q", folder / "c.png", (0, 0, 32, 24))], way)
            assert [len(ranked["q"]), ranked["q"][0][0], len(ranked["q"][0][2])] == [5, "c", 4]

    def test_an_object_is_less_surely_there_once_its_pictures_are_taken_out(self, tiny, make_folder, tmp_path):
        """A quarter of a picture of random tiles is in that picture, and in no other."""
        from points_asked import Indexed, confidence

        names = [f"{i}.png" for i in range(12)]
        folder = make_folder(*names)
        gallery = [{"id": name, "image": name, "instance": None, "bbox": None} for name in names]
        gallery[3] |= {"instance": ["tiles"], "bbox": [[0, 0, 32, 24]]}
        query = [{"id": "q", "image": "q.png", "instance": "tiles", "bbox": None}]
        with Image.open(folder / "3.png") as picture:
            picture.crop((0, 0, 32, 24)).save(tmp_path / "q.png")
        (folder / "gallery.json").write_text(json.dumps(gallery))
        (folder / "query.json").write_text(json.dumps(query))
        collection = Collection.open(tmp_path / "c", encoder=tiny, create=True)
        report = collection.add(folder)
        (tmp_path / "q.png").rename(folder / "q.png")
        indexed = Indexed(open_dataset(folder), folder, collection, report, dict(zip(names, names, strict=True)))
        found = confidence(indexed, {"any": {"refine": 0}, "refined": {"refine": 3}})
        assert found.keys() == {"any", "refined"}
        assert all((own["AUROC"], own["present, not doubtful"]) == (1, 1) for own in found.values())
        assert [own["absent, not doubtful"] for own in found.values()] == [0, 0]

    def test_figures_that_are_not_measured_are_kept(self):
        from points import merged

        kept = {"set": {"ways": {"old": {"mAP": 1}, "new": {"mAP": 2}}, "AUROC": {"old": 3}}}
        both = merged(kept, {"set": {"ways": {"new": {"mAP": 5}}}, "pieces": {}})
        assert both == {"set": {"ways": {"old": {"mAP": 1}, "new": {"mAP": 5}}, "AUROC": {"old": 3}}, "pieces": {}}

    def test_figures_are_on_disk_as_soon_as_they_are_known(self, tmp_path):
        from points import keep_beside

        keep_beside({"pieces": {"SIFT": {"as cut": {"first answer right": 1}}}}, {"cores": 2}, tmp_path)
        keep_beside({"set": {"AUROC": {"any": 0.5}}}, {"cores": 3}, tmp_path)
        assert json.loads((tmp_path / "points.json").read_text()) == {
            "machine": {"cores": 3},
            "figures": {"pieces": {"SIFT": {"as cut": {"first answer right": 1}}}, "set": {"AUROC": {"any": 0.5}}},
        }

    def test_the_rival_says_what_it_needs(self, monkeypatch):
        from sift import Sift

        monkeypatch.setitem(sys.modules, "cv2", None)
        with pytest.raises(SystemExit, match="pip install --group bench"):
            Sift([])


def test_pieces_are_counted_by_band_and_change(tmp_path):
    """Whoever knows the names is right in all bands; who answers with the first picture, in those cut from it."""
    from points_crops import rows
    from points_pictures import BANDS, CHANGES, cut_pieces

    for seed in range(8):
        blot(seed, 640, 480).save(tmp_path / f"{seed}.png")
    pieces = cut_pieces(sorted(tmp_path.iterdir()), 2)
    table = rows(lambda _: (pieces[0].photograph.name, pieces[0].box), pieces)
    assert list(table) == [*CHANGES, "s a query"]
    assert [table["as cut"][f"right, {band}"] for band in BANDS] == [0.5, 0, 0, 0]
    assert table["as cut"]["first answer right"] == 0  # the smallest are not among them
    assert {name for name in CHANGES if "mean IoU" not in table[name]} == {"turned by 45", "oblique"}
