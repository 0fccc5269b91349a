"""What is where in a patch, from a model of timm: cells beside the vector, in one pass. Imports no timm.

Cells are the tokens of the last layer, or its feature map. Of a network that halves its maps stage by stage, finer
cells are those of the stage before, which see less of their surroundings. Grids are averaged down to what is cheap to
compare: a ViT-L of 518 pixels has 37 x 37 tokens. Where a network pools its tokens by attention, as SigLIP does, how
much its vector listens to each is told as well.
"""

import math
from typing import Any

from ._torch import torch

COARSE, FINE = 8, 16
"""Cells a side at most."""


class WithCells(torch.nn.Module):  # type: ignore[misc]  # torch is not followed
    """images (B, 3, S, S) float32 -> vectors (B, D), coarse (B, g, g, C) and fine (B, h, h, E) cells.

    Of a network that `listens`, also how much the vector listens to each coarse cell, (B, g * g).
    """

    def __init__(self, pooled: Any, staged: bool, coarse: int = COARSE) -> None:
        """pooled: a Pooled; staged: take fine cells from the stage before; coarse: the largest side of coarse cells."""
        super().__init__()
        self.pooled, self.staged, self._coarse = pooled, staged, coarse
        self.listens = not staged and pooled.pools_by_attention

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        last, grid, finer = self.layers(images)
        answers = self.pooled.pool_features(last), shrink(grid, self._coarse), shrink(finer, FINE)
        if not self.listens:
            return answers
        shares = self.pooled.attention(last).view_as(grid[:, :1])
        return *answers, shrink(shares, self._coarse).flatten(1)

    def layers(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The last features as the model has them, the same as (B, C, g, g), and what fine cells are made of."""
        if self.staged:
            last, (finer,) = self.pooled.model.forward_intermediates(images, indices=[-2], output_fmt="NCHW")
            return last, self.pooled.grid(last), finer
        last = self.pooled.model.forward_features(images)
        grid = self.pooled.grid(last)
        return last, grid, grid

    def of_windows(self) -> "WithCells":
        """The same for maps to look around in, which are its coarse cells: as many of them as of fine ones."""
        return WithCells(self.pooled, self.staged, FINE)


def shrink(grid: torch.Tensor, most: int) -> torch.Tensor:
    """Cells (B, g, g, C), g <= most, of a grid (B, C, n, n): the means of about n / g cells a side."""
    n = int(grid.shape[-1])
    if n > most:
        grid = torch.nn.functional.adaptive_avg_pool2d(grid, math.ceil(n / math.ceil(n / most)))
    return grid.permute(0, 2, 3, 1)


def with_cells(pooled: Any, size: int) -> WithCells | None:
    """The module that gives the vectors of pooled, at size pixels; None for a network whose cells are no square."""
    images = torch.rand((1, 3, size, size), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = pooled(images)
        for staged in (True, False):
            module = WithCells(pooled, staged)
            try:
                last, grid, finer = module.layers(images)
                same = torch.allclose(pooled.pool_features(last), expected, rtol=1e-4, atol=1e-5)
            except Exception:  # networks differ without end: what one cannot do, it cannot do
                continue
            n, n_finer = grid.shape[-1], finer.shape[-1]
            if same and n > 1 and (n_finer > n or not staged):
                return module
    return None


def takes(module: WithCells, size: int) -> bool:
    """Whether it also takes images of another size."""
    try:
        with torch.inference_mode():
            module(torch.zeros((1, 3, size, size)))
    except Exception:
        return False
    return True
