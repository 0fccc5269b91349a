"""CONTRIBUTING.md names files, tests and targets of make that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)+/?|[\w.-]+/|[\w-]+\.(?:py|md|toml)")
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").glob("test_*.py")))


def code(text: str) -> str:
    """What a text has in backticks or indented as code, a piece a line."""
    indented = re.findall(r"^ {4}(.*)$", text, re.MULTILINE)
    return "\n".join([*(" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)), *indented])


def paths(text: str) -> set[str]:
    """The paths that code and links of a text name; NAME and CLASS may be anything."""
    words = {word.rstrip(",;:") for word in code(text).split()}
    links = set(re.findall(r"\]\((?!https?:)([^)#]+)", text))
    return {word.replace("NAME", "*").replace("CLASS", "*") for word in words if PATH.fullmatch(word)} | links


def lacking(text: str, root: Path = ROOT) -> list[str]:
    """Those of them of which a folder has none."""
    return sorted(path for path in paths(text) if not any(root.glob(path)))


def test_every_file_that_it_names_is_there():
    assert len(paths(TEXT)) > 40
    assert lacking(TEXT) == []


@pytest.mark.parametrize(
    "named", ["See `a/b.py`.", "[b](a/b.py#c)", "    python a/b.py  # b", "`a/` and `python\na/b.py`"]
)
def test_a_file_that_is_removed_is_missed(named, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.py").touch()
    assert lacking(named, tmp_path) == []
    (tmp_path / "a" / "b.py").unlink()
    assert lacking(named, tmp_path) == ["a/b.py"]


def test_every_target_of_make_that_it_names_is_one():
    named = set(re.findall(r"\bmake ([a-z][\w-]*)", code(TEXT)))
    assert len(named) > 5
    rules = re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert named - set(rules) == set()


def test_every_test_that_it_names_is_one():
    named = set(re.findall(r"^test_\w+$", code(TEXT), re.MULTILINE))
    assert named and [name for name in named if f"\ndef {name}(" not in TESTS] == []
