"""Networks that pool their tokens by attention: how much the feature listens to each cell, and what that is for."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from timm.layers import AttentionPoolLatent

from patchseek.boxes import iou
from patchseek.encoders import Cells, open_encoder
from patchseek.encoders._dense import attention
from patchseek.images import Picture
from patchseek.rerank import Refiner
from patchseek.search import encode_query

pytestmark = pytest.mark.extra("timm")

MODEL = "vit_pe_core_tiny_patch16_384.fb"  # a class token that is pooled too, rotary positions
SIZE, SIDE = 128, 8


def random_pool(**options) -> AttentionPoolLatent:
    torch.manual_seed(3)
    pool = AttentionPoolLatent(12, num_heads=3, **options).eval()
    for parameter in pool.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return pool


@pytest.mark.parametrize(
    "options", [{}, {"pos_embed": "abs", "feat_size": 10}, {"latent_len": 2}, {"qk_norm": True}, {"q_proj": False}]
)
def test_attention_is_what_the_pooling_weighs_tokens_by(options):
    """Keys as they are and values 1 of one token, else 0: the answer is what this token weighs, in each head."""
    pool, tokens = random_pool(**options).requires_grad_(False), torch.randn((2, 10, 12))
    pool.proj, pool.mlp, pool.pool = torch.nn.Identity(), None, "avg"
    shares = attention(pool, tokens)
    assert shares.shape == (2, 10) and shares.sum(dim=1) == pytest.approx([1, 1], abs=1e-5)

    class OnlyOne(torch.nn.Module):
        def __init__(self, kv, i):
            super().__init__()
            self.kv, self.i = kv, i

        def forward(self, x):
            both = self.kv(x).clone()
            both[:, :, 12:] = 0
            both[:, self.i, 12:] = 1
            return both

    kv = pool.kv
    for i in range(10):
        pool.kv = OnlyOne(kv, i)
        assert pool(tokens).mean(dim=1).tolist() == pytest.approx(shares[:, i].tolist(), abs=1e-5)


@pytest.fixture(scope="module")
def listener(tmp_path_factory):
    """An encoder whose tokens are the colours of their squares, and whose feature listens to what is red alone."""
    torch.manual_seed(7)
    net = timm.create_model(MODEL, pretrained=False, img_size=SIZE).eval()
    with torch.no_grad():
        for parameter in (*net.blocks.parameters(), net.cls_token):
            parameter.zero_()  # a block adds nothing
        if net.pos_embed is not None:
            net.pos_embed.zero_()
        net.patch_embed.proj.weight.zero_()
        for i in range(3):
            net.patch_embed.proj.weight[8 * i : 8 * i + 8, i] = 1 / 256
        width, pool = net.embed_dim, net.attn_pool
        pool.kv.weight[:width].zero_()
        pool.kv.weight[:width, :8] = 1.0  # keys: how red a token is
        pool.kv.bias.zero_()
        pool.q.weight.zero_()
        pool.q.bias.fill_(1.0)
    path = tmp_path_factory.mktemp("weights") / "listener.safetensors"
    safetensors.torch.save_file(net.state_dict(), path)
    return path


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_feature_listens_to_what_its_network_does(listener, engine):
    encoder = open_encoder(f"timm:{MODEL}?size={SIZE}", weights=listener, engine=engine, precision="f32")
    assert encoder.cells is not None
    patch = np.full((1, SIZE, SIZE, 3), (0, 90, 200), np.uint8)
    patch[0, 16:48, 32:80] = (230, 40, 40)  # two rows of three of the 8 x 8 cells
    features, cells = encoder.encode_cells(patch)
    assert features == pytest.approx(encoder.encode(patch), abs=1e-5)
    assert cells.heard.shape == (1, SIDE, SIDE) and np.linalg.norm(cells.heard) == pytest.approx(1, abs=1e-4)
    red = np.zeros((SIDE, SIDE), bool)
    red[1:3, 2:5] = True
    assert cells.heard[0][red].min() > 5 * cells.heard[0][~red].max()
    assert encoder.encode_map(patch) == pytest.approx(cells.fine, abs=1e-5)
    assert cells.mean[0] == pytest.approx((cells.coarse[0] * cells.heard[0][..., None]).mean(axis=(0, 1)), abs=1e-6)


def test_where_nobody_listens_the_mean_is_that_of_the_cells():
    coarse = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype(np.float32)
    cells = Cells(coarse, coarse)
    assert cells.mean == pytest.approx(coarse.mean(axis=(1, 2)), abs=1e-6)
    assert cells[1:].heard is None and not cells.without(np.array([True, False])).coarse[0].any()


def test_what_is_lost_is_lost_for_all_parts_of_cells():
    coarse, heard = np.ones((3, 2, 2, 4), np.float32), np.ones((3, 2, 2), np.float32)
    heard[1, 0, 0] = np.nan
    cells = Cells(coarse, coarse, heard)
    assert cells.are_finite.tolist() == [True, False, True]
    kept = cells.without(~cells.are_finite)
    assert kept.are_finite.all() and kept.heard[1].sum() == 0 and kept.heard[0].sum() == 4
    assert cells[np.array([2, 1])].are_finite.tolist() == [True, False]


def test_a_neighbourhood_is_searched_for_what_the_feature_listens_to(listener):
    """For a red thing on much green ground, in a picture that has such ground without it, and it on other ground.

    The mean of all cells finds the ground. Were the map weighed as well, every larger box would be as alike.
    """
    encoder = open_encoder(f"timm:{MODEL}?size={SIZE}", weights=listener, engine="torch", precision="f32")
    asked = np.full((256, 256, 3), (30, 160, 30), np.uint8)
    asked[96:160, 96:160] = (230, 40, 40)
    seen = np.full((512, 512, 3), (20, 40, 220), np.uint8)
    seen[0:320, 0:320] = (30, 160, 30)
    seen[352:480, 352:480] = (230, 40, 40)
    query, picture = encode_query(Picture(asked, 256, 256), encoder), Picture(seen, 512, 512)
    refiner, thing = Refiner(query, encoder), [(352 / 512, 352 / 512, 480 / 512, 480 / 512)]
    (found,) = refiner._look_around([picture], np.array([[0.0, 0.0, 1.0, 1.0]]), 1, 0.5)
    assert iou(found, thing)[0, 0] > 0.35  # boxes are of three cells a side at least, the thing of two
    deaf = replace(query, cells=tuple(replace(own, heard=None) for own in query.cells))
    (found,) = Refiner(deaf, encoder)._look_around([picture], np.array([[0.0, 0.0, 1.0, 1.0]]), 1, 0.5)
    assert iou(found, thing)[0, 0] == 0
