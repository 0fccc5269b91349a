"""ILIAS as its authors publish it: ids, boxes, groups, shards that are never unpacked, similarities they can score."""

import gzip
import io
import json
import tarfile
import tracemalloc
from math import inf

import pytest
from PIL import Image

from patchseek.datasets import (
    iter_shard,
    open_dataset,
    prepare_ilias,
    read_keys,
    read_similarities,
    text_queries,
    write_similarities,
)
from patchseek.errors import DatasetError

BOXES = {
    "bold_bimp_000/query/Q000_00": "102 171 278 208\n",
    "bold_bimp_000/query/Q000_01": "10 10 20 20\n50 5 10 10\n",
    "bold_bimp_000/pos/P000_00": "0 0 5 5\n\n6 6 7 7\n",
    "bold_bimp_000/pos/P000_01": "-3 2 8 4\n3 3 0 4\n",
    "zippy_zoot_999/query/Q999_00": "1 2 3 4",
    "zippy_zoot_999/pos/P999_00": "1 2 3 4\n",
}
QUERIES = [f"{key}.jpg" for key in BOXES if "/query/" in key]
POSITIVES = [f"{key}.jpg" for key in BOXES if "/pos/" in key]
P0, P1, P9 = POSITIVES
TAXONOMY = {"product": {"food": {"cake": ["bold_bimp_000"]}}, "art": {"print": {"other": ["zippy_zoot_999"]}}}


@pytest.fixture
def ilias(tmp_path):
    root = tmp_path / "official"
    for key, boxes in BOXES.items():
        path = root / "ilias_core" / f"{key}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (400, 400)).save(path)
        path.with_name(f"{path.stem}_bbox.txt").write_text(boxes)
    (root / "ilias_core/bold_bimp_000/query/T000.txt").write_text("a bold bimp\n")
    (root / "ilias_core/zippy_zoot_999/query/T999.txt").write_text("a zippy zoot\n")
    (root / "image_ids").mkdir()
    listed = "".join(f"{key},x,y\n" for key in reversed(QUERIES))
    (root / "image_ids/image_query_ids.txt").write_text(listed)
    (root / "image_ids/positive_ids.txt").write_text(f"{P9},0.5,53\n{P0},0.0688,18\n{P1},0.1353,17\n")
    (root / "image_ids/text_query_ids.txt").write_text("zippy_zoot_999/query/T999.txt\nbold_bimp_000/query/T000.txt\n")
    (root / "taxonomy.json").write_text(json.dumps(TAXONOMY))
    return root


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- queries and positives


def test_the_official_layout(ilias):
    data = open_dataset(f"ilias:{ilias}")
    first, second, last = data.queries
    assert [q.id for q in data.queries] == QUERIES
    assert first.image == (ilias / "ilias_core" / QUERIES[0]).resolve()
    assert (first.instance, first.box) == ("bold_bimp_000", (102, 171, 278, 208))
    assert (second.boxes, second.box) == (((10, 10, 20, 20), (50, 5, 10, 10)), (10, 5, 50, 25))
    assert [p.id for p in data.gallery] == POSITIVES
    assert data.positives(first) == data.positives(second) == {P0: [(0, 0, 5, 5), (6, 6, 7, 7)], P1: [(0, 2, 5, 4)]}
    assert data.positives(last) == {P9: [(1, 2, 3, 4)]}
    assert (data.name, data.n_distractors, data.ignored(first)) == ("ilias-core", 0, set())
    assert [note.rpartition("/")[2] for note in data.notes] == ["P000_01_bbox.txt: line 2: box 3 3 0 4 holds no pixel"]
    assert open_dataset(ilias).data_hash == data.data_hash


def test_scale_clutter_and_categories(ilias):
    data = open_dataset(ilias)
    assert data.facts == ("clutter", "scale")
    assert data.values(QUERIES[0], "scale") == {P0: 0.0688, P1: 0.1353}
    assert [(round(low, 4), round(high, 4)) for low, high in data.bins("scale")] == [
        (0, 0.0688),
        (0.0688, 0.1353),
        (0.1353, 0.273),
        (0.273, inf),
    ]
    assert data.bins("clutter") == ((0, 18), (18, 33), (33, 53), (53, inf))
    assert data.group_of["category"] == {"bold_bimp_000": "product", "zippy_zoot_999": "art"}
    assert data.group_of["subcategory"]["bold_bimp_000"] == "product-food"


def test_without_id_files_the_folders_are_listed(ilias):
    for file in (ilias / "image_ids").iterdir():
        file.unlink()
    (ilias / "image_ids").rmdir()
    data = open_dataset(ilias)
    assert ([q.id for q in data.queries], [p.id for p in data.gallery], data.facts) == (QUERIES, POSITIVES, ())


