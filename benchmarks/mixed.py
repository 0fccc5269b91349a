"""Many clients that search, refine, look, add and delete at once, for minutes: what fails, what waits, what grows.

    python benchmarks/mixed.py [--clients 32] [--seconds 600]

Over the demo's 60 pictures. Of ten requests of each client four search with a box of a picture of the collection, two
of which refine 20 boxes, one uploads a photograph to search with, three are thumbnails, one adds a picture and one
deletes one that was added; one after the other over one connection to 127.0.0.1. An error is whatever is not answered
as it should be: 429 is an answer (refused early; who is refused waits as long as Retry-After says), 404 where
another client deleted first. A refined search for a box of a picture must have that picture among its ten, and at the
end `patchseek verify` must find nothing. Clients and server share the machine; memory is resident, of the server and
its decoding processes. Writes results/CLASS/mixed.json.
"""

import http.client
import io
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from serve import ServerUnderLoad, form, sample_collection
from turns import machine, write

KINDS = ("search", "thumbnail", "refined", "add", "search", "thumbnail", "upload", "delete", "refined", "thumbnail")
ACCEPTED = {"add": (202, 429), "delete": (202, 404, 429), "thumbnail": (200,)}
Answer = tuple[int, dict[str, str], bytes]


class Client:
    """One client: its requests one after the other."""

    def __init__(self, server: ServerUnderLoad, seed: int, until: float) -> None:
        self.server, self.until, self.choose, self.seed = server, until, random.Random(seed), seed
        self.line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
        self.seconds: dict[str, list[float]] = {kind: [] for kind in sorted(set(KINDS))}
        self.refused: Counter[str] = Counter()
        self.errors: list[str] = []

    def run(self) -> None:
        """Ask until the time is over."""
        n = self.seed
        while time.monotonic() < self.until:
            kind, n = KINDS[n % len(KINDS)], n + 1
            began = time.perf_counter()
            try:
                status, headers, content = self._ask(kind, n)
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(f"{kind}: {error!r}")
                self.line.close()
                continue
            if status not in ACCEPTED.get(kind, (200, 429)):
                self.errors.append(f"{kind}: {status} {content[:200]!r}")
            elif status == 429:
                self.refused[kind] += 1
                self.line.close()  # the server does not keep one that is idle for so long
                time.sleep(float(headers.get("retry-after", 1)))
            else:
                self.seconds[kind].append(time.perf_counter() - began)
        self.line.close()

    def _ask(self, kind: str, n: int) -> Answer:
        number = self.choose.randint(1, self.server.n_pictures)
        if kind == "thumbnail":
            return self._send("GET", f"/api/images/{number}/thumbnail")
        if kind == "add":
            return self._send("POST", "/api/images", *form({}, _picture(self.seed, n), f"mixed-{self.seed}-{n}.jpg"))
        if kind == "delete":
            return self._delete()
        x, y = self.choose.uniform(0, 0.5), self.choose.uniform(0, 0.5)
        fields = {"box": f"{x:.3f},{y:.3f},0.4,0.4", "top": "10", "refine": "20" if kind == "refined" else "0"}
        if kind == "upload":
            return self._send("POST", "/api/search", *form(fields, self.server.photo))
        answer = self._send("POST", "/api/search", *form(fields | {"image_id": str(number)}))
        if kind == "refined" and answer[0] == 200:
            self._check(number, json.loads(answer[2])["results"])
        return answer

    def _check(self, number: int, results: list[dict[str, Any]]) -> None:
        """That a box of a picture is found in that picture."""
        if number not in [result["image_id"] for result in results]:
            self.errors.append(f"picture {number} is not found by its own box")

    def _delete(self) -> Answer:
        """Of a picture that some client added."""
        skip = self.choose.randint(0, 3)
        listed = self._send("GET", f"/api/images?name=mixed-&limit=1&skip={skip}")
        images = json.loads(listed[2])["images"] if listed[0] == 200 else []
        return self._send("DELETE", f"/api/images/{images[0]['image_id']}") if images else (404, {}, b"none")

    def _send(self, method: str, path: str, body: bytes | None = None, headers: Any = None) -> Answer:
        self.line.request(method, path, body, headers or {})
        answer = self.line.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def _picture(seed: int, n: int) -> bytes:
    """A JPEG of tiles that no other has."""
    tiles = np.random.default_rng((seed, n)).integers(0, 256, (9, 12, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(tiles).resize((640, 480), Image.Resampling.NEAREST).save(stream, "JPEG")
    return stream.getvalue()


def load(server: ServerUnderLoad, n_clients: int, seconds: float) -> tuple[list[Client], list[int]]:
    """The clients after so many seconds, and megabytes before, and after each tenth of them."""
    until = time.monotonic() + seconds
    clients = [Client(server, seed, until) for seed in range(n_clients)]
    threads = [threading.Thread(target=client.run) for client in clients]
    memory = [round(server.megabytes())]
    for thread in threads:
        thread.start()
    for _ in range(10):
        time.sleep(seconds / 10)
        memory.append(round(server.megabytes()))
    for thread in threads:
        thread.join()
    return clients, memory


def figures(clients: list[Client]) -> dict[str, dict[str, float]]:
    """By kind: answers, refusals, milliseconds."""
    told = {}
    for kind in sorted(set(KINDS)):
        seconds = [value for client in clients for value in client.seconds[kind]]
        refused = sum(client.refused[kind] for client in clients)
        told[kind] = {"answered": len(seconds), "refused early": refused}
        told[kind] |= {f"p{q} ms": round(1000 * float(np.percentile(seconds, q))) for q in (50, 95) if seconds}
    return told


def main() -> None:
    """Measure, write, print; exit code 1 when something went wrong."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=600)
    asked, before = parser.parse_args(), machine()
    with tempfile.TemporaryDirectory() as folder:
        collection, photo, n_pictures = sample_collection(Path(folder))
        server = ServerUnderLoad(collection, photo, n_pictures)
        try:
            load(server, asked.clients, min(30, asked.seconds / 10))  # caches, threads
            clients, memory = load(server, asked.clients, asked.seconds)
        finally:
            server.process.terminate()
            server.process.wait(60)
        verified = subprocess.run([sys.executable, "-m", "patchseek", "verify", "-c", str(collection)], text=True)
    errors = [error for client in clients for error in client.errors]
    said = {"machine": before, "clients": asked.clients, "seconds": asked.seconds, "errors": len(errors)}
    said |= {"verified": verified.returncode == 0, "by kind": figures(clients), "megabytes by tenth": memory}
    write("mixed", said)
    for error in errors[:9]:
        print(error)
    sys.exit(bool(errors) or verified.returncode != 0)


if __name__ == "__main__":
    main()
