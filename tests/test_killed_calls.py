"""Killed at calls of the kernel by which files are changed, see killed_calls.py; by `make torture` at each of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux asks before a call is made")

STEP = "1" if os.environ.get("PATCHSEEK_ROUNDS") else "9"


@pytest.mark.parametrize("operation", ["add", "remove", "tag", "compact", "repair", "rebuild"])
def test_killed_at_any_call_nothing_is_lost_and_the_same_again_makes_it_whole(operation):
    command = [sys.executable, "-m", "tests.killed_calls", operation, STEP]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= 18