def test_objects_in_words(ilias):
    assert [(q.id, q.instance, q.text) for q in text_queries(ilias)] == [
        ("bold_bimp_000/query/T000.txt", "bold_bimp_000", "a bold bimp"),
        ("zippy_zoot_999/query/T999.txt", "zippy_zoot_999", "a zippy zoot"),
    ]


def test_prepared_files_hold_all_that_the_official_ones_say(ilias, tmp_path):
    official = prepare_ilias(ilias, tmp_path / "ours")
    ours = open_dataset(tmp_path / "ours")
    assert (ours.queries, ours.gallery, ours.group_of) == (official.queries, official.gallery, official.group_of)
    for query in official.queries:
        assert ours.positives(query) == official.positives(query)
        assert ours.values(query, "clutter") == official.values(query, "clutter")
    assert ours.bins("scale") == official.bins("scale")
    row = json.loads((tmp_path / "ours/gallery.json").read_text())[0]
    assert row["image"] == f"../official/ilias_core/{P0}"
    assert row["meta"] == [{"scale": 0.0688, "clutter": 18.0}] * 2


def test_absent_pictures_are_listed_and_left_out_only_when_asked(ilias, tmp_path):
    (ilias / "ilias_core" / P1).unlink()
    with pytest.raises(DatasetError, match=r"1 of 6 pictures are missing: ilias_core/bold_bimp_000/pos/P000_01\.jpg$"):
        prepare_ilias(ilias, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
    data = prepare_ilias(ilias, tmp_path / "ours", allow_missing=True)
    assert data.missing == (f"ilias_core/{P1}",)
    assert open_dataset(tmp_path / "ours").positives(QUERIES[0]).keys() == {P0}


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "image_ids/positive_ids.txt",
            f"{P0},0.1,3\n{P1},0.1\n",
            r"line 2: three columns id,scale,clutter .* found 2$",
        ),
        ("image_ids/positive_ids.txt", f"{P0},small,3\n", r"positive_ids\.txt: line 1: 'small' is not a number$"),
        ("image_ids/positive_ids.txt", "../pos/x.jpg,1,1\n", r"line 1: an id like bold_bimp_000/pos/P000_00\.jpg is"),
        ("image_ids/image_query_ids.txt", f"\n{P0}\n", r"line 2: an id like bold_bimp_000/query/Q000_00\.jpg is"),
        (f"ilias_core/{P0[:-4]}_bbox.txt", "1 2 3 4\n1 2 3\n", r"P000_00_bbox\.txt: line 2: a box is four numbers"),
        (f"ilias_core/{P0[:-4]}_bbox.txt", "1 2 3 x\n", r"P000_00_bbox\.txt: line 1: 'x' is not a number$"),
        ("taxonomy.json", '{"a": ["b"]}', r"taxonomy\.json: expected category -> subcategory -> kind"),
    ],
)
def test_a_wrong_official_file_is_named_with_its_line(ilias, file, text, message):
    (ilias / file).write_text(text)
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(ilias)
    one_line(error)


# ---- shards


def member(name, content=b"", **fields):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, content


@pytest.fixture
def make_tar(tmp_path):
    def make(*members, name="yfcc100m-000003.tar", **options):
        with tarfile.open(tmp_path / name, "w", **options) as tar:
            for entry, content in members:
                tar.addfile(entry, io.BytesIO(content))
        return tmp_path / name

    return make


def test_a_shard_is_read_picture_by_picture_and_never_unpacked(make_tar, tmp_path, monkeypatch):
    path = make_tar(member("0f09.jpg", b"one"), member("0f09.json", b"{}"), member("sub/0f0a.JPEG", b"two"))
    monkeypatch.chdir(tmp_path)
    assert list(iter_shard(path)) == [("yfcc100m-000003.tar/0f09", b"one"), ("yfcc100m-000003.tar/sub/0f0a", b"two")]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_memory_stays_flat_however_many_pictures_a_shard_has(make_tar):
    path = make_tar(*[member(f"{n:05}.jpg", b"x" * 6000) for n in range(1000)])
    tracemalloc.start()
    assert sum(len(content) for _, content in iter_shard(path)) == 6_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000


def test_only_the_pictures_wanted_are_read(make_tar, tmp_path):
    path = make_tar(*[member(f"{n}.jpg", b"%d" % n) for n in range(5)])
    (tmp_path / "mini.txt").write_text("3\n1\n\n7\n3\n")
    with gzip.open(tmp_path / "ids.txt.gz", "wt") as file:
        file.write("yfcc100m-000003.tar/4\n")
    mini = read_keys(tmp_path / "mini.txt")
    assert [content for _, content in iter_shard(path, mini)] == [b"1", b"3"]
    assert [content for _, content in iter_shard(path, read_keys(tmp_path / "ids.txt.gz"))] == [b"4"]
    assert [content for _, content in iter_shard(path, {"2"})] == [b"2"]
    assert (len(mini), "yfcc100m-000000.tar/7" in mini, "" in mini, "33" in mini, 3 in mini) == (
        3,
        True,
        False,
        False,
        False,
    )


