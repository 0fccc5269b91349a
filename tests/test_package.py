"""What is installed and what is tested: the wheel, the extras, the lowest versions, and what the core is enough for."""

import ast
import functools
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path, PurePosixPath

import pytest
from minimum_versions import minimums
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .conftest import needs_more

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, GROUPS = SETTINGS["project"], SETTINGS["dependency-groups"]
EXTRAS = PROJECT["optional-dependencies"]
FILES = sorted((ROOT / "tests").glob("test_*.py"))
IMPORTS = """
import importlib, pkgutil, sys
sys.modules["torch"] = None  # as without the extra
import patchseek
modules = (module.name for module in pkgutil.walk_packages(patchseek.__path__, "patchseek."))
for name in [*sys.argv[1:], *modules]:
    try:
        name.endswith("__main__") or importlib.import_module(name)
    except patchseek.MissingExtra:
        print(name)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        yield archive


def test_the_wheel_holds_every_file_of_the_package(wheel):
    source = ROOT / "src"
    there = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == {name for name in there if "__pycache__" not in name}
    assert "patchseek/py.typed" in held


def test_the_licence_lies_in_it_once_and_a_notice_beside_every_model(wheel):
    paths = [PurePosixPath(name) for name in wheel.namelist()]
    assert [path.parent.name for path in paths if path.name == "LICENSE"] == ["licenses"]
    assert {path.parent for path in paths if path.suffix == ".onnx"} == {
        path.parent for path in paths if path.name == "NOTICE"
    }


def test_what_an_index_shows_of_the_readme_leads_nowhere_into_the_project(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    shown = wheel.read(name).decode()
    assert re.findall(r"\]\((?!https?:|#)[^)]*\)", shown) == []
    assert "docs/results.png" not in shown  # a picture without its file
    assert "`docs/points.md`" in shown and "a photo archive (`docs/workflows/photo-archive.md`)" in shown


def test_all_is_every_extra_and_those_of_before_are_empty():
    (everything,) = EXTRAS["all"]
    before = {name for name, needs in EXTRAS.items() if not needs}
    assert before == {"heic", "server"}
    assert Requirement(everything).extras == set(EXTRAS) - before - {"all"}


def test_the_lowest_versions_are_those_that_are_written_down():
    assert minimums(["numpy>=2.1", "pi-heif>=1.1.0"]) == ["numpy==2.1", "pi-heif==1.1.0"]
    assert len(minimums(PROJECT["dependencies"])) == len(PROJECT["dependencies"])
    with pytest.raises(ValueError, match="numpy<3: not NAME>=VERSION"):
        minimums(["numpy<3"])


def test_every_module_and_every_library_of_the_core_is_imported_without_a_warning():
    """In a process of its own. Some releases of FAISS die of a warning that is an error."""
    of_the_core = libraries_of({canonicalize_name(Requirement(each).name) for each in PROJECT["dependencies"]})
    used = {
        name for file in (ROOT / "src").rglob("*.py") for name in direct_imports(file, inside=True)[0]
    } & of_the_core
    assert len(used) > 10
    command = [sys.executable, "-W", "error", "-c", IMPORTS, *sorted(used)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {name.rpartition(".")[0] for name in done.stdout.split()} == {"patchseek.encoders"}


def test_a_file_of_tests_that_imports_more_than_the_core_says_so_and_no_other_does():
    of_the_core = libraries_of(with_all_they_need([*PROJECT["dependencies"], *GROUPS["test"]]))
    for file in FILES:
        at_once, at_all = imported(file, inside=False) - of_the_core, imported(file, inside=True) - of_the_core
        assert needs_more(file) or not at_once, f"{file.name} imports {at_once}"
        assert at_all or not needs_more(file), f"{file.name} imports nothing more"


def test_every_test_that_needs_more_names_an_extra_or_a_group():
    named = {name for file in FILES for name in re.findall(r'mark\.extra\("([^"]*)"', file.read_text())}
    assert named <= {name for name, needs in (EXTRAS | GROUPS).items() if needs} - {"test"}


def libraries_of(distributions: set[str]) -> set[str]:
    """The names by which what these hold is imported."""
    owners = packages_distributions().items()
    return {name for name, dists in owners if distributions & {canonicalize_name(each) for each in dists}}


def with_all_they_need(requirements: Iterable[str]) -> set[str]:
    """The distributions that are installed for these."""
    found, left = set(), [Requirement(each) for each in requirements]
    while left:
        need = left.pop()
        name = canonicalize_name(need.name)
        if name in found:
            continue
        found.add(name)
        try:
            inner = [Requirement(each) for each in requires(name) or ()]
        except PackageNotFoundError:
            continue  # that is the installation's to say
        extras = need.extras or {""}
        left += [each for each in inner if not each.marker or any(each.marker.evaluate({"extra": x}) for x in extras)]
    return found


def imported(file: Path, *, inside: bool) -> set[str]:
    """The libraries that a file imports, through other files of tests and tools too. inside: or its functions do."""
    found, seen, left = set(), set(), [file]
    while left:
        libraries, files = direct_imports(left.pop(), inside)
        found |= libraries
        left += files - seen
        seen |= files
    return found


@functools.cache
def direct_imports(file: Path, inside: bool) -> tuple[set[str], set[Path]]:
    """The libraries and our own files that a file imports when it is imported. inside: or its functions do."""
    names, files = set(), set()
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree) if inside else tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            place = file.parent.joinpath(*(node.module or node.names[0].name).split("."))
            files |= {place / "__init__.py" if place.is_dir() else place.with_suffix(".py")}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
    tools = {name for name in names if (ROOT / "tools" / f"{name}.py").exists()}
    return names - tools - {"patchseek", "tests", "main"} - sys.stdlib_module_names, files | {
        ROOT / "tools" / f"{name}.py" for name in tools
    }
