"""The program that `_documents` starts: opens PDFs with PDFium and draws their pages, one question at a time.

    python -P _documents_child.py MEMORY_BYTES SECONDS

A question is a line of JSON on standard input; the answer is one on standard output and, for a page, its PPM. It holds
itself to that much memory, ends where an answer takes longer, and with its input. It writes no file. It is run as a
file and imports nothing of ours but what the system is asked for, so that it starts quickly.
"""

import json
import math
import os
import signal
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

if __name__ == "__main__":  # patchseek is what this file lies in, wherever that is
    sys.modules["patchseek"] = package = ModuleType("patchseek")
    package.__path__ = [str(Path(__file__).parents[1])]

from patchseek._platform import be_ended_first, limit_for_good, peak_memory, reading_flags, start_clock, stop_clock

MAX_PIXELS = 36_000_000
"""Of a page that is drawn: A0 at 150 dpi has 35 million, and they can be read where there is little memory."""
MAX_SIDE = 30_000
"""Pixels in a row or column of a page: 200 inches, the format's own limit, at 150 dpi."""
_HEAD = 1024  # bytes among which a PDF has to begin
_REASONS = {4: "is locked with a password", 5: "is encrypted in a way that PDFium does not know"}
# by PDFium's codes of errors; all others are one reason

Bytes = bytes | memoryview
Answer = tuple[dict[str, Any], Sequence[Bytes]]
"""What is to be known, and the bytes that follow it."""


