"""The main tests once more, where Linux looks to patchseek as Windows does: see tests/windows."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells which files are open or mapped")

ROOT = Path(__file__).parents[1]
RUNS = {
    "store": ("test_store.py test_backup.py", "test"),
    "command line": ("test_cli_library.py test_run_folder.py", "cli_library or two_runs_at_once or broke_off"),
    "server": ("test_server.py test_server_parts.py", "upload or folder or taking or decode or thumbnail or job"),
}
"""Files, and which of their tests: about two minutes in all."""


def like_windows(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments where Linux looks as Windows does; folder: for the mode's own use."""
    folder.mkdir(exist_ok=True)
    places = [ROOT / "tests" / "windows", ROOT / "src", *filter(None, [os.environ.get("PYTHONPATH")])]
    more = {"PATCHSEEK_LIKE_WINDOWS": str(folder), "PYTHONIOENCODING": "cp1252"}
    env = {**os.environ, **more, "PYTHONPATH": os.pathsep.join(map(str, places))}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, encoding="utf-8", check=False
    )


@pytest.mark.parametrize("name", RUNS)
def test_what_the_main_tests_say_holds_on_windows_as_far_as_linux_can_tell(tmp_path, name):
    files, chosen = RUNS[name]
    own = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp", str(tmp_path / "tests")]
    done = like_windows(
        tmp_path / "processes", *own, "-m", "not posix", "-k", chosen, *(f"tests/{file}" for file in files.split())
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


CODE = """
import sys, patchseek
from patchseek._platform import _locks, _limits, _system
print(_system.sys.platform, _locks.fcntl, _limits.resource, hasattr(_system.os, "getuid"), sys.platform)
"""


def test_the_mode_takes_away_from_patchseek_alone(tmp_path):
    assert like_windows(tmp_path / "processes", "-c", CODE).stdout == "win32 None None False linux\n"


def test_the_mode_refuses_to_delete_what_is_mapped(tmp_path):
    code = f"""
import mmap
from pathlib import Path
from patchseek._platform import discard
path = Path({str(tmp_path / "shard")!r})
path.write_bytes(b"rows")
with path.open("rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
print(discard(path), path.exists())
mapped.close()
print(discard(path), path.exists())
"""
    assert like_windows(tmp_path / "processes", "-c", code).stdout == "False True\nTrue False\n"


def test_shards_that_a_reader_has_mapped_are_left_for_the_next_writer(tmp_path):
    code = f"""
from pathlib import Path
from tests.test_store import SETTINGS, commit
from patchseek.store import Store, Writer
store = Store.create(Path({str(tmp_path / "collection")!r}), SETTINGS)
commit(store, "a.jpg", "b.jpg")
reader = store.snapshot()
with Writer(store) as writer:
    writer.remove([1])
    writer.compact()
print(len(list(store.folder.iterdir())), store.snapshot().n_live, reader.features([0]).shape, store.problems())
del reader
Writer(store).close()
print(len(list(store.folder.iterdir())), store.snapshot().n_live)
"""
    done = like_windows(tmp_path / "processes", "-c", code)
    assert done.stdout == "2 1 (1, 5, 4) []\n1 1\n", done.stderr


def test_names_are_printed_in_utf_8_whatever_the_code_page(tmp_path):
    """A name of letters that are in no page of 256, and one that is no text at all."""
    code = r"""
import sys
from patchseek.cli import main, cli
import click
@cli.command()
def told():
    click.echo("\u56fe\u7247.png")
    sys.stdout.write("\udcff.png\n")
main()
"""
    done = like_windows(tmp_path / "processes", "-c", code, "told")
    assert done.stdout.splitlines() == ["\u56fe\u7247.png", "\\udcff.png"]
    assert (done.returncode, done.stderr) == (0, "")


def test_a_collection_lets_go_of_its_own_shards_before_it_compacts(tmp_path):
    code = f"""
from pathlib import Path
from PIL import Image
from patchseek import Collection
from tests.conftest import TinyEncoder, blot
folder = Path({str(tmp_path / "pictures")!r})
folder.mkdir()
for i in range(3):
    blot(i).save(folder / f"{{i}}.png")
opened = Collection.open(folder / ".patchseek", encoder=TinyEncoder(), points=False, create=True)
opened.add(folder)
opened.search(folder / "1.png")
opened.remove("0.png")
opened.compact()
print(len(list(opened.store.folder.iterdir())), opened.search(folder / "1.png")[0].image.path)
"""
    done = like_windows(tmp_path / "processes", "-c", code)
    assert done.stdout == "1 1.png\n", done.stderr


def test_the_server_ends_by_ctrl_c_without_a_word_of_its_inside(tmp_path, make_folder):
    """As one process asks another on Linux; Windows sends the same to all that share a console."""
    code = f"""
import os, signal, sys, threading, urllib.request
from patchseek.cli import main
write = sys.stdout.write
def stop(address):
    with urllib.request.urlopen(address):
        os.kill(os.getpid(), signal.SIGINT)
def told(text):
    if "http" in text:
        threading.Thread(target=stop, args=(text.strip(),)).start()
    return write(text)
sys.stdout.write = told
sys.argv = ["patchseek", "serve", {str(make_folder("a.png"))!r}, "--port", "0"]
main()
"""
    done = like_windows(tmp_path / "processes", "-c", code)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_child_is_held_to_its_memory_and_ends_with_what_holds_it(tmp_path):
    code = """
import subprocess, sys
from patchseek._platform import hold
import fake_kernel32
def child(code, n_bytes):
    started = subprocess.Popen([sys.executable, "-c", "input();" + code], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    hold(started, n_bytes)
    return started
print(child("bytearray(100 << 20)", 1 << 30).communicate(b"\\n")[1])
print(child("bytearray(1 << 30)", 1 << 30).communicate(b"\\n")[1].splitlines()[-1])
held = child("input()", 1 << 30)
(job,) = fake_kernel32.jobs
fake_kernel32.CloseHandle(job)  # as the system does where this process is killed
print(held.wait(30))
held = child("input()", 1 << 30)
pid = held.pid
del held
print(fake_kernel32.jobs)
"""
    done = like_windows(tmp_path / "processes", "-c", code)
    assert done.stdout == "b''\nb'MemoryError'\n-9\n{}\n", done.stderr


def test_the_limits_of_a_job_lie_where_windows_reads_them():
    """Offsets of JOBOBJECT_EXTENDED_LIMIT_INFORMATION for 64-bit programs, as winnt.h lays it out."""
    from patchseek._platform._jobs import Limits

    places = {"flags": 16, "n_processes": 40, "affinity": 48, "priority": 56, "transfers": 64, "process_memory": 112}
    assert {name: getattr(Limits, name).offset for name in places} == places
    assert ctypes.sizeof(Limits) == 144
