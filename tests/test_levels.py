"""A level's figures are its own: the same alone, beside other levels, and read from what a higher level has kept."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patchseek import evaluate as ev
from patchseek.datasets import open_dataset, write_schema
from patchseek.indexes import open_repeatable

from .conftest import blot
from .contract_engine import make_snapshot, unit
from .test_library import Counting

ROOT = Path(__file__).parent.parent


@pytest.fixture(params=[3, 20], ids=["3 queries", "20 queries"])
def dataset(tmp_path, request):
    """Photographs large enough for a JPEG to be decoded at a part of its size, one of them long, two of them alike."""
    folder = tmp_path / "set"
    folder.mkdir()
    gallery, queries = [], []
    for i in range(24):
        size = (1600, 240) if i == 5 else (640, 480)
        picture = blot(i if i != 7 else 6, 320, 240).resize(size, Image.Resampling.BICUBIC)
        picture.save(folder / f"{i}.jpg", quality=80)
        gallery.append({"id": f"g{i}", "image": f"{i}.jpg", "instance": [f"o{i}"], "bbox": [[32, 24, 160, 120]]})
    for i in range(request.param):
        Image.open(folder / f"{i}.jpg").crop((30, 20, 400, 300)).save(folder / f"q{i}.jpg", quality=70)
        queries.append({"id": f"q{i}", "image": f"q{i}.jpg", "instance": f"o{i}", "bbox": None})
    (folder / "query.json").write_text(json.dumps(queries))
    (folder / "gallery.json").write_text(json.dumps(gallery))
    return open_dataset(folder)


def ranked(dataset, gallery, level, encoder):
    settings = ev.EvalSettings(level)
    queries = ev.encode_queries(dataset, encoder)
    engine = ev.open_engine(gallery, settings)
    return ev.run_benchmark(dataset, gallery, queries, engine, settings)["results"]


def test_a_level_alone_ranks_as_it_does_beside_a_higher_one_to_the_last_digit(dataset, tiny, tmp_path):
    tops = (3, 5)
    above = {
        top: ev.encode_gallery(dataset, tiny, ev.EvalSettings(top).pyramid, tmp_path / f"to {top}") for top in tops
    }
    for level in range(4):
        own = ev.encode_gallery(dataset, tiny, ev.EvalSettings(level).pyramid, tmp_path / f"alone {level}")
        alone = ranked(dataset, own, level, tiny)
        for top in tops:
            assert ranked(dataset, above[top].at_level(level), level, tiny) == alone, (level, top)


def test_a_lower_level_is_read_from_the_features_of_a_higher_one(dataset, tmp_path):
    encoder = Counting()
    whole = ev.encode_gallery(dataset, encoder, ev.EvalSettings(3).pyramid, tmp_path)
    assert encoder.n == 24 * 30
    for level in (0, 1, 2, 3):
        lower = ev.encode_gallery(dataset, encoder, ev.EvalSettings(level).pyramid, tmp_path)
        assert lower.snapshot.n_regions == (1, 5, 14, 30)[level]
        np.testing.assert_array_equal(
            lower.snapshot.features(np.arange(24)), whole.at_level(level).snapshot.features(np.arange(24))
        )
    assert encoder.n == 24 * 30, "nothing was encoded again"


def test_another_shape_of_pyramid_is_not_read_from_the_cache(dataset, tmp_path):
    encoder = Counting()
    ev.encode_gallery(dataset, encoder, ev.EvalSettings(3).pyramid, tmp_path)
    ev.encode_gallery(dataset, encoder, ev.EvalSettings(1, overlap=0.5).pyramid, tmp_path)
    ev.encode_gallery(dataset, encoder, ev.EvalSettings(1, follows_shape=False).pyramid, tmp_path)
    assert encoder.n == 24 * (30 + 1 + 9 + 5)


def test_a_higher_level_that_was_broken_off_is_not_gone_on_with_for_a_lower_one(dataset, tmp_path):
    class Stop(Exception):
        pass

    def stop(done, *_):
        if done == 10:
            raise Stop

    encoder = Counting()
    with pytest.raises(Stop):
        ev.encode_gallery(dataset, encoder, ev.EvalSettings(3).pyramid, tmp_path, stop)
    encoder.n = 0
    ev.encode_gallery(dataset, encoder, ev.EvalSettings(0).pyramid, tmp_path)
    assert encoder.n == 24


@pytest.mark.parametrize("n_queries", [1, 16, 17, 40])
def test_a_repeatable_search_does_not_depend_on_shards_nor_on_what_lies_beside(n_queries):
    snapshot, queries = make_snapshot(), unit(np.random.default_rng(2), n_queries, 16)
    lower = snapshot.first_regions(3)
    features = lower.features(np.arange(60)).astype(np.float16)
    together = type(lower)([features], ("one",), lower.ids, lower.live, 3, 16)
    one, other = open_repeatable(lower).search(queries, 60), open_repeatable(together).search(queries, 60)
    for part in ("positions", "regions", "scores"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))
    truth = np.einsum("nrd,qd->qnr", features.astype(np.float64), queries.astype(np.float64)).max(axis=2)
    assert one.scores == pytest.approx(np.take_along_axis(truth, one.positions, axis=1), abs=6e-7)
    assert (np.diff(one.scores, axis=1) <= 0).all()


@pytest.mark.parametrize("dataset", [3], indirect=True, ids=["3 queries"])
def test_main_encodes_no_level_anew_that_a_higher_one_holds(dataset, tmp_path, monkeypatch, capsys):
    write_schema(dataset, tmp_path / "ilias")
    monkeypatch.chdir(tmp_path)
    main, encoder, printed = runpy.run_path(str(ROOT / "main.py"))["main"], Counting(), []
    monkeypatch.setitem(main.__globals__, "open_encoder", lambda *_, **__: encoder)
    for level in ("3", "2", "0"):
        monkeypatch.setattr(sys, "argv", ["main.py", "--tile_size_res", level, "--compute_metrics", "mAP"])
        main()
        printed.append(json.loads(capsys.readouterr().out.splitlines()[-1])["mAP"])
    assert encoder.n == 24 * 30 + 3 * len(dataset.queries)
    monkeypatch.setitem(main.__globals__, "DATA", tmp_path / "ilias")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    main()
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["mAP"] == printed[-1], "level 0 alone"
