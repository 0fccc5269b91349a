"""Every benchmark in the same shape: who is right, where the object is, what is left out; errors name file and line."""

import importlib.util
import io
import json
import pickle

import numpy as np
import pytest
import scipy.io
from PIL import Image

from patchseek.datasets import clamp, corners, open_dataset, write_schema
from patchseek.datasets._literals import read_literals
from patchseek.datasets._mat import read_mat
from patchseek.errors import BoxError, DatasetError


def jpegs(folder, *names):
    """Tiny pictures, since nobody looks at them here."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6)).save(folder / name)
    return folder


def write(folder, queries, gallery):
    """A folder with query.json, gallery.json and every picture that the rows name under "image"."""
    rows = [row for row in (*queries, *gallery) if isinstance(row, dict)]
    jpegs(folder, *[row["image"] for row in rows if isinstance(row.get("image"), str)])
    folder.mkdir(exist_ok=True)
    (folder / "query.json").write_text(json.dumps(queries))
    (folder / "gallery.json").write_text(json.dumps(gallery))
    return folder


CUP = {"id": "q1", "image": "images/q1.jpg", "instance": "cup", "bbox": [1, 2, 3, 4]}
JUG = {"id": "q2", "image": "images/q2.jpg", "instance": "jug", "bbox": None}
SHELF = {
    "id": "g1",
    "image": "images/g1.jpg",
    "instance": ["cup", "jug", "cup"],
    "bbox": [[0, 0, 2, 2], [1, 1, 3, 3], [4, 0, 1, 1]],
    "meta": [{"area": 0.1}, {"area": 0.2}, {"area": 0.3}],
}
TABLE = {"id": "g2", "image": "images/g2.jpg", "instance": ["cup"], "bbox": None, "ignore": ["jug"]}
BEACH = {"id": "g3", "image": "images/g3.jpg", "instance": None, "bbox": None}


@pytest.fixture
def kitchen(tmp_path):
    return write(tmp_path / "kitchen", [CUP, JUG], [SHELF, TABLE, BEACH])


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- our schema


def test_a_query_finds_every_picture_that_names_its_object_and_every_copy_of_it(kitchen):
    data = open_dataset(kitchen)
    cup, jug = data.queries
    assert (cup.image, cup.box, jug.box) == ((kitchen / "images/q1.jpg").resolve(), (1, 2, 3, 4), None)
    assert data.positives(cup) == {"g1": [(0, 0, 2, 2), (4, 0, 1, 1)], "g2": None}
    assert data.positives("q2") == {"g1": [(1, 1, 3, 3)]}
    assert (data.ignored(cup), data.ignored(jug)) == (set(), {"g2"})
    assert (data.name, data.n_distractors) == ("kitchen", 1)
    assert str(data) == "kitchen: 2 queries of 2 objects, 3 gallery pictures, 1 of them distractors"


def test_facts_are_those_of_the_largest_copy_and_count_when_every_positive_has_them(tmp_path, kitchen):
    assert open_dataset(kitchen).facts == ()  # the table has none
    data = open_dataset(write(tmp_path / "shelf", [CUP, JUG], [SHELF, BEACH]))
    assert data.facts == ("area",)
    assert data.values("q1", "area") == {"g1": 0.1}
    with pytest.raises(DatasetError, match=r"shelf has no fact 'colour' for all positives; it has: area"):
        data.values("q1", "colour")


def test_a_fact_without_published_groups_is_cut_at_its_quartiles(tmp_path):
    gallery = [
        {"id": f"g{n}", "image": f"g{n}.jpg", "instance": ["cup"], "bbox": [[0, 0, 1, 1]], "meta": [{"area": n}]}
        for n in range(8)
    ]
    data = open_dataset(write(tmp_path / "s", [CUP], gallery))
    groups = [{k for k, v in data.values("q1", "area").items() if low <= v < high} for low, high in data.bins("area")]
    assert groups == [{"g0", "g1"}, {"g2", "g3"}, {"g4", "g5"}, {"g6", "g7"}]


def test_a_picture_that_is_ignored_is_no_positive(tmp_path):
    data = open_dataset(write(tmp_path / "s", [CUP], [SHELF | {"ignore": ["cup"]}, TABLE]))
    assert (data.positives("q1").keys(), data.ignored("q1")) == ({"g2"}, {"g1"})


def test_a_query_ignores_its_own_picture_in_the_gallery(tmp_path):
    own = {"id": "self", "image": CUP["image"], "instance": ["cup"], "bbox": [[1, 2, 3, 4]]}
    data = open_dataset(write(tmp_path / "s", [CUP, CUP | {"id": "q3", "image": "q3.jpg"}], [own, SHELF]))
    assert (data.positives("q1").keys(), data.ignored("q1")) == ({"g1"}, {"self"})
    assert (data.positives("q3").keys(), data.ignored("q3")) == ({"self", "g1"}, set())


def test_what_is_written_reads_back_the_same(tmp_path):
    several = CUP | {"id": "q3", "image": "q3.jpg", "instance": "tin", "bbox": [[1, 2, 3, 4], [5, 5, 1, 1]]}
    odd = {"id": "g4", "image": "žluť & 'x'.jpg", "instance": ["tin", "tin"], "bbox": [[1, 1, 2, 1], None]}
    data = open_dataset(
        write(tmp_path / "s", [CUP | {"meta": {"kind": "a"}}, JUG, several], [SHELF, TABLE, BEACH, odd])
    )
    write_schema(data, tmp_path / "elsewhere")
    again = open_dataset(tmp_path / "elsewhere")
    assert again.queries == data.queries
    assert again.gallery == data.gallery
    for query in data.queries:
        assert again.positives(query) == data.positives(query)
        assert again.ignored(query) == data.ignored(query)
    assert again.queries[2].box == (1, 2, 5, 4)
    assert again.positives("q3") == {"g4": [(1, 1, 2, 1)]}
    with pytest.raises(DatasetError, match=r"query\.json: exists already"):
        write_schema(data, tmp_path / "elsewhere")


def test_the_hash_changes_with_any_annotation_and_with_nothing_else(tmp_path, kitchen):
    before = open_dataset(kitchen).data_hash
    assert len(before) == 64
    Image.new("RGB", (8, 6), "teal").save(kitchen / "images" / "g1.jpg")
    assert open_dataset(kitchen).data_hash == before
    assert open_dataset(write(tmp_path / "moved" / "kitchen", [CUP, JUG], [SHELF, TABLE, BEACH])).data_hash == before
    write(kitchen, [CUP, JUG], [SHELF, TABLE])
    assert open_dataset(kitchen).data_hash != before


def test_missing_pictures_are_an_error_that_names_the_first_few(kitchen):
    for name in ("q2", "g1", "g3"):
        (kitchen / "images" / f"{name}.jpg").unlink()
    with pytest.raises(DatasetError) as error:
        open_dataset(kitchen)
    assert one_line(error).endswith("3 of 5 pictures are missing: images/q2.jpg, images/g1.jpg, images/g3.jpg")
    data = open_dataset(kitchen, allow_missing=True)
    assert data.missing == ("images/q2.jpg", "images/g1.jpg", "images/g3.jpg")
    assert ([q.id for q in data.queries], [p.id for p in data.gallery]) == (["q1"], ["g2"])
    assert data.positives("q1") == {"g2": None}


def test_a_split_is_a_folder(kitchen):
    write(kitchen / "val", [JUG], [SHELF])
    assert [q.id for q in open_dataset(kitchen, "val").queries] == ["q2"]
    assert [q.id for q in open_dataset(kitchen).queries] == ["q1", "q2"]
    with pytest.raises(DatasetError, match=r"no split 'train' here"):
        open_dataset(kitchen, "train")


@pytest.mark.parametrize(
    ("queries", "gallery", "message"),
    [
        ([CUP], [SHELF | {"bbox": [[0, 0, 2, 2]]}], r"gallery\.json: row 1 \('g1'\): 3 objects need as many boxes"),
        ([CUP], [BEACH, TABLE | {"bbox": [[0, 0, 0, 2]]}], r"json: row 2 \('g2'\): box 0 0 0 2 holds no pixel$"),
        ([CUP | {"bbox": [1, 2, 3]}], [BEACH], r"query\.json: row 1 \('q1'\): a box is four .* \[1, 2, 3\]$"),
        ([CUP | {"bbox": [1, 2, "3", 4]}], [BEACH], r"a box is four numbers"),
        ([CUP | {"bbox": [1, 2, True, 4]}], [BEACH], r"a box is four numbers"),
        ([CUP | {"bbox": [10**400, 2, 3, 4]}], [BEACH], r"a box is four numbers"),
        ([CUP], [BEACH | {"bbox": [1, 1, 1, 1]}], r"row 1 \('g3'\): it has a box but names no object$"),
        ([BEACH], [BEACH], r"query\.json: row 1 \('g3'\): a query asks for one object, found 0 labels$"),
        ([CUP, CUP], [BEACH], r"two entries are called query 'q1'$"),
        ([CUP], [BEACH, TABLE | {"id": "g3"}], r"row 2 \('g3'\): the id 'g3' already belongs to picture"),
        ([CUP], ["g1"], r"gallery\.json: row 1: a row is an object, found 'g1'$"),
        ([CUP], [{"id": "g1"}], r"row 1: no picture; it is expected as text under 'image'"),
        ([CUP], [BEACH | {"ignore": "cup"}], r"ignore is a list of names"),
        ([CUP], [], r"it names no gallery picture$"),
        ([], [BEACH], r"it names no query$"),
        ([CUP], [BEACH | {"id": "a\nb", "bbox": 3}], r"row 1 \('a\\nb'\): a box is"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named(tmp_path, queries, gallery, message):
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(write(tmp_path / "s", queries, gallery))
    one_line(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[\n{"id": 1,}\n]', r"query\.json: line 2: not valid JSON"),
        ("", r"query\.json: line 1: not valid JSON"),
        ('[{"id": NaN}]', r"query\.json: not valid JSON \(NaN is no JSON number\)"),
        ('[{"id": "a", "id": "b"}]', r"the key 'id' repeats in one object"),
        ("[" * 100_000, r"query\.json: not valid JSON"),
        ("3", r"query\.json: it is neither a list of rows nor an object of rows"),
        ("\xff", r"query\.json: byte 1 is not UTF-8 text"),
    ],
)
def test_a_damaged_json_file_is_named_with_its_line(kitchen, text, message):
    (kitchen / "query.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(kitchen)
    one_line(error)


def test_a_place_without_a_benchmark_says_what_one_looks_like(tmp_path):
    for source, message in (
        (tmp_path / "absent", "no such file or folder; a benchmark is a folder"),
        (tmp_path, "no query.json and gallery.json here"),
        (jpegs(tmp_path, "a.jpg") / "a.jpg", "a benchmark is a folder with query.json"),
        (f"ilias:{tmp_path}", "no folder ilias_core here"),
        (f"instre:{tmp_path}", "no gnd_instre.mat"),
        (f"roxford5k:{tmp_path}:brutal", "the setups easy, medium, hard, found 'brutal'"),
    ):
        with pytest.raises(DatasetError, match=message) as error:
            open_dataset(source)
        one_line(error)


# ---- the original's files, of which the keys are not known


ROWS = [
    {"img": "bold_bimp_000/pos/P000_00.jpg", "box": [1, 1, 2, 2]},
    {"img": "bold_bimp_000/pos/P000_00.jpg", "box": [4, 1, 2, 2]},
    {"img": "bold_bimp_000/pos/P000_00.jpg", "box": [4, 1, 2, 2]},
    {"img": "bold_biff_001/pos/P001_00.jpg", "box": {"x": 0, "y": 0, "width": 3, "height": 2}},
]


@pytest.fixture
def original(tmp_path):
    folder = tmp_path / "ilias"
    jpegs(folder / "ilias_core", "bold_bimp_000/query/Q000_00.jpg", *{row["img"] for row in ROWS})
    (folder / "query.json").write_text(
        json.dumps({"Q0": {"path": "bold_bimp_000/query/Q000_00.jpg", "bbox": [0, 0, 5, 5]}})
    )
    (folder / "gallery.json").write_text(json.dumps({"rows": ROWS}))
    return folder


def test_rows_of_one_picture_are_merged_by_default(original):
    data = open_dataset(original)
    first, second = "bold_bimp_000/pos/P000_00.jpg", "bold_biff_001/pos/P001_00.jpg"
    assert [(q.id, q.instance, q.box) for q in data.queries] == [("Q0", "bold_bimp_000", (0, 0, 5, 5))]
    assert [p.id for p in data.gallery] == [first, second]
    assert data.gallery[0].image == (original / "ilias_core" / first).resolve()
    assert data.positives("Q0") == {first: [(1, 1, 2, 2), (4, 1, 2, 2)]}
    assert data.merged == (first, first)


def test_rows_may_stay_pictures_of_their_own(original):
    data = open_dataset(original, rows_as_pictures=True)
    first = "bold_bimp_000/pos/P000_00.jpg"
    assert len(data.gallery) == 4
    assert data.positives("Q0") == {first: [(1, 1, 2, 2)], f"{first}#2": [(4, 1, 2, 2)], f"{first}#3": [(4, 1, 2, 2)]}
    assert data.merged == ()


@pytest.mark.parametrize("prefix", ["", "ilias_core/", "ilias/ilias_core/"])
@pytest.mark.parametrize("keys", [("image_path", "object_id", "bounding_box"), ("file_name", "label", "boxes")])
def test_other_keys_and_other_roots_are_understood(original, prefix, keys):
    image, instance, box = keys
    row = {image: prefix + ROWS[0]["img"], instance: 7, box: [1, 2, 3, 4]}
    (original / "gallery.json").write_text(json.dumps({"p0": row}))
    (original / "query.json").write_text(
        json.dumps([{image: prefix + "bold_bimp_000/query/Q000_00.jpg", instance: "7"}])
    )
    data = open_dataset(original)
    assert data.positives(data.queries[0]) == {"p0": [(1, 2, 3, 4)]}


# ---- CSV


TABLE_OF_MY_OWN = """\
image,instance,x,y,w,h,role,remark
q/cup.jpg,red cup,1,1,2.5,3,query,mine
q/cup.jpg,red cup,5,1,2,3,query,
q/both.jpg,red cup,,,,,query
q/both.jpg,jug,0,0,2,2,query

