"""A file packed by gzip as one that can be read from anywhere: states of the unpacker are kept on the way.

The first reading goes through the file; later ones begin at the last state before the place that is asked for. (So do
zran, in zlib's examples, and what came from it.)
"""

import zlib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import SEEK_CUR, SEEK_END, SEEK_SET, RawIOBase
from typing import Any, BinaryIO

_STEP = 1 << 20
# unpacked bytes between two states, at first; a state holds some 40 KB
_MOST = 256
# states; where there would be more every other is dropped, and the steps are twice as large from then on
_PIECE = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class _State:
    """How far the file is unpacked."""

    at: int
    # unpacked bytes before
    n_read: int
    # bytes read from the file
    unpacker: Any
    # zlib's
    rest: bytes = b""
    # bytes read from the file that the unpacker has not taken yet

    def copy(self) -> "_State":
        """One that may be gone on from, while this one stays."""
        return replace(self, unpacker=self.unpacker.copy())


class Gunzipped(RawIOBase):
    """The unpacked bytes of a file, for one thread at a time. What is wrong with it is an OSError."""

    def __init__(self, open_packed: Callable[[], BinaryIO]) -> None:
        """open_packed: opens the file, for each piece of it anew, so that none is held open."""
        self._open_packed, self._place, self._step = open_packed, 0, _STEP
        self._states = [_State(0, 0, zlib.decompressobj(_GZIP))]
        self._now = self._states[0].copy()
        self._piece = b""  # the last unpacked bytes before `now`

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The next byte to be read."""
        return self._place

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        """As any file. To its end only by unpacking all of it."""
        if whence == SEEK_END:
            self._go_to(1 << 62)
        base = {SEEK_SET: 0, SEEK_CUR: self._place, SEEK_END: self._now.at}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        """As any file. Raises OSError for a damaged one."""
        if not self._go_to(self._place):
            return 0
        begin = self._place - (self._now.at - len(self._piece))
        part = self._piece[begin : begin + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

    def _go_to(self, place: int) -> bool:
        """Unpack until the last piece holds a place; whether the file goes so far."""
        begin = self._now.at - len(self._piece)
        best = self._states[bisect_right(self._states, place, key=lambda state: state.at) - 1]
        if place < begin or best.at > self._now.at:
            self._now, self._piece = best.copy(), b""
        while place >= self._now.at:
            if not self._unpack():
                return False
        return True

    def _unpack(self) -> bool:
        """Unpack a piece more; False at the end."""
        unpacker, rest, n_read = self._now.unpacker, self._now.rest, self._now.n_read
        while True:
            if not rest:
                with self._open_packed() as packed:
                    packed.seek(n_read)
                    rest = packed.read(_PIECE)
                n_read += len(rest)
                if not rest:
                    if not unpacker.eof:
                        raise OSError("the packed file ends early")
                    return False
            if unpacker.eof:  # another part follows, or zeros that fill a block
                rest = rest.lstrip(b"\0")
                if not rest:
                    continue
                unpacker = zlib.decompressobj(_GZIP)
            try:
                piece = unpacker.decompress(rest, _PIECE)
            except zlib.error as error:
                raise OSError(f"the packed file is damaged ({error})") from error
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            if piece:
                break
        self._now = _State(self._now.at + len(piece), n_read, unpacker, rest)
        self._piece = piece
        self._keep()
        return True

    def _keep(self) -> None:
        if self._now.at < self._states[-1].at + self._step:
            return
        if len(self._states) == _MOST:
            self._states, self._step = self._states[::2], 2 * self._step
        self._states.append(self._now.copy())
