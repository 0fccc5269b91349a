"""Lines of any slope with smooth edges. Pixels in, pixels out."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Pixels = NDArray[np.uint8]
"""(h, w, 3) uint8, red green blue."""
Colour = tuple[int, int, int]
"""Red, green, blue in 0..255."""


def stroke(pixels: Pixels, corners: ArrayLike, colour: Colour, width: float, opacity: float = 1.0) -> None:
    """Draw a line of some width through corners (n, 2), x y in pixels, n >= 1, into pixels that are one's own.

    Its ends are round; of one corner alone it is a dot. What lies beyond the picture is left out.
    """
    corners = np.asarray(corners, np.float32).reshape(-1, 2)
    reach = width / 2 + 1
    size = pixels.shape[1], pixels.shape[0]
    x0, y0 = np.clip(np.floor(corners.min(axis=0) - reach), 0, size).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(corners.max(axis=0) + reach), 0, size).astype(int).tolist()
    x, y = np.arange(x0, x1, dtype=np.float32) + 0.5, np.arange(y0, y1, dtype=np.float32)[:, None] + 0.5
    away = np.full((y1 - y0, x1 - x0), np.inf, np.float32)
    for start, end in zip(corners[: max(1, len(corners) - 1)], corners[min(1, len(corners) - 1) :], strict=True):
        (along, down), (dx, dy) = (end - start).tolist(), (x - start[0], y - start[1])
        share = np.clip((dx * along + dy * down) / max(along**2 + down**2, 1e-9), 0, 1)
        away = np.minimum(away, np.hypot(dx - share * along, dy - share * down))
    covered = opacity * np.clip(width / 2 + 0.5 - away, 0, 1)[..., None]
    part = pixels[y0:y1, x0:x1]
    part[:] = np.round(part + covered * (np.array(colour, np.float32) - part))
