"""Lists of pictures as people and programs write them: each picture once, as it is first called, and nothing lost."""

import pyarrow
import pyarrow.parquet
import pytest

from patchseek import Collection
from patchseek.errors import PatchseekError
from patchseek.store import Settings, Store

from .conftest import TinyEncoder
from .test_distributed import PYRAMID
from .test_distributed_sources import add_here

pytestmark = pytest.mark.extra("parquet")


@pytest.fixture
def collection(tmp_path):
    return Collection(Store.create(tmp_path / "collection", Settings(TinyEncoder().identity, PYRAMID)), TinyEncoder())


def add(collection, content, name="list.csv"):
    """What becomes of a list that lies beside the pictures; and what the collection then holds, relative to it."""
    folder = collection.path.parent / "pictures"
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    report = add_here(collection, folder / name)
    return report, sorted(path.removeprefix(f"{folder}/") for _, _, path in collection.store.paths())


@pytest.mark.parametrize(
    ("content", "passed_over"),
    [
        (b"\xef\xbb\xbfpath\r\na.png\r\n\r\nb.png\r\n\r\n", {}),
        (b"path\n\n\na.png\n   \nb.png", {}),
        (b" path ,note\n a.png ,x\n  b.png,\n", {}),
        (b"path\n# two of them\na.png\n#c.png\nb.png\n", {"comments": 2}),
        (b"note,path\n# two of them\nx,a.png\nx,b.png\n", {"comments": 1}),
        (b"path\na.png\nb.png\na.png\n./a.png\nsub/../b.png\n", {"repeated": 3}),
        (b'path\n"a.png"\n"b.png"\n', {}),
    ],
)
def test_a_list_may_be_written_in_many_ways(collection, make_folder, content, passed_over):
    make_folder("a.png", "b.png", "c.png")
    report, held = add(collection, content)
    assert (held, report.failed, report.passed_over) == (["a.png", "b.png"], [], passed_over)
    assert add(collection, content)[0].unchanged == 2


def test_names_that_look_like_comments_or_have_blanks_around_them_are_names_where_files_have_them(
    collection, make_folder
):
    names = ["#1.png", "# 2.png", " 3.png", "4.png ", "5 .png", "a,b.png", 'a"b.png', "new\nline.png"]
    folder = make_folder(*(name for name in names if name != "4.png "))
    (folder / "5 .png").rename(folder / "4.png ")
    make_folder("5 .png")
    quoted = (name.replace('"', '""') for name in names)
    report, held = add(collection, "path\n" + "".join(f'"{name}"\n' for name in quoted))
    assert (sorted(held), report.failed, report.passed_over) == (sorted(names), [], {})


def test_a_picture_keeps_the_name_by_which_it_was_first_listed(collection, make_folder):
    make_folder("a.png")
    for content in ("path\n./a.png\n", "path\n./a.png\na.png\n"):
        report, held = add(collection, content)
        assert (report.removed, held) == (0, ["./a.png"])


def test_a_list_in_parquet_is_one_too(collection, make_folder):
    folder = make_folder("a.png", "b.png")
    names = ["a.png", " b.png ", "# none", "./a.png", str(folder / "b.png")]
    pyarrow.parquet.write_table(pyarrow.table({"path": names}), folder / "list.parquet")
    report, held = add(collection, (folder / "list.parquet").read_bytes(), "list.parquet")
    assert (held, report.passed_over) == (["a.png", "b.png"], {"comments": 1, "repeated": 2})


def test_a_list_that_is_no_utf8_or_has_a_zero_is_an_error_that_says_where(collection, make_folder):
    make_folder("a.png")
    for content, said in (
        ("path\na.png\n".encode("utf-16"), "utf-8"),
        (b"path\na.png\nb\0.png\n", "line"),
        (b"# mine\npath\na.png\n", "one column must be called path, url or image; found # mine"),
    ):
        with pytest.raises(PatchseekError, match=said) as caught:
            add(collection, content)
        assert "\n" not in str(caught.value)
    assert len(collection) == 0
