"""Ground truths in pickles: arrays come out as NumPy put them in, and nothing that a pickle says is ever done."""

import io
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patchseek.datasets import open_dataset
from patchseek.datasets._literals import read_literals
from patchseek.errors import DatasetError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
OLD, NEW = b"numpy.core.", b"numpy._core."


def other_core(content: bytes) -> bytes:
    """The same pickle as a NumPy of before or since version 2 writes it."""
    told = NEW if NEW in content else OLD
    out, at = io.BytesIO(), 0
    for step, argument, start in pickletools.genops(content):  # lengths are written before texts, so step by step
        if step.name in ("SHORT_BINUNICODE", "BINUNICODE") and str(argument).encode().startswith(told):
            text = str(argument).encode().replace(told, OLD if told == NEW else NEW)
            out.write(content[at:start] + pickle.SHORT_BINUNICODE + bytes([len(text)]) + text)
            at = start + len(str(argument)) + (2 if step.name == "SHORT_BINUNICODE" else 5)
        elif step.name == "GLOBAL" and argument.startswith(told.decode()):
            line = argument.replace(" ", "\n").encode().replace(told, OLD if told == NEW else NEW)
            out.write(content[at:start] + b"c" + line + b"\n")
            at = start + 1 + len(argument) + 1
        elif step.name == "FRAME":
            out.write(content[at:start])
            at = start + 9
    out.write(content[at:])
    return out.getvalue()


ARRAYS = {
    "int64": np.arange(7),
    "uint8": np.arange(5, dtype=np.uint8),
    "big-endian": np.array([1, 2, 300], ">i4"),
    "float32": np.array([1.5, -2.25], np.float32),
    "float16": np.array([1.5, 2.25], np.float16),
    "logical": np.array([True, False]),
    "two axes": np.arange(6).reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "turned": np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    "every second": np.arange(10)[::2],
    "texts": np.array(["all_souls_000013", "ž"]),
    "bytes": np.array([b"all_souls", b"b"]),
    "empty": np.array([], np.int64),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_out_as_the_list_that_it_is(name, protocol):
    array = ARRAYS[name]
    expected = [text.decode() for text in array.tolist()] if name == "bytes" else array.tolist()
    content = pickle.dumps({"ok": array, "again": [array]}, protocol)
    for written in (content, other_core(content)):
        assert read_literals(written, "x") == {"ok": expected, "again": [expected]}
    if protocol > 1 or array.size:
        assert (NEW in content) != (NEW in other_core(content))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("number", [np.int64(5), np.float32(0.5), np.bool_(True), np.array(7)])
def test_a_number_of_numpy_comes_out_as_a_number_and_an_array_without_axes_as_a_list_of_it(number, protocol):
    content = pickle.dumps([number], protocol)
    expected = [number.item()] if isinstance(number, np.generic) else [[number.item()]]
    for written in (content, other_core(content)):
        assert read_literals(written, "x") == expected


def test_what_python_2_wrote_is_read():
    """numpy.array([1, 2]) of protocol 2, whose bytes Python 2 wrote as text."""
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85U\x01b\x87Rq\x02(K\x01K\x02"
        b"\x85cnumpy\ndtype\nq\x03U\x02i2K\x00K\x01\x87Rq\x04(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x04\x01\x00\x02\x00tb."
    )
    assert pickle.loads(content, encoding="latin1").tolist() == [1, 2]
    assert read_literals(content, "x") == [1, 2]


@pytest.fixture
def oxford(tmp_path):
    folder = tmp_path / "roxford5k"
    for name in ("a", "b", "c", "q"):
        (folder / "jpg").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6)).save(folder / "jpg" / f"{name}.jpg")
    return folder


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("wrap", [np.array, lambda x: np.array([x]), lambda x: np.array(x).reshape(-1, 1)])
def test_a_ground_truth_of_arrays_is_the_one_of_lists(oxford, wrap, protocol):
    lists = {"bbx": [1.0, 1.0, 5.0, 4.0], "easy": [0], "hard": [2], "junk": []}
    arrays = {key: wrap(np.array(value, np.float64 if key == "bbx" else np.int64)) for key, value in lists.items()}
    for judged in (lists, arrays):
        gnd = {"imlist": ["a", "b", "c"], "qimlist": ["q"], "gnd": [judged]}
        (oxford / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(gnd, protocol))
        data = open_dataset(f"roxford5k:{oxford}")
        assert data.positives("q") == {"a": None, "c": None}
        assert data.queries[0].box == (1, 1, 4, 3)


