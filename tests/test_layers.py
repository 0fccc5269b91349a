"""A part imports only parts above it: the tour of the files in README is the reading order and the import order."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import patchseek

TOUR = (Path(__file__).parents[1] / "README.md").read_text().split("## A tour of the files")[1].split("\n## ")[0]
PARTS = re.findall(r"^\| `(\w+)/?` \|", TOUR, re.MULTILINE)
ROOT = Path(patchseek.__file__).parent
FILES = [path for path in sorted(ROOT.rglob("*.py")) if path.parent != ROOT or path.stem in PARTS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_part_imports_only_parts_above_it(path):
    inside = path.relative_to(ROOT).with_suffix("").parts
    own = PARTS.index(inside[0])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == len(inside):
            for name in [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]:
                assert name not in PARTS or PARTS.index(name) < own, f"line {node.lineno} imports {name}"


# what a part may take of the private files of another, until that says it aloud
LENT = {
    ("cli", "encoders"): {"_cpu", "_embedded", "_fetch"},
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


def test_the_tour_names_every_part_once():
    assert len(PARTS) > 40
    assert len(set(PARTS)) == len(PARTS)
    assert {name for name in PARTS if not any((ROOT / place).exists() for place in (name, f"{name}.py"))} == set()


def siblings(path):
    """The files of its own folder that a file imports, in functions too; what it only names for types is left out."""
    tree = ast.parse(path.read_text())
    typed = {id(n) for i in ast.walk(tree) if isinstance(i, ast.If) and "TYPE" in ast.dump(i.test) for n in ast.walk(i)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1 and id(node) not in typed:
            names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
            files = [path.parent / f"{name}.py" for name in names if not (path.parent / name).is_dir()]
            found |= {file if file.exists() else path.parent / "__init__.py" for file in files}
    return found


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parent != ROOT], ids=lambda p: str(p.relative_to(ROOT))
)
def test_no_file_of_a_folder_is_imported_by_what_it_imports_there(path):
    """A folder has a reading order, too."""
    seen, ahead = set(), siblings(path)
    while ahead:
        each = ahead.pop()
        seen.add(each)
        ahead |= siblings(each) - seen
    assert path not in seen


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


@pytest.mark.extra("dev")
def test_what_benchmarks_and_tools_take_of_patchseek_is_there():
    """No type checker reads them, and most run for hours or not at all in the tests."""
    root = Path(__file__).parents[1]
    files = [path for folder in ("benchmarks", "tools", "demo", "scripts") for path in (root / folder).rglob("*.py")]
    taken = {
        (node.module, alias.name)
        for path in [*files, root / "main.py"]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "patchseek"
        for alias in node.names
    }
    assert len(taken) > 150
    lacking = [(of, name) for of, name in sorted(taken) if not (hasattr(import_module(of), name) or is_file(of, name))]
    assert lacking == []


def is_file(module, name):
    """Whether a module, a package, has a file or folder of that name."""
    return find_spec(f"{module}.{name}") is not None
