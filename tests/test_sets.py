"""The main job on the annotated photographs, judged by their own scorer, which shares no code with patchseek."""

import importlib.util
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from patchseek import evaluate as ev
from patchseek.datasets import open_dataset
from patchseek.encoders import open_encoder
from patchseek.rerank import Refiner

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "quality.py"


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("name", "least", "least_gain"), [("dev-set", 0.62, 0), ("composite-set", 0.49, 0.25)])
def test_the_objects_of_a_set_are_found(data_sets, name, least, least_gain):
    """least: mean average precision at level 3; least_gain: how much of it the pyramid adds to the whole picture's."""
    spec = importlib.util.spec_from_file_location("quality", BENCHMARK)
    quality = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(quality)
    figures = quality.measure(data_sets, name, quality.load_scorer(data_sets))
    assert figures["levels"]["L3"]["mAP"] >= least
    assert figures["levels"]["L3"]["mAP"] - figures["levels"]["L0"]["mAP"] >= least_gain
    assert figures["collection_mb"] <= 34


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["composite-set"])
def test_refined_boxes_fit_where_the_grid_does_not(data_sets, name):
    """Ten queries of the set, ten results each: how far the goals are passed is for benchmarks/localisation.py."""
    data = open_dataset(data_sets / name)
    encoder, settings = open_encoder(), ev.EvalSettings(refine=10)
    with tempfile.TemporaryDirectory() as cache:
        gallery = ev.encode_gallery(data, encoder, settings.pyramid, Path(cache))
        asked = ev.read_queries(data, encoder)
        features, engine = np.array([query.feature for query in asked]), ev.open_engine(gallery, settings)
        plain = ev.run_benchmark(data, gallery, features, engine, ev.EvalSettings())
        few = replace(data, queries=data.queries[:10])
        refiners = [Refiner(query, encoder) for query in asked[:10]]
        refined = ev.run_benchmark(few, gallery, features, engine, settings, refiners)
    for query in data.queries[10:]:
        plain["results"].pop(query.id)
    spec = importlib.util.spec_from_file_location("evaluate", data_sets / "evaluate.py")
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    before, after = (scorer.score(str(data_sets / name), found["results"])["all"] for found in (plain, refined))
    assert after["mAP"] > before["mAP"]
    assert after["meanIoU"] > before["meanIoU"] + 0.05
