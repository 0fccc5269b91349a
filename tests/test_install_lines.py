"""Every line that says how something is installed works, from a checkout and for whoever has none."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from patchseek import _extras
from patchseek._extras import install_line
from patchseek.errors import MissingExtra

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = SETTINGS["project"]["optional-dependencies"]
NOW_CORE = {"heic", "server"}
"""Extras of before, which are kept for whoever names them."""
FOLDERS = {"docs": "*.md", "demo": "*.*", "src": "*.py", "benchmarks": "*.py", "tools": "*.py"}
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
TEXTS += sorted(
    path for folder, names in FOLDERS.items() for path in (ROOT / folder).rglob(names) if path.suffix in (".md", ".py")
)
LINE = re.compile(r"pip install (?!--no-deps)((?:--group \w+|[\"']?\.(?:\[[\w,]+\])?[\"']?|[\w\[\]\"'>=.-]+))")
CHECKOUT = re.compile(r"^[\"']?\.(?:\[([\w,]+)\])?[\"']?$")


def lines():
    """(file, what pip is told to install) of every line, wherever one stands."""
    return [(path.name, found) for path in TEXTS for found in LINE.findall(path.read_text())]


def test_every_line_installs_the_checkout_with_extras_that_there_are_or_a_group():
    found = lines()
    assert len(found) >= 8
    for name, told in found:
        if told.startswith("--group "):
            assert told.removeprefix("--group ") in SETTINGS["dependency-groups"], name
            continue
        in_checkout = CHECKOUT.match(told)
        assert in_checkout, f"{name}: pip install {told} cannot be had from a checkout"
        extras = set(filter(None, (in_checkout[1] or "").split(",")))
        assert extras <= EXTRAS.keys() - NOW_CORE, name


def test_nothing_names_a_package_that_no_index_has():
    for path in TEXTS:
        assert not re.search(r"pip install [\"']?patchseek", path.read_text()), path.name


def test_pip_takes_the_checkout_with_every_extra_that_a_line_names():
    """Without a network: what the extras need is not looked for."""
    named = sorted({extra for _, told in lines() if (m := CHECKOUT.match(told)) and m[1] for extra in m[1].split(",")})
    assert {"timm", "plots", "demo", "ray", "milvus", "postgres"} <= set(named)
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, f".[{','.join(named)}]"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "does not provide the extra" not in done.stderr


def test_the_readme_has_every_extra_in_one_table():
    table = (ROOT / "README.md").read_text().split("## Extras")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(EXTRAS.keys() - NOW_CORE)


# ---- what is said where one is missing


@pytest.fixture
def told(monkeypatch):
    """What the installed package says that it needs."""
    needs = ["numpy>=2.1", "timm>=1.0.20; extra == 'timm'", 'torch>=2.10; python_version > "3" and extra == "timm"']
    needs += ["timm>=1.0.20; extra == 'timmy'", "psycopg[binary]>=3.2; extra == 'postgres'"]
    monkeypatch.setattr(_extras, "requires", lambda _: needs)


@pytest.mark.usefixtures("told")
def test_a_missing_extra_is_told_by_what_it_needs():
    assert install_line("timm", "torch") == "pip install 'timm>=1.0.20' 'torch>=2.10'"
    assert install_line("postgres", "psycopg") == "pip install 'psycopg[binary]>=3.2'"
    assert str(MissingExtra("torch", "timm")) == (
        "torch is not installed; get the extra 'timm' with: pip install 'timm>=1.0.20' 'torch>=2.10'"
    )
    assert str(MissingExtra("openvino", None)) == "openvino is not installed; install it with: pip install openvino"


def test_where_the_package_does_not_say_the_library_is_named(monkeypatch):
    def lacks(_):
        raise _extras.PackageNotFoundError

    monkeypatch.setattr(_extras, "requires", lacks)
    assert install_line("timm", "torch") == "pip install torch"


def test_every_extra_that_an_error_names_is_one():
    named = [
        extra
        for path in (ROOT / "src").rglob("*.py")
        for extra in re.findall(r"MissingExtra\([^)]*, \"(\w+)\"\)", path.read_text())
    ]
    assert len(named) > 9
    assert set(named) <= EXTRAS.keys()
