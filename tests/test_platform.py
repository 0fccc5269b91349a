"""What differs between systems stands in one part; and what that part does on Windows, as far as Linux can tell."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import patchseek
from patchseek import _platform
from patchseek._platform import LockableFolder, _endings, _limits, _locks, _replacing, _system
from patchseek.errors import StoreLocked
from patchseek.store import take_lock
from patchseek.store._lock import hold_shards, may_be_held, may_remove

from .windows.in_use import is_in_use, refused

ROOT = Path(patchseek.__file__).parent
SEAM = ROOT / "_platform"
MODULES = {"fcntl", "resource", "msvcrt", "pwd", "grp", "termios", "tty", "winreg", "_winapi", "getpass"}
NAMES = {
    "sys": {"platform", "getwindowsversion"},
    "platform": {"system", "uname", "win32_ver", "mac_ver"},
    "os": {
        *("name", "uname", "sched_getaffinity", "sysconf", "getuid", "geteuid", "getgid", "getlogin"),
        *("link", "replace", "rename", "renames", "fork", "register_at_fork", "kill", "killpg", "mkfifo"),
        *("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY", "O_DIRECTORY", "O_NOFOLLOW"),
    },
    "signal": {
        *("SIGALRM", "SIGKILL", "SIGHUP", "SIGXCPU", "SIGUSR1", "SIGUSR2", "SIGBREAK"),
        *("setitimer", "alarm", "pthread_sigmask", "pthread_kill", "sigwait"),
    },
    "socket": {"SO_REUSEADDR", "SO_EXCLUSIVEADDRUSE", "SO_REUSEPORT"},
}


# ---- one place


def system_words(code: str) -> list[str]:
    """What of a program names a system, or is not there on one."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in MODULES]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            lacking = NAMES.get(node.module or "", set())
            found += [node.module or ""] * (node.module in MODULES) + [a.name for a in node.names if a.name in lacking]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [f"{node.value.id}.{node.attr}"] * (node.attr in NAMES.get(node.value.id, ()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.keywords:
            is_of_files = len(node.args) == 1 and node.func.attr in ("replace", "rename", "hardlink_to")
            found += [f".{node.func.attr}(one argument)"] * is_of_files
    return found


@pytest.mark.parametrize(
    "path", sorted(set(ROOT.rglob("*.py")) - set(SEAM.glob("*"))), ids=lambda p: str(p.relative_to(ROOT))
)
def test_nothing_but_the_seam_asks_which_system_it_is(path):
    assert system_words(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "import fcntl",
        "from resource import getrlimit",
        "if sys.platform == 'win32': pass",
        "os.link(a, b)",
        "from os import link",
        "partial.replace(path)",
        "folder.rename(target)",
        "child.send_signal(signal.SIGKILL)",
    ],
)
def test_such_a_line_is_seen(line):
    assert len(system_words(line)) == 1


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_texts_are_utf_8_whatever_the_locale(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    for call in calls:
        if getattr(call.func, "attr", "") in ("read_text", "write_text"):
            assert any(keyword.arg in ("encoding", None) for keyword in call.keywords), ast.unparse(call)


def test_texts_may_still_be_replaced():
    assert system_words("name.replace('a', 'b'); moment.replace(tzinfo=UTC); dataclasses.replace(a, b=c)") == []


def test_a_child_program_imports_the_seam_quickly_and_from_wherever_it_lies(tmp_path):
    """Nothing of ours but that, though patchseek is not on its path: it is run as a file."""
    for program in ("sources/_documents_child.py", "indexes/_faiss_program.py"):
        code = """import runpy, sys
sys.argv = ["", "4000000000", "1"]
try: runpy.run_path(sys.orig_argv[-1], run_name="__main__")
except BaseException: pass
print(*sys.modules)"""
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        told = subprocess.run(
            [sys.executable, "-P", "-c", code, str(ROOT / program)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=env,
            cwd=tmp_path,
        )
        ours = {name.split(".")[1] for name in (told.stdout + told.stderr).split() if name.startswith("patchseek.")}
        assert ours == {"_platform"}, told.stderr


# ---- locks


def fake():
    """The module msvcrt, over locks that Linux alone has."""
    if sys.platform != "linux":
        pytest.skip("Linux has the locks that those of Windows are made of here")
    from .windows import fake_msvcrt

    return fake_msvcrt


@pytest.fixture(params=["this system", "windows"])
def system(request, monkeypatch):
    """The locks of POSIX systems, and of Windows over a fake of its module."""
    if request.param == "windows":
        fake_msvcrt = fake()
        monkeypatch.setattr(_locks, "fcntl", None)
        monkeypatch.setattr(_locks, "_msvcrt", lambda: fake_msvcrt)
        unlink = os.unlink
        monkeypatch.setattr(os, "unlink", lambda path: _refuse(path) if is_in_use(path) else unlink(path))
    return request.param


def _refuse(path):
    raise refused(32, path)


@pytest.mark.usefixtures("system")
def test_a_second_writer_is_told_who_the_first_one_is(tmp_path):
    with take_lock(tmp_path / "lock"):
        with pytest.raises(StoreLocked, match=f"process {os.getpid()} is writing"):
            take_lock(tmp_path / "lock")
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"  # which anybody may read meanwhile
    take_lock(tmp_path / "lock").close()


@pytest.mark.usefixtures("system")
def test_any_number_may_hold_shards_and_nobody_removes_any_meanwhile(tmp_path):
    with hold_shards(tmp_path), hold_shards(tmp_path):
        assert may_be_held(tmp_path)
        with may_remove(tmp_path) as may:
            assert not may
    assert not may_be_held(tmp_path)
    with may_remove(tmp_path) as may:
        assert may
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_is_killed_has_given_its_lock_back(tmp_path, system):
    code = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parents[1]), str(ROOT.parent)]}
