"""Many clients at once: whether a server answers all of them, how fast, and whether its memory stays where it was.

    python benchmarks/serve.py [--clients 32] [--requests 1000]

Each client sends its requests one after the other over one connection to 127.0.0.1: of ten, six searches with a box on
a picture of the collection, one search with an uploaded photograph, three thumbnails. Searches ask for no refinement
(`refine` 0): what is measured is the server. An answer that is not 200 is an error. Clients and server share the
machine. Memory is resident, of the server and its decoding processes; a warm-up of one request in ten precedes the
first reading. Writes results/CLASS/serve.json.
"""

import argparse
import http.client
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from turns import write

HERE = Path(__file__).parent
KINDS = ("search", "search", "search", "thumbnail", "search", "upload", "search", "thumbnail", "search", "thumbnail")
BOUNDARY = "patchseek-benchmark"


def form(fields: dict[str, str], photo: bytes | None = None, name: str = "photo.jpg") -> tuple[bytes, dict[str, str]]:
    """A multipart body and its headers."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    body = "".join(parts).encode()
    if photo is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
        body += head.encode() + photo + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


class ServerUnderLoad:
    """A `patchseek serve` and the figures of the requests it got."""

    def __init__(self, collection: Path, photo: bytes, n_pictures: int) -> None:
        command = [sys.executable, "-m", "patchseek", "serve", str(collection), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rstrip("/\n").rpartition(":")[2])
        self.photo, self.n_pictures = photo, n_pictures
        self.seconds: dict[str, list[float]] = {kind: [] for kind in sorted(set(KINDS))}
        self.errors: list[str] = []

    def client(self, seed: int, n_requests: int) -> None:
        """One client: its requests one after the other."""
        choose = random.Random(seed)
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        for n in range(n_requests):
            kind = KINDS[(n + seed) % len(KINDS)]
            number = choose.randint(1, self.n_pictures)
            box = f"{choose.uniform(0, 0.5):.3f},{choose.uniform(0, 0.5):.3f},0.4,0.4"
            began = time.perf_counter()
            try:
                if kind == "thumbnail":
                    line.request("GET", f"/api/images/{number}/thumbnail")
                else:
                    fields = {"box": box, "top": "10", "refine": "0"} | (
                        {"image_id": str(number)} if kind == "search" else {}
                    )
                    line.request("POST", "/api/search", *form(fields, self.photo if kind == "upload" else None))
                answer = line.getresponse()
                content = answer.read()
                if answer.status != 200:
                    self.errors.append(f"{answer.status} {content[:200]!r}")
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(repr(error))
                line.close()
            self.seconds[kind].append(time.perf_counter() - began)
        line.close()

    def load(self, n_clients: int, n_requests: int) -> float:
        """All clients at once; seconds until the last is done."""
        began = time.perf_counter()
        clients = [threading.Thread(target=self.client, args=(i, n_requests)) for i in range(n_clients)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        return time.perf_counter() - began

    def megabytes(self) -> float:
        """Resident memory of the server and its children. Linux only: read from /proc."""
        pid = self.process.pid
        pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        pages = sum(int(Path(f"/proc/{p}/statm").read_text().split()[1]) for p in pids)
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def sample_collection(home: Path) -> tuple[Path, bytes, int]:
    """The demo's pictures, indexed; a photograph to search with; how many there are."""
    subprocess.run([sys.executable, str(HERE.parent / "demo" / "make_pictures.py"), str(home)], check=True)
    command = [sys.executable, "-m", "patchseek", "index", str(home / "pictures"), "--collection", str(home / "c")]
    subprocess.run(command, check=True, env={**os.environ, "XDG_STATE_HOME": str(home / "state")})
    return home / "c", (home / "queries" / "cup.jpg").read_bytes(), len(list((home / "pictures").glob("*.jpg")))


def main() -> None:
    """Measure, write, print; exit code 1 when a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=1000, help="of each client")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = ServerUnderLoad(*sample_collection(Path(folder)))
        try:
            server.load(chosen.clients, max(1, chosen.requests // 10))
            server.seconds = {kind: [] for kind in server.seconds}
            memory = [server.megabytes()]
            parts = [chosen.requests // 4] * 3 + [chosen.requests - 3 * (chosen.requests // 4)]
            took = 0.0
            for n in parts:
                took += server.load(chosen.clients, n)
                memory.append(server.megabytes())
        finally:
            server.process.terminate()
            server.process.wait(20)
    n_requests = sum(map(len, server.seconds.values()))
    figures = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "clients": chosen.clients,
        "requests": n_requests,
        "errors": len(server.errors),
        "requests_per_second": round(n_requests / took, 1),
        "milliseconds": {
            kind: {f"p{q}": round(1000 * float(np.percentile(values, q)), 1) for q in (50, 95, 99)}
            for kind, values in server.seconds.items()
        },
        "megabytes_before_and_after_each_quarter": [round(value) for value in memory],
    }
    write("serve", figures)
    for error in server.errors[:5]:
        print(error)
    sys.exit(bool(server.errors))


if __name__ == "__main__":
    main()
