"""The planner's arithmetic against numbers worked out by hand, and its bytes against FAISS's own."""

import json

import faiss
import numpy as np
import pytest
from click.testing import CliRunner

from patchseek.cli import cli
from patchseek.errors import PatchseekError
from patchseek.plan import POINTS_MS, Plan, compressions, crops_per_second, limits
from patchseek.points import KEPT, Points, encode

MILLION = Plan(1_000_000)
BARE = Plan(1_000_000, points=0)


def test_a_million_pictures_are_thirty_million_patches_and_77_gb():
    assert MILLION.n_rows == 30_000_000
    assert MILLION.feature_bytes == 76_800_000_000  # 30 M x 1280 x 2
    index = {c.name: c for c in compressions(MILLION)}
    assert index["exact float16"].total_bytes == 76_800_000_000
    assert index["PQ640x4fs"].total_bytes == 9_600_000_000  # 320 a row
    assert index["PQ64x4fs"].total_bytes == 960_000_000  # 32 a row
    assert index["exact float16"].query_s == pytest.approx(3.072)  # 76.8 GB at 25 GB/s
    assert index["PQ64x4fs"].query_s == pytest.approx(0.36864)  # x 0.12
    assert index["PQ64x4fs"].probed_s == pytest.approx(0.09216)  # a quarter of that
    assert index["RaBitQ2"].query_s is None


def test_codes_of_shorter_features_take_as_long_and_features_less():
    index = {c.name: c for c in compressions(Plan(1_000_000, "siglip"))}
    assert index["exact float16"].query_s == pytest.approx(2.4576)  # 30 M x 2048 at 25 GB/s
    assert index["PQ64x4fs"].query_s == pytest.approx(0.36864)  # as of 1280 numbers


@pytest.mark.parametrize("encoder", ["embedded", "siglip"])
def test_bytes_of_a_patch_are_those_of_faiss(encoder):
    plan = Plan(1, encoder)
    for each in compressions(plan):
        factory = "SQfp16" if each.name == "exact float16" else each.name
        assert each.row_bytes == faiss.index_factory(plan.model.dim, factory, faiss.METRIC_INNER_PRODUCT).code_size


def test_points_of_a_million_pictures_are_28_gb_a_third_of_their_features():
    assert MILLION.point_bytes == 28_000_000_000  # 800 x 35
    assert MILLION.point_bytes / MILLION.feature_bytes == pytest.approx(0.3646, abs=1e-4)
    assert Plan(1_000_000, points=400).point_bytes == 14_000_000_000
    assert Plan(1_000_000, "siglip").point_bytes == 28_000_000_000  # whoever encodes the patches
    assert (BARE.point_bytes, BARE.feature_bytes) == (0, 76_800_000_000)


def test_bytes_of_points_are_those_of_their_codes():
    points = Points(np.full((KEPT, 2), 0.5, np.float32), np.zeros((KEPT, 64), np.float32))
    assert Plan(1).point_bytes == encode(points).nbytes == 28_000


def test_hours_follow_from_crops_a_second():
    cpu, gpu = crops_per_second(BARE)
    assert (cpu, gpu) == (pytest.approx(592), 0)
    assert 30e6 / cpu / 3600 == pytest.approx(14.08, abs=0.01)
    assert crops_per_second(Plan(1, machines=10, cores=64, points=0))[0] == pytest.approx(592 * 320)


def test_points_are_found_by_the_same_cores():
    """A core encodes 30 patches in 30 / 296 s, and finds points of a picture in so many ms more."""
    assert crops_per_second(MILLION)[0] == pytest.approx(2 * 30 / (30 / 296 + POINTS_MS / 1000))
    assert crops_per_second(Plan(1, points=400)) == crops_per_second(Plan(1))  # their number makes no difference
    # two cores cut pictures and find points at 2 x 1000 / (25.4 + POINTS_MS) a second, and GPUs wait for them
    assert crops_per_second(Plan(1, gpus=8))[1] == pytest.approx(30 * 2000 / (25.4 + POINTS_MS))


def test_large_models_are_scaled_by_operations():
    assert crops_per_second(Plan(1, "siglip", points=0))[0] == pytest.approx(26 * 17.5 / 191)  # 2.38 a second
    # ViT-L, 1024 wide, 24 layers: (12 n d^2 + 2 n^2 d) a layer; 576 tokens of 384 px, 1370 of 518 px
    for encoder, n in (("siglip", 576), ("dinov2", 1370)):
        by_hand = 24 * (12 * n * 1024**2 + 2 * n**2 * 1024) / 1e9
        assert Plan(1, encoder).model.gmacs == pytest.approx(by_hand, rel=0.01)


