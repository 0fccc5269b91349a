"""The main job on the annotated photographs, judged by their own scorer, which shares no code with patchseek."""

import importlib.util
from pathlib import Path

import pytest

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