class Calls:
    """Becomes a call of anything in a pickle."""

    def __init__(self, function, *arguments):
        self.made = function, arguments

    def __reduce__(self):
        return self.made


@pytest.mark.parametrize("wrong", [np.array([False, True, False]), [True], np.array([1.5]), [1.5]])
def test_a_mask_and_a_fraction_are_no_numbers_of_pictures(oxford, wrong):
    judged = {"bbx": [0, 0, 8, 8], "easy": [0], "hard": [], "junk": wrong}
    gnd = {"imlist": ["a", "b", "c"], "qimlist": ["q"], "gnd": [judged]}
    (oxford / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(gnd))
    with pytest.raises(DatasetError, match=r"gnd 1: junk must be (a list of|whole) numbers, found \["):
        open_dataset(f"roxford5k:{oxford}")


REFUSED = {
    "an array of objects": np.array([{}, "x"], object),
    "an array of records": np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    "an array of dates": np.array(["2024-01-01"], "M8[D]"),
    "an array of complex numbers": np.array([1j]),
    "a path": Path("/"),
    "a set": {1, 2},
    "a class": dict,
    "a function of numpy": Calls(np.fromfile, "/etc/passwd"),
    "a file": Calls(open, "found", "w"),
    "a shell": Calls(subprocess.check_call, ["touch", "found"]),
    "evaluated text": Calls(eval, "open('found', 'w')"),
    "an import": Calls(__import__, "antigravity"),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_array_and_no_plain_value_is_refused_and_nothing_is_run(
    oxford, name, protocol, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    path = oxford / "gnd_roxford5k.pkl"
    path.write_bytes(pickle.dumps({"imlist": ["a"], "qimlist": ["q"], "gnd": [], "extra": REFUSED[name]}, protocol))
    with pytest.raises(DatasetError) as error:
        open_dataset(f"roxford5k:{oxford}")
    said = str(error.value)
    assert said.startswith(f"{path}: its pickle holds more than lists, dicts, texts, numbers and arrays of them: it ")
    assert said.endswith("write it again as .json, of lists, texts and numbers alone")
    assert "\n" not in said
    assert not (tmp_path / "found").exists()
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'touch found'\ntR.",
        b"(S'touch found'\nios\nsystem\n.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\n(I0\ntS'b'\ntR.",
        b"cnumpy\nndarray\n(I9\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntRR.",
        b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.",
        b"cbuiltins\nbytes\n(I1000000000000\ntR.",
        b"\x80\x02cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR.",
        b"\x80\x02cnumpy\ndtype\n(S'f8,f8'\nI0\nI1\ntR.",
        b"(lp0\nP1\n.",
        b"\x80\x02\x82\x01.",
        b"]}b.",
    ],
)
def test_a_pickle_made_by_an_enemy_is_one_line(content, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=r"^x: (its pickle holds more|not a pickle, or a damaged one)"):
        read_literals(content, "x")
    assert not (tmp_path / "found").exists()


def test_an_array_cannot_claim_more_than_is_written():
    small = pickle.dumps(np.arange(2, dtype=np.int16), 2)
    for shape in (
        b"K\x03\x85",
        b"K\x01\x85",
        b"K\x00\x85",
        b"J\xff\xff\xff\xff\x85",
        b"\x8a\x08" + b"\x7f" * 8 + b"\x85",
    ):
        assert small.count(b"K\x02\x85") == 1
        with pytest.raises(DatasetError, match="not a pickle, or a damaged one"):
            read_literals(small.replace(b"K\x02\x85", shape), "x")
    none = pickle.dumps(np.empty((0, 5), np.int8), 2)
    assert none.count(b"K\x00K\x05\x86") == 1
    assert read_literals(none.replace(b"K\x00K\x05\x86", b"\x8a\x08" + b"\x7f" * 8 + b"K\x00\x86"), "x") == []


def test_a_list_of_one_list_again_and_again_is_refused_in_no_time(oxford):
    nested: list[object] = ["x"] * 1000
    for _ in range(6):
        nested = [nested] * 1000
    for judged in ({"easy": nested}, {"bbx": [[1.0] * 100_000] * 100_000}, nested):
        gnd = {"imlist": ["a"], "qimlist": ["q"], "gnd": [judged]}
        (oxford / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(gnd, 4))
        with pytest.raises(DatasetError, match="gnd 1") as error:
            open_dataset(f"roxford5k:{oxford}")
        assert len(str(error.value)) < 400
