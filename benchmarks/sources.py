"""What it costs that pictures lie in archives: a search that opens the best, and a look at what has changed.

    python benchmarks/sources.py [--data FOLDER] [--parts look search] [--members 100000] [--rounds 5]

`search`: the pictures of the photographs' set as files of a folder, in a zip (not packed further), a tar and a tar
packed by gzip; a collection of each. Ten of the set's queries are searched for with their boxes, 20 results refined,
each query in all of them in turn; seconds and ratios are medians over queries and rounds. `look`: an archive of
--members tiny pictures that a collection knows: how long `Collection.add` takes where nothing has changed, in a process
that has not opened the archive before; `first`: a listing of it where nothing is kept of it yet.
Writes results/CLASS/sources.json, in which a part that is left out stays as it is.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from turns import known, machine, middle, parse_with_data, take_turns, write

from patchseek import Collection
from patchseek.regions import Pyramid
from patchseek.store import FileState, NewEntry, Writer

KINDS = ("box.zip", "box.tar", "box.tar.gz")
LOOK = """
import sys, time
from pathlib import Path
from patchseek.encode import add_folder
from patchseek.encoders import open_encoder
from patchseek.sources import open_archive
from patchseek.store import Store
file, place = Path(sys.argv[1]), Path(sys.argv[2])
encoder = open_encoder("embedded")
began = time.perf_counter()
if place.name == "none":
    assert open_archive(file).listing().pictures
else:
    report = add_folder(Store.open(place), file, encoder, n_workers=1)
    assert (report.added, report.changed, report.failed) == (0, 0, []), report
print(time.perf_counter() - began)
"""


def pack(file: Path, members: list[tuple[str, bytes]]) -> Path:
    """An archive of a kind that its name says."""
    if file.suffix == ".zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return file
    with tarfile.open(file, "w:gz" if file.suffix == ".gz" else "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, BytesIO(content))
    return file


def search(data: Path, work: Path, rounds: int) -> dict[str, Any]:
    """Refined searches of the same pictures, wherever they lie."""
    names = sorted({entry["image"] for entry in json.loads((data / "gallery.json").read_text())})
    asked = [(data / entry["image"], entry["bbox"]) for entry in json.loads((data / "query.json").read_text())[:10]]
    places = {"folder": work / "folder"}
    for name in names:
        (places["folder"] / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / name, places["folder"] / name)
    members = [(name, (data / name).read_bytes()) for name in names]
    places |= {kind: pack(work / kind, members) for kind in KINDS}
    collections = {}
    for kind, place in places.items():
        collections[kind] = Collection.open(work / f"{kind}-collection", create=True)
        collections[kind].add(place)

    def found_in(collection: Collection, number: int) -> list[Any]:
        query, box = asked[number]
        return [match.pixels for match in collection.search(query, box=box, top=20)]

    taken: dict[str, list[float]] = {kind: [] for kind in collections}
    for number in range(len(asked)):
        found = {kind: found_in(collection, number) for kind, collection in collections.items()}
        assert all(each == found["folder"] for each in found.values()), "the same boxes"
        turns = take_turns({kind: partial(found_in, c, number) for kind, c in collections.items()}, rounds)
        taken = {kind: values + turns[kind] for kind, values in taken.items()}
    seconds = {kind: round(statistics.median(values), 3) for kind, values in taken.items()}
    return {"pictures": len(names), "seconds a query": seconds, "of the folder's": middle(taken, "folder")}


def look(work: Path, n_members: int) -> dict[str, Any]:
    """Looks at large archives of which nothing has changed."""
    content = BytesIO()
    Image.new("RGB", (16, 16)).save(content, "PNG")
    members = [(f"{i // 1000:03}/{i:06}.png", content.getvalue()) for i in range(n_members)]
    figures: dict[str, Any] = {"members": n_members}
    os.environ["XDG_CACHE_HOME"] = str(work / "cache")
    for kind in KINDS:
        archive = pack(work / f"large-{kind}", members)
        status = archive.stat()
        one = Pyramid.up_to(0)
        collection = Collection.open(work / f"large-{kind}-collection", pyramid=one, points=False, create=True)
        shape, root = collection.store.settings.shape, archive.parent
        with Writer(collection.store) as writer:
            for low in range(0, n_members, 2048):
                pictures = [
                    NewEntry(
                        f"{archive.name}!{name}",
                        FileState(len(data), status.st_mtime_ns, status.st_ctime_ns),
                        f"{i:064x}",
                        16,
                        16,
                    )
                    for i, (name, data) in enumerate(members[low : low + 2048], low)
                ]
                writer.commit(root, pictures, np.zeros((len(pictures), *shape), np.float16))
        figures[kind] = {
            "MB": round(status.st_size / 1e6, 1),
            "first listing, s": _timed(archive, work / "none"),
            "nothing has changed, s": _timed(archive, collection.path),
        }
        shutil.rmtree(collection.path)
    return figures


def _timed(archive: Path, place: Path) -> float:
    command = [sys.executable, "-c", LOOK, str(archive), str(place)]
    return round(float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout), 2)


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=["look", "search"], default=["look", "search"])
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked, before = parse_with_data(parser), machine()
    figures = known("sources")
    with tempfile.TemporaryDirectory() as folder:
        if "look" in asked.parts:
            figures["look"] = {"machine": before} | look(Path(folder), asked.members)
        if "search" in asked.parts:
            found = search(Path(asked.data) / "dev-set", Path(folder), asked.rounds)
            figures["search"] = {"machine": before, "rounds": asked.rounds} | found
    write("sources", figures)


if __name__ == "__main__":
    main()
