"""Decoding keeps to a budget: what is said beforehand is what it takes at most, and nobody waits for ever."""

import os
import struct
import subprocess
import sys
import threading
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from patchseek.errors import ImageError, PatchseekError
from patchseek.images import _memory, read
from patchseek.images._memory import Budget

from .conftest import wait_for
from .test_images import reason, saved


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch):
    """allow(n_bytes): what may be used from now on."""

    def set_to(n_bytes: int) -> Budget:
        budget = Budget(n_bytes)
        monkeypatch.setattr(_memory, "_budget", budget)
        return budget

    return set_to


# ---- the queue


def test_those_who_fit_go_on_together_and_the_next_waits() -> None:
    budget, order, may_end = Budget(10), [], threading.Event()

    def work(name: str, n_bytes: int) -> None:
        with budget.reserved(n_bytes, name):
            order.append(name)
            may_end.wait()

    threads = [threading.Thread(target=work, args=(name, n)) for name, n in (("a", 6), ("b", 4))]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(order) == 2)
    threads.append(threading.Thread(target=work, args=("c", 1)))
    threads[-1].start()
    wait_for(lambda: budget._waiting)
    assert sorted(order) == ["a", "b"]
    may_end.set()
    for thread in threads:
        thread.join()
    assert order[2] == "c"


def test_a_large_one_is_not_overtaken_for_ever_by_small_ones() -> None:
    budget, order, may_end = Budget(10), [], threading.Event()

    def work(name: str, n_bytes: int, waits: bool) -> None:
        with budget.reserved(n_bytes, name):
            order.append(name)
            if waits:
                may_end.wait()

    first = threading.Thread(target=work, args=("small", 2, True))
    first.start()
    wait_for(lambda: order)
    large = threading.Thread(target=work, args=("large", 10, False))
    large.start()
    wait_for(lambda: len(budget._waiting) == 1)
    late = threading.Thread(target=work, args=("late", 1, False))  # it would fit now
    late.start()
    wait_for(lambda: len(budget._waiting) == 2)
    may_end.set()
    for thread in (first, large, late):
        thread.join()
    assert order == ["small", "large", "late"]


def test_what_takes_more_than_there_ever_is_is_refused_with_the_numbers() -> None:
    budget = Budget(1_200_000_000)
    with pytest.raises(ImageError) as caught, budget.reserved(3_100_000_000, "a.png"):
        pass
    assert str(caught.value).startswith("a.png: needs 3.1 GB to decode, 1.2 GB may be used")
    with (
        pytest.raises(ImageError, match=r"needs 900 MB to decode, 5 MB may be used"),
        Budget(5_000_000).reserved(899_999_999, ""),
    ):
        pass
    with budget.reserved(None, "all"), pytest.raises(ImageError), budget.reserved(1_200_000_001, "too much"):
        pass


def test_what_was_held_is_given_back_whatever_happens() -> None:
    budget = Budget(10)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), budget.reserved(10, ""):
            raise ZeroDivisionError
        with pytest.raises(ImageError), budget.reserved(11, ""):
            pass
    with budget.reserved(10, ""):
        assert budget._free == 0
    assert budget._free == 10
    assert not budget._waiting


def test_many_threads_and_sizes_end_and_never_hold_too_much() -> None:
    budget, held, most = Budget(100), [0], [0]
    lock = threading.Lock()

    def work(seed: int) -> None:
        for n in np.random.default_rng(seed).integers(1, 101, 50).tolist():
            with budget.reserved(n, ""):
                with lock:
                    held[0] += n
                    most[0] = max(most[0], held[0])
                with lock:
                    held[0] -= n

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 100
    assert budget._free == 100


# ---- how much there is


@pytest.mark.parametrize(("said", "expected"), [("1", 1_000_000), ("1500", 1_500_000_000)])
def test_the_variable_says_how_much(monkeypatch: pytest.MonkeyPatch, said: str, expected: int) -> None:
    monkeypatch.setenv("PATCHSEEK_MEMORY", said)
    assert _memory._allowed() == expected


