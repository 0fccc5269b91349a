"""Whether two patches of one thing are coloured alike. Knows small patches alone.

Packs of one brand agree part by part, and their details fit; one is red where the other is blue. Networks that were
trained to see past light see past that as well. So the colours of patches that lie one on the other are correlated.
"""

import numpy as np
from numpy.typing import NDArray

from ..patches import Patches

_SHADE = 16  # of 255, added before logarithms are taken: the colour of what is nearly black is noise
_SHIFT = 1  # pixels of the small patches by which one may lie beside the other
_EDGES = 2.0  # the middle counts e^2 times as much as the middle of an edge: there is more of the thing in it


def colour_likeness(query: Patches, patches: Patches) -> NDArray[np.float32]:
    """(B,) in [0, 1]: how alike a query (S, S, 3) and small patches (B, S, S, 3) are in colour, place by place.

    The two chromatic axes of opponent colours, of the logarithms of the channels, so that a change of light becomes
    one of the mean alone. Of each, the correlation over all places; the mean of both, where the patch is shifted by at
    most _SHIFT pixels to where each is greatest; what is below 0 is 0.
    """
    side = query.shape[0]
    y, x = (np.mgrid[:side, :side] + 0.5) / side * 2 - 1
    weights = np.exp(-_EDGES * (x * x + y * y)).ravel()
    weights /= weights.sum()
    own = _chroma(query).reshape(-1, 2)
    around = np.pad(_chroma(patches), ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)), mode="edge")
    steps = range(2 * _SHIFT + 1)
    shifted = np.stack(
        [around[:, i : i + side, j : j + side].reshape(-1, side * side, 2) for i in steps for j in steps]
    )
    own = own - weights @ own
    shifted = shifted - np.einsum("sbpc,p->sbc", shifted, weights)[:, :, None]
    weighted = own * weights[:, None]
    both = np.einsum("sbpc,pc->sbc", shifted, weighted)
    lengths = np.sqrt(np.einsum("sbpc,p->sbc", shifted * shifted, weights) * (weighted * own).sum(axis=0))
    correlations = (both / (lengths + 1e-4)).max(axis=0)  # what has no colours is like nothing
    return np.asarray(np.maximum(correlations, 0).mean(axis=1), np.float32)


def _chroma(pixels: Patches) -> NDArray[np.float64]:
    """Red against green, and both against blue, (..., 2) of pixels (..., 3)."""
    red, green, blue = np.moveaxis(np.log(pixels.astype(np.float64) + _SHADE), -1, 0)
    return np.stack([red - green, (red + green) / 2 - blue], axis=-1)