g/table.jpg,red cup,1,0,2,1,gallery
g/table.jpg,jug,3,0,1,1,gallery
g/table.jpg,red cup,5,0,1,1,gallery
g/shelf.jpg,red cup,,,,,ignore
g/unboxed.jpg,red cup,,,,,Gallery
g/beach.jpg,,,,,,gallery
"""


@pytest.fixture
def own(tmp_path):
    jpegs(tmp_path, "q/cup.jpg", "q/both.jpg", "g/table.jpg", "g/shelf.jpg", "g/unboxed.jpg", "g/beach.jpg")
    (tmp_path / "own.csv").write_text(TABLE_OF_MY_OWN, encoding="utf-8-sig")
    return tmp_path / "own.csv"


def test_a_table_of_your_own_pictures_is_a_benchmark(own):
    data = open_dataset(own)
    assert [(q.id, q.instance, q.boxes) for q in data.queries] == [
        ("q/cup.jpg", "red cup", ((1, 1, 2.5, 3), (5, 1, 2, 3))),
        ("q/both.jpg (red cup)", "red cup", ()),
        ("q/both.jpg (jug)", "jug", ((0, 0, 2, 2),)),
    ]
    assert data.positives("q/cup.jpg") == {"g/table.jpg": [(1, 0, 2, 1), (5, 0, 1, 1)], "g/unboxed.jpg": None}
    assert data.ignored("q/cup.jpg") == {"g/shelf.jpg"}
    assert data.positives("q/both.jpg (jug)") == {"g/table.jpg": [(3, 0, 1, 1)]}
    assert (data.name, data.merged, data.n_distractors) == ("own", (), 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("g/beach.jpg,cup,1,2,,,gallery", r"line 13: x, y, w, h are four numbers or all empty, found 2 of them$"),
        ("g/beach.jpg,cup,1,2,3,wide,gallery", r"line 13: 'wide' is not a number$"),
        ("g/beach.jpg,cup,1,2,3,nan,gallery", r"line 13: a box is four numbers"),
        ("g/beach.jpg,cup,1,2,-3,4,gallery", r"line 13: box 1 2 -3 4 holds no pixel$"),
        ("g/beach.jpg,cup,,,,,galery", r"line 13: the role is one of query, gallery, ignore, found 'galery'$"),
        ("g/beach.jpg,,,,,,query", r"line 13: no instance"),
        ("g/beach.jpg,,1,1,1,1,gallery", r"line 13: no instance"),
        (",cup,,,,,gallery", r"line 13: no image$"),
        ("g/gone.jpg,cup,,,,,gallery", r"own\.csv: 1 of 7 pictures are missing: g/gone\.jpg$"),
        ('"g/beach', r"line 13: "),
    ],
)
def test_a_wrong_line_of_a_table_is_named(own, line, message):
    own.write_text(f"{TABLE_OF_MY_OWN}{line}\n")
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(own)
    one_line(error)


def test_a_table_without_its_header_says_what_the_header_is(own):
    own.write_text(TABLE_OF_MY_OWN.replace(",", ";"))
    with pytest.raises(
        DatasetError, match=r"line 1: no column image, instance.* the header is image,instance,x,y,w,h,role"
    ):
        open_dataset(own)
    with pytest.raises(DatasetError, match=r"only the rows of a gallery\.json"):
        open_dataset(own, rows_as_pictures=True)


# ---- revisited Oxford and Paris


GND = {
    "imlist": ["a_0", "a_1", "a_2", "a_3", "b_0"],
    "qimlist": ["q_0", "q_1"],
    "gnd": [
        {"bbx": [1.5, 1.0, 4.0, 5.0], "easy": [0], "hard": [1, 2], "junk": [3]},
        {"bbx": [0.0, 0.0, 8.0, 6.0], "easy": [], "hard": [4], "junk": []},
    ],
}


@pytest.fixture
def oxford(tmp_path):
    folder = tmp_path / "roxford5k"
    return jpegs(folder, *[f"jpg/{name}.jpg" for name in (*GND["imlist"], *GND["qimlist"])])


@pytest.mark.parametrize(
    ("setup", "positives", "ignored"),
    [
        (":easy", {"a_0"}, {"a_1", "a_2", "a_3"}),
        ("", {"a_0", "a_1", "a_2"}, {"a_3"}),
        (":hard", {"a_1", "a_2"}, {"a_0", "a_3"}),
    ],
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_three_setups_of_revisited_oxford(oxford, setup, positives, ignored, protocol):
    (oxford / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(GND, protocol))
    data = open_dataset(f"roxford5k:{oxford}{setup}")
    assert data.name == f"roxford5k-{setup[1:] or 'medium'}"
    assert data.positives("q_0") == dict.fromkeys(positives)
    assert data.ignored("q_0") == ignored
    assert (data.queries[0].box, data.queries[0].image.name) == ((1.5, 1, 2.5, 4), "q_0.jpg")
    assert (len(data.gallery), data.positives("q_1").keys()) == (5, set() if setup == ":easy" else {"b_0"})
    assert data.data_hash == open_dataset(f"roxford5k:{oxford.parent}{setup}").data_hash or setup  # the folder above


def test_a_revisited_benchmark_can_be_written_in_our_schema(tmp_path, oxford):
    (oxford / "gnd_roxford5k.json").write_text(json.dumps(GND))
    data = open_dataset(f"roxford5k:{oxford}")
    write_schema(data, tmp_path / "ours")
    again = open_dataset(tmp_path / "ours")
    for query in data.queries:
        assert (again.positives(query), again.ignored(query)) == (data.positives(query), data.ignored(query))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gnd": GND["gnd"][:1]}, "gnd must have an entry for each of the 2 pictures of qimlist"),
        ({"imlist": "a_0"}, "imlist must be a list of picture names"),
        ({"gnd": [{"easy": [9], "hard": [], "junk": []}] * 2}, "gnd 1: easy names a picture that is not among the 5"),
        ({"gnd": [{"easy": [-1], "hard": [], "junk": []}] * 2}, "gnd 1: easy names a picture that is not among the 5"),
        ({"gnd": [{"ok": [0], "junk": []}] * 2}, "gnd 1: no list easy; is this the original"),
        ({"gnd": [{"bbx": [1, 2, 3], "easy": [], "hard": [], "junk": []}] * 2}, "gnd 1: bbx must be four numbers"),
    ],
)
def test_a_wrong_ground_truth_is_named(oxford, change, message):
    (oxford / "gnd_roxford5k.json").write_text(json.dumps(GND | change))
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(f"roxford5k:{oxford}")
    assert "gnd_roxford5k.json" in one_line(error)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_never_run(oxford, protocol):
    path = oxford / "gnd_roxford5k.pkl"
    path.write_bytes(pickle.dumps(GND | {"extra": Bomb()}, protocol))
    with pytest.raises(DatasetError, match=r"more than lists, dicts, texts, numbers and arrays") as error:
        open_dataset(f"roxford5k:{oxford}")
    assert str(path) in one_line(error)


@pytest.mark.parametrize(
    "value", [[], {}, (), [[]], {"a": [1, 2.5, -3, 10**30, "x", None, True]}, [[1] * 3, (1, (2, 3, 4, 5))], "ž"]
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_out_of_a_pickle_as_they_are(value, protocol):
    assert read_literals(pickle.dumps(value, protocol), "x") == json.loads(json.dumps(value))


def test_a_broken_pickle_is_an_error():
    whole = pickle.dumps(GND, 4)
    for cut in range(0, len(whole), 7):
        with pytest.raises(DatasetError, match="gnd: not a pickle, or a damaged one"):
            read_literals(whole[:cut], "gnd")
    for garbage in (b"a.", b"e.", b"}]a.", b"s.", b"h\x05.", b"(]]s.", b"t."):
        with pytest.raises(DatasetError, match="not a pickle, or a damaged one"):
            read_literals(garbage, "gnd")


# ---- INSTRE


INSTRE = {
    "INSTRE-S1/01a_canada_book/001": "2 1 3 4\n",
    "INSTRE-S1/01a_canada_book/002": "0 0 2 2\n4 0 2 2\n",
    "INSTRE-S1/01b_tower/001": "1 1 1 1\n",
    "INSTRE-S2/01_bear/001": "1 2 6 4\n",
    "INSTRE-M/01/001": "0 0 2 2\n5 3 3 3\n",
    "INSTRE-M/01/002": "1 1 2 2\n5 1 2 2\n",
}


@pytest.fixture(params=["corners", "sizes"])
def instre(tmp_path, request):
    jpegs(tmp_path, *[f"{name}.jpg" for name in INSTRE])
    for name, text in INSTRE.items():
        (tmp_path / f"{name}.txt").write_text(text)
    a1, a2, b1, bear, m1, m2 = (f"{name}.jpg" for name in INSTRE)
    boxes = [[2, 1, 5, 5], [1, 1, 2, 2], [1, 2, 7, 6], [0, 0, 8, 6]]  # x0 y0 x1 y1
    if request.param == "sizes":
        boxes = [[x, y, p - x, q - y] for x, y, p, q in boxes]
    gnd = [{"ok": ok, "bbx": box} for ok, box in zip([[0, 1], [1], [], [1]], boxes, strict=True)]
    content = {"imlist": [a2, m2], "qimlist": [a1, b1, bear, m1], "gnd": gnd}
    (tmp_path / "gnd_instre.json").write_text(json.dumps(content))
    return tmp_path


def test_instre_takes_the_box_of_the_object_asked_for(instre):
    data = open_dataset(f"instre:{instre}")
    a, b, bear, pair = data.queries
    a2, m2 = (p.id for p in data.gallery)
    assert a.instance == "INSTRE-S1/01a_canada_book"
    assert [q.box for q in data.queries] == [(2, 1, 3, 4), (1, 1, 1, 1), (1, 2, 6, 4), (0, 0, 8, 6)]
    assert data.positives(a) == {a2: [(0, 0, 2, 2), (4, 0, 2, 2)], m2: [(1, 1, 2, 2)]}
    assert data.positives(b) == {m2: [(5, 1, 2, 2)]}
    assert data.positives(bear) == {}
    assert data.positives(pair) == {m2: [(1, 1, 6, 2)]}


def test_instre_without_box_files_knows_no_boxes_in_the_gallery(instre):
    for file in instre.rglob("*.txt"):
        file.unlink()
    data = open_dataset(f"instre:{instre}")
    assert [q.box for q in data.queries] == [(2, 1, 3, 4), (1, 1, 1, 1), (1, 2, 6, 4), (0, 0, 8, 6)]
    assert list(data.positives(data.queries[0]).values()) == [None, None]


# ---- MATLAB files, as another library writes them


@pytest.mark.parametrize("compressed", [False, True])
def test_a_matlab_file_is_read_like_its_json_twin(oxford, compressed):
    kind = [("bbx", "O"), ("easy", "O"), ("hard", "O"), ("junk", "O")]
    gnd = np.zeros((1, 2), kind)
    for i, entry in enumerate(GND["gnd"]):
        gnd[0, i] = (entry["bbx"], *[np.array([entry[k]], float) + 1 for k in ("easy", "hard", "junk")])
    content = {"gnd": gnd} | {k: np.array([GND[k]], object) for k in ("imlist", "qimlist")}
    (oxford / "gnd_roxford5k.json").write_text(json.dumps(GND))
    expected = open_dataset(f"roxford5k:{oxford}")
    (oxford / "gnd_roxford5k.json").unlink()
    scipy.io.savemat(oxford / "gnd_roxford5k.mat", content, do_compression=compressed)
    data = open_dataset(f"roxford5k:{oxford}")
    assert (data.queries, data.gallery) == (expected.queries, expected.gallery)
    for query in data.queries:
        assert (data.positives(query), data.ignored(query)) == (expected.positives(query), expected.ignored(query))


def test_values_of_a_matlab_file():
    values = {
        "numbers": np.array([[1, 2, 3]], np.uint16), "text": "Žluť", "empty": np.zeros((0, 0)),
        "columns": np.array([[1.5, 3], [2, 4]]), "cell": np.array([["a", np.array([[7]])]], object),
        "one": {"x": 5.0, "name": "b"},
    }  # fmt: skip
    file = io.BytesIO()
    scipy.io.savemat(file, values)
    assert read_mat(file.getvalue(), "x.mat") == {
        "numbers": [1, 2, 3], "text": "Žluť", "empty": [], "columns": [1.5, 2, 3, 4], "cell": ["a", [7]],
        "one": [{"x": [5.0], "name": "b"}],
    }  # fmt: skip


def test_a_broken_matlab_file_is_an_error():
    file = io.BytesIO()
    scipy.io.savemat(file, {"cell": np.array([["a", "b"]], object), "n": 3.0})
    whole = file.getvalue()
    for cut in (0, 60, *range(140, len(whole) - 8, 16)):
        try:
            read_mat(whole[:cut], "x.mat")
        except DatasetError as error:
            assert str(error).startswith("x.mat: ")
    damaged = bytearray(whole)
    for i in range(128, len(whole)):
        damaged[i] ^= 0x5A
        try:
            read_mat(bytes(damaged), "x.mat")
        except DatasetError as error:
            assert str(error).startswith("x.mat: ")
        damaged[i] ^= 0x5A
    with pytest.raises(DatasetError, match=r"version 7\.3; save it again"):
        read_mat(b"MATLAB 7.3 MAT-file".ljust(600), "x.mat")


# ---- boxes


def test_a_box_is_clamped_to_its_picture():
    assert clamp((-2, 1, 5, 9), 8, 6) == (0, 1, 3, 5)
    with pytest.raises(BoxError, match=r"box 8,0,2,2 lies outside the picture of 8 x 6 pixels"):
        clamp((8, 0, 2, 2), 8, 6)


def test_the_corners_of_a_box_of_one_pixel_are_not_those_of_the_picture():
    assert corners((0, 0, 1, 1), 8, 4) == (0, 0, 1 / 8, 1 / 4)
    assert corners((6, -1, 5, 3), 8, 4) == (6 / 8, 0, 1, 2 / 4)


def test_what_lies_above_or_left_of_the_picture_is_cut_off(tmp_path):
    data = open_dataset(write(tmp_path / "s", [CUP | {"bbox": [-2, -1, 5, 4]}], [SHELF]))
    assert data.queries[0].box == (0, 0, 3, 3)


# ---- the annotated sets


@pytest.mark.filterwarnings("ignore:unclosed file", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("name", "n_queries", "n_gallery"), [("dev-set", 40, 407), ("composite-set", 38, 289)])
def test_the_annotated_sets_are_seen_as_their_own_scorer_sees_them(data_sets, name, n_queries, n_gallery):
    """The scorer gives exactly our positives, then everything else, full marks: so they are exactly its own."""
    spec = importlib.util.spec_from_file_location("evaluate", data_sets / "evaluate.py")
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    data = open_dataset(data_sets / name)
    assert (len(data.queries), len(data.gallery)) == (n_queries, n_gallery)
    rows = json.loads((data_sets / name / "gallery.json").read_text())
    results = {}
    for query in data.queries:
        right = data.positives(query)
        assert data.ignored(query) == {row["id"] for row in rows if query.instance in row.get("ignore", ())}
        true = {}
        for row in rows:
            copies = zip(row["instance"] or (), row["bbox"] or (), strict=True)
            if boxes := [box for instance, box in copies if instance == query.instance]:
                true[row["id"]] = boxes
        assert {key: [list(box) for box in boxes] for key, boxes in right.items()} == true
        others = [picture.id for picture in data.gallery if picture.id not in right]
        results[query.id] = [[key, 2.0, list(boxes[0])] for key, boxes in right.items()] + [
            [k, 1.0, None] for k in others
        ]
    figures = scorer.score(str(data_sets / name), results)["all"]
    assert (figures["queries"], figures["mAP"], figures["R1"], figures["meanIoU"]) == (n_queries, 1.0, 1.0, 1.0)
    assert figures["loc_pairs"] == sum(len(data.positives(query)) for query in data.queries)
