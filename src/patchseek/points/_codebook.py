"""The codebook by which points become bytes: ships in the package. `tools/export_codebook.py` makes its file.

A descriptor of 64 numbers says what fewer say: it is turned to axes of its own, the strongest are kept, and each is
rounded to levels that lie evenly. So no table is needed to read it, and points are compared along the axes.
"""

import functools
import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError

DIM = 64
"""Numbers of a descriptor."""
WORD = 16
"""Bits of a word, which holds a few numbers whole."""
_ROWS = 64
# descriptors turned at once: for a larger product OpenBLAS wakes its threads, which then keep the cores from others for
# 30 ms, waiting for more. While pictures are indexed that took as long as to find the points


@dataclass(frozen=True, eq=False)
class Codebook:
    """How a descriptor (64,) becomes K levels, and these words of 16 bits."""

    axes: NDArray[np.float32]
    # (64, K) of unit length, at right angles
    floors: NDArray[np.float32]
    # (K,) along each axis, where level 0 lies
    steps: NDArray[np.float32]
    # (K,) from one level to the next
    bits: tuple[int, ...]
    # of the levels in a word, from its highest bit on, 16 in all. Word i holds level i, i + n_words, i + 2 n_words, ...
    sha256: str
    # (hex) of the file
    network: str
    # SHA-256 (hex) of the network whose descriptors it was made for

    @property
    def n_words(self) -> int:
        """Words of a descriptor."""
        return len(self.floors) // len(self.bits)

    @property
    def highest(self) -> NDArray[np.float32]:
        """(K,) the highest level of each axis."""
        return np.repeat(2.0 ** np.array(self.bits) - 1, self.n_words).astype(np.float32)

    def round(self, descriptors: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The nearest levels (n, K) of descriptors (n, 64)."""
        turned = [descriptors[i : i + _ROWS] @ self.axes for i in range(0, max(len(descriptors), 1), _ROWS)]
        levels = np.rint((np.concatenate(turned) - self.floors) / self.steps)
        rounded: NDArray[np.uint8] = np.clip(levels, 0, self.highest).astype(np.uint8)
        return rounded

    def restore(self, levels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What levels (n, K) say, (n, K) along the axes; of unit length but for what rounding took or gave."""
        restored: NDArray[np.float32] = levels * self.steps + self.floors
        return restored


@functools.cache
def open_codebook() -> Codebook:
    """The codebook that ships, read once in a process. Raises EncoderError when it is not the one that was recorded."""
    folder = Path(str(files(__package__) / "embedded"))
    recorded = json.loads((folder / "codebook.json").read_text(encoding="utf-8"))
    file = folder / recorded["file"]
    if hashlib.sha256(file.read_bytes()).hexdigest() != recorded["sha256"]:
        raise EncoderError(f"{file}: not the file that was shipped (SHA-256 differs); install patchseek again")
    *axes, floors, steps = np.load(file, allow_pickle=False)
    bits, sha256, network = tuple(recorded["bits"]), recorded["sha256"], recorded["network"]
    return Codebook(np.stack(axes), floors, steps, bits, sha256, network)
