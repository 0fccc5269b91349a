"""The site of the documentation, as far as it is ours: links, comments, lists, navigation, the page of commands."""

import posixpath
import re
from pathlib import Path

import click
import pytest
import site_hooks as hooks
from click.testing import CliRunner
from site_commands import commands_page

import patchseek
from patchseek.cli import cli

ROOT = Path(__file__).parents[1]
FILES = [*hooks.FRONT, *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]
PAGES = {hooks.page_of(file) for file in FILES} | {hooks.COMMANDS}


@pytest.mark.parametrize(
    ("file", "written", "shown"),
    [
        ("README.md", "[points](docs/points.md)", "[points](points.md)"),
        ("README.md", "![a query](docs/results.png)", "![a query](results.png)"),
        ("README.md", "[all\nsteps](docs/localisation.md#confidence)", "[all\nsteps](localisation.md#confidence)"),
        ("README.md", "[docs/points.md](docs/points.md)", "[Points](points.md)"),
        ("README.md", "[how](CONTRIBUTING.md)", "[how](contributing.md)"),
        ("README.md", "[the terms](LICENSE)", "the terms (`LICENSE`)"),
        ("README.md", "[`examples/`](examples/)", "`examples`"),
        ("docs/gpu.md", "[points](points.md#what-is-kept)", "[points](points.md#what-is-kept)"),
        ("docs/gpu.md", "[it](../README.md#try-it)", "[it](index.md#try-it)"),
        ("docs/gpu.md", "[kept](../tools/figures.py)", "kept (`tools/figures.py`)"),
        ("docs/workflows/fiftyone.md", "[here](../notebooks.md)", "[here](../notebooks.md)"),
        ("docs/workflows/fiftyone.md", "[top](../../README.md)", "[top](../index.md)"),
        ("docs/workflows/fiftyone.md", "[code](../../src/patchseek/boxes.py)", "code (`src/patchseek/boxes.py`)"),
    ],
)
def test_a_link_of_the_repository_becomes_one_of_the_site_or_a_name(file, written, shown):
    assert hooks.lead_on(f"See {written}.", file) == f"See {shown}."


@pytest.mark.parametrize(
    "kept",
    [
        "[elsewhere](https://example.org/docs/points.md)",
        "[below](#notes)",
        "[nowhere](docs/no-such-page.md)",
        "`[code](docs/points.md)`",
        "```\n[code](docs/points.md)\n```",
        "\n    [code](docs/points.md)\n",
    ],
)
def test_what_leads_elsewhere_or_nowhere_and_code_stay_as_they_are(kept):
    assert hooks.lead_on(kept, "README.md") == kept


@pytest.mark.parametrize("file", FILES)
def test_every_link_of_a_page_leads_to_a_page_or_a_picture_of_the_site(file):
    page = hooks.page_of(file)
    text = hooks.lead_on(hooks.without_comments((ROOT / file).read_text(encoding="utf-8")), file)
    for found in hooks.LINK.finditer(text):
        to = (found["to"] or "").partition("#")[0]
        if to and not re.match(r"[a-z]+:", to):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page), to))
            assert target in PAGES or (ROOT / "docs" / target).is_file(), found[0]


def test_the_navigation_lists_every_page_once():
    listed = re.findall(r"[\w/-]+\.md\b", (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2])
    assert sorted(listed) == sorted(PAGES)


def test_comments_go_where_they_are_no_code():
    text = (
        "0.28<!-- = avx2/page: a > b --> s, `<!-- code -->`\n\n    <!-- code -->\n\n<!-- figures x: y\n| z -->\n| a |"
    )
    assert hooks.without_comments(text) == "0.28 s, `<!-- code -->`\n\n    <!-- code -->\n\n\n| a |"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Two things:\n1. this\n   and more\n2. that", "Two things:\n\n1. this\n   and more\n2. that"),
        ("Two things:\n- this\n- that", "Two things:\n\n- this\n- that"),
        ("Two things:\n\n- this\n- that\n", "Two things:\n\n- this\n- that\n"),
        ("```\na:\n- b\n```", "```\na:\n- b\n```"),
        ("is 5\n-3 of it", "is 5\n-3 of it"),
        ("- a\n\n  | b |\n  |---|\n- c", "- a\n\n    | b |\n    |---|\n\n- c"),
        ("- a\n  and more\n- c", "- a\n  and more\n- c"),
    ],
)
def test_lists_are_what_they_are_in_the_repository(written, shown):
    assert hooks.part_lists(written) == shown


def test_the_comment_under_a_field_describes_it():
    lines = ["class A:", "    n: int", "    # how many", "    # there are", "    m: int", "", "    # of nothing"]
    assert [hooks.comment_under(lines, line) for line in (2, 5)] == ["how many there are", ""]


def test_what_a_docstring_says_of_a_parameter_begins_a_line():
    said = "Look.\n\nbox: x y\nw h. depth: 3.\na, b and c: more\nRaises BoxError."
    assert hooks.line_by_line(said) == "Look.\n\nbox: x y\nw h. depth: 3.  \na, b and c: more  \nRaises BoxError."


@pytest.mark.parametrize(
    ("text", "fetched"),
    [
        ('<a href="https://a.org/b">', []),
        ('<script src="assets/b.js"></script><link href="../b.css" rel="stylesheet">', []),
        ('<script async src="https://a.org/b.js"></script>', ["https://a.org/b.js"]),
        ("<link rel=stylesheet href=//a.org/b.css>", ["//a.org/b.css"]),
        ('<img alt="" src="http://a.org/b.png">', ["http://a.org/b.png"]),
        ("@font-face{src:url(https://a.org/b.woff2)}", ["https://a.org/b.woff2"]),
        ('@import "https://a.org/b.css"', ["https://a.org/b.css"]),
        ("a{background:url(data:image/png;base64,AA==)}", []),
    ],
)
def test_what_a_browser_would_fetch_from_elsewhere_is_seen(text, fetched):
    assert hooks.foreign(text) == fetched


def commands(command: click.Command, *names: str) -> list[tuple[str, ...]]:
    """The names of all commands below one, itself included."""
    below = command.commands.items() if isinstance(command, click.Group) else ()
    return [names, *(each for name, one in below if not one.hidden for each in commands(one, *names, name))]


def test_the_page_of_commands_holds_every_command_with_its_options():
    sections = dict(re.findall(r"^## (patchseek[^\n]*)\n(.*?)(?=^## |\Z)", commands_page(), re.MULTILINE | re.DOTALL))
    for names in commands(cli):
        said = CliRunner().invoke(cli, [*names, "--help"], prog_name="patchseek").stdout
        options = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", said, re.MULTILINE)) - {"--help"}
        section = sections.pop(" ".join(["patchseek", *names]))
        assert options == set(re.findall(r"^- `(?:-\w, )?(--[\w-]+)", section, re.MULTILINE))
    assert list(sections) == ["patchseek-mcp"]


def test_the_page_of_the_library_holds_every_public_name():
    named = re.findall(r"^::: patchseek\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    assert sorted([*named, "__version__"]) == sorted(patchseek.__all__)


def test_the_pictures_of_how_it_works_are_small():
    sizes = [path.stat().st_size for path in (ROOT / "docs" / "how").iterdir()]
    assert sizes and max(sizes) < 200_000
