"""What a folder of hostile and odd pictures costs: the peak memory of decoding all of them, and the slowest file.

    python benchmarks/hostile.py [--threads 2] [--need 896] [--folder DIR]

The zoo is made anew, the same every time: pictures of every format and mode, whole, cut off, with bits flipped, with
headers that claim hundreds of megapixels, and bombs, which do unpack to them. Another process reads it as indexing
does, from the bytes of each file.
"""

import argparse
import json
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 14_000  # of a picture of 196 megapixels, just under the limit
MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "GIF": ("L", "P"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB"),
    "TIFF": ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "F"),
    "PPM": ("1", "L", "RGB"),
    "JPEG2000": ("L", "RGB", "RGBA"),
    "AVIF": ("RGB", "RGBA"),
}


def photo(mode: str, size: tuple[int, int] = (1200, 900)) -> Image.Image:
    """A picture of smooth noise."""
    noise = np.random.default_rng(size[0]).integers(0, 256, (size[1] // 12 + 1, size[0] // 12 + 1, 3), np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return image.convert("L").convert(mode) if mode == "F" else image.convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The content of a file."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def whole() -> Iterator[tuple[str, bytes]]:
    """Pictures with nothing wrong, small and of 24 megapixels."""
    for kind, modes in MODES.items():
        for mode in modes:
            yield f"whole {kind} {mode}", saved(photo(mode), kind)
    large = photo("RGB", (6000, 4000))
    for kind, options in (
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "subsampling": 0}),
        ("PNG", {"compress_level": 1}),
        ("BMP", {}),
        ("PPM", {}),
        ("WEBP", {"method": 0}),
        ("JPEG2000", {}),
        ("AVIF", {"speed": 10}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ):
        yield f"large {kind} {' '.join(options)}", saved(large, kind, **options)


def damaged(sound: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """The same cut off, and with bits flipped where headers are."""
    chance = random.Random(0)
    for name, content in sound:
        for share in (0.1, 0.45, 0.7, 0.99):
            yield f"{share:.0%} of {name}", content[: int(len(content) * share)]
        for i in range(4):
            flipped = bytearray(content)
            for _ in range(3):
                flipped[chance.randrange(min(len(content), 200))] ^= 1 << chance.randrange(8)
            yield f"flipped {i} {name}", bytes(flipped)


def chunk(name: bytes, body: bytes = b"") -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, bits: int, colour: int, data: bytes) -> bytes:
    """A PNG whose pixels are as given, packed."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND")


def zeros(n_bytes: int) -> bytes:
    """So many zeros, deflated, a block at a time."""
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    pieces = [packer.compress(block) for _ in range(n_bytes >> 20)]
    return b"".join([*pieces, packer.compress(block[: n_bytes & 0xFFFFF]), packer.flush()])


def tiff(width: int, height: int, chunks: list[bytes], **tags: int) -> bytes:
    """A TIFF of one directory. tags: their names are those of the specification, in short."""
    numbers = {"bits": 258, "compression": 259, "photometric": 262, "samples": 277, "rows": 278, "format": 339}
    values = {256: width, 257: height, 262: 1, 278: height} | {numbers[name]: value for name, value in tags.items()}
    place, n = 4096, len(chunks)
    offsets = [place + 8 * n + sum(map(len, chunks[:i])) for i in range(n)] if n < 9 else []
    if not offsets:
        offsets = (np.cumsum([0, *map(len, chunks[:-1])]) + place + 8 * n).tolist()
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items()]
    entries += [struct.pack("<HHII", 273, 4, n, place if n > 1 else offsets[0])]
    entries += [struct.pack("<HHII", 279, 4, n, place + 4 * n if n > 1 else len(chunks[0]))]
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + b"".join(sorted(entries))
    tables = struct.pack(f"<{n}I", *offsets) + struct.pack(f"<{n}I", *map(len, chunks))
    return head.ljust(place, b"\0") + tables + b"".join(chunks)


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files that unpack to 196 megapixels, or say that they would."""
    rgb, grey = zeros(SIDE * (1 + 3 * SIDE)), zeros(SIDE * (1 + SIDE))
    yield "bomb PNG RGB", png(SIDE, SIDE, 8, 2, rgb)
    yield "bomb PNG RGBA", png(SIDE, SIDE, 8, 6, zeros(SIDE * (1 + 4 * SIDE)))
    yield "bomb PNG RGB 16", png(SIDE, SIDE, 16, 2, zeros(SIDE * (1 + 6 * SIDE)))
    yield "bomb PNG grey", png(SIDE, SIDE, 8, 0, grey)
    yield "bomb PNG grey 1", png(SIDE, SIDE, 1, 0, zeros(SIDE * (1 + SIDE // 8)))
    for size in ((196_000_000, 1), (1, 196_000_000), (160, 1_048_704), (400, 490_000), (490_000, 400)):
        yield f"bomb PNG {size}", png(*size, 8, 0, zeros(size[1] * (1 + size[0])))
    for compression, data in ((8, zeros(3 * SIDE * SIDE)), (8, grey), (1, bytes(1000)), (5, bytes(1000))):
        yield (
            f"bomb TIFF {compression} {len(data)}",
            tiff(
                SIDE,
                SIDE,
                [data],
                bits=8,
                compression=compression,
                samples=1 if len(data) < len(rgb) // 2 else 3,
                photometric=1 if len(data) < len(rgb) // 2 else 2,
            ),
        )
    yield "bomb TIFF floats", tiff(SIDE, SIDE, [zeros(4 * SIDE * SIDE)], bits=32, format=3, compression=8)
    yield "bomb TIFF doubles", tiff(SIDE, SIDE, [zeros(8 * SIDE * SIDE)], bits=64, format=3, compression=8)
    yield "bomb TIFF 160", tiff(160, 1_048_704, [zeros(4 * 160 * 1_048_704)], bits=32, format=3, compression=8)
    yield "bomb TIFF 400", tiff(400, 490_000, [zeros(4 * 400 * 490_000)], bits=32, format=3, compression=8)
    yield "bomb TIFF rows", tiff(400, 490_000, [bytes(400)] * 490_000, bits=8, compression=1, rows=1)
    yield "bomb TIFF strips", tiff(160, 1_048_704, [bytes(160)] * 1_048_704, bits=8, compression=1, rows=1)
    yield "bomb TIFF packed strips", tiff(160, 100_000, [zeros(160)] * 100_000, bits=8, compression=8, rows=1)
    for name, size in (("square", (10_000, 10_000)), ("long", (16_383, 1000))):
        blank = Image.new("RGB", size)
        yield f"bomb JPEG {name}", saved(blank, "JPEG")
        yield f"bomb JPEG progressive {name}", saved(blank, "JPEG", progressive=True, subsampling=0)
        yield f"bomb GIF {name}", saved(Image.new("P", size), "GIF")
        yield f"bomb WEBP {name}", saved(blank, "WEBP", lossless=True, method=0)
        yield f"bomb JPEG2000 {name}", saved(blank, "JPEG2000")
        yield f"bomb AVIF {name}", saved(blank, "AVIF", speed=10)
        del blank
    for kind in ("BMP", "PPM", "GIF", "JPEG", "WEBP"):
        yield f"claim {kind}", claim(bytearray(saved(photo("RGB", (64, 48)), kind)), kind)
    for top in (1, 100, 1023, 65_535):
        samples = np.random.default_rng(top).integers(0, top + 1, (3000, 4000, 3))
        stored = samples.astype(np.uint8 if top < 256 else ">u2").tobytes()
        yield f"odd PPM {top}", b"P6\n4000 3000\n%d\n" % top + stored
    yield "odd PPM plain", b"P3\n1000 1000\n255\n" + b" ".join(b"%d" % (i % 256) for i in range(3_000_000))
    yield "bomb BMP RLE8", rle(1, 255)
    yield "bomb BMP RLE4", rle(2, 254)
    yield (
        "directories",
        b"II*\0" + b"".join(struct.pack("<IHHHI", 8 + 14 * i, 1, 256, 3, 1)[:14] for i in range(20_000)),
    )


def claim(content: bytearray, kind: str) -> bytes:
    """The same with a header of 196 megapixels."""
    if kind == "PPM":
        return bytes(content).replace(b"64 48", b"14000 14000", 1)
    little, place = {
        "BMP": ("<ii", 18),
        "GIF": ("<HH", 6),
        "JPEG": (">HH", content.index(b"\xff\xc0") + 5 if kind == "JPEG" else 0),
        "WEBP": ("<HH", 26),
    }[kind]
    struct.pack_into(little, content, place, SIDE, SIDE)
    return bytes(content)


def rle(compression: int, run: int) -> bytes:
    """A BMP of 196 megapixels in runs."""
    runs = [run] * (SIDE // run) + [SIDE % run] * (SIDE % run > 0)
    data = (b"".join(bytes([n, 0x12]) for n in runs) + b"\0\0") * SIDE + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 8 // compression, compression, len(data), 0, 0, 0, 0)
    palette = np.random.default_rng(0).integers(0, 256, 4 << (8 // compression), np.uint8).tobytes()
    start = 14 + len(header) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + header + palette + data


def make(folder: Path) -> None:
    """Write the zoo."""
    sound = list(whole())
    n = 0
    for name, content in [*sound, *damaged([entry for entry in sound if entry[0].startswith("whole")])]:
        (folder / f"{n:03} {name}.bin".replace("/", "-")).write_bytes(content)
        n += 1
    for name, content in bombs():
        (folder / f"{n:03} {name}.bin").write_bytes(content)
        n += 1


def read_all(folder: Path, n_threads: int, need: int) -> None:
    """Read every file, and print what that took as JSON. Runs in a process of its own."""
    from patchseek.errors import ImageError
    from patchseek.images import read

    def attempt(path: Path) -> tuple[float, str, str]:
        began = time.monotonic()
        try:
            picture = read(path.read_bytes(), need=need, name=path.name)
            said = getattr(picture, "note", None) or "read"
        except ImageError as error:
            said = f"refused: {error.reason}"
        return time.monotonic() - began, path.name, said

    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ThreadPoolExecutor(n_threads) as pool:
        found = list(pool.map(attempt, sorted(folder.iterdir())))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"found": found, "before": before, "peak": peak, "seconds": time.monotonic() - began}))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--need", type=int, default=896)
    parser.add_argument("--folder", type=Path, help="where the zoo is, or is to be made and kept")
    parser.add_argument("--list", action="store_true", help="print what became of every file")
    parser.add_argument("--step", choices=("make", "read"), help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.step == "make":
        make(said.folder)
        return
    if said.step == "read":
        read_all(said.folder, said.threads, said.need)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = said.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        command = [sys.executable, __file__, "--folder", str(folder)]
        command += ["--threads", str(said.threads), "--need", str(said.need), "--step"]
        if not any(folder.iterdir()):  # a process of its own, as the peak of one counts for those that it starts
            subprocess.run([*command, "make"], check=True)
        answer = json.loads(subprocess.run([*command, "read"], stdout=subprocess.PIPE, check=True).stdout)
    found = sorted(answer["found"], reverse=True)
    n_refused = sum(what.startswith("refused") for _, _, what in found)
    n_noted = sum(not what.startswith("refused") and what != "read" for _, _, what in found)
    print(f"{len(found)} files at {said.threads} threads: {len(found) - n_refused - n_noted} read,", end=" ")
    print(f"{n_noted} read with a note, {n_refused} refused")
    print(f"peak {answer['peak'] / 1000:.0f} MB ({answer['before'] / 1000:.0f} MB before the first), ", end="")
    print(f"{answer['seconds']:.0f} s")
    for seconds, name, what in found if said.list else found[:8]:
        print(f"{seconds:8.2f} s  {name}: {what}")


if __name__ == "__main__":
    main()
