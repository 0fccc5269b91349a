"""Cut patches on torch's device: a picture is uploaded once, and its regions resized by two matrix products.

The filters are Pillow's: bicubic, bilinear, lanczos, widened where a region shrinks, each row of weights of sum 1.
Along x, and then along y, a product with the matrix of a stretch's weights, mostly zeros, makes S pixels of it;
stretches that regions have in common, as those of a grid do, are made once. On a GPU zeros are cheaper than picking
what is not, and few large steps cheaper than many: cutting 30 patches is a dozen of them. The products there are of
16-bit floats, in which pixels are exact and weights are to a 2,000th. Pillow rounds to whole numbers between the two
steps, which is not done here: over 30 patches a mean difference below 0.1 of 255.

Features of such patches are features of the same identity: their cosine with those of Pillow's patches is above 0.999
(benchmarks/gpu.py prints it for every short name), so that a collection is continued on a GPU or on a CPU alike.
"""

import threading
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ..images import Picture
from ..patches import GREY, Feed, Uncut
from ._torch import send, torch

_REACH = {"bicubic": 2.0, "bilinear": 1.0, "lanczos": 3.0}
"""Pixels from its middle at which a filter ends, where nothing shrinks."""


@dataclass(frozen=True, eq=False)
class _Regions:
    """Regions of a picture."""

    picture: Picture
    edges: NDArray[np.float64]
    # (n, 4), x0 y0 x1 y1 in pixels
    start: int
    # where their patches go
    own: slice
    # where they are among all regions that are cut at once


class Cutter:
    """Cuts Uncut patches. May be called by several threads.

    All that it does on a GPU goes through the queue in which the networks are: nothing has to be waited for.
    """

    def __init__(self, device: str) -> None:
        """device: as torch calls it."""
        self._device = device
        self._numbers = torch.float16 if device.startswith("cuda") else torch.float32
        self._held: WeakKeyDictionary[Picture, torch.Tensor] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def __call__(self, patches: Uncut) -> torch.Tensor:
        """The patches (N, S, S, 3) uint8 on the device."""
        size = patches.feed.size
        out = torch.empty((len(patches), size, size, 3), dtype=torch.uint8, device=self._device)
        pictures: list[_Regions] = []
        start = n_cut = 0
        for part in patches.parts:
            if isinstance(part, np.ndarray):
                out[start : start + len(part)] = send(part, self._device)
                start += len(part)
            else:
                n = len(part[1])
                pictures.append(_Regions(*part, start, slice(n_cut, n_cut + n)))
                start, n_cut = start + n, n_cut + n
        if pictures:
            self._cut(pictures, patches.feed, out)
        return out

    def _upload(self, picture: Picture) -> torch.Tensor:
        """The picture's pixels (3 * h, w) on the device, for as long as somebody has the picture."""
        with self._lock:
            held = self._held.get(picture)
            if held is None:
                pixels = send(picture.pixels, self._device)
                height, width, _ = pixels.shape
                held = torch.empty((3, height, width), dtype=self._numbers, device=self._device)
                held.copy_(pixels.permute(2, 0, 1))
                self._held[picture] = held = held.view(3 * height, width)
            return held

    def _cut(self, pictures: list[_Regions], feed: Feed, out: torch.Tensor) -> None:
        """Write the patches of some pictures' regions into out (N, S, S, 3), from where each of them begins."""
        across, down = (_Stretches(pictures, axis, feed) for axis in (0, 1))
        wide, high = (each.weights(self._device).to(self._numbers) for each in (across, down))
        inside = [each.inside(self._device) for each in (across, down)] if feed.fit == "pad" else []
        # what is alike within a picture is made once: which stretches, and which of these each region has
        columns = [np.unique(across.which[regions.own], return_inverse=True) for regions in pictures]
        rows = [down.which[regions.own] for regions in pictures]
        lots = [lot for (distinct, column), row in zip(columns, rows, strict=True) for lot in (distinct, column, row)]
        places = send(np.concatenate(lots), self._device).split([len(lot) for lot in lots])
        for i, regions in enumerate(pictures):
            (height, width), (distinct, column, row) = regions.picture.pixels.shape[:2], places[3 * i : 3 * i + 3]
            n, size = len(regions.edges), feed.size
            stretched = self._upload(regions.picture) @ wide[distinct, :, :width].reshape(-1, width).T
            lines = stretched.view(3, height, -1, size).permute(2, 1, 0, 3).index_select(0, column)
            patches = high[row, :, :height] @ lines.view(n, height, 3 * size)
            patches = patches.add_(0.5).clamp_(0, 255).view(n, size, 3, size)  # halves up, as Pillow does
            if inside:
                is_picture = inside[1][row].view(n, size, 1, 1) & inside[0][distinct][column].view(n, 1, 1, size)
                patches = torch.where(is_picture, patches, GREY)
            out[regions.start : regions.start + n] = patches.permute(0, 1, 3, 2)  # as networks take them fastest


