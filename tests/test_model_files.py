"""Models of several files: ONNX with external data, OpenVINO's .xml and .bin. Which files are needed, onnx tells."""

import hashlib
import os
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from patchseek import Collection
from patchseek.distributed import add_source
from patchseek.encoders import open_encoder
from patchseek.encoders._model_files import list_files
from patchseek.errors import EncoderError, StoreMismatch
from patchseek.regions import Pyramid
from patchseek.store import Settings

pytestmark = pytest.mark.extra("export")

SIDE = 8
FIRST, SECOND = "model.onnx.data", "parts/b/second.bin"


def weights(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(192, 16)).astype(np.float32), rng.normal(size=(16, 12)).astype(np.float32)]


def model(*places: str, seed: int = 0) -> onnx.ModelProto:
    """Two layers whose weights lie at these places, in the model's own file where there are none."""
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["B", 3, SIDE, SIDE])
    out = helper.make_tensor_value_info("features", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w0"], ["first"]),
        helper.make_node("MatMul", ["first", "w1"], ["features"]),
    ]
    tensors = [numpy_helper.from_array(array, f"w{i}") for i, array in enumerate(weights(seed))]
    for tensor, place in zip(tensors, places, strict=False):
        put_outside(tensor, place)
    graph = helper.make_graph(nodes, "layers", [pixels], [out], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def put_outside(tensor: TensorProto, place: str) -> TensorProto:
    onnx.external_data_helper.set_external_data(tensor, location=place)
    tensor.ClearField("raw_data")
    return tensor


def save(folder: Path, *places: str, seed: int = 0) -> Path:
    """model.onnx in a folder, and its weights at places from there."""
    for array, place in zip(weights(seed), places, strict=False):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(array.tobytes())
    folder.mkdir(exist_ok=True)
    path = folder / "model.onnx"
    path.write_bytes(model(*places, seed=seed).SerializeToString())
    return path


def save_xml(folder: Path, seed: int = 0) -> Path:
    """The same network in OpenVINO's own format."""
    folder.mkdir(exist_ok=True)
    network = openvino.Core().read_model(model(seed=seed).SerializeToString())
    openvino.save_model(network, folder / "model.xml", compress_to_fp16=False)
    return folder / "model.xml"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def change_a_weight(file: Path) -> bytes:
    """Change a bit in the middle of a file; its bytes of before."""
    content = file.read_bytes()
    middle = len(content) // 2
    file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    return content


def patches(n: int = 3) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (n, SIDE, SIDE, 3), np.uint8)


KINDS = {
    "one file beside it": lambda folder: (save(folder, FIRST), folder / FIRST),
    "the second of two": lambda folder: (save(folder, FIRST, SECOND), folder / SECOND),
    "an xml with its bin": lambda folder: (save_xml(folder), folder / "model.bin"),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_another_file_beside_it_is_another_encoder_and_the_same_one_the_same(tmp_path, make):
    path, beside = make(tmp_path / "model")
    before = open_encoder(f"onnx:{path}")
    content = bytearray(beside.read_bytes())
    content[7] ^= 1  # of the first number, a bit of its exponent
    beside.write_bytes(content)
    assert open_encoder(f"onnx:{path}").identity.weights != before.identity.weights
    content[7] ^= 1
    beside.write_bytes(content)
    os.utime(beside, (1, 1))
    assert open_encoder(f"onnx:{path}").identity == before.identity


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_collection_notices_it_when_its_encoder_is_opened(tmp_path, make_folder, make):
    folder, (path, beside) = make_folder("a.png", "b.png"), make(tmp_path / "model")
    Collection.open(tmp_path / "collection", encoder=f"onnx:{path}", pyramid=Pyramid.up_to(1), create=True).add(folder)
    content = change_a_weight(beside)
    opened = Collection.open(tmp_path / "collection")
    for use in (lambda: opened.add(folder), lambda: opened.search(folder / "a.png")):
        with pytest.raises(StoreMismatch, match=r"encoder's weights: '.*' here, '.*' asked for") as caught:
            use()
        assert "\n" not in str(caught.value)
    beside.write_bytes(content)
    assert opened.add(folder).unchanged == 2


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_run_for_a_cluster_notices_it_too_when_nothing_is_to_be_encoded(tmp_path, make_folder, make):
    path, beside = make(tmp_path / "model")
    folder, home = make_folder("a.png", "b.png"), tmp_path / "collection"
    Collection.open(home, encoder=f"onnx:{path}", create=True).add(folder)
    assert add_source(Collection.open(home, encoder=f"onnx:{path}"), folder).unchanged == 2  # no cluster is started
    change_a_weight(beside)
    with pytest.raises(StoreMismatch, match="weights"):
        add_source(Collection.open(home, encoder=f"onnx:{path}"), folder)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_what_lies_outside_is_read_as_what_lies_inside(tmp_path, engine):
    inside = open_encoder(f"onnx:{save(tmp_path / 'inside')}", engine=engine, precision="f32")
    outside = open_encoder(f"onnx:{save(tmp_path / 'outside', FIRST, SECOND)}", engine=engine, precision="f32")
    np.testing.assert_allclose(outside.encode(patches()), inside.encode(patches()), atol=1e-6)


def test_a_model_of_one_file_is_known_by_that_file_alone(tmp_path):
    path = save(tmp_path / "model")
    (tmp_path / "model" / FIRST).write_bytes(b"of something else")
    assert open_encoder(f"onnx:{path}").identity.weights == sha256(path)


def test_the_files_are_those_that_onnx_writes(tmp_path):
    path = tmp_path / "model.onnx"
    options = {"save_as_external_data": True, "all_tensors_to_one_file": False, "size_threshold": 0}
    onnx.save_model(model(), path, **options)
    written = sorted(p for p in tmp_path.iterdir() if p != path)
    assert len(written) == 2
    assert list_files(path) == written


def inner(place: str, kind: str) -> onnx.ModelProto:
    """A model in which a tensor at this place is hidden: in a node, in a branch, in a function, in a sparse tensor."""
    tensor = put_outside(numpy_helper.from_array(np.zeros(4, np.float32), "w"), place)
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    branch = helper.make_graph([constant], "branch", [], [helper.make_tensor_value_info("w", 1, [4])])
    made = model()
    if kind == "node":
        made.graph.node.append(constant)
    elif kind == "branch":
        inner_branch = helper.make_node("If", ["x"], ["w"], then_branch=branch, else_branch=branch)
        outer = helper.make_graph([inner_branch], "outer", [], [helper.make_tensor_value_info("w", 1, [4])])
        made.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=outer, else_branch=branch))
    elif kind == "function":
        opsets = [helper.make_opsetid("", 17)]
        made.functions.append(helper.make_function("mine", "f", [], ["w"], [constant], opsets))
    elif kind == "sparse":
        indices = numpy_helper.from_array(np.arange(4), "i")
        made.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [9]))
    else:
        made.graph.node.append(helper.make_node("Constant", [], ["many"], value=tensor))
        made.graph.node[-1].attribute[0].CopyFrom(helper.make_attribute("tensors", [tensor]))
    return made


