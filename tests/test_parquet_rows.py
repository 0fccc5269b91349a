"""Pictures in rows of Parquet and Arrow files, as `datasets` keeps them. Truth: pyarrow itself, Pillow, plain files."""

import io
import json
import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from PIL import Image as PillowImage

from patchseek import Collection
from patchseek._parquet import _Parquet
from patchseek.cli import cli
from patchseek.draw.thumbnails import thumbnail
from patchseek.errors import ImageChanged, ImageError, MissingExtra, PatchseekError
from patchseek.originals import has_changed, open_original
from patchseek.regions import Pyramid
from patchseek.sources import as_folder, as_member, is_list, member_path, open_archive, split_member, stored
from patchseek.store import Choice, Settings, Store

from .conftest import TinyEncoder, blot
from .test_archives import pack, paths, png, touch, vectors
from .test_distributed_sources import add_here

pytestmark = pytest.mark.extra("parquet")

IMAGE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
KINDS = ["train.parquet", "data.arrow"]


@pytest.fixture
def collection(tmp_path, tiny):
    return Collection(Store.create(tmp_path / "collection", Settings(tiny.identity, Pyramid.up_to(1))), tiny)


def rows_of(*contents):
    """Rows as the Image feature of `datasets` has them."""
    return [{"bytes": content, "path": f"{i}.png"} for i, content in enumerate(contents)]


