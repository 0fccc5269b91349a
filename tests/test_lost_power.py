"""The power is cut while files are changed, see lost_power.py; by `make torture` at every call of the kernel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux asks before a call is made")

STEP = "1" if os.environ.get("PATCHSEEK_ROUNDS") else "9"


@pytest.mark.parametrize("operation", ["add", "remove", "tag", "compact", "repair", "rebuild"])
def test_without_power_nothing_is_lost_and_what_has_ended_is_kept(operation):
    command = [sys.executable, "-m", "tests.lost_power", operation, STEP]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= 5