def test_an_enemy_in_a_tar_is_passed_over(make_tar, tmp_path):
    path = make_tar(
        member("../../../evil.jpg", b"up"),
        member("/etc/passwd.jpg", b"root"),
        member("link.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("hard.jpg", type=tarfile.LNKTYPE, linkname="../../../evil.jpg"),
        member("device.jpg", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("pipe.jpg", type=tarfile.FIFOTYPE),
        member("folder.jpg", type=tarfile.DIRTYPE),
        member("big.jpg", b"x" * 2000),
        member("ok.jpg", b"fine"),
    )
    before = sorted(tmp_path.rglob("*"))
    skipped = []
    found = list(iter_shard(path, max_bytes=1000, on_skip=lambda name, why: skipped.append((name, why))))
    assert found == [
        ("yfcc100m-000003.tar/../../../evil", b"up"),  # a name like any other: nothing is ever opened by it
        ("yfcc100m-000003.tar//etc/passwd", b"root"),
        ("yfcc100m-000003.tar/hard", b"up"),  # a member under another name, not the file of this machine
        ("yfcc100m-000003.tar/ok", b"fine"),
    ]
    assert skipped == [
        ("link.jpg", "a symbolic link"),
        ("device.jpg", "not a regular file"),
        ("pipe.jpg", "not a regular file"),
        ("big.jpg", "2000 bytes, more than the limit of 1000"),
    ]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_names_too(make_tar, tar_format):
    name = "d/" * 40 + "x" * 90
    path = make_tar(member(f"{name}.jpg", b"x"), format=tar_format)
    assert list(iter_shard(path)) == [(f"yfcc100m-000003.tar/{name}", b"x")]


def claim(path, at, size):
    """Write another size into the header at a byte of a tar, with a checksum that fits."""
    data = bytearray(path.read_bytes())
    data[at + 124 : at + 136] = size
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    path.write_bytes(data)
    return path


def test_a_tar_that_is_cut_short_is_an_error_after_its_whole_pictures(make_tar):
    path = make_tar(member("a.jpg", b"1" * 600), member("b.jpg", b"2" * 600))
    whole = path.read_bytes()
    for cut, before in ((700, []), (2000, ["a"]), (2300, ["a"]), (2700, ["a", "b"])):
        path.write_bytes(whole[:cut])
        found = []
        with pytest.raises(DatasetError, match=r"yfcc100m-000003\.tar: cannot be read as a tar \(") as error:
            for key, _ in iter_shard(path):
                found.append(key[-1])
        one_line(error)
        assert found == before


def test_a_tar_that_is_damaged_in_the_middle_does_not_just_end(make_tar):
    path = make_tar(member("a.jpg", b"1" * 600), member("b.jpg", b"2" * 600))
    data = bytearray(path.read_bytes())
    data[1536 + 10] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"no file begins at byte 1536, where one should"):
        list(iter_shard(path))


def test_sizes_that_are_lies_cannot_exhaust_memory_or_go_round_in_circles(make_tar):
    names = [member("a.jpg", b"1"), member("b.jpg", b"2")]
    negative = b"\xff" * 10 + b"\xfc\x00"  # base 256: -1024
    for at in (0, 1024):
        with pytest.raises(DatasetError, match=r"cannot be read as a tar"):
            list(iter_shard(claim(make_tar(*names), at, negative)))
        with pytest.raises(DatasetError, match=r"cannot be read as a tar"):
            list(iter_shard(claim(make_tar(*names), at, b"77777777777\0"), max_bytes=2**40))
    long_name = make_tar(member("x" * 200 + ".jpg", b"1"), format=tarfile.GNU_FORMAT)
    with pytest.raises(DatasetError, match=r"bytes at once, more than the limit"):
        list(iter_shard(claim(long_name, 0, b"77777777777\0")))


def test_headers_on_headers_are_an_error_and_no_crash(tmp_path):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 13
    block = header.tobuf(tarfile.USTAR_FORMAT) + b"13 path=a.jpg".ljust(512, b"\0")
    (tmp_path / "deep.tar").write_bytes(block * 5000)
    with pytest.raises(DatasetError, match=r"deep\.tar: cannot be read as a tar"):
        list(iter_shard(tmp_path / "deep.tar"))


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100, b"\x1f\x8b" + b"x" * 600])
def test_what_is_no_tar_is_an_error(tmp_path, content):
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(DatasetError, match=r"x\.tar: cannot be read as a tar"):
        list(iter_shard(tmp_path / "x.tar"))
    with pytest.raises(DatasetError, match=r"y\.tar: cannot be read as a tar \(No such file"):
        list(iter_shard(tmp_path / "y.tar"))


