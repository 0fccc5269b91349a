"""What cannot be done is refused before the first picture is encoded, in words that name the option and its range."""

# ruff: noqa: F811  # fixtures of another file

import runpy
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from patchseek.cli._benchmarks import evaluate_command
from patchseek.cli._encoder import EncoderChoice
from patchseek.datasets import write_schema
from patchseek.encoders import open_encoder, options_of
from patchseek.errors import EncoderError, PatchseekError

from .conftest import TinyEncoder
from .test_evaluate import dataset  # noqa: F401  # a fixture

pytestmark = pytest.mark.usefixtures("own_cache")

ROOT = Path(__file__).parent.parent


class Unused(TinyEncoder):
    """Fails the test when it is asked to encode anything."""

    def encode(self, _patches):
        raise AssertionError("a picture was encoded")


@pytest.fixture
def main(monkeypatch, tmp_path, dataset, capsys):
    """main("--pq", "pq") -> what main.py says on stderr; it ends with exit code 1 or 2, and has encoded nothing."""
    write_schema(dataset, tmp_path / "ilias")
    main = runpy.run_path(str(ROOT / "main.py"))["main"]
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["main.py", *words])
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
            patch.setitem(main.__globals__, "open_encoder", lambda *_, **__: Unused())
            main()
        assert end.value.code in (1, 2)
        assert not list(tmp_path.glob("features/*"))
        return capsys.readouterr().err

    return call


PQ = ("--pq", "ivfpq", "--pq_m", "13", "--pq_nbits", "2", "--pq_nlist", "8", "--pq_nprobe", "8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tile_size_res", "16"), "--tile_size_res must lie in 0..15, found 16"),
        (("--tile_size_res", "-1"), "--tile_size_res must lie in 0..15, found -1"),
        (("--batch_size", "0"), "--batch_size must lie in 1..65536, found 0"),
        (("--image_size", "-5"), "--image_size must be 0 or lie in 8..4096, found -5"),
        (("--pq_m", "0"), "--pq_m must lie in 1..16777216, found 0"),
        ((*PQ, "--pq_m", "5"), "--pq_m 5 does not divide the dimension 13; these do: 13"),
        ((*PQ, "--pq_nbits", "13"), "--pq_nbits must lie in 1..12, found 13"),
        ((*PQ, "--pq_nbits", "12"), "at most --pq_nbits 7 works"),
        ((*PQ, "--pq_nlist", "0"), "--pq_nlist must lie in 1..16777216, found 0"),
        ((*PQ, "--pq_nlist", "200", "--pq_nprobe", "1"), "--pq_nlist must lie in 1..160, found 200"),
        ((*PQ, "--pq_nprobe", "0"), "--pq_nprobe must lie in 1..16777216, found 0"),
        ((*PQ, "--pq_nprobe", "9"), "--pq_nprobe must lie in 1..8 (--pq_nlist), found 9"),
        ((*PQ, "--pq_train_res", "-3"), "--pq_train_res must lie in -2..15, found -3"),
        ((*PQ, "--pq_train_res", "4"), "--pq_train_res must lie in -2..3 (--tile_size_res), found 4"),
        ((*PQ, "--pq_dist_type", "cosine"), "--pq_dist_type must be one of IP, L2"),
        (("--pq_m", "many"), "argument --pq_m: invalid int value: 'many'"),
        (("--crop", "no"), "argument --crop: True or False, found 'no'"),
        (("--compute_metrics", ""), "--compute_metrics names none: it takes any of mAP, locscore, top-k"),
        (("--compute_metrics", " , "), "--compute_metrics names none"),
        (("--compute_metrics", "mAP, top-0"), "--compute_metrics knows mAP, locscore, top-k and top-N from N = 1"),
        (("--model_name", "embedded", "--crop", "False"), "--crop False: the encoder embedded has no other way"),
        (("--model_name", "embedded", "--image_size", "448"), "--image_size 448: the encoder embedded has no other"),
        (("--model_name", "embedded-fast", "--image_size", "448"), "--image_size 448: the encoder embedded-fast has"),
        (("--model_name", "onnx:my.onnx", "--crop", "False"), "--crop False: the encoder onnx:my.onnx has no other"),
        (("--model_name", "openclip:ViT-B-16/openai", "--crop", "False"), "--crop False: the encoder openclip:ViT"),
    ],
)  # fmt: skip
def test_main_refuses_before_it_encodes(main, words, message):
    assert message in main(*words)


