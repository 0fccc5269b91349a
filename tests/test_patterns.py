"""Patterns mean what they mean in a .gitignore, and a name goes before a pattern."""

import unicodedata
import warnings
from pathlib import Path

import pytest

from patchseek.errors import QueryError
from patchseek.patterns import Exclusions, Pattern, escaped, moved_below, nearest, several, tidy

FILES = ["a.jpg", "b.tif", "neu/a.jpg", "neu/raw/b.tif", "old/neu/c.tif", "raw/a.jpg", "raw/deep/d.tif", "raw/keep.tif"]

# What `git ls-files --others --exclude-standard` leaves out of FILES (git 2.39)
BY_GIT = [
    (["*.tif"], "b.tif neu/raw/b.tif old/neu/c.tif raw/deep/d.tif raw/keep.tif"),
    (["/*.tif"], "b.tif"),
    (["neu"], "neu/a.jpg neu/raw/b.tif old/neu/c.tif"),
    (["/neu"], "neu/a.jpg neu/raw/b.tif"),
    (["neu/"], "neu/a.jpg neu/raw/b.tif old/neu/c.tif"),
    (["a.jpg/"], ""),
    (["**/neu/**"], "neu/a.jpg neu/raw/b.tif old/neu/c.tif"),
    (["neu/**"], "neu/a.jpg neu/raw/b.tif"),
    (["raw/*"], "raw/a.jpg raw/deep/d.tif raw/keep.tif"),
    (["raw/*.tif"], "raw/keep.tif"),
    (["raw/**/*.tif"], "raw/deep/d.tif raw/keep.tif"),
    (["*/neu"], "old/neu/c.tif"),
    (["**/deep"], "raw/deep/d.tif"),
    (["[ab].*"], "a.jpg b.tif neu/a.jpg neu/raw/b.tif raw/a.jpg"),
    (["[!a].*"], "b.tif neu/raw/b.tif old/neu/c.tif raw/deep/d.tif"),
    (["[^a].*"], "b.tif neu/raw/b.tif old/neu/c.tif raw/deep/d.tif"),
    (["?.jpg"], "a.jpg neu/a.jpg raw/a.jpg"),
    (["*.tif", "!keep.tif"], "b.tif neu/raw/b.tif old/neu/c.tif raw/deep/d.tif"),
    (["raw/", "!raw/keep.tif"], "neu/raw/b.tif raw/a.jpg raw/deep/d.tif raw/keep.tif"),
    (["raw/*", "!raw/keep.tif"], "raw/a.jpg raw/deep/d.tif"),
    (["/*", "!/neu"], "a.jpg b.tif old/neu/c.tif raw/a.jpg raw/deep/d.tif raw/keep.tif"),
    (["raw", "!raw"], ""),
    (["a/b", "!a"], ""),
    (["neu/**", "!neu/raw/"], "neu/a.jpg neu/raw/b.tif"),
    (["*", "!*.tif"], "a.jpg neu/a.jpg neu/raw/b.tif old/neu/c.tif raw/a.jpg raw/deep/d.tif raw/keep.tif"),
    (["*", "!*/", "!*.tif"], "a.jpg neu/a.jpg raw/a.jpg"),
    (["old/**/c.tif"], "old/neu/c.tif"),
    (["**"], "a.jpg b.tif neu/a.jpg neu/raw/b.tif old/neu/c.tif raw/a.jpg raw/deep/d.tif raw/keep.tif"),
    (["n*u/*"], "neu/a.jpg neu/raw/b.tif"),
    (["*/"], "neu/a.jpg neu/raw/b.tif old/neu/c.tif raw/a.jpg raw/deep/d.tif raw/keep.tif"),
    (["/*/"], "neu/a.jpg neu/raw/b.tif old/neu/c.tif raw/a.jpg raw/deep/d.tif raw/keep.tif"),
    (["/**/"], "neu/a.jpg neu/raw/b.tif old/neu/c.tif raw/a.jpg raw/deep/d.tif raw/keep.tif"),
    (["raw/**/"], "raw/deep/d.tif"),
    (["[z-a].jpg"], ""),
    (["[a.jpg"], ""),
    (["a.jp[[:lower:]]"], "a.jpg neu/a.jpg raw/a.jpg"),
    (["[[:alpha:]].[[:alpha:]]*g"], "a.jpg neu/a.jpg raw/a.jpg"),
]


@pytest.mark.parametrize(("lines", "left_out"), BY_GIT, ids=lambda value: " ".join(value) if value else "-")
def test_exclusions_leave_out_what_git_does(lines, left_out):
    kept = Exclusions(lines).kept(FILES)
    assert [file for file in FILES if file not in kept] == left_out.split()


@pytest.mark.parametrize(
    "name",
    [
        "image[1].jpg",
        "[ab]",
        "a*b",
        "what?",
        "!x",
        "#x",
        " a ",
        "tab\t",
        "new\nline",
        "back\\slash",
        "**",
        "[!a]",
        "\\",
    ],
)
def test_what_is_there_by_that_very_name_is_meant_alone(name):
    """The other names are those that the pattern would mean, or the name without its odd characters."""
    others = ["image1.jpg", "a", "b", "aXb", "whats", "x", "tab", "newline", "backslash", "c", "ab"]
    for asked, files in ((name, [name, f"deep/{name}"]), (f"deep/{name}", [f"deep/{name}"])):
        there = [name, f"deep/{name}", f"{name}.png", *others, *(f"deep/{other}" for other in others)]
        left_out = Exclusions([asked])
        assert [file for file in there if file not in left_out.kept(there)] == files
        assert left_out.unmatched(there) == {}
        again = Exclusions(left_out.lines)  # as remembered, when nothing bears the name any more
        without = [file for file in there if file not in files]
        assert again.kept(without) == without


