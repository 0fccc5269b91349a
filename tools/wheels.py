"""Whether every package of the core has a wheel for Windows, Macs and ARM: `python tools/wheels.py`. Installs nothing.

pip resolves what pyproject.toml asks for as if it ran on each of them; what has to be compiled there is an error.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PLATFORMS = {
    "Windows, x86-64": ["win_amd64"],
    "macOS 14, ARM": [f"macosx_{version}_0_arm64" for version in range(14, 10, -1)],
    "macOS 15, x86-64": [*(f"macosx_{version}_0_x86_64" for version in range(15, 10, -1)), "macosx_10_15_x86_64"],
    "Linux, ARM, glibc 2.35": [f"manylinux_2_{version}_aarch64" for version in range(35, 16, -1)],
}
"""By name the tags of wheels that it takes, the best first."""
PYTHONS = ("3.11", "3.14")


def main() -> int:
    """How many of them lack something."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    wanted, lacking = project["project"]["dependencies"], 0
    for name, tags in PLATFORMS.items():
        for python in PYTHONS:
            problem = resolve(wanted, tags, python)
            lacking += problem is not None
            print(f"{name}, Python {python}: {problem or 'every wheel is there'}", flush=True)
    return lacking


def resolve(wanted: list[str], tags: list[str], python: str) -> str | None:
    """What pip says is missing, in a line; None where all is there."""
    platforms = [option for tag in tags for option in ("--platform", tag)]
    with tempfile.TemporaryDirectory() as folder:
        report = str(Path(folder) / "report.json")  # else pip would download and keep what it finds
        asked = ["--dry-run", "--ignore-installed", "--report", report, "--target", folder, "--quiet"]
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *asked]
        command += ["--only-binary=:all:", "--python-version", python, *platforms, *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main())