def test_keys_too_long_or_a_broken_archive_are_errors(tmp_path):
    (tmp_path / "a.txt").write_text("short\n" + "x" * 41)
    with pytest.raises(DatasetError, match=r"a\.txt: line 2: a key has at most 40 characters, found 41"):
        read_keys(tmp_path / "a.txt")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"x" * 9999)[:-12])
    with pytest.raises(DatasetError, match=r"b\.gz: cannot be read"):
        read_keys(tmp_path / "b.gz")


def test_a_packed_list_with_any_byte_flipped_is_an_error_or_the_same(tmp_path):
    keys = b"".join(b"%d\n" % (i * i) for i in range(2000))
    packed = gzip.compress(keys, mtime=0)
    whole = read_keys_of(tmp_path, packed)
    for at in range(0, len(packed), 7):
        damaged = bytearray(packed)
        damaged[at] ^= 0x5A
        try:
            assert read_keys_of(tmp_path, bytes(damaged)) == whole  # a time or a name in the header
        except DatasetError as error:
            assert "\n" not in str(error)


def read_keys_of(folder, packed):
    """What a packed list says, by its hash."""
    (folder / "keys.gz").write_bytes(packed)
    return read_keys(folder / "keys.gz").digest


# ---- similarities


def official_map(similarities, positive_ids, k=1000):
    """mAP@k in percent by the published formula, slowly: object ids are the part of an id before the first slash."""
    total = 0.0
    for query, scores in similarities.items():
        relevant = {p for p in positive_ids if p.split("/")[0] == query.split("/")[0]}
        ranked = sorted(scores, key=scores.get, reverse=True)[:k]
        precisions = [
            sum(ranked[j] in relevant for j in range(r)) / r
            for r in range(1, len(ranked) + 1)
            if ranked[r - 1] in relevant
        ]
        total += sum(precisions) / min(k, len(relevant))
    return 100 * total / len(similarities)


def test_the_official_score_of_what_we_write_is_the_one_worked_out_by_hand(ilias, tmp_path):
    data = open_dataset(ilias)
    far = "yfcc100m-000000.tar/ff"
    rankings = {
        QUERIES[0]: [(far, 0.1), (P0, 0.9), (P9, 0.8), (P1, 0.7)],  # + - +: (1 + 2/3) / 2
        QUERIES[1]: {P0: -0.5, far: -0.2},  # - +, one missed: (1/2) / 2
        QUERIES[2]: [(far, 0.5), (P0, 0.4), (P9, 0.3)],  # - - +: 1/3
    }
    write_similarities(tmp_path / "ours.json", rankings)
    similarities = json.loads((tmp_path / "ours.json").read_text())
    ids = [line.split(",")[0] for line in (ilias / "image_ids/positive_ids.txt").read_text().split()]
    assert official_map(similarities, ids) == pytest.approx(100 * (5 / 6 + 1 / 4 + 1 / 3) / 3)
    assert official_map(similarities, ids, k=2) == pytest.approx(100 * (1 / 2 + 1 / 4 + 0) / 3)
    for query in data.queries:
        assert data.positives(query).keys() == {p for p in ids if p.split("/")[0] == query.id.split("/")[0]}
    assert list(similarities[QUERIES[0]]) == [P0, P9, P1, far]
    assert read_similarities(tmp_path / "ours.json") == similarities


@pytest.mark.parametrize(
    ("ranking", "message"),
    [([("a", 1.0), ("a", 0.5)], "comes twice in the ranking of 'q'"), ({"a": float("nan")}, "not a finite number")],
)
def test_a_ranking_that_cannot_be_scored_is_not_written(tmp_path, ranking, message):
    with pytest.raises(DatasetError, match=message):
        write_similarities(tmp_path / "s.json", {"q": ranking})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.pkl", "cos\nsystem\n(S'false'\ntR.", r"s\.pkl: pickled similarities are not opened"),
        ("s.json", "[]", r"s\.json: an object query id -> pictures is expected"),
        ("s.json", '{"q": [1]}', r"s\.json: 'q': an object picture id -> score is expected"),
        ("s.json", '{"q": {"a": "1"}}', r"s\.json: 'q': the score of 'a' is '1'"),
        ("s.json", '{"q": {"a": 1e999}}', r"the score of 'a' is inf"),
        ("s.json", f'{{"q": {{"a": {10**400}}}}}', r"the score of 'a' is 1000"),
        ("s.json", '{"q": {"a": 1, "a": 2}}', r"the key 'a' repeats"),
        ("s.json", '{"q": {\n"a"}}', r"s\.json: line 2: not valid JSON"),
    ],
)
def test_other_similarity_files_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=message) as error:
        read_similarities(tmp_path / name)
    one_line(error)
