"""What it is worth, and what it costs, to refine boxes in parts of IIIF pictures that come larger than was indexed.

    python benchmarks/iiif.py [--data FOLDER] [--sides 2 4] [--milliseconds 100]

A museum of this machine: the composites' pictures, four and sixteen to a sheet, behind an Image API that takes so many
milliseconds longer for each answer than it needs. A sheet is indexed in 1,024 pixels; each query is searched for with
its box, 20 results refined, in those pixels alone and in larger parts, for the first time and again. Printed: of the
queries, the share whose best result is a sheet with the object; of all sheets with it among 20, the mean IoU and the
share with IoU >= 0.5; seconds, requests and bytes a query. Writes results/CLASS/iiif.json.
"""

import io
import json
import os
import re
import statistics
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image
from turns import machine, parse_with_data, write

from patchseek import Collection
from patchseek.boxes import from_pixels, iou

REQUEST = re.compile(r"/(\d+)/(full|\d+,\d+,\d+,\d+)/(!1024,1024|\d+,)/0/default\.jpg")
Truth = Mapping[str, list[tuple[float, float, float, float]]]
"""Of an object, the boxes in shares of a sheet."""


def make_sheets(data: Path, folder: Path, side: int) -> list[Truth]:
    """Sheets of side x side pictures of the gallery, each in as many pixels as it has, and what is on them."""
    gallery = [each for each in json.loads((data / "gallery.json").read_text()) if each["instance"]]
    truths: list[Truth] = []
    for n in range(0, len(gallery) - side**2 + 1, side**2):
        here = gallery[n : n + side**2]
        pictures = [Image.open(data / each["image"]).convert("RGB") for each in here]
        w, h = max(picture.width for picture in pictures), max(picture.height for picture in pictures)
        sheet, found = Image.new("RGB", (side * w, side * h), (230, 230, 230)), {}
        for i, (each, picture) in enumerate(zip(here, pictures, strict=True)):
            x, y = i % side * w, i // side * h
            sheet.paste(picture, (x, y))
            for name, (left, top, width, height) in zip(each["instance"], each["bbox"], strict=True):
                found.setdefault(name, []).append(from_pixels([left + x, top + y, width, height], *sheet.size))
        sheet.save(folder / f"{len(truths)}.jpg", quality=92)
        truths.append(found)
    return truths


class Counts:
    """What the museum was asked for."""

    def __init__(self) -> None:
        self.requests = self.n_bytes = 0
        self.lock = threading.Lock()


@contextmanager
def museum(folder: Path, n: int, seconds: float) -> Iterator[tuple[str, Counts]]:
    """A server over sheets, and the address of their manifest."""
    counts = Counts()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            time.sleep(seconds)
            body = self.answer()
            with counts.lock:
                counts.requests += 1
                counts.n_bytes += len(body)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def answer(self) -> bytes:
            host = f"http://127.0.0.1:{self.server.server_address[1]}"
            if self.path == "/manifest":
                return json.dumps(manifest(host, folder, n)).encode()
            if self.path.endswith("/info.json"):
                w, h = Image.open(folder / f"{self.path.split('/')[1]}.jpg").size
                return json.dumps({"width": w, "height": h, "profile": "level2"}).encode()
            found = REQUEST.fullmatch(self.path)
            assert found, self.path
            return cut(Image.open(folder / f"{found[1]}.jpg"), found[2], found[3])

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/manifest", counts
    finally:
        server.shutdown()


def cut(sheet: Image.Image, region: str, size: str) -> bytes:
    """A region in a size, as JPEG."""
    if region == "full":
        sheet.thumbnail((1024, 1024), Image.Resampling.LANCZOS)
    else:
        x, y, w, h = map(int, region.split(","))
        width = int(size[:-1])
        sheet = sheet.crop((x, y, x + w, y + h)).resize((width, round(h * width / w)), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    sheet.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def manifest(host: str, folder: Path, n: int) -> dict[str, Any]:
    """All sheets, one a canvas."""
    canvases = []
    for i in range(n):
        w, h = Image.open(folder / f"{i}.jpg").size
        service = {"id": f"{host}/{i}", "type": "ImageService3", "profile": "level2"}
        body = {"id": f"{host}/{i}.jpg", "type": "Image", "width": w, "height": h, "service": [service]}
        page = {"type": "AnnotationPage", "items": [{"type": "Annotation", "body": body}]}
        canvases.append({"id": f"{host}/canvas/{i}", "type": "Canvas", "width": w, "height": h, "items": [page]})
    return {"type": "Manifest", "items": canvases}


def measure(
    collection: Collection, queries: list[dict[str, Any]], data: Path, truths: list[Truth], counts: Counts
) -> dict[str, float]:
    """One way's figures."""
    overlaps, firsts, seconds = [], [], []
    requests, n_bytes = counts.requests, counts.n_bytes
    for query in queries:
        began = time.perf_counter()
        matches = collection.search(data / query["image"], box=query["bbox"], top=20, refine=20)
        seconds.append(time.perf_counter() - began)
        for rank, match in enumerate(matches):
            number = int(match.image.path.partition("#")[0].rpartition("/")[2])
            there = truths[number].get(query["instance"], [])
            if rank == 0:
                firsts.append(bool(there))
            if there:
                overlaps.append(max(float(iou([match.box], [box])[0, 0]) for box in there))
    return {
        "best result is right": round(statistics.mean(firsts), 3),
        "sheets with the object": len(overlaps),
        "mean IoU": round(statistics.mean(overlaps), 3),
        "IoU >= 0.5": round(statistics.mean(overlap >= 0.5 for overlap in overlaps), 3),
        "seconds a query": round(statistics.median(seconds), 2),
        "requests a query": round((counts.requests - requests) / len(queries), 1),
        "kB a query": round((counts.n_bytes - n_bytes) / len(queries) / 1000),
    }


def try_ways(data: Path, home: Path, side: int, seconds: float) -> dict[str, Any]:
    """Figures of each way, over sheets of side x side pictures."""
    truths = make_sheets(data, home, side)
    queries = json.loads((data / "query.json").read_text())
    figures: dict[str, Any] = {"sheets": len(truths)}
    with museum(home, len(truths), seconds) as (address, counts):
        collection = Collection.open(home / "c", create=True)
        collection.add(address)
        for way, may_fetch in (("in 1,024 pixels", False), ("in larger parts", True), ("again", True)):
            collection.store.may_fetch = may_fetch
            figures[way] = measure(collection, queries, data, truths, counts)
    return figures


def main() -> None:
    """Measure, write, print."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[2, 4], help="pictures beside each other on a sheet")
    parser.add_argument("--milliseconds", type=float, default=100, help="that the museum takes for an answer")
    asked = parse_with_data(parser)
    before, data = machine(), Path(asked.data) / "composite-set"
    os.environ["PATCHSEEK_PRIVATE_HOSTS"] = "127.0.0.1"
    figures = {}
    for side in asked.sides:
        with tempfile.TemporaryDirectory() as name:
            os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
            figures[f"{side} x {side} on a sheet"] = try_ways(data, Path(name), side, asked.milliseconds / 1000)
    write("iiif", {"machine": before, "milliseconds": asked.milliseconds, **figures})


if __name__ == "__main__":
    main()
