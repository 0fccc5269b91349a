"""Pages of PDFs: drawn as they are shown, and hostile files do no harm."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pypdfium2
import pytest
from numpy.typing import NDArray
from PIL import Image

from patchseek import images
from patchseek.errors import ImageError, MissingExtra
from patchseek.sources import _documents
from patchseek.sources._documents import Pool, count_pages, page, size_in_points
from patchseek.sources._documents_child import MAX_PIXELS, Reader, Refusal, pixels_of

from .conftest import blot, wait_for
from .pdfs import RED_LEFT, endless, laughing, locked, one_page, pdf, stream

pytestmark = pytest.mark.extra("pdf")

COLOURS = b"/BitsPerComponent 8 /ColorSpace /DeviceRGB"
RED, WHITE, BLUE = (255, 0, 0), (255, 255, 255), (0, 0, 255)
ROOT = Path(__file__).parents[1]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(content: bytes, name: str = "a.pdf") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


@pytest.fixture
def make_pool() -> Iterator[Callable[..., Pool]]:
    """make_pool(n_processes, seconds, memory) -> a pool, which is closed at last."""
    pools: list[Pool] = []

    def make(*limits: float, **named: float) -> Pool:
        pools.append(Pool(*limits, **named))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def pixels(ppm: bytes) -> NDArray[np.uint8]:
    return images.read(ppm).pixels


def shown(file: Path, number: int = 1, dpi: float = 72) -> NDArray[np.uint8]:
    return pixels(page(file, number, dpi=dpi))


def reason(ask: Callable[..., object], *question: object, **options: float) -> str:
    with pytest.raises(ImageError) as error:
        ask(*question, **options)
    assert "\n" not in str(error.value)
    return error.value.reason


def tiles(seed: int, width: int, height: int) -> Image.Image:
    """Random tiles of 32 x 32 pixels, which JPEG keeps well."""
    return blot(seed, width // 4, height // 4).resize((width, height), Image.Resampling.NEAREST)


# ---- what is shown


def test_the_pages_of_scans_are_the_pictures_that_were_saved(tmp_path):
    scans = [tiles(1, 640, 448), tiles(2, 320, 512), tiles(3, 64, 64)]
    scans[0].save(tmp_path / "scans.pdf", "PDF", resolution=150, save_all=True, append_images=scans[1:])
    assert count_pages(tmp_path / "scans.pdf") == 3
    for number, scan in enumerate(scans, 1):
        found = pixels(page(tmp_path / "scans.pdf", number))
        assert found.shape == (scan.height, scan.width, 3)
        assert np.abs(found.astype(int) - np.asarray(scan)).mean() < 5  # of another it is 85


def test_a_picture_that_lost_nothing_is_shown_pixel_by_pixel(write):
    colours = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    picture = stream(colours.tobytes(), b"/Type /XObject /Subtype /Image /Width 4 /Height 2 " + COLOURS)
    entries = b"/MediaBox [0 0 4 2] /Resources << /XObject << /P 5 0 R >> >>"
    assert (shown(write(one_page(b"4 0 0 2 0 0 cm /P Do", entries, [picture]))) == colours).all()


def test_a_page_is_turned_as_it_says(write):
    file = write(one_page(page=b"/MediaBox [0 0 200 100] /Rotate 90"))
    assert size_in_points(file, 1) == (100, 200)
    found = shown(file)
    assert found.shape == (200, 100, 3)
    assert (found[:100] == RED).all() and (found[100:] == WHITE).all()  # what was left is above


def test_a_page_is_cut_to_its_crop_box(write):
    file = write(one_page(page=b"/MediaBox [0 0 200 100] /CropBox [80 20 200 60]"))
    assert size_in_points(file, 1) == (120, 40)
    found = shown(file)
    assert found.shape == (40, 120, 3)
    assert (found[:, :20] == RED).all() and (found[:, 20:] == WHITE).all()


@pytest.mark.parametrize(
    "turn, to_document",
    [
        (0, lambda x, y: (10 + x, 120 - y)),
        (90, lambda x, y: (10 + y, 20 + x)),
        (180, lambda x, y: (210 - x, 20 + y)),
        (270, lambda x, y: (210 - y, 120 - x)),
    ],
)
def test_a_place_on_a_page_is_found_in_its_document_as_the_docs_say(write, turn, to_document):
    """A square whose middle is at (56, 34)."""
    boxes = b"/MediaBox [0 0 300 200] /CropBox [10 20 210 120] /Rotate %d" % turn
    found = shown(write(one_page(b"1 0 0 rg 54 32 4 4 re f", boxes)), dpi=144)
    rows, columns = np.nonzero((found == RED).all(axis=2))
    assert to_document((columns.mean() + 0.5) * 72 / 144, (rows.mean() + 0.5) * 72 / 144) == pytest.approx((56, 34))


def test_a_page_need_not_begin_at_nought(write):
    found = shown(write(one_page(page=b"/MediaBox [-100 -50 100 50]")))
    assert (found[:50, 100:] == RED).all()  # 0 to 100 from the left and from below
    assert (found[50:] == WHITE).all() and (found[:, :100] == WHITE).all()


def test_a_page_that_inherits_its_box_has_it(write):
    file = write(
        pdf(
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R 3 0 R] /Count 2 /MediaBox [0 0 30 20] /Rotate 270 >>",
            b"<< /Type /Page /Parent 2 0 R >>",
        )
    )
    assert count_pages(file) == 2
    assert size_in_points(file, 2) == (20, 30)


def test_colours_blend_with_the_paper(write):
    """Red with luminosity 0.3 in a group that is so opaque: 0.1 * 255 + 0.9 * 0.3 * 255."""
    group = stream(RED_LEFT, b"/Type /XObject /Subtype /Form /BBox [0 0 200 100] /Group << /S /Transparency /I true >>")
    resources = b"<< /ExtGState << /G << /ca 0.9 /BM /Luminosity >> >> /XObject << /F 5 0 R >> >>"
    file = write(one_page(b"/G gs /F Do", b"/MediaBox [0 0 200 100] /Resources " + resources, [group]))
    found = shown(file)
    assert np.abs(found[:, :100] - 94.35).max() < 1
    assert (found[:, 100:] == WHITE).all()


def test_notes_and_forms_are_drawn(write):
    look = stream(b"0 0 1 rg 0 0 50 50 re f", b"/Type /XObject /Subtype /Form /BBox [0 0 50 50]")
    note = b"<< /Type /Annot /Subtype /Stamp /Rect [0 0 50 50] /F 4 /AP << /N 5 0 R >> >>"
    field = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) /Rect [150 50 200 100] /F 4 /AP << /N 5 0 R >> >>"
    entries = b"/MediaBox [0 0 200 100] /Annots [6 0 R 7 0 R]"
    file = write(one_page(b"", entries, [look, note, field], b"/AcroForm << /Fields [7 0 R] >>"))
    found = shown(file)
    assert (found[51:, :49] == BLUE).all()
    assert (found[1:49, 151:] == BLUE).all()
    assert (found[:, 51:149] == WHITE).all()


def test_the_dots_per_inch_say_how_many_pixels_there_are(write):
    file = write(one_page())
    assert shown(file, dpi=36).shape == (50, 100, 3)
    assert shown(file, dpi=144).shape == (200, 400, 3)
    assert pixels(page(file, 1)).shape == (208, 417, 3)  # 208.33, 416.67


@pytest.mark.parametrize(
    "size, dpi, expected",
    [
        ((595.276, 841.89), 150, (1240, 1754)),  # A4
        ((595.2, 841.92), 150, (1240, 1754)),  # a scan of so many pixels
        ((0.2, 72), 72, (1, 72)),
        ((14400, 14400), 150, (6000, 6000)),
        ((28800, 7200), 150, (12000, 3000)),
        ((144000, 36), 72, (30000, 7)),  # 7.5, and no more than the limit
        ((1e30, 1e30), 150, (6000, 6000)),
    ],
)
def test_a_page_has_the_pixels_of_its_size_within_the_limits(size, dpi, expected):
    assert pixels_of(*size, dpi) == pytest.approx(expected, abs=1 if max(size) > 1e6 else 0)


def test_a_page_of_two_hundred_inches_is_drawn_smaller(write):
    file = write(one_page(b"1 0 0 rg 0 0 7200 14400 re f", b"/MediaBox [0 0 14400 14400]"))
    assert size_in_points(file, 1) == (14400, 14400)
    ppm = page(file, 1)
    assert ppm.startswith(b"P6\n6000 6000\n255\n")
    assert 6000 * 6000 == MAX_PIXELS < images.MAX_PIXELS
    found = np.frombuffer(ppm[-3 * 6000 :], np.uint8).reshape(6000, 3)  # the last row
    assert (found[:3000] == RED).all() and (found[3000:] == WHITE).all()


@pytest.mark.parametrize("name", ["报告 2024.pdf", "100 %20#1.pdf", "~a.pdf", "-a\nb'\".PDF", "l'été\udce9.pdf"])
def test_files_may_have_any_name(write, name):
    assert count_pages(write(one_page(), name)) == 1


def test_a_path_may_be_relative(write, monkeypatch):
    file = write(one_page())
    count_pages(file)  # so that the process has begun in another folder
    monkeypatch.chdir(file.parent)
    assert count_pages(Path("a.pdf")) == 1


# ---- what is refused


def test_what_is_no_pdf_says_so(write, tmp_path):
    assert reason(count_pages, tmp_path / "none.pdf") == "no such file or directory"
    assert reason(count_pages, tmp_path) == "is a directory"
    assert reason(count_pages, write(b"")) == "empty file"
    assert reason(count_pages, write(b"\x89PNG\r\n\x1a\n" * 99)) == "is no PDF"
    assert reason(count_pages, write(np.random.default_rng(0).bytes(9999))) == "is no PDF"
    os.mkfifo(tmp_path / "pipe.pdf")
    assert reason(count_pages, tmp_path / "pipe.pdf") == "is not a regular file"


def test_what_is_broken_says_so(write, tmp_path):
    tiles(1, 64, 64).save(tmp_path / "whole.pdf", "PDF")
    whole = (tmp_path / "whole.pdf").read_bytes()
    assert reason(count_pages, write(b"%PDF-1.7\n")) == "is broken"
    assert reason(page, write(whole[: len(whole) // 2]), 1) == "is broken"
    assert reason(size_in_points, write(b"%PDF-1.7\n" + np.random.default_rng(0).bytes(9999)), 1) == "is broken"


def test_a_password_is_said_to_be_needed_and_an_owners_alone_is_not(write):
    assert reason(page, write(locked(for_users=True)), 1) == "is locked with a password"
    assert (shown(write(locked(for_users=False))) == WHITE).all()


def test_a_page_that_is_not_there_is_refused(write):
    file = write(one_page())
    for number in (-1, 0, 2, 10**12):
        assert reason(page, file, number) == f"has no page {number}, only 1"
        assert reason(size_in_points, file, number) == f"has no page {number}, only 1"
    for dpi in (0.0, -1.0, float("nan"), float("inf")):
        assert "dpi" in reason(page, file, 1, dpi=dpi)


def test_pages_that_a_document_only_claims_do_not_count(write):
    file = write(one_page().replace(b"/Count 1 ", b"/Count 9 "))
    assert count_pages(file) == 1
    assert reason(page, file, 2) == "has no page 2, only 1"
    empty = pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 1000000 >>")
    assert reason(count_pages, write(empty)) == "has no pages"


def test_a_document_without_pages_is_not_taken_for_the_one_before_it(write):
    assert reason(count_pages, write(locked(for_users=True))) == "is locked with a password"
    empty = pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 0 >>")
    assert reason(count_pages, write(empty)) == "is broken"


def test_without_the_library_its_extra_is_named(write, tmp_path, monkeypatch, make_pool):
    (tmp_path / "pypdfium2.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    pool = make_pool(1)
    with pytest.raises(MissingExtra, match="pypdfium2 is not installed; get the extra 'pdf'"):
        pool.ask(write(one_page()))
    monkeypatch.undo()
    assert pool.ask(write(one_page()))[0]["n_pages"] == 1  # as soon as it is there


# ---- what is hostile


def test_a_page_that_takes_too_long_is_given_up_and_the_next_one_drawn(write, make_pool):
    pool = make_pool(1, 1.0)
    with pytest.raises(ImageError, match=r"slow\.pdf: takes more than 1 s") as error:
        pool.ask(write(endless(), "slow.pdf"), 1, 72)
    assert error.value.passing
    assert pool.ask(write(one_page()), 1, 72)[1].startswith(b"P6\n200 100")


def test_a_page_that_takes_too_much_memory_is_given_up_and_the_next_one_drawn(write, make_pool):
    pool = make_pool(1, memory=200 << 20)
    assert "takes too much memory" in reason(pool.ask, write(laughing(12), "large.pdf"), 1, 72)
    assert pool.ask(write(one_page()), 1, 72)[1].startswith(b"P6\n200 100")


def test_forms_that_draw_themselves_end(write):
    form = stream(b"/F Do " + RED_LEFT, b"/Type /XObject /Subtype /Form /BBox [0 0 200 100] /Resources 6 0 R")
    entries = b"/MediaBox [0 0 200 100] /Resources 6 0 R"
    found = shown(write(one_page(b"/F Do", entries, [form, b"<< /XObject << /F 5 0 R >> >>"])))
    assert (found[:, 100:] == WHITE).all()


def test_a_picture_that_claims_to_be_giant_is_left_out(write, make_pool):
    pool = make_pool(1)
    giant = stream(b"", b"/Type /XObject /Subtype /Image /Width 200000 /Height 200000 " + COLOURS)
    entries = b"/MediaBox [0 0 200 100] /Resources << /XObject << /P 5 0 R >> >>"
    content = RED_LEFT + b" q 100 0 0 100 100 0 cm /P Do Q"
    found = pixels(pool.ask(write(one_page(content, entries, [giant])), 1, 72)[1])
    assert (found[:, :100] == RED).all()


STAND_IN = """
import ctypes, os, sys
class PdfiumError(RuntimeError): pass
class raw:
    FPDF_LoadMemDocument = lambda *_: None