class Refusal(Exception):
    """What is wrong with a file, in a clause. is_passing: whether another try may do."""

    def __init__(self, reason: str, is_passing: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.is_passing = reason, is_passing


def pixels_of(width: float, height: float, dpi: float) -> tuple[int, int]:
    """Width and height in pixels of a page of so many points: at dpi, or smaller so that it keeps to the limits."""
    wanted = dpi / 72
    scale = min(wanted, MAX_SIDE / max(width, height), math.sqrt(MAX_PIXELS / (width * height)))
    whole = round if scale == wanted else math.floor  # never past a limit
    return max(1, whole(width * scale)), max(1, whole(height * scale))


class Reader:
    """Answers questions about PDFs. The document that was asked about last stays open."""

    def __init__(self, pdfium: Any) -> None:
        """pdfium: the module pypdfium2."""
        self._pdfium, self._c = pdfium, pdfium.raw
        self._document: Any = None
        self._file: BinaryIO | None = None
        self._path, self._state, self._n_pages = "", [0], 0

    def answer(self, path: str, number: int | None = None, dpi: float | None = None) -> Answer:
        """How many pages there are; with a number, from 1, the size of that page; with dpi too, the page.

        path: its bytes in hex. Raises Refusal, OSError, MemoryError, or what pypdfium2 raises.
        """
        document = self._opened(path)
        if number is None:
            return {"n_pages": self._n_pages}, ()
        if not 1 <= number <= self._n_pages:
            raise Refusal(f"has no page {number}, only {self._n_pages}")
        try:
            width, height = document.get_page_size(number - 1)
            if not (0 < width < math.inf and 0 < height < math.inf):
                raise Refusal(f"its page {number} has no size")
            if dpi is None:
                return {"size": (width, height)}, ()
            drawn = self._draw(document, number, pixels_of(width, height, dpi))
        except self._pdfium.PdfiumError as error:
            raise Refusal(f"its page {number} cannot be read") from error
        if self._file is None or _state(os.fstat(self._file.fileno())) != self._state:
            raise Refusal("changed while it was read", is_passing=True)
        return {}, drawn

    def _opened(self, path: str) -> Any:
        """The document of a file, opened anew where it is not the one that is open."""
        name = Path(os.fsdecode(bytes.fromhex(path)))
        found = _checked(name.stat())  # before opening: to open a device may already do something
        if self._document is not None and (self._path, self._state) == (path, _state(found)):
            return self._document
        self.close()
        file = os.fdopen(os.open(name, reading_flags()), "rb", buffering=0)
        try:
            found = _checked(os.fstat(file.fileno()))  # it may be another one by now
            document = self._parsed(file)
            self._n_pages = self._count(document)
        except BaseException:
            file.close()
            raise
        self._document, self._file, self._path, self._state = document, file, path, _state(found)
        return document

    def _parsed(self, file: BinaryIO) -> Any:
        head = file.read(_HEAD)
        if b"%PDF-" not in head:
            raise Refusal("is no PDF" if head else "empty file")
        self._c.FPDF_LoadMemDocument(b"", 0, None)  # what was wrong with the last document shall not count for this one
        try:
            document = self._pdfium.PdfDocument(file)
        except self._pdfium.PdfiumError as error:
            raise Refusal(_REASONS.get(error.err_code, "is broken")) from error
        with suppress(self._pdfium.PdfiumError):  # then its forms are not drawn
            document.init_forms()
        return document

    def close(self) -> None:
        """Close the document that is open."""
        if self._document is not None:
            self._document.close()
        if self._file is not None:
            self._file.close()
        self._document = self._file = None

    def _count(self, document: Any) -> int:
        """The pages that are there. A document may say that there are more, of which the last are missing then."""
        n, size = len(document), self._c.FS_SIZEF()

        def is_there(i: int) -> bool:
            return bool(self._c.FPDF_GetPageSizeByIndexF(document, i, size))

        if is_there(n - 1):
            return n
        low, high = 0, n - 1  # all before low are there; high is not
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if is_there(middle) else (low, middle)
        if not low:
            raise Refusal("has no pages")
        return low

    def _draw(self, document: Any, number: int, size: tuple[int, int]) -> Sequence[Bytes]:
        """A page (from 1) as a PPM of a size."""
        c, page = self._c, document.get_page(number - 1)
        try:
            blends = bool(c.FPDFPage_HasTransparency(page))  # which goes wrong without an alpha, however opaque
            kind = c.FPDFBitmap_BGRA if blends else c.FPDFBitmap_BGR
            bitmap = self._pdfium.PdfBitmap.new_native(*size, kind, rev_byteorder=True)
            c.FPDFBitmap_FillRect(bitmap, 0, 0, *size, 0xFFFFFFFF)
            how = (bitmap, page, 0, 0, *size, 0, c.FPDF_ANNOT | c.FPDF_REVERSE_BYTE_ORDER)
            c.FPDF_RenderPageBitmap(*how)
            if document.formenv:
                c.FPDF_FFLDraw(document.formenv, *how)
            content = memoryview(bitmap.buffer).cast("B")
            return b"P6\n%d %d\n255\n" % size, _without_alpha(content) if blends else content
        finally:
            page.close()


def _without_alpha(content: memoryview) -> memoryview:
    """RGB of opaque RGBA."""
    rgba, rgb = bytes(content), bytearray(len(content) // 4 * 3)
    for i in range(3):
        rgb[i::3] = rgba[i::4]
    return memoryview(rgb)


def _checked(found: os.stat_result) -> os.stat_result:
    """The same. Raises Refusal for what is no regular file."""
    if not stat.S_ISREG(found.st_mode):
        raise Refusal("is a directory" if stat.S_ISDIR(found.st_mode) else "is not a regular file")
    return found


def _state(found: os.stat_result) -> list[int]:
    """What changes where a file is written or replaced."""
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns]


def _serve(n_bytes: int, seconds: float) -> None:
    """Answer question after question."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    reader: Reader | None = None
    wrong: dict[str, Any] = {}
    try:
        import pypdfium2

        reader = Reader(pypdfium2)
    except ImportError:
        wrong = {"is_missing": True}
    except OSError as error:  # of the library that it loads
        wrong = {"reason": f"PDFium cannot be loaded: {error}"}
    while line := sys.stdin.buffer.readline():
        start_clock(seconds)
        answer, content = (wrong, ()) if reader is None else _answer(reader, json.loads(line))
        stop_clock()
        is_last = reader is None or 4 * peak_memory() > n_bytes  # what documents have gathered shall not harm others
        sizes = [len(part) for part in content]
        answers.write(json.dumps({**answer, "n_bytes": sum(sizes), "is_last": is_last}).encode() + b"\n")
        for part in content:
            answers.write(part)
        answers.flush()
        if is_last:
            return


def _answer(reader: Reader, question: list[Any]) -> Answer:
    """The answer, or what is wrong."""
    try:
        return reader.answer(*question)
    except Refusal as refusal:
        return {"reason": refusal.reason, "is_passing": refusal.is_passing}, ()
    except OSError as error:
        return {"reason": (error.strerror or str(error)).lower(), "is_passing": bool(error.errno)}, ()
    except MemoryError:
        os.abort()  # as PDFium does; maybe it is what came before that takes it
    except Exception as error:  # of pypdfium2
        return {"reason": f"cannot be drawn: {' '.join(str(error).split())}"[:200]}, ()


if __name__ == "__main__":
    limit_for_good(int(sys.argv[1]))
    be_ended_first()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a key that is pressed is for the one who asks
    _serve(int(sys.argv[1]), float(sys.argv[2]))