from pathlib import Path
from patchseek._platform import _locks
if {system == "windows"}:
    from tests.windows import fake_msvcrt
    _locks.fcntl, _locks._msvcrt = None, lambda: fake_msvcrt
from patchseek.store import take_lock
lock = take_lock(Path({str(tmp_path / "lock")!r}))
print("taken", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"taken\n"
        with pytest.raises(StoreLocked, match=f"process {child.pid} is writing"):
            take_lock(tmp_path / "lock")
        child.kill()
        child.wait()
        take_lock(tmp_path / "lock").close()


def test_a_lock_is_that_of_earlier_versions(tmp_path):
    """They and this one keep each other out: the same flock on the same file or folder."""
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "lock").open("a+") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(StoreLocked):
            take_lock(tmp_path / "lock")
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    assert may_be_held(tmp_path)
    os.close(handle)


def test_on_windows_the_65th_who_shares_waits_for_a_place(tmp_path, monkeypatch):
    fake_msvcrt = fake()
    monkeypatch.setattr(_locks, "fcntl", None)
    monkeypatch.setattr(_locks, "_msvcrt", lambda: fake_msvcrt)
    holders = [LockableFolder(tmp_path) for _ in range(64)]
    for holder in holders:
        holder.lock.share()
    monkeypatch.setattr(_locks, "time", type("", (), {"sleep": lambda _: holders.pop().close()}))
    last = LockableFolder(tmp_path)
    last.lock.share()
    assert len(holders) == 63
    for holder in [*holders, last]:
        holder.close()


# ---- files in use


@pytest.fixture
def busy(monkeypatch):
    """busy(n, code): the next n tries to replace or delete find the file in use; comes back: the times waited."""

    def make(n, code=32):
        waits, left = [], [n]
        reals = {name: getattr(os, name) for name in ("replace", "unlink", "rename")}
        for name in reals:

            def act(*arguments, real=reals[name]):
                if left[0] > 0:
                    left[0] -= 1
                    raise refused(code)
                return real(*arguments)

            monkeypatch.setattr(os, name, act)
        monkeypatch.setattr(_replacing.time, "sleep", waits.append)
        return waits

    return make


@pytest.mark.parametrize("code", [5, 32, 33])
def test_a_file_in_use_is_replaced_once_it_is_free(tmp_path, busy, code):
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    waits = busy(3, code)
    _platform.replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"
    assert waits == sorted(waits)
    assert len(waits) == 3


def test_what_stays_in_use_is_an_error_after_two_and_a_half_seconds(tmp_path, busy):
    (tmp_path / "new").write_text("new")
    waits = busy(1000)
    with pytest.raises(PermissionError):
        _platform.replace(tmp_path / "new", tmp_path / "old")
    assert sum(waits) == pytest.approx(2.5)
    assert (tmp_path / "new").exists()


def test_other_errors_are_not_waited_for(tmp_path, busy):
    waits = busy(0)
    with pytest.raises(FileNotFoundError):
        _platform.replace(tmp_path / "new", tmp_path / "old")
    assert waits == []


def test_what_is_mapped_is_left_and_said_to_be(tmp_path, busy):
    (tmp_path / "shard").write_text("")
    waits = busy(1, 5)
    assert not _platform.discard(tmp_path / "shard")
    assert _platform.discard(tmp_path / "shard")
    assert not (tmp_path / "shard").exists()
    assert waits == []


