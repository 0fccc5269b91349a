"""Which boxes of a picture somebody may mean: what differs from its border. Knows cells and boxes; draws nothing.

Whoever takes a picture of a thing seldom lets it fill the border, so what is there tells what the ground is (the
boundary prior of Wei et al., Geodesic Saliency Using Background Priors, ECCV 2012). A cell differs by 1 - its cosine
with the mean of the border's cells. That is looked at twice: in the cells of a map, which know whole things, and in the
finer ones of a patch, which know small ones. Needs no further model; nothing here is learned or fitted. The ground that
convolutions pad a picture with favours its middle, which this leaves as it is: it is where things are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .boxes import WHOLE, Boxes, suppress
from .encoders import CellEncoder, Encoder
from .images import Picture
from .patches import Feed, crop

Map = NDArray[np.float32]
"""(h, w) float32: a number for each cell."""

N_PROPOSED = 3
"""Boxes that are proposed at most: more would hide the picture."""
_LOOK = Feed(64)  # pixels a side at which colours are looked at
_SIDE = 28  # cells a side at which maps are cut into parts: half a fine cell of the embedded encoder
_LEVELS = tuple(level / 10 for level in range(2, 9))  # of the way from the least to the greatest difference
_SMALLEST, _LARGEST = 0.01, 0.9  # shares of the picture: of less little is seen, and more is the whole of it
_MAX_IOU = 0.5  # boxes that overlap more are one: of a box around a smaller one, half is left to be pressed
_FLAT = 0.1  # greatest minus least cosine distance, below which cells are of one kind all over
_EVEN = 16  # of 255: a picture whose colours differ by no more shows nothing, whatever a network makes of its edges


def propose(picture: Picture, encoder: Encoder, n: int = N_PROPOSED) -> Boxes:
    """Boxes (<= n, 4) in [0, 1], the likeliest first, of what stands out in a picture.

    None where it is even all over, nor of an encoder that gives no cells.
    """
    if encoder.cells is None or np.ptp(crop(picture, [WHOLE], _LOOK), axis=(1, 2)).max() <= _EVEN:
        return np.empty((0, 4))
    return boxes_of(maps(picture, encoder.feed, encoder.cells), n)


def maps(picture: Picture, feed: Feed, encoder: CellEncoder) -> list[Map]:
    """How cells of the whole picture differ from those of its border: in a map, and in the fine cells of a patch."""
    feed = replace(feed, fit="squash", keep=1.0)  # so that shares of the cells are shares of the picture
    coarse = encoder.encode_map(crop(picture, [WHOLE], replace(feed, size=encoder.window, exact=False)))[0]
    fine = encoder.encode_cells(crop(picture, [WHOLE], feed))[1].fine[0]
    return [differing(coarse), differing(fine)]


def differing(cells: NDArray[np.float32]) -> Map:
    """How far (h, w) each of cells (h, w, C) is from the border's mean: 1 - cosine, in [0, 2]; 0 where not finite."""
    if not np.isfinite(cells).all():
        return np.zeros(cells.shape[:2], np.float32)
    unit = cells / np.maximum(np.linalg.norm(cells, axis=2, keepdims=True), 1e-12)
    border = np.ones(cells.shape[:2], bool)
    border[1:-1, 1:-1] = False
    ground = unit[border].mean(axis=0)
    far: Map = 1 - unit @ (ground / max(float(np.linalg.norm(ground)), 1e-12))
    return far


def boxes_of(seen: Sequence[Map], n: int = N_PROPOSED) -> Boxes:
    """Boxes (<= n, 4) in [0, 1] around what stands out in maps seen, the best first; none of maps that are flat.

    Candidates are the boxes of all connected parts above each of some levels. Their score is the variance between the
    cells in the box and those around it, a (1 - a) (m1 - m0)^2 for a box that is the share a of the picture and means
    m1 in it, m0 outside (Otsu, A Threshold Selection Method from Gray-Level Histograms, 1979).
    """
    boxes: list[tuple[int, int, int, int]] = []
    scores: list[float] = []
    for each in seen:
        least, greatest = float(each.min()), float(each.max())
        if greatest - least < _FLAT:
            continue
        even = np.asarray(Image.fromarray(each).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
        even = (even - even.min()) / max(float(even.max() - even.min()), 1e-12)
        for level in _LEVELS:
            for box in _parts(even > level):
                x0, y0, x1, y1 = box
                share = (x1 - x0) * (y1 - y0) / even.size
                if _SMALLEST <= share <= _LARGEST:
                    inside = float(even[y0:y1, x0:x1].mean())
                    outside = (float(even.mean()) - share * inside) / (1 - share)
                    boxes.append(box)
                    scores.append(share * (1 - share) * (inside - outside) ** 2)
    found = np.array(boxes, np.float64).reshape(-1, 4) / _SIDE
    return found[suppress(found, scores, _MAX_IOU, n)]


def _parts(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int, int, int]]:
    """x0 y0 x1 y1 in cells of each part of a mask whose cells touch along edges, from the top."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    for start in sorted(left):
        if start not in left:
            continue
        left.remove(start)
        part, ahead = [start], [start]
        while ahead:
            y, x = ahead.pop()
            near = {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} & left
            left -= near
            part += near
            ahead += near
        rows, columns = zip(*part, strict=True)
        yield min(columns), min(rows), max(columns) + 1, max(rows) + 1
