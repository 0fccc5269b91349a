"""ONNX files as encoders, on models of a few nodes whose answers can be computed by hand, or by numpy."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from patchseek.encoders import open_encoder
from patchseek.errors import EncoderError

from .contract_encoder import check_encoder, cosines

pytestmark = pytest.mark.extra("export")

helper = onnx.helper
SIDE = 8


def save(path: Path, *, kind: str = "float", batch: int | str = "B", side: int | str = SIDE, flat: bool = True) -> Path:
    """Means of a 2 x 2 grid: patches of any S -> (B, 12), channel by channel. Not flat: (B, 3, 2, 2)."""
    float32, uint8 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8
    nodes, current = [], "pixels"
    if kind == "uint8":
        nodes.append(helper.make_node("Cast", ["pixels"], ["cast"], to=float32))
        nodes.append(helper.make_node("Transpose", ["cast"], ["turned"], perm=[0, 3, 1, 2]))
        current = "turned"
    nodes.append(helper.make_node("AveragePool", [current], ["means"], kernel_shape=[4, 4], strides=[4, 4]))
    if flat:
        nodes.append(helper.make_node("Flatten", ["means"], ["features"]))
    shape = [batch, 3, side, side] if kind == "float" else [batch, side, side, 3]
    pixels = helper.make_tensor_value_info("pixels", float32 if kind == "float" else uint8, shape)
    out = helper.make_tensor_value_info("features" if flat else "means", float32, None)
    model = helper.make_model(
        helper.make_graph(nodes, "grid", [pixels], [out]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    path.write_bytes(model.SerializeToString())
    return path


def patches(n: int = 9) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (n, 2, 2, 3), np.uint8).repeat(4, axis=1).repeat(4, axis=2)


def grid(images: np.ndarray) -> np.ndarray:
    """What the model answers for images (n, 8, 8, 3), by numpy."""
    n = len(images)
    return images.reshape(n, 2, 4, 2, 4, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2).reshape(n, 12)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("batch", ["B", 4])
@pytest.mark.parametrize("kind", ["float", "uint8"])
def test_it_keeps_the_promises_of_every_encoder(tmp_path, engine, batch, kind):
    path = save(tmp_path / "grid.onnx", kind=kind, batch=batch)
    encoder = open_encoder(f"onnx:{path}", engine=engine, precision="f32")
    check_encoder(encoder, patches())
    if batch == 4:
        assert encoder.batch == 4
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = grid((patches() / 255 - mean) / std if kind == "float" else patches())
    assert cosines(encoder.encode(patches()), expected).min() > 0.99999


def test_a_json_file_beside_it_says_how_it_is_fed(tmp_path):
    path = save(tmp_path / "grid.onnx", side="S")
    options = {"mean": [0.5, 0.5, 0.5], "std": [1, 1, 1], "interpolation": "bilinear", "size": SIDE}
    path.with_suffix(".json").write_text(json.dumps(options))
    encoder = open_encoder(f"onnx:{path}?fit=pad")
    assert encoder.identity.name == f"onnx:{path}?fit=pad"
    assert encoder.identity.preprocessing == "pad, bilinear, mean 0.5 0.5 0.5, std 1 1 1"
    assert (encoder.feed.size, encoder.feed.fit, encoder.feed.interpolation) == (8, "pad", "bilinear")
    assert encoder.identity.dim == 12
    expected = grid(patches() / 255 - 0.5)
    assert cosines(encoder.encode(patches()), expected).min() > 0.999


def test_a_size_that_may_vary_is_taken_from_the_name(tmp_path):
    path = save(tmp_path / "grid.onnx", side="S")
    assert open_encoder(f"onnx:{path}?size=16").identity.dim == 48
    with pytest.raises(EncoderError, match=r"give it, as in onnx:FILE\?size=224"):
        open_encoder(f"onnx:{path}")
    with pytest.raises(EncoderError, match="its input is 8 px, found size=16"):
        open_encoder(f"onnx:{save(tmp_path / 'fixed.onnx')}?size=16")


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_what_is_no_image_model_is_refused(tmp_path, engine):
    noise = tmp_path / "noise.onnx"
    noise.write_bytes(b"noise")
    grids = save(tmp_path / "grids.onnx", flat=False)
    for path, reason in {
        tmp_path / "absent.onnx": "no such file",
        noise: "cannot be read as an ONNX model",
        grids: "one vector a patch",
    }.items():
        with pytest.raises(EncoderError, match=reason) as caught:
            open_encoder(f"onnx:{path}", engine=engine)
        assert "\n" not in str(caught.value)


def test_options_that_are_none_are_refused(tmp_path):
    path = save(tmp_path / "grid.onnx")
    for text, reason in {
        "{": "cannot be read as JSON",
        '{"colour": 1}': "known are mean, std, interpolation, size",
        '{"mean": [1, 2]}': "three numbers each",
        '{"std": [1, 0, 1]}': "std without zero",
        '{"mean": 3}': "three numbers each",
        '{"size": "big"}': "size must be",
        '{"interpolation": "magic"}': "interpolation must be one of",
    }.items():
        path.with_suffix(".json").write_text(text)
        with pytest.raises(EncoderError, match=reason):
            open_encoder(f"onnx:{path}")
    path.with_suffix(".json").unlink()
    with pytest.raises(EncoderError, match="engine must be auto, openvino or onnxruntime"):
        open_encoder(f"onnx:{path}", engine="torch")
    with pytest.raises(EncoderError, match="leave out the options"):
        open_encoder(f"onnx:{path}", weights=Path("w.safetensors"))
    with pytest.raises(EncoderError, match="no option 'pool'"):
        open_encoder(f"onnx:{path}?pool=gem")
