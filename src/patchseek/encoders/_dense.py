"""Features of regions from the cells of one forward pass. Knows tokens and weights; no model and no picture.

A token stands for a cell of the picture. A region takes its cells by the share of each that lies inside it, so that
boxes need not end where cells do, and the whole picture is exactly what the pooling gives for the picture itself.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..boxes import clip
from ..errors import BoxError
from ._torch import torch

SHARES = 1e-6
# a cell of which less lies in a region is left out


def cell_shares(boxes: ArrayLike, grid: int) -> Any:
    """The share in [0, 1] of each cell inside each box: (R, grid * grid) float32, row by row of the picture.

    boxes (R, 4) in [0, 1]; one thinner than 1/1000 of a side is widened to it. Raises BoxError for anything else.
    """
    b = np.asarray(boxes, np.float64)
    if b.ndim != 2 or b.shape[1] != 4 or not np.isfinite(b).all() or (b[:, 2:] < b[:, :2]).any():
        raise BoxError(f"boxes must be (R, 4) finite numbers with x0 <= x1 and y0 <= y1, found {b.shape}")
    low = np.minimum(clip(b)[:, :2], 1 - 1e-3) * grid
    high = np.maximum(clip(b)[:, 2:] * grid, low + 1e-3 * grid)
    starts = np.arange(grid)
    inside = np.clip(np.minimum(high[:, :, None], starts + 1) - np.maximum(low[:, :, None], starts), 0, None)
    shares = inside[:, 1, :, None] * inside[:, 0, None, :]
    return torch.from_numpy(shares.reshape(len(b), grid * grid).astype(np.float32))


def mean_pool(cells: Any, shares: Any) -> Any:
    """Mean of cells (B, N, C) weighted by shares (R, N): (B, R, C)."""
    return (shares / shares.sum(dim=1, keepdim=True)) @ cells


def gem_pool(cells: Any, shares: Any) -> Any:
    """Generalized mean, p = 3, of cells (B, N, C) weighted by shares (R, N): (B, R, C).

    The cube root of the mean cube, which keeps the sign: tokens are as often negative as positive, and the floor at
    zero of Radenovic et al. 2018 would lose half of each. Cells 1 and -2 -> cbrt((1 - 8) / 2) = -1.52.
    """
    cubes = mean_pool(cells**3, shares)
    return cubes.sign() * (cubes.abs() + 1e-12) ** (1 / 3)


def attention_pool(pool: Any, tokens: Any, shares: Any, n_prefix: int) -> Any:
    """A network's own attention pooling, for each region: (B, R, C) of tokens (B, n_prefix + N, C), shares (R, N).

    Attention is weighted by adding the logarithm of a share before the softmax. Tokens of no cell, the n_prefix first,
    weigh as much as the region's share of the picture, which leaves the whole picture as the network pools it.
    """
    pooled = []
    for share in shares:
        chosen = torch.cat([torch.arange(n_prefix, device=share.device), n_prefix + (share > SHARES).nonzero()[:, 0]])
        weights = torch.cat([share.mean().expand(n_prefix), share[share > SHARES]])
        mask = weights.log().to(tokens.dtype).view(1, 1, 1, -1)
        pooled.append(pool(tokens[:, chosen], attn_mask=mask))
    return torch.stack(pooled, dim=1)


def attention(pool: Any, tokens: Any) -> Any:
    """The share of attention that a network's own pooling gives each of tokens (B, N, C): (B, N), 1 in all.

    The mean over its heads, and over its latents where it has several; see timm's AttentionPoolLatent.
    """
    if pool.pos_embed is not None:
        tokens = tokens + pool.pos_embed
    heads = pool.num_heads, pool.head_dim
    asking = pool.q_norm(pool.q(pool.latent).unflatten(2, heads).transpose(1, 2))
    keys = pool.kv(tokens).unflatten(2, (2, *heads))[:, :, 0].transpose(1, 2)
    shares = (asking * pool.scale @ pool.k_norm(keys).transpose(2, 3)).softmax(dim=3)
    return shares.mean(dim=(1, 2))