def PdfDocument(file):
    {act}
"""


@pytest.mark.parametrize(
    "act, expected",
    [
        ("ctypes.string_at(0)", "crashes PDFium (SIGSEGV)"),
        ("os.abort()", "crashes PDFium, or takes too much memory"),
        ("os.kill(os.getpid(), 9)", "too little memory to draw it"),
        ("os._exit(3)", "PDFium fails"),
        ("bytearray(1 << 50)", "crashes PDFium, or takes too much memory"),
        ("raise OverflowError('odd\\nwords')", "cannot be drawn: odd words"),
    ],
)
def test_what_breaks_the_library_down_is_one_files_error(write, tmp_path, monkeypatch, act, expected, make_pool):
    (tmp_path / "pypdfium2.py").write_text(STAND_IN.format(act=act))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    pool = make_pool(1)
    for _ in range(2):
        assert reason(pool.ask, write(one_page())) == expected
    monkeypatch.undo()
    pool.close()  # a stand-in may have no wish to end
    assert pool.ask(write(one_page()))[0]["n_pages"] == 1


def test_a_process_that_died_between_two_pages_costs_neither(write, make_pool):
    pool = make_pool(1)
    file = write(one_page())
    before = pool.ask(file, 1, 72)[1]
    (process,) = children_of(pool)
    os.kill(process, signal.SIGKILL)
    assert pool.ask(file, 1, 72)[1] == before
    assert children_of(pool) != [process]


def test_a_process_that_has_grown_is_replaced(write, make_pool):
    pool = make_pool(1, memory=256 << 20)
    file = write(one_page(page=b"/MediaBox [0 0 14400 14400]"))
    first = pool.ask(file, 1, 150)[1]  # of 108 MB
    assert children_of(pool) == []
    assert pool.ask(file, 1, 150)[1] == first


def test_a_large_process_keeps_those_that_draw_for_it(write, make_pool):
    pool, file = make_pool(1, memory=1 << 30), write(one_page())  # one that takes a fourth of that is replaced
    large = b"x" * (300 << 20)
    pool.ask(file, 1, 72)
    (process,) = children_of(pool)
    pool.ask(file, 1, 72)
    assert children_of(pool) == [process]
    assert large


def children_of(pool: Pool) -> list[int]:
    """The ids of its processes."""
    return [each._child.pid for each in pool._all if each._child is not None]


# ---- many pages, many threads, many processes


def test_many_threads_get_the_bytes_that_one_gets(tmp_path):
    files = [tmp_path / f"{i}.pdf" for i in range(3)]
    for i, file in enumerate(files):
        scans = [tiles(10 * i + j, 256, 128) for j in range(3)]
        scans[0].save(file, "PDF", resolution=150, save_all=True, append_images=scans[1:])
    wanted = [(file, number) for file in files for number in (1, 2, 3)]
    alone = [page(*each) for each in wanted]
    assert len(set(alone)) == 9
    found: dict[int, bytes] = {}
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(9), (12, 1)), axis=1)

    def ask(i: int) -> None:
        for j in orders[i]:
            found[9 * i + j] = page(*wanted[j])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(9 * 12)] == alone * 12


def test_one_caller_is_served_by_one_process(write, make_pool):
    pool = make_pool(2)
    for name in ("a.pdf", "b.pdf", "a.pdf"):
        pool.ask(write(one_page(), name), 1, 72)
    assert len(children_of(pool)) == 1


def test_a_document_is_opened_once_for_all_its_pages(tmp_path):
    scans = [tiles(i, 64, 64) for i in range(5)]
    scans[0].save(tmp_path / "scans.pdf", "PDF", save_all=True, append_images=scans[1:])
    opened = []

    def note(file: object) -> pypdfium2.PdfDocument:
        opened.append(file)
        return pypdfium2.PdfDocument(file)

    spied = {**vars(pypdfium2), "PdfDocument": note}
    reader, path = Reader(SimpleNamespace(**spied)), os.fsencode(tmp_path / "scans.pdf").hex()
    assert reader.answer(path)[0] == {"n_pages": 5}
    drawn = [b"".join(reader.answer(path, number, 72.0)[1]) for number in (1, 2, 3, 4, 5)]
    reader.close()
    assert len(set(drawn)) == 5 and len(opened) == 1


def test_a_file_that_is_replaced_is_read_anew(write):
    file = write(one_page())
    assert (shown(file)[0, 0] == RED).all()
    write(one_page(b""))
    assert (shown(file)[0, 0] == WHITE).all()
    file.unlink()
    assert reason(page, file, 1) == "no such file or directory"


def test_a_file_that_changes_while_it_is_drawn_gives_no_page(write):
    reader, path = Reader(pypdfium2), os.fsencode(write(one_page())).hex()
    draw = reader._draw

    def meddle(*question: object) -> object:
        write(one_page(b""))
        return draw(*question)

    reader._draw = meddle
    with pytest.raises(Refusal, match="changed while it was read"):
        reader.answer(path, 1, 72.0)
    reader.close()


ASKER = """
import sys
from pathlib import Path
from patchseek.sources._documents import page
sys.stdout.write("PDF" if page(Path(sys.argv[1]), 1) else "")
sys.stdout.flush()
sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux names the children of a process")
@pytest.mark.parametrize("is_killed", [False, True])
def test_the_process_that_draws_ends_with_the_one_that_asked(write, is_killed):
    command = [sys.executable, "-c", ASKER, str(write(one_page()))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asker:
        assert asker.stdout.read(3) == b"PDF"
        drawer = int(Path(f"/proc/{asker.pid}/task/{asker.pid}/children").read_text())
        if is_killed:
            asker.kill()
    assert asker.returncode == (-signal.SIGKILL if is_killed else 0)
    state = Path(f"/proc/{drawer}/status")
    wait_for(lambda: not state.exists() or "State:\tZ" in state.read_text())


FORKED = """
import os, sys
from pathlib import Path
from patchseek.sources import _documents
file = Path(sys.argv[1])
before = _documents.page(file, 1)
if not (child := os.fork()):
    drawn = _documents.page(file, 1)
    _documents._pool.close()
    os._exit(drawn != before)
assert os.waitpid(child, 0)[1] == 0
assert _documents.page(file, 1) == before
"""


def test_a_forked_process_has_processes_of_its_own(write):
    command = [sys.executable, "-W", "error", "-c", FORKED, str(write(one_page()))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_process_that_cannot_be_started_is_said_to_be_lacking(write, monkeypatch, make_pool):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert reason(make_pool(1).ask, write(one_page())) == "no process can be started to draw it"
    assert _documents.N_PROCESSES == 2