class _Stretches:
    """The different stretches of one axis that some regions take up, and how each becomes S pixels."""

    def __init__(self, pictures: list[_Regions], axis: int, feed: Feed) -> None:
        """axis: 0 for x, 1 for y."""
        self._feed = feed
        columns = []
        for regions in pictures:
            sides = regions.edges[:, 2:] - regions.edges[:, :2]
            length = float(regions.picture.pixels.shape[1 - axis])
            made = [feed.scaled(*side)[axis] for side in sides.tolist()]
            columns += [
                (low, high, length, n) for low, high, n in zip(*regions.edges[:, [axis, axis + 2]].T, made, strict=True)
            ]
        found, which = np.unique(np.array(columns), axis=0, return_inverse=True)
        self._low, self._high, self._length, self._made = found.T
        self.which: NDArray[np.int64] = which.reshape(-1)
        # (N,) the stretch of each region

    def _targets(self, device: str) -> tuple[torch.Tensor, ...]:
        """Columns (m, 1): low, pixels of the picture a pixel, first and last seen, made; pixels (m, S) of these."""
        scale = (self._high - self._low) / self._made
        reach = 0.0 if self._feed.exact else _REACH[self._feed.interpolation] * np.maximum(scale, 1.0)
        first, last = np.maximum(self._low - reach, 0), np.minimum(self._high + reach, self._length)
        skipped = np.round((self._made - self._feed.size) / 2)  # cut off at the start; negative where padded
        table = np.stack([self._low, scale, first, last, self._made, skipped]).astype(np.float32)
        low, scales, firsts, lasts, made, skip = send(table, device).unsqueeze(2)
        return low, scales, firsts, lasts, made, torch.arange(self._feed.size, device=device) + skip

    def weights(self, device: str) -> torch.Tensor:
        """(m, S, length of the longest picture): what each pixel of a picture has in each pixel that is made."""
        low, scale, first, last, _, target = self._targets(device)
        middle = (low + (target + 0.5) * scale).unsqueeze(2)
        taps = torch.arange(int(self._length.max()), device=device) + 0.5
        distance = ((taps - middle) / scale.clamp_min(1).unsqueeze(2)).abs_()
        seen = (taps > first.unsqueeze(2)) & (taps < last.unsqueeze(2))
        weights = torch.where(seen, _filtered(distance, self._feed.interpolation), 0)
        return weights / weights.sum(dim=2, keepdim=True).clamp_min(1e-12)

    def inside(self, device: str) -> torch.Tensor:
        """(m, S): which pixels that are made are no padding."""
        *_, made, target = self._targets(device)
        return (target >= 0) & (target < made)


def _filtered(distance: torch.Tensor, interpolation: str) -> torch.Tensor:
    """The filter at distances >= 0 from its middle. Bicubic is Keys's (1981) with a = -0.5."""
    if interpolation == "bilinear":
        return (1 - distance).clamp_min(0)
    if interpolation == "lanczos":
        return torch.where(distance < 3, torch.sinc(distance) * torch.sinc(distance / 3), 0)
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0))
