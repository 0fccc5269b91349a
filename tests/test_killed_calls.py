"""Killed, or without power, at calls of the kernel by which files are changed; by `make torture` at each of them.

See killed_calls.py and lost_power.py.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux asks before a call is made")

STEP = "1" if os.environ.get("PATCHSEEK_ROUNDS") else "9"


@pytest.mark.parametrize("operation", ["add", "remove", "tag", "compact", "repair", "rebuild"])
@pytest.mark.parametrize(("campaign", "least"), [("killed_calls", 18), ("lost_power", 5)])
def test_at_whatever_call_it_ends_nothing_is_lost_and_the_same_again_makes_it_whole(campaign, least, operation):
    command = [sys.executable, "-m", f"tests.{campaign}", operation, STEP]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= least