def test_an_escaped_name_means_itself():
    for name in ("image[1].jpg", "!x", "#x", "a*b?", "back\\slash", " blank "):
        assert Pattern(escaped(name)).covers(f"folder/{name}")
        assert not Pattern(escaped(name)).covers(f"folder/{name}x")


def test_a_name_that_is_not_there_is_a_pattern():
    assert Exclusions(["image[1].jpg"]).kept(["image1.jpg", "image2.jpg"]) == ["image2.jpg"]
    assert Exclusions(["!a", "#b", "c "]).kept(["a", "b", "c"]) == ["a", "b", "c"]


def test_composed_and_decomposed_letters_are_the_same():
    composed, decomposed = "K\u00e4se", "Ka\u0308se"
    assert unicodedata.normalize("NFD", composed) == decomposed
    for asked in (composed, decomposed, "K\u00e4*", "Ka\u0308s?"):
        for there in (composed, decomposed):
            assert Exclusions([asked]).kept([f"{there}/1.png", "2.png"]) == ["2.png"]
    assert Exclusions(["[\u00e4\u00f6].png"]).kept(["a\u0308.png", "o\u0308.png", "u\u0308.png"]) == ["u\u0308.png"]


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ("neu", "neu"),
        ("neu/", "neu/"),
        ("./neu", "/neu"),
        ("neu//old/./x/..", "neu/old"),
        ("../neu", "/../neu"),
        ("neu/../../x", "../x"),
        ("/pictures/neu/", "/neu/"),
        ("/pictures/*.tif", "/*.tif"),
        ("/pictures2/neu", "/pictures2/neu"),
        ("https://host/pictures/neu", "https:/host/pictures/neu"),
    ],
)
def test_places_are_told_from_the_folder(asked, line):
    assert tidy(asked, Path("/pictures")) == line


def test_an_address_below_an_indexed_one_is_a_place_in_it():
    assert tidy("https://host/pictures/neu", "https://host/pictures") == "/neu"


def test_exclusions_that_match_nothing_are_named_with_what_may_have_been_meant():
    left_out = Exclusions(["NEU", "raws", "*.TIF", "home/neu", "elsewhere", "a.jpg", "/top/[x"])
    assert left_out.kept(FILES) == [file for file in FILES if not file.endswith("a.jpg")]
    assert left_out.unmatched(FILES) == {
        "NEU": "neu",
        "raws": "raw",
        "*.TIF": "b.tif",
        "home/neu": "neu",
        "elsewhere": None,
        "/top/[x": None,
    }


def test_of_exclusions_the_last_decides_however_often_it_is_given():
    assert Exclusions(["a.jpg", "!a.jpg", "a.jpg"]).kept(["a.jpg", "b.tif"]) == ["b.tif"]
    assert Exclusions(["!a.jpg", "a.jpg", "!a.jpg"]).kept(["a.jpg", "b.tif"]) == ["a.jpg", "b.tif"]


def test_a_place_that_leads_out_means_nothing():
    for text in ("../neu", "neu/../../raw", "/../neu", "./../raw"):
        assert Exclusions([text], Path("/pictures")).kept(FILES) == FILES


def test_of_several_exclusions_all_that_match_count_as_used():
    left_out = Exclusions(["neu", "n*", "raw", "raw/keep.tif"])
    left_out.kept(FILES)
    assert left_out.unmatched(FILES).keys() == {"raw/keep.tif"}, "nobody looks into a folder that is left out"


def test_patterns_are_read_without_a_remark_of_python():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for text in (
            "[[]x",
            "[[:digit:]]",
            "[a&&b]",
            "[a||b]",
            "[~~]",
            "[![]",
            "[]]",
            "[a--b]",
            "x\\",
            "",
            "!",
            "/",
            "[[",
        ):
            Pattern(text)
    assert Pattern("[[]1].png").covers("[1].png")
    assert Pattern("[[:digit:]]*").covers("7.png") and not Pattern("[[:digit:]]*").covers("x.png")


def test_a_pattern_of_many_stars_comes_to_an_end():
    assert not Pattern("*a" * 200 + "b").covers("a" * 250)
    assert Pattern("*a" * 100 + "*b*").covers("a" * 249 + "b")


@pytest.mark.parametrize("given", [5, [None], [b"a"], ["a", 1], 0.5])
def test_what_is_no_text_is_an_error_of_one_line(given):
    with pytest.raises(QueryError, match="are texts, found") as caught:
        several(given)
    assert "\n" not in str(caught.value)


def test_one_text_a_path_and_none_are_taken():
    assert (several("ab"), several(Path("a/b")), several(["a", Path("b")]), several(None)) == (
        ["ab"],
        ["a/b"],
        ["a", "b"],
        [],
    )


def test_the_nearest_name_is_looked_for_among_names_or_among_paths():
    assert nearest("keep.tiff", FILES) == "keep.tif"
    assert nearest("raw/keep.tiff", FILES) == "raw/keep.tif"
    assert nearest("zebra", FILES) is None


@pytest.mark.parametrize("line", ["*.tif", "/a.jpg", "raw/", "raw/*.tif", "!keep.tif", "**/deep"])
def test_a_line_of_a_folder_means_the_same_from_the_one_around_it(line):
    for file in FILES:
        there = Pattern(moved_below("[sub]/", line))
        assert there.covers(f"[sub]/{file}") == Pattern(line).covers(file)
        assert there.is_exception == line.startswith("!")
        assert not there.covers(f"other/{file}")
