"""How what is missing gets installed: a line that works whether patchseek came from an index, a wheel or a checkout."""

import re
import shlex
from importlib.metadata import PackageNotFoundError, requires


def install_line(extra: str, library: str) -> str:
    """The command that installs all that an extra of patchseek needs: its requirements as the package itself has them.

    library: what to name where the package does not say.
    """
    try:
        lines = requires("patchseek") or []
    except PackageNotFoundError:  # run from its source
        lines = []
    of_extra = re.compile(rf"""\bextra\s*==\s*['"]{re.escape(extra)}['"]""")
    needs = [line.partition(";")[0].strip() for line in lines if of_extra.search(line)]
    return f"pip install {' '.join(map(shlex.quote, needs or [library]))}"