def test_gpus_reach_an_assumed_share_of_their_peak_as_far_as_the_cores_feed_them():
    # 312e12 x 0.4 / (2 x 191e9) = 326.7 crops a second a GPU
    assert crops_per_second(Plan(1, "siglip", machines=8, cores=64, gpus=8))[1] == pytest.approx(8 * 326.7, rel=0.001)
    # two cores cut 2 x 1000 / 25.4 = 78.7 pictures a second, of 30 patches
    assert crops_per_second(Plan(1, "embedded", gpus=8, points=0))[1] == pytest.approx(78.74 * 30, rel=0.001)


def test_what_gives_way_first_stands_first():
    found = limits(Plan(100_000_000, machines=20, replicas=2))
    shares = {limit.what: limit.share for limit in found}
    assert [limit.share for limit in found] == sorted(shares.values(), reverse=True)
    assert shares["disk"] == pytest.approx((768 + 280 + 1.61) / 8000)  # 7,680 and 2,800 GB x 2 / 20, 161 B a picture
    assert shares["memory for exact search"] == pytest.approx(3.0)  # 768 of 256 GB
    assert shares["memory for PQ64x4fs"] == pytest.approx(9.6 / 256)
    assert shares["time of an exact query"] == pytest.approx(15.36)  # 7,680 GB / 25 / 20
    assert shares["encoding"] == pytest.approx(1e8 * (30 / 296 + POINTS_MS / 1000) / 40 / 3600 / 720)
    assert shares["mapped files"] == pytest.approx(2 * 4883 / 65530)  # 10 M pictures, 2,048 a file, two kinds of file
    assert shares["network"] == pytest.approx((50_000 + 15_360 + 5_600) * 8 / 200 / 3600 / 720)
    assert found[0].what == "time of an exact query"


def test_without_points_there_is_less_to_keep_to_send_and_to_map():
    shares = {limit.what: limit.share for limit in limits(Plan(100_000_000, machines=20, replicas=2, points=0))}
    assert shares["disk"] == pytest.approx((768 + 1.61) / 8000)
    assert shares["encoding"] == pytest.approx(3e9 / 592 / 20 / 3600 / 720)
    assert shares["mapped files"] == pytest.approx(4883 / 65530)
    assert shares["network"] == pytest.approx((50_000 + 15_360) * 8 / 200 / 3600 / 720)


def test_an_unknown_encoder_or_nothing_at_all_is_refused():
    with pytest.raises(PatchseekError, match="one of: embedded, siglip"):
        Plan(1, "nonsense")
    with pytest.raises(PatchseekError, match="one of: l4"):
        Plan(1, gpu="abacus")
    with pytest.raises(PatchseekError, match="n_images must be more than 0"):
        Plan(0)
    with pytest.raises(PatchseekError, match="points must be 0 or more, found -1"):
        Plan(1, points=-1)


def test_the_command_says_the_same_in_words_and_in_json():
    arguments = ["plan", "--images", "100e6", "--encoder", "siglip", "--machines", "20", "--gpus", "8"]
    record = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)
    assert (record["crops"], record["feature_bytes"]) == (3_000_000_000, 6_144_000_000_000)  # x 2048
    assert record["encode_hours"]["gpu"] == pytest.approx(3e9 / (8 * 326.7) / 3600, rel=0.001)  # 319 h
    text = CliRunner().invoke(cli, arguments).stdout
    assert "8 x a100 319 h" in text
    assert "PQ64x4fs                    32      96 GB" in text
    assert record["limits"][0]["what"] == "time of an exact query"
    assert "time of an exact query           12 s        1 s      12x  -> a compressed index" in text


def test_the_command_counts_points_unless_told_there_are_none():
    def words(*options):
        return CliRunner().invoke(cli, ["plan", "--images", "1e6", *options]).stdout

    assert "keep      features 77 GB and points at most 28 GB (+36 %), a copy" in words()
    assert "77 GB of features out, 28 GB of points" in words()
    assert words("--points", str(KEPT)) == words()
    assert "points" not in words("--points", "0")
    record = json.loads(words("--points", "400", "--replicas", "2", "--json"))
    assert (record["point_bytes"], record["network_bytes"]["points"]) == (14_000_000_000, 28_000_000_000)
