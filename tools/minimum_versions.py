"""Print the lowest versions that pyproject.toml allows the core, as constraints for pip: for make test-minimum."""

import re
import sys
import tomllib
from pathlib import Path


def minimums(requirements: list[str]) -> list[str]:
    """["numpy>=2.1"] -> ["numpy==2.1"]. Raises ValueError for a requirement that names no lowest version."""
    found = [re.fullmatch(r"([\w-]+)>=([\w.]+)", each) for each in requirements]
    for each, match in zip(requirements, found, strict=True):
        if match is None:
            raise ValueError(f"{each}: not NAME>=VERSION")
    return [f"{match[1]}=={match[2]}" for match in found if match]


if __name__ == "__main__":
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    sys.stdout.write("\n".join(minimums(project["dependencies"])) + "\n")