def table(rows, column="image", kind=IMAGE, feature="Image"):
    """A table as `datasets` writes it, with what it says of its columns."""
    values = pyarrow.table({"label": list(range(len(rows))), column: pyarrow.array(rows, kind)})
    features = {"label": {"dtype": "int64", "_type": "Value"}, column: {"_type": feature}}
    return values.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def save(file, values, group=3):
    """As Dataset.to_parquet does, or as save_to_disk does; group: rows that lie together."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        pyarrow.parquet.write_table(values, file, row_group_size=group)
    else:
        with pyarrow.ipc.new_stream(file, values.schema) as stream:
            stream.write_table(values, max_chunksize=group)
    return file


def names(file, *rows):
    return [f"{file}#row={row}" for row in rows]


# ---- indexing


@pytest.mark.parametrize("kind", KINDS)
def test_rows_give_the_features_of_their_bytes_as_files(collection, tmp_path, tiny, kind):
    contents = [png(seed) for seed in range(8)]
    report = collection.add(save(tmp_path / "in" / kind, table(rows_of(*contents))))
    assert (report.added, report.failed) == (8, [])
    assert paths(collection) == names(kind, *range(8))
    (tmp_path / "out").mkdir()
    for row, content in enumerate(contents):
        (tmp_path / "out" / f"row={row}.png").write_bytes(content)
    other = Collection(Store.create(tmp_path / "other", Settings(tiny.identity, Pyramid.up_to(1))), tiny)
    other.add(tmp_path / "out")
    mine = {f"{path.rpartition('#')[2]}.png": features for path, features in vectors(collection.store).items()}
    assert mine == vectors(other.store)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_found_refined_drawn_and_asked_by_its_number(collection, tmp_path, kind):
    file = save(tmp_path / "in" / kind, table(rows_of(*map(png, range(8)))))
    collection.add(file)
    best = collection.search(png(5), top=3)[0]
    assert (best.image.path, best.image.file) == (f"{kind}#row=5", file)
    assert best.image.stored.name == f"{file}#row=5"
    assert np.array_equal(open_original(best.image).pixels, np.array(blot(5)))
    assert np.array_equal(thumbnail(best.image), np.array(blot(5)))
    assert collection.search(best.image.id, top=1)[0].image.id == best.image.id
    refined = collection.search(png(5), top=3, refine=3)[0]
    assert refined.image.path == best.image.path and not refined.changed


@pytest.mark.parametrize("kind", KINDS)
def test_each_row_is_numbered_as_its_library_numbers_it(tmp_path, kind):
    rng = np.random.default_rng(0)
    contents = [rng.bytes(int(size)) for size in rng.integers(0, 5000, 50)]
    file = save(tmp_path / kind, table(rows_of(*contents)), group=7)
    archive = open_archive(file)
    assert [member.name for member in archive.listing().pictures] == [f"row={row}" for row in range(50)]
    order = [*range(50), *reversed(range(50)), *rng.integers(0, 50, 50)]
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda row: archive.read(f"row={row}"), order)] == [contents[row] for row in order]


def test_each_group_of_rows_is_decoded_once_while_indexing(collection, tmp_path, monkeypatch):
    file, asked, rows = save(tmp_path / "in" / "x.parquet", table(rows_of(*map(png, range(20)))), 4), [], _Parquet.rows
    monkeypatch.setattr(_Parquet, "rows", lambda column, group: asked.append(group) or rows(column, group))
    collection.add(file)
    assert asked == [0, 1, 2, 3, 4]
    assert collection.add(file).unchanged == 20
    assert len(asked) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_only_other_bytes_are_encoded_again(collection, tmp_path, kind):
    file = tmp_path / "in" / kind
    collection.add(save(file, table(rows_of(*map(png, range(5))))))
    touch(save(file, table(rows_of(png(0), png(9), png(2), png(3), png(4), png(10)))), 5)
    report = collection.add(file)
    assert (report.added, report.changed, report.unchanged) == (1, 1, 4)
    touch(save(file, table(rows_of(png(0), png(9)))), 10)
    assert collection.add(file).removed == 4
    assert paths(collection) == names(kind, 0, 1)


def test_a_folder_of_datasets_is_gone_into_when_asked_and_from_then_on(collection, tmp_path):
    folder = tmp_path / "in"
    save(folder / "data" / "train-00000-of-00002.parquet", table(rows_of(png(0), png(1))))
    save(folder / "data" / "train-00001-of-00002.parquet", table(rows_of(png(2))))
    save(folder / "disk" / "data-00000-of-00001.arrow", table(rows_of(png(3))))
    save(folder / "list.parquet", pyarrow.table({"path": ["a.png"]}))
    (folder / "a.png").write_bytes(png(4))
    report = collection.add(folder)
    assert (report.added, dict(report.passed_over)) == (1, {".parquet": 3, ".arrow": 1})
    report = collection.add(folder, inside=["parquet"])
    assert (report.added, report.failed) == (4, [])
    assert dict(report.passed_over) == {".parquet without pictures": 1}
    assert "data/train-00001-of-00002.parquet#row=0" in paths(collection)
    save(folder / "data" / "test.parquet", table(rows_of(png(5))))
    assert collection.add(folder).added == 1
    assert collection.add(folder / "data" / "test.parquet").unchanged == 1


def test_a_file_that_is_gone_is_set_aside_and_comes_back_under_another_name(collection, tmp_path):
    folder = tmp_path / "in"
    file = save(folder / "x.parquet", table(rows_of(*map(png, range(3)))))
    for i in range(9):
        (folder / f"{i}.png").parent.mkdir(exist_ok=True)
        (folder / f"{i}.png").write_bytes(png(40 + i))
    collection.add(folder, inside=["parquet"])
    file.rename(tmp_path / "y.parquet")
    assert collection.add(folder).removed == 3
    (tmp_path / "y.parquet").rename(folder / "y.parquet")
    report = collection.add(folder)
    assert (report.added, report.returned) == (0, 3)


def test_files_that_were_put_into_rows_are_known_by_their_bytes(collection, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.png").write_bytes(png(i))
    collection.add(folder)
    save(folder / "x.parquet", table(rows_of(png(0), png(1))))
    (folder / "0.png").unlink()
    (folder / "1.png").unlink()
    report = collection.add(folder, inside=["parquet"])
    assert (report.added, report.moved) == (0, 2)


def test_a_file_of_rows_is_a_folder_to_exclusions_and_places(collection, tmp_path):
    folder = tmp_path / "in"
    file = save(folder / "sub" / "x.parquet", table(rows_of(*map(png, range(3)))))
    (folder / "plain.png").write_bytes(png(5))
    report = collection.add(folder, inside=["parquet"], exclude=["sub/x.parquet/row=1"])
    assert (report.passed_over["excluded"], report.unmatched) == (1, {})

    def among(*places):
        found = collection.store.images(Choice(under=list(places)).ids(collection.store).tolist())
        return sorted(image.path for image in found)

    inside = names("sub/x.parquet", 0, 2)
    for place in ("sub", "sub/x.parquet", "sub/x.parquet/", str(file)):
        assert among(place) == inside
    assert among("sub/x.parquet#row=2") == among("sub/x.parquet/row=2") == inside[1:]
    assert among("x.parquet") == inside


# ---- what a file of rows may be


@pytest.mark.parametrize(
    ("column", "kind", "values", "feature"),
    [
        ("image", IMAGE, "rows", "Image"),
        ("scan", IMAGE, "rows", "Image"),
        ("image", pyarrow.binary(), "bytes", "Value"),
        ("img", pyarrow.large_binary(), "bytes", "Value"),
        ("jpg", pyarrow.struct([("bytes", pyarrow.binary())]), "rows", "Image"),
        ("content", pyarrow.binary(), "bytes", None),
        ("image", IMAGE, "rows", None),
    ],
)
def test_columns_of_pictures(collection, tmp_path, column, kind, values, feature):
    rows = [png(0), png(1)] if values == "bytes" else [{"bytes": png(0)}, {"bytes": png(1)}]
    made = table(rows, column, kind, feature or "")
    made = made if feature else made.replace_schema_metadata(None)
    file = save(tmp_path / "in" / "x.parquet", made.append_column("path", [["a", "b"]]))
    assert not is_list(file)
    assert collection.add(file).added == 2


@pytest.mark.parametrize(
    "made",
    [
        pyarrow.table({"path": ["a.png"]}),
        pyarrow.table({"image": ["a.png"]}),
        pyarrow.table({"url": ["https://host/a.png"], "thumbnail": [b"x"]}),
        table([{"bytes": b"x", "path": "a"}], "image", feature="Audio").append_column("path", [["a.png"]]),
        pyarrow.table({"path": ["a.png"], "images": [[{"bytes": b"x", "path": "x"}]]}),
    ],
)
def test_what_has_no_column_of_pictures_is_a_list_as_before(tmp_path, made):
    assert is_list(save(tmp_path / "list.parquet", made))


def test_a_list_of_files_is_indexed_as_before(collection, make_folder):
    folder = make_folder("a.png", "b.png")
    collection.add(save(folder / "list.parquet", pyarrow.table({"path": ["a.png", "b.png"]})))
    assert paths(collection) == [f"{folder}/a.png", f"{folder}/b.png"]
    collection.add(folder, inside=["parquet"])  # the list is not gone into, though it is known as a root


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_is_no_picture_is_one_line_and_its_neighbours_are_unharmed(collection, tmp_path, kind):
    rows = [*rows_of(png(0), b"no picture", png(2)), {"bytes": None, "path": None}, None, *rows_of(png(5), b"")]
    report = collection.add(save(tmp_path / "in" / kind, table(rows)))
    assert paths(collection) == names(kind, 0, 2, 5)
    reasons = {failure.path: failure.reason for failure in report.failed}
    assert [*reasons] == names(kind, 1, 3, 4, 6)
    assert reasons[f"{kind}#row=3"] == reasons[f"{kind}#row=4"] == "holds no picture (null)"
    assert all("\n" not in reason for reason in reasons.values())
    assert len(collection.add(tmp_path / "in" / kind).failed) == 4  # told again, and not tried again


def test_a_row_without_bytes_names_a_file_beside_its_file_and_none_elsewhere(collection, tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.png").write_bytes(png(1))
    (tmp_path / "secret.png").write_bytes(png(2))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "notes.txt").write_bytes(png(3))
    os.mkfifo(folder / "pipe.png")
    said = ["sub/a.png", "../../etc/passwd", "../secret.png", str(tmp_path / "secret.png"), "link.png", "notes.txt"]
    rows = [{"bytes": None, "path": path} for path in [*said, "pipe.png", "gone.png", "a\0.png"]]
    report = collection.add(save(folder / "x.parquet", table(rows)))
    assert paths(collection) == ["x.parquet#row=0"]
    reasons = [failure.reason for failure in report.failed]
    assert len(reasons) == 8
    assert all("names no picture below its folder" in reason for reason in (*reasons[:5], reasons[7]))
    assert reasons[5] == "is not a regular file"
    assert "cannot be read (No such file" in reasons[6]


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_one_line_and_costs_nothing_that_is_known(collection, tmp_path, kind):
    folder = tmp_path / "in"
    file = save(folder / kind, table(rows_of(*map(png, range(6)))))
    (folder / "plain.png").write_bytes(png(50))
    collection.add(folder, inside=["parquet"])
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    touch(file, 5)
    report = collection.add(folder)
    assert (len(collection), report.removed, report.unchanged) == (7, 0, 1)
    (failure,) = report.failed
    assert failure.path == kind and "cannot be read as" in failure.reason and "\n" not in failure.reason
    with pytest.raises(PatchseekError, match="cannot be read as"):
        collection.add(file)
    file.write_bytes(whole)
    touch(file, 10)
    assert (collection.add(folder).failed, len(collection)) == ([], 7)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_never_raises_anything_else(tmp_path, kind):
    whole = save(tmp_path / kind, table(rows_of(*map(png, range(6))))).read_bytes()
    rng = np.random.default_rng(0)
    for n in range(150):
        content = bytearray(whole)
        for at in rng.integers(0, len(whole), 3):
            content[at] ^= 1 << int(rng.integers(0, 8))
        file = tmp_path / f"{n}-{kind}"
        file.write_bytes(content if n % 2 else whole[: n * len(whole) // 150])
        try:
            archive = open_archive(file)
            for member in archive.listing().pictures:
                archive.read(member.name)
        except PatchseekError as error:
            assert "\n" not in str(error)


def test_a_group_that_is_too_large_is_refused_before_it_is_read(collection, tmp_path, monkeypatch):
    file = save(tmp_path / "in" / "x.parquet", table([*rows_of(*map(png, range(3))), *rows_of(bytes(1 << 20))]))
    monkeypatch.setattr("patchseek.sources._rows.MOST_BYTES", 1 << 20)
    report = collection.add(file)
    (failure,) = report.failed
    assert paths(collection) == names("x.parquet", 0, 1, 2)
    assert failure.path == "x.parquet" and "rows 3-3 lie in a group of 1 MB, which is too large" in failure.reason
    with pytest.raises(ImageError, match="too large"):
        open_archive(file).read("row=3")


def test_a_value_that_is_written_once_and_meant_often_is_not_held_often(tmp_path):
    import tracemalloc

    content = np.random.default_rng(0).bytes(1 << 20)
    values = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 1000, pyarrow.int32()), [content])
    plain = pyarrow.table({"image": values}).cast(pyarrow.schema([("image", pyarrow.binary())]))
    file = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(plain, file, dictionary_pagesize_limit=1 << 30)
    assert file.stat().st_size < 3 << 20
    pyarrow_before = pyarrow.total_allocated_bytes()
    tracemalloc.start()
    archive = open_archive(file)
    assert archive.read("row=999") == content
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()
    assert pyarrow.total_allocated_bytes() - pyarrow_before < 20 << 20


def test_a_file_that_claims_more_rows_than_it_can_have_is_not_believed(tmp_path):
    batch = pyarrow.record_batch([pyarrow.array([b"x"] * 77)], ["image"])
    with pyarrow.ipc.new_stream(tmp_path / "x.arrow", batch.schema) as stream:
        stream.write_batch(batch)
    content = (tmp_path / "x.arrow").read_bytes()
    n = 7_777_777_777
    (tmp_path / "x.arrow").write_bytes(content.replace((77).to_bytes(8, "little"), n.to_bytes(8, "little")))
    with pytest.raises(ImageError, match=rf"{n} rows in .* bytes are more than there can be"):
        open_archive(tmp_path / "x.arrow")
    nulls = pyarrow.table({"image": pyarrow.nulls(3_000_000, pyarrow.binary())})
    with pytest.raises(ImageError, match=r"3000000 rows in .* bytes are more than there can be"):
        open_archive(save(tmp_path / "x.parquet", nulls, 1 << 22))


def test_damage_in_what_a_file_says_of_itself_ends_no_process(tmp_path):
    """As pyarrow does where it is asked for what a damaged file says of a column."""
    whole = save(tmp_path / "x.parquet", table(rows_of(*map(png, range(3))))).read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    for n in range(0, footer, 3):
        for value in (127, 255):
            content = bytearray(whole)
            content[-1 - n] = value
            (tmp_path / "x.parquet").write_bytes(content)
            try:
                for member in open_archive(tmp_path / "x.parquet").listing().pictures:
                    open_archive(tmp_path / "x.parquet").read(member.name)
            except PatchseekError as error:
                assert "\n" not in str(error)


def test_columns_that_are_nested_deep_are_no_pictures(tmp_path):
    kind = IMAGE
    for _ in range(60):
        kind = pyarrow.struct([("image", kind)])
    file = save(tmp_path / "x.parquet", pyarrow.table({"image": pyarrow.array([None], kind)}))
    assert is_list(file)
    assert dict(open_archive(file).listing().passed_over) == {".parquet without pictures": 1}


@pytest.mark.parametrize("said", [b"[" * 100_000, b"{}", b"null", b'{"info": {"features": [1]}}', b"\xff"])
def test_what_a_file_says_of_its_columns_may_be_nonsense(tmp_path, said):
    made = table(rows_of(png(0))).replace_schema_metadata({"huggingface": said})
    assert open_archive(save(tmp_path / "x.parquet", made)).read("row=0") == png(0)


# ---- opened again


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_holds_other_bytes_now_is_not_shown_as_what_was_found(collection, tmp_path, kind):
    file = save(tmp_path / "in" / kind, table(rows_of(*map(png, range(3)))))
    collection.add(file)
    image = next(image for image in collection.store.images([1, 2, 3]) if image.path.endswith("row=1"))
    touch(file, 5)
    assert not has_changed(image)  # dates alone say nothing
    touch(save(file, table(rows_of(png(0), png(9), png(2)))), 10)
    assert has_changed(image)
    with pytest.raises(ImageChanged):
        open_original(image)
    file.unlink()
    with pytest.raises(ImageError):
        open_original(image)


def test_a_row_that_is_no_more_there_is_said_so(tmp_path):
    file = save(tmp_path / "x.parquet", table(rows_of(png(0))))
    for path in ("x.parquet#row=1", "x.parquet#row=9999999999"):
        assert not stored(tmp_path, path).is_there()
        with pytest.raises(ImageError, match="is not in the file any more"):
            stored(tmp_path, path).read_bytes()
    assert stored(tmp_path, "x.parquet#row=0").is_there()
    assert stored(file.parent, "x.parquet#row=0").read_bytes() == png(0)


def test_without_its_extra_a_file_is_one_failure_that_passes(collection, tmp_path, monkeypatch):
    def missing():
        raise MissingExtra("pyarrow", "parquet")

    folder = tmp_path / "in"
    pack(folder / "box.zip", {"a.png": png(0)})
    file = save(folder / "x.parquet", table(rows_of(png(1))))
    monkeypatch.setattr("patchseek._parquet._import_pyarrow", missing)
    report = collection.add(folder, inside=["zip", "parquet"])
    (failure,) = report.failed
    assert (report.added, failure.path, failure.passing) == (1, "x.parquet", True)
    assert "pyarrow is not installed" in failure.reason
    with pytest.raises(MissingExtra):
        collection.add(file)


# ---- paths


@pytest.mark.parametrize(
    ("path", "file", "member"),
    [
        ("data/x.parquet#row=17", "data/x.parquet", "row=17"),
        ("X.ARROW#row=0", "X.ARROW", "row=0"),
        ("x.parquet#row=07", "x.parquet#row=07", None),
        ("x.parquet#17", "x.parquet#17", None),
        ("x.jpg#row=1", "x.jpg#row=1", None),
        ("x.parquet#row=1/a.jpg", "x.parquet#row=1/a.jpg", None),
        ("box.zip!x.parquet#row=1", "box.zip", "x.parquet#row=1"),
    ],
)
def test_what_a_path_says(path, file, member):
    assert split_member(path) == (file, member)
    if member is not None:
        assert member_path(file, member) == path
        assert as_member(as_folder(path)) == path


# ---- the command line


def run(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def test_the_commands_take_a_file_of_rows(tmp_path):
    file = save(tmp_path / "in" / "x.parquet", table([*rows_of(png(0), png(1)), None]))
    (tmp_path / "query.png").write_bytes(png(1))
    result = run("index", file, "-c", tmp_path / "c")
    assert result.exit_code == 3 and "2 added" in result.stderr
    assert "x.parquet#row=2: holds no picture (null)" in result.stderr
    found = run("search", tmp_path / "query.png", "-c", tmp_path / "c", "--json", "--save", tmp_path / "found.png")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["results"][0]["image"] == "x.parquet#row=1"
    assert (tmp_path / "found.png").exists()
    for command in ("verify", "info"):
        assert run(command, "-c", tmp_path / "c").exit_code == 0


@pytest.mark.parametrize("form", ["yolo", "voc", "crops", "fiftyone"])
def test_formats_that_name_files_by_pictures_tell_rows_apart(tmp_path, form):
    run("index", save(tmp_path / "in" / "x.parquet", table(rows_of(png(0), png(1)))), "-c", tmp_path / "c")
    (tmp_path / "query.png").write_bytes(png(1))
    place = tmp_path / ("y.json" if form == "fiftyone" else "y")
    result = run("search", tmp_path / "query.png", "-c", tmp_path / "c", "--format", form, "--output", place)
    assert result.exit_code == 0, result.output
    written = place.read_text() if form == "fiftyone" else " ".join(path.name for path in place.rglob("*"))
    assert "x.parquet#row=0" in written and "x.parquet#row=1" in written


def test_what_could_be_gone_into_is_said_in_the_summary(tmp_path):
    save(tmp_path / "in" / "x.parquet", table(rows_of(png(0))))
    (tmp_path / "in" / "plain.png").write_bytes(png(1))
    assert "passed over: 1 .parquet (--inside parquet)" in run("index", tmp_path / "in").stderr


def test_what_is_no_file_of_pictures_is_one_line(tmp_path):
    for name, content in (("x.parquet", b"nothing"), ("y.arrow", b"nothing"), ("z.arrow", b"")):
        (tmp_path / name).write_bytes(content)
        result = run("index", tmp_path / name, "-c", tmp_path / "c")
        assert isinstance(result.exception, PatchseekError)
        assert name in str(result.exception) and "\n" not in str(result.exception)
    assert not (tmp_path / "c").exists()


def test_the_examples_of_the_docs_run(tmp_path, monkeypatch):
    page = (Path(__file__).parents[1] / "docs" / "sources.md").read_text()
    section = page.split("\n## Datasets\n")[1].split("\n## ")[0]
    commands = [shlex.split(line, comments=True) for line in section.splitlines() if line.startswith("    patchseek ")]
    assert [command[1] for command in commands] == ["index", "search"]
    save(tmp_path / "flowers" / "data" / "train-00000-of-00002.parquet", table(rows_of(png(0), png(1))))
    (tmp_path / "rose.png").write_bytes(png(1))
    monkeypatch.chdir(tmp_path)
    results = [run(*command[1:]) for command in commands]
    assert [result.exit_code for result in results] == [0, 0], results[-1].output
    assert "data/train-00000-of-00002.parquet#row=1" in results[-1].stdout.splitlines()[1]


# ---- through a cluster


def test_a_cluster_takes_files_of_rows_of_this_machine_one_or_several(tmp_path, tiny):
    collection = Collection(Store.create(tmp_path / "collection", Settings(TinyEncoder().identity, Pyramid.up_to(1))))
    files = [save(tmp_path / "in" / f"{i}.parquet", table(rows_of(*map(png, range(5 * i, 5 * i + 5))))) for i in (0, 1)]
    assert add_here(collection, files[0]).added == 5
    report = add_here(collection, tmp_path / "in" / "*.parquet")
    assert (report.added, report.unchanged, report.failed) == (5, 5, [])
    assert paths(collection) == sorted(names("0.parquet", *range(5)) + names("1.parquet", *range(5)))
    mine = vectors(collection.store)
    other = Collection(Store.create(tmp_path / "other", Settings(tiny.identity, Pyramid.up_to(1))), tiny)
    other.add(tmp_path / "in", inside=["parquet"])
    assert mine == vectors(other.store)


def test_a_file_of_rows_behind_a_url_is_refused_in_one_line(tmp_path):
    collection = Collection(Store.create(tmp_path / "collection", Settings(TinyEncoder().identity, Pyramid.up_to(1))))
    file = save(tmp_path / "x.parquet", table(rows_of(png(0))).append_column("path", [["a.png"]]))
    with pytest.raises(PatchseekError, match="its rows hold pictures, not names; fetch it to this machine first"):
        add_here(collection, f"file://{file}")


def test_pixels_are_those_that_pillow_decodes(tmp_path):
    content = io.BytesIO()
    blot(3).save(content, "JPEG")
    file = save(tmp_path / "x.parquet", table(rows_of(content.getvalue())))
    assert open_archive(file).read("row=0") == content.getvalue()


def test_two_files_are_read_at_once_and_each_group_a_few_times_at_most(tmp_path, monkeypatch):
    files = [save(tmp_path / f"{i}.parquet", table(rows_of(*map(png, range(30))))) for i in range(2)]
    asked, rows = [], _Parquet.rows
    monkeypatch.setattr(_Parquet, "rows", lambda column, group: asked.append(group) or rows(column, group))
    archives = [open_archive(file) for file in files]
    for row in range(30):
        for archive in archives:
            assert archive.read(f"row={row}") == png(row)
    assert len(asked) == 20
    assert sum(archive._rows is not None and archive._next < archive._end for archive in archives) <= 1


def test_what_cannot_be_decoded_is_not_tried_for_each_row_behind_it(tmp_path, monkeypatch):
    file, asked, rows = save(tmp_path / "x.parquet", table(rows_of(*map(png, range(9)))), 9), [], _Parquet.rows

    def broken(column, group):
        asked.append(group)
        for i, row in enumerate(rows(column, group)):
            if i == 4:
                raise ValueError("a page is damaged")
            yield row

    monkeypatch.setattr(_Parquet, "rows", broken)
    archive = open_archive(file)
    for row in range(9):
        if row < 4:
            assert archive.read(f"row={row}") == png(row)
        else:
            with pytest.raises(ImageError, match=f"row={row}: cannot be read .a page is damaged"):
                archive.read(f"row={row}")
    assert asked == [0]


def test_a_server_shows_rows_under_their_addresses(collection, tmp_path):
    from starlette.testclient import TestClient

    from patchseek.server import ServerSettings, create_app

    collection.add(save(tmp_path / "in" / "x.parquet", table(rows_of(*map(png, range(8))))))
    with TestClient(create_app(collection, ServerSettings()), base_url="http://127.0.0.1:8765") as client:
        found = client.post("/api/search", files={"image": png(5)}, data={"refine": "5"}).json()
        best = found["results"][0]
        assert best["image"] == "x.parquet#row=5"
        shown = client.get(f"/api/images/{best['image_id']}/thumbnail")
        assert shown.headers["content-type"] == "image/jpeg" and PillowImage.open(io.BytesIO(shown.content)).size
        assert "x.parquet" in client.get("/api/places").json()["folders"]
