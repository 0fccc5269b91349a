"""Cut patches on torch's device: a picture is uploaded once, and its regions resized many at a time.

The filters are Pillow's (bicubic, bilinear, lanczos, widened where a region shrinks, each row of weights of sum 1), and
so are the steps: along x, rounded to whole numbers, then along y. (Pillow 13 begins with y where that is less work: a
mean difference of up to 0.3 of 255, and of none else.) Each is a matrix product, whose matrix holds the weights of one
region, mostly zeros: on a GPU that is far cheaper than picking the few that are not. There the products are of 16-bit
floats, in which pixels are exact and weights are to a 2,000th.

Features of such patches are features of the same identity: their cosine with those of Pillow's patches is at least
0.999 (benchmarks/gpu.py prints it for every short name), so that a collection is continued on a GPU or on a CPU alike.
"""

import math
import threading
from collections import defaultdict
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ..images import Picture
from ..patches import GREY, Feed, Uncut
from ._torch import torch

_REACH = {"bicubic": 2.0, "bilinear": 1.0, "lanczos": 3.0}
"""Pixels from its middle at which a filter ends, where nothing shrinks."""


class Cutter:
    """Cuts Uncut patches. May be called by several threads.

    All that it does on a GPU goes through the queue in which the networks are: nothing has to be waited for.
    """

    def __init__(self, device: str) -> None:
        """device: as torch calls it."""
        self._device, self._pins = device, device.startswith("cuda")
        self._numbers = torch.float16 if self._pins else torch.float32
        self._held: WeakKeyDictionary[Picture, torch.Tensor] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def __call__(self, patches: Uncut) -> torch.Tensor:
        """The patches (N, S, S, 3) uint8 on the device."""
        size = patches.feed.size
        out = torch.empty((len(patches), 3, size, size), dtype=torch.uint8, device=self._device)
        start = 0
        for part in patches.parts:
            if isinstance(part, np.ndarray):
                out[start : start + len(part)] = torch.tensor(part).to(self._device).permute(0, 3, 1, 2)
                start += len(part)
            else:
                picture, edges = part
                pixels = self._upload(picture)
                for alike in _alike(edges):
                    out[torch.from_numpy(start + alike)] = self._resized(pixels, edges[alike], patches.feed)
                start += len(edges)
        return out.permute(0, 2, 3, 1)

    def _upload(self, picture: Picture) -> torch.Tensor:
        """The picture's pixels (3, h, w) uint8 on the device, for as long as somebody has the picture."""
        with self._lock:
            held = self._held.get(picture)
            if held is None:
                pixels = torch.empty(picture.pixels.shape, dtype=torch.uint8, pin_memory=self._pins)
                pixels.numpy()[...] = picture.pixels
                held = pixels.to(self._device, non_blocking=True).permute(2, 0, 1).contiguous()
                self._held[picture] = held
            return held

    def _resized(self, pixels: torch.Tensor, edges: NDArray[np.float64], feed: Feed) -> torch.Tensor:
        """Patches (n, 3, S, S) of regions (n, 4) of about one size, of pixels (3, h, w)."""
        across, down = (_Axis.of(edges, axis, int(pixels.shape[2 - axis]), feed, self._device) for axis in (0, 1))
        n, size = len(edges), feed.size
        channels = torch.arange(3, device=self._device).view(1, 3, 1, 1)
        picked = pixels[channels, down.places.view(n, 1, -1, 1), across.places.view(n, 1, 1, -1)].to(self._numbers)
        wide = _whole(picked.view(n, -1, across.width) @ across.weights.to(self._numbers).transpose(1, 2))
        patches = _whole(down.weights.to(self._numbers).unsqueeze(1) @ wide.view(n, 3, down.width, size))
        if feed.fit == "pad":
            inside = down.inside.view(n, 1, size, 1) & across.inside.view(n, 1, 1, size)
            patches = torch.where(inside, patches, GREY)
        return patches.to(torch.uint8)


class _Axis:
    """How n stretches of one axis of a picture become S pixels each."""

    def __init__(self, places: torch.Tensor, weights: torch.Tensor, inside: torch.Tensor) -> None:
        """places (n, m): pixels that are picked; weights (n, S, m) of these; inside (n, S): what is no padding."""
        self.places, self.weights, self.inside, self.width = places, weights, inside, int(places.shape[1])

    @classmethod
    def of(cls, edges: NDArray[np.float64], axis: int, length: int, feed: Feed, device: str) -> "_Axis":
        """edges (n, 4) of regions in a picture of this length along the axis, 0 for x and 1 for y."""
        sides = edges[:, 2:] - edges[:, :2]
        made = np.array([feed.scaled(*side)[axis] for side in sides.tolist()])  # pixels a region becomes, maybe not S
        skipped = np.round((made - feed.size) / 2)  # of these, cut off at the start; negative where padded
        scale = sides[:, axis] / made
        spread = np.maximum(scale, 1.0)  # a filter is widened by this
        low, high = edges[:, axis], edges[:, axis + 2]
        reach = 0 if feed.exact else _REACH[feed.interpolation] * spread  # a region that is not exact sees its edges
        first, last = np.maximum(np.floor(low - reach), 0), np.minimum(np.ceil(high + reach), length)
        columns = np.stack([first, low - first, scale, skipped, made, spread, last - first], axis=1)
        first_, low_, scale_, skipped_, made_, spread_, n_own = (
            torch.from_numpy(columns.astype(np.float32)).to(device).T.unsqueeze(2).unbind(0)
        )
        target = torch.arange(feed.size, device=device) + skipped_
        middle = low_ + (target + 0.5) * scale_
        taps = torch.arange(int((last - first).max()), device=device)
        distance = ((taps + 0.5) - middle.unsqueeze(2)).abs() / spread_.unsqueeze(2)
        weights = torch.where(taps < n_own.unsqueeze(2), _filtered(distance, feed.interpolation), 0)
        weights = weights / weights.sum(dim=2, keepdim=True).clamp_min(1e-12)
        places = (first_ + taps).clamp(max=length - 1).long()
        return cls(places, weights, (target >= 0) & (target < made_))


def _filtered(distance: torch.Tensor, interpolation: str) -> torch.Tensor:
    """The filter at distances >= 0 from its middle. Bicubic is Keys's (1981) with a = -0.5."""
    if interpolation == "bilinear":
        return (1 - distance).clamp_min(0)
    if interpolation == "lanczos":
        return torch.where(distance < 3, torch.sinc(distance) * torch.sinc(distance / 3), 0)
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0))


def _whole(values: torch.Tensor) -> torch.Tensor:
    """Rounded to whole numbers in [0, 255], halves up, as Pillow does after each step."""
    return values.add_(0.5).floor_().clamp_(0, 255)


def _alike(edges: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Which regions (n, 4) are of about one size: within a factor of two, since all are picked as the largest is."""
    groups: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for i, (width, height) in enumerate((edges[:, 2:] - edges[:, :2]).tolist()):
        groups[math.ceil(math.log2(width)), math.ceil(math.log2(height))].append(i)
    return [np.array(group, np.int64) for group in groups.values()]
