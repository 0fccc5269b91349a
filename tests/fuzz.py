"""Whatever bytes come in, an error of ours comes out, or an answer: files and requests changed at random.

    python -m tests.fuzz pictures --seconds 600 [--seed 1] [--keep FOLDER]      exit code 1 where one did neither

Examples are sound ones in which bits are turned, parts are left out, repeated, exchanged for parts of another or for
what is known to break programs. What is neither refused by a PatchseekError of one line nor answered within ten seconds
is a fault: its bytes are kept in FOLDER, and the first line of each kind is printed. `make fuzz` gives every target ten
minutes; test_fuzz.py a few examples.
"""

import argparse
import gc
import io
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image

from patchseek import Collection, read
from patchseek.datasets import open_dataset, read_similarities
from patchseek.errors import PatchseekError
from patchseek.formats import FORMATS, Answer, as_bytes, read_annotated
from patchseek.indexes import judge_engine
from patchseek.records import collection_record, match_record
from patchseek.sources import open_archive, read_list

from .conftest import TinyEncoder, blot
from .damage import survive

Random = np.random.Generator
Target = Callable[[Random], None]
SECONDS = 10.0
BREAKING = (
    *(b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"9" * 400, b"null", b"true", b'""', b"[" * 3000, b"{}", b"\0"),
    *(b"\xff\xfe", b"\xed\xa0\x80", "\u202e".encode(), b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"../../x", b"%s%n"),
    *(b"file:///etc/passwd", b"http://127.0.0.1/", b"\r\n\r\n", b",,,,", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\0" * 64),
)


def changed(content: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """A content in which one to eight things are other than they were."""
    made = bytearray(content)
    for _ in range(int(2 ** random.integers(0, 4))):
        at = int(random.integers(0, len(made) + 1))
        end = min(len(made), at + int(2 ** random.integers(0, 8)))
        kind = random.integers(0, 6)
        if kind == 0 and at < len(made):
            made[at] ^= 1 << int(random.integers(0, 8))
        elif kind == 1:
            del made[at:end]
        elif kind == 2:
            made[at:at] = made[at:end]
        elif kind == 3:
            made[at : end if random.integers(0, 2) else at] = BREAKING[random.integers(0, len(BREAKING))]
        elif kind == 4 and others:
            other = others[random.integers(0, len(others))]
            start = int(random.integers(0, len(other) + 1))
            made[at:end] = other[start : start + end - at]
        elif kind == 5 and not random.integers(0, 4):
            del made[at:]
    return bytes(made)


def pictures(*_: object) -> Target:
    """Picture files of every kind that Pillow writes here, read as a query is and shrunk as for a patch."""
    picture, seeds = blot(0), []
    for kind, more in (
        *(("PNG", {}), ("JPEG", {"exif": Image.Exif().tobytes()}), ("JPEG", {"progressive": True}), ("BMP", {})),
        *(("GIF", {"save_all": True, "append_images": [blot(1)]}), ("TIFF", {"compression": "tiff_lzw"}), ("PPM", {})),
        *(("WEBP", {}), ("WEBP", {"lossless": True}), ("TIFF", {"save_all": True, "append_images": [blot(1)]})),
    ):
        stream = io.BytesIO()
        picture.save(stream, kind, **more)
        seeds.append(stream.getvalue())

    def one(random: Random) -> None:
        content = changed(seeds[random.integers(0, len(seeds))], random, seeds)
        read(content, need=int(random.integers(1, 64)) if random.integers(0, 2) else None)

    return one


def importers(folder: Path, _: ExitStack) -> Target:
    """Annotations in every format that is written, tables, sets, lists, manifests and similarities."""
    home = folder / "pictures"
    home.mkdir()
    for i in range(3):
        blot(i).save(home / f"{i}.png")
    opened = Collection.open(folder / "c", encoder=TinyEncoder(), points=False, create=True)
    opened.add(home)
    matches = opened.search(home / "0.png", box=[8, 8, 24, 24])
    results = [match_record(rank, match) for rank, match in enumerate(matches, 1)]
    asked = {"image": "0.png", "box": [8, 8, 24, 24], "width": 64, "height": 48}
    answer = Answer([asked], collection_record(opened), results, "object", {m.image.id: m.image for m in matches})
    seeds = [
        ("." + name.rpartition("-")[2] if FORMATS[name].is_folder else suffix, content)
        for name in FORMATS
        if name not in ("parquet", "crops", "xmp", "yolo", "voc", "fiftyone")
        for content, suffix, _, _ in [as_bytes(name, answer)]
    ]
    service = {"id": "http://127.0.0.1:1/iiif/0", "type": "ImageService3", "profile": "level2"}
    body = {"id": "http://127.0.0.1:1/a.jpg", "type": "Image", "width": 2000, "height": 1500, "service": [service]}
    page = {"type": "AnnotationPage", "items": [{"type": "Annotation", "body": body}]}
    canvas = {"id": "http://127.0.0.1:1/canvas", "type": "Canvas", "width": 40, "height": 30, "items": [page]}
    seeds += [
        (".json", json.dumps({"type": "Manifest", "items": [canvas]}).encode()),
        (".json", json.dumps({"q0": {"a.jpg": 0.5, "b.jpg": 0.25}}).encode()),
        (".json", json.dumps([{"id": "a", "image": "0.png", "instance": "x", "bbox": [1, 2, 30, 20]}]).encode()),
        (".csv", b"image,x,y,w,h,instance\n0.png,1,2,30,20,a\n1.png,0,0,8,8,b\n"),
        (".csv", b"path\n0.png\n1.png\n"),
        (".txt", b"# some\n0.png\n  1.png\nhttp://127.0.0.1/a.jpg\n"),
        (".xml", b"<annotation><filename>0.png</filename><size><width>64</width><height>48</height></size><object>"
         b"<name>a</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object>"
         b"</annotation>"),
    ]  # fmt: skip
    readers = {
        ".json": (read_annotated, open_dataset, read_similarities, _list),
        ".csv": (read_annotated, open_dataset, _list),
        ".txt": (_list,),
    }

    def one(random: Random) -> None:
        suffix, content = seeds[random.integers(0, len(seeds))]
        file = home / f"found{suffix}"
        file.write_bytes(changed(content, random, [other for own, other in seeds if own == suffix]))
        ways = readers.get(suffix, (read_annotated,))
        ways[random.integers(0, len(ways))](file)

    return one


def _list(file: Path) -> object:
    return read_list(str(file), io.BytesIO(file.read_bytes()))


def archives(folder: Path, _: ExitStack) -> Target:
    """Zips and tars with pictures: what is in them, and the pictures themselves."""
    from .test_archives import pack, png

    members = {f"{i}.png": png(i) for i in range(3)}
    seeds = {}
    for suffix in (".zip", ".tar", ".tar.gz"):
        pack(folder / f"box{suffix}", members)
        seeds[suffix] = (folder / f"box{suffix}").read_bytes()

    def one(random: Random) -> None:
        suffix = list(seeds)[random.integers(0, 3)]
        file = folder / f"tried-{random.integers(0, 1 << 40)}{suffix}"
        try:
            file.write_bytes(changed(seeds[suffix], random))
            archive = open_archive(file)
            for member in archive.listing().pictures:
                read(archive.read(member.name))
        finally:
            file.unlink()

    return one


def catalogues(folder: Path, _: ExitStack) -> Target:
    """The catalogue of a collection: it is mended, and no picture has another one's features."""
    for i in range(6):
        blot(i).save(folder / f"{i}.png")
    encoder = TinyEncoder()
    Collection.open(folder / "whole", encoder=encoder, points=False, create=True).add(folder)
    content = (folder / "whole" / "catalogue.sqlite").read_bytes()

    def one(random: Random) -> None:
        shutil.copytree(folder / "whole", folder / "tried")
        try:
            (folder / "tried" / "catalogue.sqlite").write_bytes(changed(content, random))
            survive(folder / "tried", encoder, 6)
        finally:
            shutil.rmtree(folder / "tried")

    return one


def engines(*_: object) -> Target:
    """Names of engines, put together of parts of such names."""
    parts = [
        *("exact", "auto", "Flat", "PQ8", "PQ64x4fs", "IVF16", "IVF", "OPQ8", "PCA16", "HNSW32", "SQ8", "LSH", "RFlat"),
        *(
            "IDMap",
            "Refine(Flat)",
            "milvus:",
            "milvus:x.db",
            "postgresql://u@h/d",
            ";nprobe=",
            ";rerank=",
            ";device=cuda",
        ),
        *(",", ";", "=", "(", ")", "_", "x", "4", "0", "-1", "99999999999", "1e9", "nan", " ", "\0", "é", "'", ";--"),
    ]

    def one(random: Random) -> None:
        chosen = random.integers(0, len(parts), int(random.integers(1, 7)) if random.integers(0, 2) else 1)
        judge_engine("".join(parts[i] for i in chosen), 100, 30, 64)

    return one


def requests(folder: Path, after: ExitStack) -> Target:
    """Bodies of requests to a server: no answer says that the server failed."""
    from starlette.testclient import TestClient

    from patchseek.server import ServerSettings, create_app

    for i in range(3):
        blot(i).save(folder / f"{i}.png")
    opened = Collection.open(folder / "c", encoder=TinyEncoder(), points=False, create=True)
    opened.add(folder)
    app = create_app(opened, ServerSettings(allow_dirs=(folder,)))
    after.callback(app.state.services.close)
    client = TestClient(app, base_url="http://127.0.0.1:8765", raise_server_exceptions=False)
    edge, picture = b"--edge\r\n", (folder / "0.png").read_bytes()
    part = b'Content-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    fields = [(b"image_id", b"1"), (b"box", b"8,8,24,24"), (b"top", b"3"), (b"refine", b"2"), (b"text", b"cup")]
    form = b"".join(edge + part % field for field in fields) + b"--edge--\r\n"
    upload = edge + b'Content-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + picture + b"\r\n"
    seeds = [
        *(("POST", "/api/search", "multipart/form-data; boundary=edge", body) for body in (form, upload + form)),
        ("POST", "/api/queries", "multipart/form-data; boundary=edge", upload + b"--edge--\r\n"),
        (
            "POST",
            "/api/search",
            "application/x-www-form-urlencoded",
            b"image_id=1&box=8,8,24,24&top=3&since=2020-01-01&tag=a",
        ),
        (
            "PUT",
            "/api/judgements",
            "application/json",
            b'{"query_key": "a", "image_id": 1, "verdict": "yes", "box": [1, 2, 3, 4]}',
        ),
        ("POST", "/api/saved", "application/json", b'{"name": "cup", "image_id": 1, "box": [8, 8, 24, 24], "top": 3}'),
    ]

    def one(random: Random) -> None:
        method, path, kind, content = seeds[random.integers(0, len(seeds))]
        body = changed(content, random, [picture])
        answer = client.request(method, path, content=body, headers={"content-type": kind})
        assert answer.status_code < 500, (answer.status_code, answer.text[:200])
        if answer.status_code >= 400:
            raise PatchseekError("refused")

    return one


TARGETS = {each.__name__: each for each in (pictures, importers, archives, catalogues, engines, requests)}


def campaign(name: str, seconds: float, seed: int, most: int = 1 << 60, keep: Path | None = None) -> Counter[str]:
    """How many examples were answered, and refused; every fault by what it is."""
    counts, ends = Counter[str](), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder, ExitStack() as after:
        one = TARGETS[name](Path(folder), after)
        for number in range(most):
            began = time.monotonic()
            if began > ends:
                break
            try:
                one(np.random.default_rng([seed, number]))
                kind = "answered"
            except PatchseekError as error:
                kind = "refused" if "\n" not in str(error) else f"fault: two lines: {error!r}"
            except Exception as error:
                kind = f"fault: {type(error).__name__}: {error}".splitlines()[0][:150]
            if time.monotonic() - began > SECONDS:
                kind = f"fault: it takes more than {SECONDS:g} s"
            if kind.startswith("fault") and kind not in counts and keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{name}-{seed}-{number}.txt").write_text(kind)
            counts[kind] += 1
    gc.collect()  # what was broken off is let go of here, and not in the midst of something else
    return counts


def main() -> int:
    """Run one, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where the number of each fault's first example is kept")
    asked = parser.parse_args()
    counts = campaign(asked.target, asked.seconds, asked.seed, keep=asked.keep)
    faults = {kind: n for kind, n in counts.items() if kind.startswith("fault")}
    said = (
        f"{asked.target}: {counts.total():,} examples, {counts['answered']:,} answered, {counts['refused']:,} refused"
    )
    sys.stdout.write("\n".join([f"{said}, {sum(faults.values()):,} faults", *map(str, faults.items())]) + "\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
