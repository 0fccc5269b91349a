"""JPEG 2000 of other than eight bits: Pillow rounds its whitest white to black, and leaves few bits as they are.

ITU T.800, annex A: a codestream begins with SIZ, which says how many bits each component has. Of more than eight,
Pillow is given a codestream that says otherwise, so that nothing is rounded beyond the end; its pixels are scaled here.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import IO

import numpy as np
from PIL import Jpeg2KImagePlugin

_CODESTREAM = b"\xff\x4f\xff\x51"  # its start, and SIZ
_COD, _COC, _SOT, _SOD = 0xFF52, 0xFF53, 0xFF90, 0xFF93
_SYCC = b"colr\x01\0\0" + struct.pack(">I", 18)  # the box of a colour space, ISO 15444-1, annex I
_HEAD = 1 << 16


@dataclass(frozen=True)
class _Said:
    """SIZ: what a codestream says of its components."""

    place: int
    # in the file, of the first component
    size: tuple[int, int]
    bits: tuple[int, ...]
    is_shared: bool
    # whether some have fewer samples than others


class Jpeg2000(Jpeg2KImagePlugin.Jpeg2KImageFile):
    """A JPEG 2000 whose samples are scaled by their bits."""

    _table: list[int] | None = None

    def _open(self) -> None:
        assert self.fp is not None
        said = _said(self.fp)
        self.fp.seek(0)
        super()._open()
        if said.size != self.size:
            raise OSError("its container and its content differ in size")
        most = max(said.bits)
        if most > 16:
            raise OSError(f"a JPEG 2000 of {most} bits is not read here")
        if most > 8 and self.mode != "I;16":  # whose values Pillow keeps whole
            self._restate(said)
        elif min(said.bits) < 8:
            self._table = [value for bits in said.bits for value in _table(bits, self.mode[0] == "P", False)]

    def _restate(self, said: _Said) -> None:
        """Have Pillow read a codestream of other bits, and remember how its pixels are to be scaled.

        With the wavelet that loses, what its coefficients stand for follows the bits: eight of them are exact. With the
        other one only the middle grey moves: one bit more leaves room above and below, for one of eight that is lost.
        """
        self.fp.seek(0)  # type: ignore[union-attr]
        content = bytearray(self.fp.read())  # type: ignore[union-attr]
        is_exact = _is_reversible(bytes(content), said.place)
        if is_exact is None or said.is_shared or _SYCC in content[:_HEAD]:
            raise OSError(f"a JPEG 2000 of {max(said.bits)} bits and colours that differ in kind is not read here")
        for i, bits in enumerate(said.bits):
            sign = content[said.place + 3 * i] & 0x80
            content[said.place + 3 * i] = sign | (bits if is_exact else 7)  # one less than there are
        self.fp = BytesIO(content)
        super()._open()
        self._table = [value for bits in said.bits for value in _table(bits, False, is_exact)]

    def load(self) -> object:  # type: ignore[override]
        """Decode, and scale what was decoded."""
        loaded = super().load()
        if self._table is not None:
            table, self._table = self._table, None
            self.im = self.point(table).im
        return loaded


def _said(file: IO[bytes]) -> _Said:
    """SIZ of the first codestream of a file. Raises OSError where there is none."""
    head, start = b"", 0
    while (at := head.find(_CODESTREAM)) < 0:
        start += max(0, len(head) - 3)
        file.seek(start)
        head = file.read(_HEAD)
        if len(head) <= 3:
            raise OSError("a JPEG 2000 without a codestream")
    place = start + at + 4  # of the length of SIZ
    file.seek(place)
    fixed = file.read(38)
    (x1, y1, x0, y0), (n,) = struct.unpack_from(">IIII", fixed, 4), struct.unpack_from(">H", fixed, 36)
    each = file.read(3 * n)
    bits = tuple((each[3 * i] & 0x7F) + 1 for i in range(n))
    steps = {each[3 * i + 1 : 3 * i + 3] for i in range(n)}
    return _Said(place + 38, (x1 - x0, y1 - y0), bits, len(steps) > 1)


def _is_reversible(content: bytes, siz: int) -> bool | None:
    """Whether the wavelet of a codestream is the one that loses nothing; None where it is not the same everywhere."""
    kinds = []
    for marker, at in _markers(content, siz - 42 + 2):
        if marker == _COC:
            return None
        if marker == _COD:
            kinds.append(content[at + 13])
    return bool(kinds[0]) if len(set(kinds)) == 1 else None


def _markers(content: bytes, at: int) -> Iterator[tuple[int, int]]:
    """The markers of the main header, from SIZ on, and of the headers of all tile parts, and where they stand."""
    part_end = 0
    while at + 4 <= len(content):
        marker, length = struct.unpack_from(">HH", content, at)
        if marker == _SOD:
            if part_end <= at:
                return
            at = part_end
            continue
        yield marker, at
        if marker == _SOT:
            part_end = at + struct.unpack_from(">I", content, at + 6)[0]
        at += 2 + length


def _table(bits: int, is_index: bool, is_moved: bool) -> list[int]:
    """What each of the 256 values of a component becomes. is_moved: whether it was given a bit more, see _restate."""
    values = np.arange(256.0)
    if is_index:
        return [value >> max(0, 8 - bits) for value in range(256)]
    top = 2.0**bits - 1
    samples = (values - 64) * 2.0 ** (bits - 7) if is_moved else values * 2.0 ** (bits - 8)
    return [int(value + 0.5) for value in (samples * 255 / top).clip(0, 255)]
