"""A part imports only parts to its left: the list of parts is the reading order, the import order, the docs' order."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import patchseek

PIXELS = ["errors", "_platform", "boxes", "regions", "images", "foreground", "patches", "lays", "encoders", "proposals"]
KEPT = ["points", "patterns", "sources", "store", "originals", "encode"]
ANSWERS = [
    "indexes",
    "engine",
    "search",
    "matches",
    "rerank",
    "rank",
    "confidence",
    "answers",
    "queries",
    "many",
    "collection",
    "judgements",
]
FIGURES = ["formats", "datasets", "metrics", "breakdowns", "evaluate", "compression"]
EDGES = ["draw", "report", "plan", "records", "saved", "watch", "distributed", "server", "mcp", "cli"]
PARTS = PIXELS + KEPT + ANSWERS + FIGURES + EDGES
ROOT = Path(patchseek.__file__).parent
FILES = [path for path in sorted(ROOT.rglob("*.py")) if path.parent != ROOT or path.stem in PARTS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_part_imports_only_parts_to_its_left(path):
    inside = path.relative_to(ROOT).with_suffix("").parts
    own = PARTS.index(inside[0])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == len(inside):
            for name in [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]:
                assert name not in PARTS or PARTS.index(name) < own, f"line {node.lineno} imports {name}"


# what a part may take of the private files of another, until that says it aloud
LENT = {
    ("cli", "encoders"): {"_cpu", "_embedded", "_weights"},
    ("indexes", "encoders"): {"_torch"},
    ("points", "encoders"): {"_onnxruntime", "_openvino", "_openvino_sizes", "_probes"},
    ("sources", "images"): {"_memory", "_pixels"},
    ("store", "encoders"): {"_predecessors"},
}


def test_no_part_imports_the_private_files_of_another_but_those_that_are_lent():
    taken: dict[tuple[str, str], set[str]] = {}
    for path in FILES:
        inside = path.relative_to(ROOT).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == len(inside) and node.module:
                part, *rest = node.module.split(".")
                names = {*rest, *(alias.name for alias in node.names if alias.name.startswith("_"))}
                private = {name for name in names if name.startswith("_")}
                if private and part in PARTS and part != inside[0]:
                    taken.setdefault((inside[0], part), set()).update(private)
    assert taken == LENT


def test_only_programs_of_their_own_import_patchseek_by_its_name():
    by_name = {
        (path.name, name)
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else [])
        if name.partition(".")[0] == "patchseek"
    }
    assert by_name == {("_faiss_program.py", "patchseek._platform"), ("_documents_child.py", "patchseek._platform")}


def test_every_file_stands_in_the_list_of_parts():
    loose = {path.stem for path in ROOT.glob("*.py")} | {
        path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()
    }
    assert {name for name in loose if not name.startswith("_")} <= set(PARTS)
    assert {name for name in loose if (ROOT / name).is_dir()} <= set(PARTS)


def test_the_readme_takes_the_parts_in_their_order():
    """The tour of the files, a row of its table each."""
    tour = (Path(__file__).parents[1] / "README.md").read_text().split("## A tour of the files")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)/?` \|", tour, re.MULTILINE) == PARTS


@pytest.mark.parametrize("path", sorted(ROOT.glob("_[a-z]*.py")), ids=lambda path: path.name)
def test_what_belongs_to_no_part_needs_none_but_the_errors_and_the_system(path):
    """Else it could join parts past the order above."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
            assert not set(names) & set(PARTS[2:]), f"line {node.lineno} imports {names}"


def test_importing_patchseek_and_its_command_line_loads_nothing_heavy():
    code = "import sys, patchseek, patchseek.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "PIL", "torch", "faiss", "openvino", "onnxruntime", "rich", "sqlite3"} & set(loaded)


def test_a_search_loads_nothing_of_what_indexing_takes():
    code = "import sys, patchseek.answers; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "patchseek.answers" in loaded and "patchseek.encode" not in loaded


def test_every_public_name_exists_and_is_documented():
    for name in patchseek.__all__:
        assert getattr(patchseek, name).__doc__, name
