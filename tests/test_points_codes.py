"""Points as bytes: what comes back, what is refused, and that the codebook is what the photographs say."""

import hashlib
import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage

import patchseek.points
from patchseek.errors import EncoderError, PatchseekError
from patchseek.images import read
from patchseek.points import (
    POINT_BYTES,
    CodedPoints,
    Points,
    QueryPoints,
    encode,
    find_points,
    identify,
    on_axes,
    open_network,
)
from patchseek.points._codebook import open_codebook

FOLDER = Path(patchseek.points.__file__).parent / "embedded"
MANIFEST = json.loads((FOLDER / "codebook.json").read_text())
TOOL = Path(__file__).parent.parent / "tools" / "export_codebook.py"
DATA = Path(skimage.__file__).parent / "data"


def random_codes(n, seed=0):
    """Any bytes are points."""
    return np.random.default_rng(seed).integers(0, 256, (n, POINT_BYTES), dtype=np.uint8)


def points_at(places, seed=0):
    """Points at these places that look like anything."""
    descriptors = np.random.default_rng(seed).normal(size=(len(places), 64))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return Points(np.asarray(places, np.float32), descriptors.astype(np.float32))


@pytest.fixture(scope="module")
def photograph():
    """800 points of a photograph that had no say in the codebook: it is none, a drawing."""
    return find_points(read(DATA / "logo.png"), 800)


def whole(points):
    """Decoded points with all 64 numbers of their descriptors."""
    return Points(points.places, points.descriptors @ open_codebook().axes.T)


def asked(points):
    """Points as those of a query."""
    n = len(points)
    return QueryPoints(points.places, points.descriptors, np.zeros(n), np.full(n, 256.0), 1.0)


def test_random_points_that_lie_on_the_levels_are_the_same_after_coding():
    points = CodedPoints(random_codes(5000))
    again = CodedPoints(encode(whole(points)))
    assert np.array_equal(again.places, points.places)
    assert np.array_equal(again.descriptors, points.descriptors)


def test_a_comparison_of_coded_with_uncoded_points_is_exact_on_them():
    query, picture = whole(CodedPoints(random_codes(300, seed=1))), CodedPoints(random_codes(800, seed=2))
    before = on_axes(asked(query)).descriptors @ picture.descriptors.T
    assert np.array_equal(on_axes(asked(query)).descriptors @ CodedPoints(encode(whole(picture))).descriptors.T, before)
    by_hand = query.descriptors.astype(np.float64) @ whole(picture).descriptors.T
    assert np.abs(before - by_hand).max() < 1e-4 * np.abs(by_hand).max()


def test_random_bytes_are_the_same_after_reading_and_writing():
    codes = random_codes(5000)
    assert np.array_equal(encode(whole(CodedPoints(codes))), codes)


def test_a_place_comes_back_within_half_a_step_of_1_in_4096():
    places = np.random.default_rng(0).random((10_000, 2), dtype=np.float32)
    places[:4] = [[0, 0], [1, 1], [0, 1], [0.5, 0.25]]
    found = CodedPoints(encode(points_at(places))).places
    assert np.abs(found.astype(np.float64) - places).max() <= 1 / 8192
    assert (found.min(), found.max()) == (0.5 / 4096, 4095.5 / 4096)


def test_the_first_three_bytes_are_the_place():
    """x = 0x123 and y = 0xABC of 4096: the low byte of x, the low half of y before the rest of x, the rest of y."""
    codes = encode(points_at([[(0x123 + 0.5) / 4096, (0xABC + 0.5) / 4096]]))
    assert codes[0, :3].tolist() == [0x23, 0xC1, 0xAB]


def test_the_bytes_after_it_are_words_of_three_levels_lowest_byte_first():
    """Word 0 is 0b100001_000010_0011: level 33 of axis 0, 2 of axis 16 and 3 of axis 32."""
    codes = np.zeros((1, POINT_BYTES), np.uint8)
    codes[0, 3:5] = 0b00100011, 0b10000100
    book = open_codebook()
    levels = np.rint((CodedPoints(codes).descriptors[0] - book.floors) / book.steps)
    assert {axis: level for axis, level in enumerate(levels.tolist()) if level} == {0: 33, 16: 2, 32: 3}


def test_points_of_a_picture_keep_their_likeness(photograph):
    decoded = whole(CodedPoints(encode(photograph))).descriptors
    lengths = np.linalg.norm(decoded, axis=1)
    cosines = (photograph.descriptors * decoded).sum(axis=1) / lengths
    assert cosines.mean() > 0.995
    assert cosines.min() > 0.97
    assert abs(lengths - 1).max() < 0.04


def test_a_query_is_compared_with_decoded_points_as_with_all_of_their_numbers(photograph):
    query, decoded = asked(photograph).chosen(np.arange(0, len(photograph), 7)), CodedPoints(encode(photograph))
    expected = query.descriptors.astype(np.float64) @ whole(decoded).descriptors.T
    assert np.abs(on_axes(query).descriptors @ decoded.descriptors.T - expected).max() < 1e-5


def test_no_points_are_no_bytes():
    nothing = encode(points_at(np.empty((0, 2))))
    assert nothing.shape == (0, POINT_BYTES)
    assert CodedPoints(nothing).descriptors.shape == (0, 48)