@pytest.mark.parametrize("said", ["0", "-5", "2GB", "1.5", "much", " "])
def test_a_variable_that_is_no_number_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("PATCHSEEK_MEMORY", said)
    monkeypatch.setattr(_memory, "_budget", None)
    with pytest.raises(PatchseekError) as caught:
        read(saved(Image.new("RGB", (4, 4)), "PNG"))
    assert not isinstance(caught.value, ImageError)  # it is nothing about the picture
    assert str(caught.value) == f"PATCHSEEK_MEMORY={said}: is to be a number of MB"


def test_by_default_a_quarter_of_what_is_free_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATCHSEEK_MEMORY", raising=False)
    for free, expected in ((4 << 30, 1 << 30), (64 << 30, 2 << 30), (100 << 20, 256 << 20)):
        monkeypatch.setattr(_memory, "free_memory", lambda free=free: free)
        assert _memory._allowed() == expected


def test_the_tightest_limit_of_system_and_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def group(name: str, files: dict[str, str]) -> str:
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_text(content)
        return str(tmp_path / name)

    cached = "anon 1\ninactive_file 300\nactive_file 200\n"
    second = {"memory.max": "1000\n", "memory.current": "900\n", "memory.stat": cached}
    first = {"memory.limit_in_bytes": "5000\n", "memory.usage_in_bytes": "900\n", "memory.stat": cached}
    unlimited = {"memory.max": "max\n", "memory.current": "900\n", "memory.stat": cached}
    monkeypatch.setattr(_memory, "_system_free", lambda: 7777)
    for folders, free in (
        ([group("second", second)], 600),  # 1000 - 900 + 500 that are but cached
        ([group("first", first)], 4600),
        ([group("unlimited", unlimited), "/no/such/group"], 7777),
        ([str(tmp_path / "first"), str(tmp_path / "second")], 600),
    ):
        monkeypatch.setattr(_memory, "_groups", lambda folders=folders: folders)
        assert _memory.free_memory() == free


def test_what_is_free_here_is_what_the_system_says() -> None:
    with Path("/proc/meminfo").open() as lines:
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    assert 0 < _memory.free_memory() < 1.5 * available


# ---- pictures


def photo(mode: str = "RGB", size: tuple[int, int] = (2000, 1500)) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).convert(mode)


def tiff(samples: np.ndarray, **options: object) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, samples, metadata=None, **options)
    return file.getvalue()


def floats() -> np.ndarray:
    return np.asarray(photo(), np.float32)


