"""The virtual environment of a checkout, on any system: `python -m tools.environment demo | dev`.

Made by the Python that runs this, where there is none; installed anew when pyproject.toml has changed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv"
INSTALLED = {
    "demo": [["--editable", ".[demo]"]],
    "dev": [
        ["--editable", ".[all]", "--group", "dev", "--group", "export", "--group", "web"],
        ["--no-deps", "--group", "label-studio"],
    ],
}
"""What pip is asked for, call by call."""
NO_VENV = "the venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"


def ready(kind: str) -> str:
    """The environment's Python, with all that a kind needs."""
    python = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if not python.exists():
        _make()
        run([*pip, "--upgrade", "pip"])  # what comes with Python may not know groups yet
    stamp, project = FOLDER / f".{kind}", ROOT / "pyproject.toml"
    if not stamp.exists() or stamp.stat().st_mtime < project.stat().st_mtime:
        for asked in INSTALLED[kind]:
            run([*pip, *asked])
        if kind == "dev":
            _get_browser()
        stamp.touch()
    return str(python)


def run(command: list[str], **environment: str) -> None:
    """Run a command in the checkout; where it fails, end as it did."""
    code = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode
    if code:
        sys.exit(code)


def _make() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  whatever Python runs this
        sys.exit("patchseek needs Python 3.11 or later; name one with: make PYTHON=python3.12")
    if subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=False).returncode:
        shutil.rmtree(FOLDER, ignore_errors=True)  # half of one would be taken for whole
        sys.exit(NO_VENV)


def _get_browser() -> None:
    """The browser of the page's tests; elsewhere than on Linux it is found, or named, see tests/browser.py."""
    if sys.platform.startswith("linux"):
        run([str(ROOT / "tools" / "get_chromium.sh")])


if __name__ == "__main__":
    ready(sys.argv[1])
