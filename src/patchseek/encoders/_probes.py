"""A few patches made by integers alone, the same on every machine, and whether a network gives them their features.

Engines take short cuts: numbers of 16 or 8 bits, kernels that saturate. Nobody sees features that are slightly wrong,
so an encoder that ships is tried when it is opened. What it should answer is recorded beside it.
"""

import numpy as np

from ..patches import Patches
from ._protocol import Encoder, Features


def make_probes(size: int) -> Patches:
    """Patches (4, size, size, 3) uint8: a fine texture, smooth shades with a disc, coloured tiles, hard stripes."""
    y, x = np.mgrid[:size, :size].astype(np.int64)
    middle, side = size // 2, size // 14 + 1
    tiles = x // side * 7919 + y // side * 104729
    disc = (x - middle) ** 2 + (y - middle) ** 2 < (size // 3) ** 2
    stripes = ((x // 9 + y // 13) % 2 == 0, (x // 5) % 2 == 0, ((x - middle) * (y - middle)) % 97 < 40)
    texture = (x ^ y, 3 * x ^ y, x + 2 * y)
    shades = (x * 255 // size, y * 255 // size, np.where(disc, 230, 40))
    patches = (texture, shades, [tiles * prime >> 5 for prime in (31, 57, 101)], [255 * stripe for stripe in stripes])
    return np.array(patches).transpose(0, 2, 3, 1).astype(np.uint8)


def agreement(encoder: Encoder, expected: Features) -> float:
    """The lowest cosine of an encoder's features of the probes with those expected (4, D), from every stream."""
    repeats = -(-2 * encoder.streams // len(expected))
    found = encoder.encode(np.tile(make_probes(encoder.identity.size), (repeats, 1, 1, 1)))
    return float((found * np.tile(expected, (repeats, 1))).sum(axis=1).min())
