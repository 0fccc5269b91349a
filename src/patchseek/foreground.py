"""What a picture shows on even ground, as shops photograph things: the box around it. Looks at colours alone."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .boxes import WHOLE
from .images import Picture

_SIDE = 256  # pixels of the longer side at which a picture is looked at: the noise of cameras and JPEGs is gone
_APART = 16  # of 255, in the channel that differs most, beyond which a pixel is not of the ground
_EVEN = 0.5  # share of the pixels along the edges that must be of the ground: the thing may touch some of them
_SPECKS = 1  # pixels of a row or column that may differ and show nothing
_THINNEST = 0.02  # share of a side that the thing must have: what is left of less is a speck


def foreground(picture: Picture) -> tuple[float, float, float, float]:
    """The box x0 y0 x1 y1 in [0, 1] of what stands on a ground of one colour; WHOLE where there is no such ground.

    The ground is what most pixels along the edges are alike to: a page, a screen, black bars above and below. Shadows
    and reflections belong to what casts them. Shades of light across a wall are no even ground.
    """
    image = picture.image
    if max(image.size) > _SIDE:
        scale = _SIDE / max(image.size)
        image = image.resize([max(1, round(length * scale)) for length in image.size], Image.Resampling.BOX)
    pixels = np.asarray(image).astype(np.int16)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    ground = np.median(edges, axis=0)
    if (_apart(edges, ground) <= _APART).mean() < _EVEN:
        return WHOLE
    differs = _apart(pixels, ground) > _APART
    rows, columns = (np.flatnonzero(differs.sum(axis=axis) > _SPECKS) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return WHOLE
    height, width = differs.shape
    x0, y0, x1, y1 = columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height
    return WHOLE if min(x1 - x0, y1 - y0) < _THINNEST else (float(x0), float(y0), float(x1), float(y1))


def _apart(pixels: NDArray[np.int16], ground: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far pixels (..., 3) are from a colour (3,), in the channel that differs most."""
    furthest: NDArray[np.float64] = np.abs(pixels - ground).max(axis=-1)
    return furthest