def test_an_option_of_compression_that_is_not_used_is_not_held_against_the_others(main):
    with pytest.raises(AssertionError, match="a picture was encoded"):
        main("--pq_nlist", "9", "--pq_m", "5")


def test_the_originals_top_k_is_what_its_table_says():
    arguments = runpy.run_path(str(ROOT / "main.py"))["Arguments"]
    assert arguments(compute_metrics="mAP, top-k, locscore").metric_names == [
        *("map", "top-1", "top-5", "top-10", "locscore")
    ]
    assert arguments(compute_metrics="top-5,Top-K").metric_names == ["top-5", "top-1", "top-10"]


def test_options_are_known_without_the_library_of_an_encoder():
    assert options_of("embedded") == options_of("embedded-fast?size=9") == ()
    assert "mode" not in options_of("openclip:ViT-B-16/openai")
    assert "mode" not in options_of("onnx:model.onnx?size=224")
    assert {"mode", "size"} <= {*options_of("siglip")} & {*options_of("timm:vit_tiny_patch16_224?size=224")}
    with pytest.raises(EncoderError, match=r"embedded takes no options.*'size=448'"):
        open_encoder("embedded?size=448")


@pytest.fixture
def evaluate(monkeypatch, tmp_path, dataset):
    """evaluate("--level", "0") -> what `eval` says when it refuses; nothing was encoded."""
    write_schema(dataset, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    real = EncoderChoice.open

    def call(*words: str) -> str:
        with monkeypatch.context() as patch:
            if "--encoder" not in words:
                patch.setattr(EncoderChoice, "open", lambda _: Unused())
            done = CliRunner().invoke(evaluate_command, ["data", *words])
        assert EncoderChoice.open is real
        assert done.exit_code, done.output
        assert isinstance(done.exception, SystemExit | PatchseekError), repr(done.exception)
        assert not (tmp_path / "cache").exists()
        return done.output + (str(done.exception) if isinstance(done.exception, PatchseekError) else "")

    return call


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--level", "16"), "16 is not in the range 0<=x<=15"),
        (("--level", "0", "--level", "3", "--train-level", "2"), "--train-level must lie in 0..0, the lowest --level"),
        (("--keep", "keys.txt"), "--keep says which pictures of --distractors to take"),
        (("--distractors", "nowhere.tar"), "'nowhere.tar' does not exist"),
        (
            ("--index", "IVF16,PQ64;nprobe=0"),
            "--index at --level 0: 'IVF16,PQ64;nprobe=0': nprobe must be a whole number",
        ),
        (("--index", "PQ5"), "--index at --level 0: FAISS cannot build 'PQ5'"),
        (("--index", "nonsense"), "--index at --level 0: FAISS cannot build 'nonsense'"),
        (("--index", "IVF4,Flat;depth=3"), "'depth' is no parameter of FAISS"),
        (("--index", "IVF11,Flat"), "11 clusters need as many training features, there will be 10"),
        (("--index", "IVF4,PQ13"), "256 code words need as many training features, there will be 10"),
        (("--index", "milvus:a.db;nprobe=1"), "'nprobe' is no parameter of FLAT"),
        (("--index", "postgresql://h/d;type=TREE"), "PostgreSQL has no index 'TREE'"),
        (("--encoder", "embedded", "--image-size", "448"), "--image-size: the encoder embedded has no such choice"),
        (("--encoder", "embedded", "--fit", "pad"), "--fit: the encoder embedded has no such choice"),
        (("--encoder", "onnx:a.onnx", "--pool", "gem"), "--pool: the encoder onnx:a.onnx has no such choice"),
        (("--encoder", "siglip", "--image-size", "0"), "0 is not in the range 8<=x<=4096"),
    ],
)
def test_eval_refuses_before_it_encodes(evaluate, words, message):
    assert message in evaluate(*words)