@pytest.mark.parametrize("kind", ["node", "branch", "function", "sparse", "list"])
def test_a_tensor_is_found_wherever_it_hides(tmp_path, kind):
    path = tmp_path / "model.onnx"
    path.write_bytes(inner("deep.bin", kind).SerializeToString())
    with pytest.raises(EncoderError, match=r"its weights lie in deep\.bin, which is not beside it"):
        list_files(path)
    (tmp_path / "deep.bin").write_bytes(bytes(16))
    assert list_files(path) == [tmp_path / "deep.bin"]
    path.write_bytes(inner("../deep.bin", kind).SerializeToString())
    with pytest.raises(EncoderError, match="outside its folder"):
        list_files(path)


OUTSIDE = [
    "../w.bin",
    "a/../../w.bin",
    "a/../w.bin",
    "{folder}/w.bin",
    r"..\w.bin",
    r"C:\w.bin",
    r"\\host\w.bin",
    "..",
    "",
    ".",
]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("place", OUTSIDE)
def test_a_place_outside_the_models_folder_is_refused_whatever_is_there(tmp_path, place, engine):
    folder = tmp_path / "model"
    (folder / "a").mkdir(parents=True)
    for where in (tmp_path, folder, folder / "a"):
        (where / "w.bin").write_bytes(weights(0)[0].tobytes())
    path = folder / "model.onnx"
    path.write_bytes(model(place.format(folder=folder)).SerializeToString())
    with pytest.raises(EncoderError, match="outside its folder, which is not looked into") as caught:
        open_encoder(f"onnx:{path}", engine=engine)
    assert "\n" not in str(caught.value)


def test_a_link_that_leads_elsewhere_is_refused(tmp_path):
    path = save(tmp_path / "model", FIRST)
    (path.parent / FIRST).rename(tmp_path / "elsewhere")
    (path.parent / FIRST).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EncoderError, match="outside its folder"):
        list_files(path)
    (path.parent / FIRST).unlink()
    (tmp_path / "elsewhere").rename(path.parent / "beside")
    (path.parent / FIRST).symlink_to("beside")
    assert list_files(path) == [path.parent / FIRST]


def test_a_file_that_is_missing_or_cut_short_is_named(tmp_path):
    path = save(tmp_path / "model", FIRST, SECOND)
    content = (path.parent / SECOND).read_bytes()
    made = onnx.load(path, load_external_data=False)
    entries = made.graph.initializer[1].external_data
    for key, value in (("offset", 0), ("length", len(content))):
        entries.add(key=key, value=str(value))
    path.write_bytes(made.SerializeToString())
    (path.parent / SECOND).write_bytes(content[:-1])
    with pytest.raises(EncoderError, match=rf"{SECOND}: {len(content) - 1} bytes, model\.onnx needs {len(content)}"):
        open_encoder(f"onnx:{path}")
    (path.parent / SECOND).unlink()
    with pytest.raises(EncoderError) as caught:
        open_encoder(f"onnx:{path}")
    assert str(caught.value) == f"{path}: its weights lie in {SECOND}, which is not beside it; bring that file, too"
    (path.parent / SECOND).mkdir()
    with pytest.raises(EncoderError, match="which is not beside it"):
        open_encoder(f"onnx:{path}")


