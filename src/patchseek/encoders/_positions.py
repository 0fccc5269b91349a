"""What cells of a transformer say of where they stand, found and taken out of them. Knows no model.

Tokens of the DINO family carry their position, so that two unlike pictures agree place by place. INSID3 (CVPR 2026)
finds the directions in which they do by a picture of noise, and projects them out. Here several pictures are asked that
show nothing, and what their cells have in common by place is taken for position as far as it is beyond chance.
"""

import numpy as np
from numpy.typing import NDArray

from ..patches import Patches

TILES = (1, 2, 4, 8, 16, 32)
"""Pixels a side of what pictures of noise are made of."""
GREYS = (64, 192)
BEYOND = 1.5
"""Times as strong as among cells that were mixed up, from which on a direction is one of position."""
MOST = 8
"""No more than one in so many directions is taken out."""
_N_MIXED = 3


def blanks(size: int) -> Patches:
    """Pictures (8, S, S, 3) that show nothing: noise of several grains, and plain greys."""
    random = np.random.default_rng(0)
    noise = []
    for tile in TILES:
        n = -(-size // tile)
        tiles = random.integers(0, 256, (n, n, 3), np.uint8)
        noise.append(tiles.repeat(tile, axis=0).repeat(tile, axis=1)[:size, :size])
    plain = [np.full((size, size, 3), grey, np.uint8) for grey in GREYS]
    return np.stack([*noise, *plain])


def position_basis(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Orthonormal directions (k, C), k <= C / MOST, in which cells (n, g, g, C) of `blanks` say where they stand.

    The right singular vectors of the cells' means by place; of these, those that are BEYOND times as strong as the
    strongest where each picture's cells were mixed up. None (0, C) of a network that does not know places.
    """
    n_images, side, _, n_numbers = cells.shape
    flat = cells.reshape(n_images, side * side, n_numbers).astype(np.float64)
    random = np.random.default_rng(0)
    chance = 0.0
    for _ in range(_N_MIXED):
        mixed = np.stack([each[random.permutation(len(each))] for each in flat])
        chance = max(chance, float(np.linalg.svd(_by_place(mixed), compute_uv=False)[0]))
    _, strengths, directions = np.linalg.svd(_by_place(flat), full_matrices=False)
    k = min(int((strengths > max(BEYOND * chance, 1e-9)).sum()), n_numbers // MOST)
    return np.asarray(directions[:k], np.float32)


def without(cells: NDArray[np.float32], basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cells (..., C) without what they have in the directions of a basis (k, C), of unit length again."""
    if not len(basis):
        return cells
    rest = cells - (cells @ basis.T) @ basis
    lengths = np.linalg.norm(rest, axis=-1, keepdims=True)
    return np.asarray(rest / np.maximum(lengths, 1e-12), np.float32)


def _by_place(flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the cells (n, N, C) of a place have in common: (N, C), less the mean of all places."""
    means = flat.mean(axis=0)
    return np.asarray(means - means.mean(axis=0), np.float64)