PICTURES = {
    "JPEG": lambda: saved(photo(), "JPEG"),
    "JPEG, progressive": lambda: saved(photo(), "JPEG", progressive=True, subsampling=0),
    "JPEG, CMYK": lambda: saved(photo("CMYK"), "JPEG", progressive=True),
    "JPEG, cut": lambda: saved(photo(), "JPEG")[:-9000],
    "PNG": lambda: saved(photo(), "PNG", compress_level=1),
    "PNG, RGBA": lambda: saved(photo("RGBA"), "PNG", compress_level=1),
    "PNG, palette": lambda: saved(photo("P"), "PNG", compress_level=1),
    "PNG, cut": lambda: saved(photo(), "PNG", compress_level=1)[:-100_000],
    "GIF": lambda: saved(photo("P"), "GIF"),
    "BMP": lambda: saved(photo(), "BMP"),
    "PPM": lambda: saved(photo(), "PPM"),
    "WEBP": lambda: saved(photo(), "WEBP", method=0),
    "AVIF": lambda: saved(photo(), "AVIF", speed=10),
    "JPEG2000": lambda: saved(photo(), "JPEG2000"),
    "TIFF": lambda: tiff(np.asarray(photo()), photometric="rgb"),
    "TIFF, one strip": lambda: tiff(np.asarray(photo()), photometric="rgb", compression="lzw", rowsperstrip=1500),
    "TIFF, floats": lambda: tiff(floats(), photometric="rgb", compression="deflate", rowsperstrip=1500),
    "TIFF, JPEG": lambda: tiff(np.asarray(photo()), photometric="ycbcr", compression="jpeg", rowsperstrip=1504),
}
CHILD = """
import sys
from pathlib import Path
from patchseek.images import _memory, read

class Noted(_memory.Budget):
    def reserved(self, n_bytes, label):
        self.asked = n_bytes
        return super().reserved(n_bytes, label)

def now(name):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(name))

_memory._budget = Noted(4 << 30)
content = Path(sys.argv[1]).read_bytes()
need = int(sys.argv[2]) or None
small = Path(sys.argv[3]).read_bytes()
read(small)  # what is loaded for the first picture of a format is no part of it
Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak is that from now on
before = now("VmRSS")
read(content, need=need)
print(now("VmHWM") - before, _memory._budget.asked)
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak of a process is Linux's to say")
@pytest.mark.parametrize("need", [0, 200])
@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_takes_no_more_than_it_said(tmp_path: Path, kind: str, need: int) -> None:
    (tmp_path / "picture").write_bytes(PICTURES[kind]())
    format_ = kind.split(",")[0]
    (tmp_path / "small").write_bytes(saved(photo(size=(64, 48)), format_))
    command = [sys.executable, "-c", CHILD, str(tmp_path / "picture"), str(need), str(tmp_path / "small")]
    taken, asked = map(int, subprocess.run(command, capture_output=True, check=True, text=True).stdout.split())
    assert taken <= asked + (4 << 20)
    assert asked < 60 * 2000 * 1500 + (64 << 20)


def test_a_large_jpeg_that_is_wanted_small_needs_little(allow) -> None:
    content = saved(photo(size=(4000, 3000)), "JPEG")
    allow(30_000_000)
    assert read(content, need=200).pixels.shape == (375, 500, 3)
    assert reason(content).startswith("needs 110 MB to decode, 30 MB may be used")


@pytest.mark.parametrize("kind", PICTURES)
def test_every_format_is_refused_with_the_numbers_before_room_is_made_for_it(
    allow, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("room was made for its pixels")

    content = PICTURES[kind]()
    allow(1_000_000)
    for name in ("new", "fill"):
        monkeypatch.setattr(Image.core, name, refuse)
    assert "MB to decode, 1 MB may be used" in reason(content)


def test_pictures_that_together_are_too_large_are_read_one_at_a_time(allow) -> None:
    content = saved(photo(), "PNG", compress_level=1)
    budget = allow(50_000_000)  # for one and a half
    expected, found = read(content).pixels, []

    def work() -> None:
        found.append((read(content).pixels == expected).all())

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 6
    assert budget._free == 50_000_000


# ---- headers that promise what their files cannot hold


def chunk(name: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def claims() -> dict[str, bytes]:
    """Small files whose headers claim 196 megapixels: 14,000 x 14,000."""
    side = 14_000
    jpeg = bytearray(saved(photo(size=(64, 48)), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    gif = bytearray(saved(photo("P", size=(64, 48)), "GIF"))
    gif[6:10] = struct.pack("<HH", side, side)
    place = gif.index(b",")
    gif[place + 5 : place + 9] = struct.pack("<HH", side, side)
    bmp = bytearray(saved(photo(size=(64, 48)), "BMP"))
    bmp[18:26] = struct.pack("<ii", side, side)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    tags = {256: side, 257: side, 258: 8, 259: 1, 262: 1, 273: 1000, 277: 1, 278: side, 279: side * side}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return {
        "PNG": b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(9999)))
        + chunk(b"IEND"),
        "GIF": bytes(gif),
        "JPEG": bytes(jpeg),
        "BMP": bytes(bmp),
        "PPM": b"P6\n14000 14000\n255\n" + bytes(1000),
        "PPM, plain": b"P3\n14000 14000\n255\n" + b"1 " * 1000,
        "TIFF": struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(1000),
    }


@pytest.mark.parametrize("kind", claims())
def test_a_header_of_many_pixels_and_a_file_of_few_bytes_make_no_picture_and_take_no_room(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("room was made for its pixels")

    content = claims()[kind]
    monkeypatch.setattr(Image.core, "new", refuse)
    monkeypatch.setattr(Image.core, "fill", refuse)
    assert reason(content).startswith("cut off: ")