@pytest.mark.parametrize("place", ["line\nbreak.bin", "n" * 300, "nul\0.bin"])
def test_a_name_that_no_file_has_is_missing_in_one_line(tmp_path, place):
    path = tmp_path / "model.onnx"
    path.write_bytes(model(place).SerializeToString())
    with pytest.raises(EncoderError, match="which is not beside it") as caught:
        list_files(path)
    assert "\n" not in str(caught.value)


def test_an_xml_without_its_bin_names_it(tmp_path):
    path = save_xml(tmp_path / "model")
    path.with_suffix(".bin").unlink()
    with pytest.raises(EncoderError, match=r"model\.xml: its weights lie in model\.bin, which is not beside it"):
        open_encoder(f"onnx:{path}")


def test_links_as_in_the_hubs_cache_are_followed_to_whatever_is_beside_them(tmp_path):
    real = save(tmp_path / "real", FIRST)
    blobs, shown = tmp_path / "blobs", tmp_path / "snapshots"
    blobs.mkdir()
    shown.mkdir()
    for name, blob in (("model.onnx", "aa"), (FIRST, "bb")):
        (real.parent / name).rename(blobs / blob)
        (shown / name).symlink_to(f"../blobs/{blob}")
    identity = open_encoder(f"onnx:{shown / 'model.onnx'}", engine="onnxruntime").identity
    assert identity.name == f"onnx:{shown / 'model.onnx'}"
    assert identity.weights.startswith(f"{sha256(blobs / 'aa')}+")
    with pytest.raises(EncoderError, match="outside the base directory"):  # OpenVINO follows no such link
        open_encoder(f"onnx:{shown / 'model.onnx'}", engine="openvino")
    single = tmp_path / "link.onnx"
    single.symlink_to(save(tmp_path / "single"))
    assert open_encoder(f"onnx:{single}").identity.name == f"onnx:{tmp_path / 'single' / 'model.onnx'}"


# ---- collections of before


@pytest.fixture
def old(tmp_path, make_folder):
    """A folder, and a collection of it that knows of the first file of its encoder's model alone; the path of that."""
    folder, path = make_folder("a.png", "b.png"), save(tmp_path / "model", FIRST)
    opened = Collection.open(tmp_path / "collection", encoder=f"onnx:{path}", pyramid=Pyramid.up_to(1), create=True)
    opened.add(folder)
    encoder = opened.store.settings.encoder
    before = Settings(type(encoder)(**{**vars(encoder), "weights": sha256(path)}), opened.store.settings.pyramid)
    opened.store.catalogue.set("settings", before.to_json())
    return folder, path


def test_a_collection_of_before_goes_on_with_a_model_that_gives_the_same_features(tmp_path, old):
    folder, path = old
    opened = Collection.open(tmp_path / "collection")
    assert opened.store.settings.encoder.weights == sha256(path)
    assert opened.search(folder / "a.png")[0].image.path == "a.png"
    assert Collection.open(tmp_path / "collection").store.settings.encoder == opened.encoder.identity
    assert Collection.open(tmp_path / "collection", encoder=open_encoder(f"onnx:{path}")).add(folder).unchanged == 2


@pytest.mark.parametrize("change", ["other weights", "no pictures"])
def test_else_it_says_that_nobody_looked(tmp_path, old, change):
    folder, path = old
    if change == "other weights":
        (path.parent / FIRST).write_bytes(weights(1)[0].tobytes())
    query = tmp_path / "query.png"
    query.write_bytes((folder / "a.png").read_bytes())
    if change == "no pictures":
        for picture in folder.iterdir():
            picture.unlink()
    with pytest.raises(StoreMismatch) as caught:
        Collection.open(tmp_path / "collection").search(query)
    assert str(caught.value) == (
        f"{tmp_path / 'collection'}: encoder: the files beside its first one were not looked at here before, and may "
        "be others now; use the collection's own, or another --collection"
    )


# ---- the reader of messages


@given(st.binary(max_size=200))
def test_any_bytes_are_a_model_or_an_error_of_ours(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    path.write_bytes(content)
    try:
        list_files(path)
    except EncoderError as error:
        assert "\n" not in str(error)


@given(st.data())
def test_a_model_with_bytes_changed_is_a_model_or_an_error_of_ours(tmp_path_factory, data):
    content = bytearray(model(FIRST, SECOND).SerializeToString())
    for _ in range(3):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.onnx"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        list_files(path)
    except EncoderError as error:
        assert "\n" not in str(error)