def test_what_is_kept_may_be_read_only_and_mapped(tmp_path):
    codes = random_codes(10)
    codes.tofile(tmp_path / "codes")
    mapped = np.memmap(tmp_path / "codes", np.uint8, "r", shape=(10, POINT_BYTES))
    assert np.array_equal(CodedPoints(mapped).places, CodedPoints(codes).places)


@pytest.mark.parametrize(
    ("codes", "found"),
    [
        (np.zeros((3, 34), np.uint8), r"\(3, 34\) uint8"),
        (np.zeros((3, 35), np.int8), r"\(3, 35\) int8"),
        (np.zeros((3, 35), np.float32), r"\(3, 35\) float32"),
        (np.zeros(35, np.uint8), r"\(35,\) uint8"),
        (np.zeros((2, 3, 35), np.uint8), r"\(2, 3, 35\) uint8"),
        (np.uint8(3), "uint8"),
        ([[0] * 35], "list"),
        (b"0" * 35, "bytes"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_code_is_refused(codes, found):
    with pytest.raises(PatchseekError, match=rf"must be \(n, 35\) uint8, found {found}"):
        CodedPoints(codes)


@pytest.mark.parametrize(
    ("part", "values", "found"),
    [
        ("descriptors", np.zeros((2, 63), np.float32), r"found \(2, 63\) float32"),
        ("descriptors", np.zeros((2, 64), np.uint8), r"found \(2, 64\) uint8"),
        ("descriptors", np.zeros((2, 64), complex), r"found \(2, 64\) complex128"),
        ("descriptors", np.zeros(64, np.float32), r"found \(64,\) float32"),
        ("descriptors", [[0.0] * 64] * 2, "found list"),
        ("descriptors", np.zeros((3, 64), np.float32), "a descriptor each, found 2 places and 3"),
        ("descriptors", np.full((2, 64), np.nan, np.float32), "must be finite"),
        ("descriptors", np.full((2, 64), -np.inf, np.float32), "must be finite"),
        ("descriptors", np.full((2, 64), 1e300), "must be finite"),
        ("descriptors", np.full((2, 64), 1e38, np.float32), "must be finite"),
        ("places", np.zeros((2, 3), np.float32), r"found \(2, 3\) float32"),
        ("places", np.zeros((2, 2), np.int64), r"found \(2, 2\) int64"),
        ("places", np.full((2, 2), np.nan, np.float32), "must be finite"),
        ("places", np.full((2, 2), 1.001, np.float32), r"must be in \[0, 1\]"),
        ("places", np.full((2, 2), -0.001, np.float32), r"must be in \[0, 1\]"),
    ],
)
def test_what_are_no_points_is_refused(part, values, found):
    with pytest.raises(PatchseekError, match=found):
        encode(replace(points_at([[0, 0], [1, 1]]), **{part: values}))


def test_points_of_another_codebook_network_number_or_size_are_others():
    today = identify(800, 1024)
    assert today.codes == MANIFEST["sha256"]
    assert today.weights == open_network().weights
    assert (today.n_most, today.side, today.n_bytes) == (800, 1024, POINT_BYTES)
    others = [replace(today, codes="0"), replace(today, weights="0"), identify(400, 1024), identify(800, 512)]
    assert len({today, identify(800, 1024), *others}) == 5


def test_the_codebook_is_made_for_the_network_that_ships():
    assert MANIFEST["network"] == open_network().weights


def test_the_codebook_fills_the_bytes_of_a_point():
    book = open_codebook()
    assert sum(book.bits) == 16
    assert 3 + 2 * book.n_words == POINT_BYTES
    assert np.allclose(book.axes.T @ book.axes, np.eye(48), atol=1e-6)


def test_its_manifest_names_the_bytes_that_ship_and_their_source():
    content = (FOLDER / MANIFEST["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == MANIFEST["sha256"]
    assert len(content) < 20_000
    photographs = b"".join((DATA / name).read_bytes() for name in MANIFEST["source"]["files"])
    assert hashlib.sha256(photographs).hexdigest() == MANIFEST["source"]["sha256"]


@pytest.mark.extra("onnx")
def test_the_codebook_that_ships_is_what_the_tool_writes(tmp_path):
    """Another processor rounds otherwise, and its axes and levels differ by as little."""
    spec = importlib.util.spec_from_file_location("export_codebook", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    file, manifest = tool.export(tmp_path)
    found, shipped = np.load(file), np.load(FOLDER / MANIFEST["file"])
    assert found.shape == shipped.shape == (66, 48)
    assert np.abs(found[64:] - shipped[64:]).max() < 1e-3
    assert (found[:64] * shipped[:64]).sum(axis=0).min() > 0.999
    told = json.loads(manifest.read_text())
    assert [told[name] for name in ("bits", "network")] == [MANIFEST[name] for name in ("bits", "network")]
    assert [told["source"][name] for name in ("files", "sha256")] == [
        MANIFEST["source"][name] for name in ("files", "sha256")
    ]
    assert told["n_points"] == pytest.approx(MANIFEST["n_points"], rel=0.01)


def test_a_codebook_with_other_bytes_is_refused(tmp_path, monkeypatch):
    (tmp_path / "embedded").mkdir()
    for path in FOLDER.iterdir():
        (tmp_path / "embedded" / path.name).write_bytes(path.read_bytes())
    file = tmp_path / "embedded" / MANIFEST["file"]
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    monkeypatch.setattr("patchseek.points._codebook.files", lambda _: tmp_path)
    with pytest.raises(EncoderError, match="SHA-256 differs"):
        open_codebook.__wrapped__()