@pytest.mark.parametrize("without", ["nothing", "links", "links, on windows"])
def test_of_two_that_are_the_first_at_once_one_stays(tmp_path, monkeypatch, without):
    if without != "nothing":
        monkeypatch.delattr(os, "link")
    if "windows" in without:
        monkeypatch.setattr(_replacing, "is_windows", lambda: True)
        monkeypatch.setattr(os, "rename", _only_where_nothing_is)
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        _platform.put_first(tmp_path / name, tmp_path / "first")
    assert (tmp_path / "first").read_text() == ("b" if without == "links" else "a")
    assert [path.name for path in tmp_path.iterdir()] == ["first"]


def _only_where_nothing_is(source, target):
    if target.exists():
        raise FileExistsError
    source.replace(target)


# ---- how processes end


@pytest.mark.posix
def test_what_ended_a_process_has_a_name(monkeypatch):
    code = "import os, sys; os.kill(os.getpid(), int(sys.argv[1]))"
    for number in (signal.SIGKILL, signal.SIGSEGV):
        done = subprocess.run([sys.executable, "-c", code, str(int(number))], check=False)
        assert _platform.ended_by(done.returncode) == number.name
    assert _platform.ended_by(0) is None
    assert _platform.ended_by(3) is None
    monkeypatch.setattr(_endings, "is_windows", lambda: True)
    assert _platform.ended_by(1) is None
    assert _platform.ended_by(0xC0000005) == "0xC0000005"  # access violation, as Microsoft lists it
    assert _platform.ended_by(3) == "SIGABRT"  # what abort() of Microsoft's library leaves


WITHOUT_SIGNALS = """
import signal, time
del signal.setitimer
from patchseek._platform import start_clock, stop_clock
start_clock(1000); stop_clock(); start_clock(0.01)
while True: time.sleep(1)
"""
WITHOUT_LIMITS = """
import sys
sys.modules["resource"] = None
from patchseek._platform import limit_work, limit_for_good, allow_open_files, address_space_left
limit_for_good(1); allow_open_files(10)
assert address_space_left() is None
limit_work(0, 1)
while True: pass
"""


@pytest.mark.posix
@pytest.mark.parametrize(("code", "by"), [(WITHOUT_SIGNALS, "SIGALRM"), (WITHOUT_LIMITS, "SIGXCPU")])
def test_on_windows_too_what_takes_too_long_ends_itself_and_says_so(monkeypatch, code, by):
    done = subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ, "PYTHONPATH": str(ROOT.parent)})
    monkeypatch.setattr(_endings, "is_windows", lambda: True)
    assert _platform.ended_by(done.returncode) == by


# ---- what the system says


def test_cores_are_counted_where_the_system_does_not_say_which_may_be_used(monkeypatch):
    monkeypatch.delenv("PATCHSEEK_CORES", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert _platform.n_cores() == 3


@pytest.mark.parametrize(("told", "n"), [("5", 5), ("0", 3), ("-1", 3), ("many", 3), ("", 3)])
def test_as_many_cores_are_used_as_the_variable_says_where_it_says_a_number(monkeypatch, told, n):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    monkeypatch.setenv("PATCHSEEK_CORES", told)
    assert _platform.n_cores() == n


@pytest.mark.posix
def test_a_user_without_a_name_is_a_number(monkeypatch):
    def nameless():
        raise ImportError("pwd")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert _platform.user_name() == str(os.getuid())


def test_nothing_is_asked_of_windows_that_it_cannot_do(monkeypatch, tmp_path):
    for module in (_system, _replacing, _limits):
        if hasattr(module, "is_windows"):
            monkeypatch.setattr(module, "is_windows", lambda: True)
    monkeypatch.setattr(os, "open", None)
    _platform.sync_folder(tmp_path)
    assert _platform.changed_ns(tmp_path.stat()) is None


def test_a_folder_for_the_moment_is_gone_after_it(tmp_path):
    with _platform.temporary_folder("name-", tmp_path) as folder:
        (Path(folder) / "a.txt").write_text("")
        assert [path.name[:5] for path in tmp_path.iterdir()] == ["name-"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.posix
def test_ctrl_break_stops_a_process_as_ctrl_c_does():
    code = """
import os, signal
signal.SIGBREAK = signal.SIGUSR1
from patchseek.cli import cli, main
@cli.command()
def wait():
    print("waiting", flush=True)
    signal.pause()
main()
"""
    command = [sys.executable, "-c", code, "wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "waiting\n"
        child.send_signal(signal.SIGUSR1)
        _, said = child.communicate()
    assert child.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
