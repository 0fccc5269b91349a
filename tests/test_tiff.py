"""Pages of a TIFF, and every layout of its pixels, beside what tifffile and numpy say."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from patchseek.images import count_pages, read

from .test_images import reason

REDUCED, PAGE, MASK = 1, 2, 4  # bits of NewSubfileType in TIFF 6.0


# ---- pages


def book(path: Path, kinds: list[int], order: str = "<", bigtiff: bool = False, compression: str | None = None) -> Path:
    """A TIFF with a directory for each NewSubfileType; the i-th, from 1, is all grey 10 * i, and i pixels wide."""
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=order) as tiff:
        for i, kind in enumerate(kinds, 1):
            grey, photometric = np.full((4, i), 10 * i, np.uint8), "minisblack"
            if kind & MASK:
                grey, photometric = np.ones((4, i), bool), "mask"
            tiff.write(grey, photometric=photometric, subfiletype=kind, compression=compression, metadata=None)
    return path


def chain(offsets: list[int], order: str = "<", last: int = 0) -> bytes:
    """A TIFF with directories of one pixel at these places, each naming the next one; the last names `last`."""
    content = bytearray(struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, offsets[0]))
    for place, following in zip(offsets, [*offsets[1:], last], strict=True):
        entries = b"".join(struct.pack(order + "HHIHH", tag, 3, 1, 1, 0) for tag in (256, 257))
        directory = struct.pack(order + "H", 2) + entries + struct.pack(order + "I", following)
        content[len(content) :] = bytes(max(0, place + len(directory) - len(content)))
        content[place : place + len(directory)] = directory
    return bytes(content)


@pytest.mark.parametrize("compression", [None, "adobe_deflate"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_each_page_of_a_tiff_is_counted_and_read(
    tmp_path: Path, order: str, bigtiff: bool, compression: str | None
) -> None:
    path = book(tmp_path / "a.tif", [0, PAGE, PAGE, 0], order, bigtiff, compression)
    assert count_pages(path) == 4
    for source in (path, path.read_bytes()):
        for page in range(1, 5):
            picture = read(source, page=page)
            assert (picture.width, picture.height) == (page, 4)
            assert (picture.pixels == 10 * page).all()


def test_without_a_number_the_first_page_is_read(tmp_path: Path) -> None:
    assert (read(book(tmp_path / "a.tif", [0, 0])).pixels == 10).all()


@pytest.mark.parametrize("kind", [REDUCED, REDUCED | PAGE, MASK, REDUCED | MASK])
def test_a_smaller_version_or_a_mask_is_no_page(tmp_path: Path, kind: int) -> None:
    path = book(tmp_path / "a.tif", [kind, 0, kind, kind, PAGE, kind])
    assert count_pages(path) == 2
    assert [read(path, page=page).width for page in (1, 2)] == [2, 5]
    assert reason(path, page=3) == "has no page 3, only 2"


def test_what_is_nothing_but_a_smaller_version_is_still_a_picture(tmp_path: Path) -> None:
    path = book(tmp_path / "a.tif", [REDUCED, REDUCED])
    assert count_pages(path) == 1
    assert read(path).width == 1
    assert reason(path, page=2) == "has no page 2, only 1"


def test_the_old_tag_of_a_smaller_version_counts_as_well(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        for width, old in ((1, 2), (2, 1), (3, 3)):  # SubfileType: 1 full, 2 reduced, 3 a page of many
            grey = np.zeros((4, width), np.uint8)
            tiff.write(grey, photometric="minisblack", metadata=None, extratags=[(255, 3, 1, old, False)])
    assert count_pages(path) == 2
    assert [read(path, page=page).width for page in (1, 2)] == [2, 3]


@pytest.mark.parametrize("order", ["<", ">"])
def test_directories_that_go_round_in_a_circle_are_counted_once(tmp_path: Path, order: str) -> None:
    path = tmp_path / "a.tif"
    for offsets, last in (([8], 8), ([100, 8], 100), ([8, 200, 100], 200), ([8, 200, 100], 100)):
        path.write_bytes(chain(offsets, order, last))
        assert count_pages(path) == len(offsets)


def test_no_more_than_ten_thousand_directories_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(chain(list(range(8, 8 + 30 * 10_050, 30))))
    assert count_pages(path) == 10_000


def test_directories_larger_than_their_file_are_made_up(tmp_path: Path) -> None:
    content = bytearray(chain([8, 100]))
    struct.pack_into("<H", content, 100, 60_000)
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    assert count_pages(path) == 1
    huge = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16) + struct.pack("<Q", 1 << 62) + bytes(60)
    path.write_bytes(huge)
    assert count_pages(path) == 1


@pytest.mark.parametrize("length", [0, 3, 8, 9, 15, 30, 60])
def test_a_broken_chain_ends_where_it_breaks(tmp_path: Path, length: int) -> None:
    for bigtiff in (False, True):
        path = book(tmp_path / "a.tif", [0, 0, 0], bigtiff=bigtiff)
        path.write_bytes(path.read_bytes()[:length])
        assert count_pages(path) == 1


def test_every_other_file_has_one_page(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("MM")
    (tmp_path / "empty.tif").touch()
    (tmp_path / "folder.tif").mkdir()
    for name in ("text.tif", "empty.tif", "folder.tif", "missing.tif", "a\0b.tif"):
        assert count_pages(tmp_path / name) == 1


def test_a_page_that_is_not_there_says_how_many_are(tmp_path: Path) -> None:
    path = book(tmp_path / "a.tif", [0, 0, 0])
    assert reason(path, page=4) == "has no page 4, only 3"
    assert reason(path, page=0) == "has no page 0, only 3"
    assert reason(path, page=-1) == "has no page -1, only 3"
    gif = b"GIF87a" + bytes(30)
    assert reason(gif, page=2) == "has no page 2, only one picture"


def test_a_page_is_read_though_the_one_before_it_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(np.zeros((4, 4), np.complex64), metadata=None)
        tiff.write(np.full((4, 5), 77, np.uint8), photometric="minisblack", metadata=None)
    assert reason(path) == "a TIFF with samples of 64 bits, complex, is not read here"
    assert (read(path, page=2).pixels == 77).all()


# ---- layouts

HEIGHT, WIDTH = 23, 37  # no multiples of strips, tiles or bytes
N_COLOURS = {"minisblack": 1, "miniswhite": 1, "rgb": 3, "separated": 4, "ycbcr": 3}
SAMPLES = {
    "8 bits": ("u1", 8),
    "16 bits": ("u2", 16),
    "32 bits": ("u4", 32),
    "64 bits": ("u8", 64),
    "8 bits, signed": ("i1", 8),
    "16 bits, signed": ("i2", 16),
    "32 bits, signed": ("i4", 32),
    "half floats": ("f2", 16),
    "floats": ("f4", 32),
    "doubles": ("f8", 64),
}


def noise(dtype: str, bits: int, n: int) -> np.ndarray:
    """Samples (HEIGHT, WIDTH, n) of any size, the least and the greatest among them."""
    share = np.random.default_rng(n).random((HEIGHT, WIDTH, n))
    share[0, :2] = [[0] * n, [1] * n]
    if dtype[0] == "f":
        return share.astype(dtype)
    whole = (share * (2.0**bits - 1)).clip(0, 2.0**bits - 2.0 ** max(bits - 53, 0)).astype("u8")
    return (whole - np.uint64(2 ** (bits - 1) if dtype[0] == "i" else 0)).astype(dtype)


def shown(samples: np.ndarray, bits: int, photometric: str, extra: tuple[str, ...]) -> np.ndarray:
    """What samples (h, w, n) look like by TIFF 6.0, over white: (h, w, 3) from 0 to 255."""
    values = samples.astype(np.float64)
    if samples.dtype.kind != "f":
        values = (values + (2.0 ** (bits - 1) if samples.dtype.kind == "i" else 0)) / (2.0**bits - 1)
    n = N_COLOURS[photometric]
    colours = values[..., :n]
    if photometric == "miniswhite":
        colours = 1 - colours
    elif photometric == "separated":
        colours = (1 - colours[..., :3]) * (1 - colours[..., 3:])
    elif photometric == "ycbcr":
        y, b, r = np.moveaxis(colours * 255, -1, 0)
        red, blue = y + 1.402 * (r - 128), y + 1.772 * (b - 128)
        colours = np.stack([red, (y - 0.299 * red - 0.114 * blue) / 0.587, blue], -1).clip(0, 255) / 255
    for i, meaning in enumerate(extra):
        if meaning != "unspecified":
            alpha = values[..., n + i, None]
            colours = (colours if meaning == "assocalpha" else colours * alpha) + 1 - alpha
            break
    return np.broadcast_to(colours * 255, (*samples.shape[:2], 3))


def written(samples: np.ndarray, order: str = "<", bigtiff: bool = False, **options: object) -> bytes:
    """A TIFF by tifffile of samples (h, w, n)."""
    file = BytesIO()
    if options.get("predictor"):
        options["predictor"] = 3 if samples.dtype.kind == "f" else 2
    if options.get("planarconfig") == "separate":
        samples = np.moveaxis(samples, -1, 0)
    elif samples.shape[2] == 1:
        samples = samples[..., 0]
    with tifffile.TiffWriter(file, byteorder=order, bigtiff=bigtiff) as tiff:
        tiff.write(np.ascontiguousarray(samples), metadata=None, **options)
    return file.getvalue()


def unpacked(content: bytes, planar: str = "contig") -> np.ndarray:
    """The samples (h, w, n) that tifffile finds."""
    samples = tifffile.imread(BytesIO(content))
    return np.moveaxis(samples, 0, -1) if planar == "separate" else samples.reshape(HEIGHT, WIDTH, -1)


PHOTOMETRICS = [
    ("minisblack", ()),
    ("minisblack", ("unassalpha",)),
    ("minisblack", ("assocalpha",)),
    ("minisblack", ("unspecified",)),
    ("miniswhite", ()),
    ("miniswhite", ("unassalpha",)),
    ("rgb", ()),
    ("rgb", ("unassalpha",)),
    ("rgb", ("assocalpha",)),
    ("rgb", ("unspecified",)),
    ("rgb", ("unspecified", "unassalpha")),
    ("rgb", ("assocalpha", "unspecified", "unspecified")),
    ("separated", ()),
    ("separated", ("unassalpha",)),
    ("separated", ("unspecified",)),
    ("ycbcr", ()),
]
STORED = [
    {},
    {"tile": (16, 16)},
    {"rowsperstrip": 5},
    {"rowsperstrip": 5, "compression": "packbits"},
    {"rowsperstrip": 1, "compression": "lzw"},
    {"compression": "lzw", "predictor": True},
    {"tile": (16, 32), "compression": "lzw", "predictor": True},
    {"rowsperstrip": 7, "compression": "adobe_deflate", "predictor": True},
    {"tile": (32, 16), "compression": "deflate"},
    {"rowsperstrip": 4, "compression": "zstd", "predictor": True},
    {"tile": (16, 16), "compression": "lzma"},
]


def is_read(kind: str, photometric: str, extra: tuple[str, ...]) -> bool:
    """Whether these samples and colours go together."""
    if photometric in ("separated", "ycbcr"):
        return kind in ("8 bits", "16 bits")
    return "signed" not in kind or not {"assocalpha", "unassalpha"} & set(extra)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", SAMPLES)
def test_every_layout_is_read_as_tifffile_reads_it_or_refused_by_name(kind: str, planar: str, order: str) -> None:
    dtype, bits = SAMPLES[kind]
    for photometric, extra in PHOTOMETRICS:
        n = N_COLOURS[photometric] + len(extra)
        if n == 1 and planar == "separate":
            continue
        samples = noise(dtype, bits, n)
        if "assocalpha" in extra:  # colours are never more than their alpha
            samples = np.minimum(samples, samples[..., N_COLOURS[photometric] :][..., :1])
        options = {"photometric": photometric, **({"planarconfig": planar} if n > 1 else {})}
        for i, stored in enumerate(STORED):
            content = written(samples, order, i % 2 == 1, extrasamples=extra, **options, **stored)
            what = f"{kind}, {photometric}, {extra}, {stored}"
            if not is_read(kind, photometric, extra):
                assert reason(content).startswith("a TIFF with "), what
                assert reason(content).endswith(" is not read here"), what
                continue
            found = read(content).pixels.astype(np.float64)
            expected = shown(unpacked(content, planar if n > 1 else "contig"), bits, photometric, extra)
            assert np.abs(found - expected).max() < 2.5, what


@pytest.mark.parametrize("bits", [*range(1, 8), *range(9, 16)])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_samples_of_odd_bits_are_scaled_by_their_bits(bits: int, planar: str) -> None:
    for photometric, extra in PHOTOMETRICS:
        n = N_COLOURS[photometric] + len(extra)
        samples = noise("u1" if bits < 8 else "u2", bits, n)
        if "assocalpha" in extra:
            samples = np.minimum(samples, samples[..., N_COLOURS[photometric] :][..., :1])
        for stored in ({}, {"tile": (16, 16)}, {"rowsperstrip": 5}):
            options = {"bitspersample": bits, "photometric": photometric, "extrasamples": extra, **stored}
            if n > 1:
                options["planarconfig"] = planar
            found = read(written(samples, **options)).pixels.astype(np.float64)
            assert np.abs(found - shown(samples, bits, photometric, extra)).max() < 2.5, options


# ---- a writer for what tifffile and Pillow do not write


def tiff(order: str, tags: dict[int, object], chunks: list[bytes], tiled: bool = False) -> bytes:
    """A TIFF from the specification alone. Tags are whole numbers, or arrays of them or of floats."""
    everything = dict(tags)
    everything[325 if tiled else 279] = np.array([len(chunk) for chunk in chunks], "u4")
    everything[324 if tiled else 273] = np.array([1024 + sum(map(len, chunks[:i])) for i in range(len(chunks))], "u4")
    kinds = {"u1": 1, "u2": 3, "u4": 4, "i2": 8, "f4": 11}
    pixels, entries, outside = b"".join(chunks), b"", b""
    for tag in sorted(everything):
        given = everything[tag]
        values = np.atleast_1d(np.asarray(given, "u4" if isinstance(given, int) else None))
        content = values.astype(values.dtype.newbyteorder(order)).tobytes()
        entries += struct.pack(order + "HHI", tag, kinds[values.dtype.str[1:]], len(values))
        if len(content) <= 4:
            entries += content.ljust(4, b"\0")
        else:
            entries += struct.pack(order + "I", 1024 + len(pixels) + len(outside))
            outside += content
    directory = struct.pack(order + "H", len(everything)) + entries + bytes(4)
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8)
    assert len(directory) < 1000
    return (head + directory).ljust(1024, b"\0") + pixels + outside


GREY_TAGS = {256: WIDTH, 257: HEIGHT, 258: 16, 259: 1, 262: 1, 277: 1, 278: HEIGHT}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tag", [281, 341])  # MaxSampleValue, SMaxSampleValue
@pytest.mark.parametrize(("largest", "bits"), [(1023, 10), (4095, 12), (16383, 14), (3000, 12), (65535, 16), (255, 8)])
def test_few_bits_stored_in_sixteen_are_scaled_by_the_largest_value_on_record(
    order: str, tag: int, largest: int, bits: int
) -> None:
    samples = noise("u2", bits, 1).clip(0, largest)
    tags = {**GREY_TAGS, tag: np.array([largest], "u2")}
    content = tiff(order, tags, [samples.astype(order + "u2").tobytes()])
    assert np.array_equal(unpacked(content), samples)
    assert np.abs(read(content).pixels - shown(samples, bits, "minisblack", ())).max() < 1


def test_a_largest_value_that_the_pixels_exceed_is_not_believed() -> None:
    samples = noise("u2", 16, 1)
    content = tiff("<", {**GREY_TAGS, 281: np.array([4095], "u2")}, [samples.tobytes()])
    assert np.abs(read(content).pixels - shown(samples, 16, "minisblack", ())).max() < 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_and_signed_numbers_are_scaled_by_the_range_on_record(order: str) -> None:
    for dtype, kind, low, high in (("f4", 3, 0.0, 255.0), ("f4", 3, -10.0, 30.0), ("i2", 2, -1000, 3000)):
        samples = (noise("f8", 64, 1) * 0.5 * (high - low) + low).astype(dtype)
        tags = {**GREY_TAGS, 258: 8 * samples.itemsize, 339: kind}
        limits = {340: np.array([low], dtype), 341: np.array([high], dtype)}
        content = tiff(order, {**tags, **limits}, [samples.astype(order + dtype).tobytes()])
        expected = (samples.astype(float) - low) / (high - low) * 255
        assert np.abs(read(content).pixels - expected).max() < 1


@pytest.mark.parametrize(("dtype", "kind"), [("i1", 2), ("i2", 2), ("i4", 2), ("u4", 1), ("f4", 3)])
def test_what_has_no_known_range_is_stretched(dtype: str, kind: int) -> None:
    low, high = (70_000, 900_000) if dtype == "u4" else (-100, 90)
    samples = (noise("f8", 64, 1) * (high - low) + low).astype(dtype)
    content = tiff("<", {**GREY_TAGS, 258: 8 * samples.itemsize, 339: kind}, [samples.tobytes()])
    least, most = float(samples.min()), float(samples.max())
    assert np.abs(read(content).pixels - (samples.astype(float) - least) / (most - least) * 255).max() < 1


def test_the_bits_of_bytes_may_be_the_other_way_round() -> None:
    samples = noise("u1", 8, 1)
    backwards = np.packbits(np.unpackbits(samples, axis=-1)[..., ::-1], axis=-1)
    assert (read(tiff("<", {**GREY_TAGS, 258: 8, 266: 2}, [backwards.tobytes()])).pixels == samples).all()
    packed = bytes(np.packbits(np.unpackbits(np.frombuffer(zlib.compress(samples), "u1")).reshape(-1, 8)[:, ::-1]))
    assert (read(tiff("<", {**GREY_TAGS, 258: 8, 259: 8, 266: 2}, [packed])).pixels == samples).all()


@pytest.mark.parametrize("order", ["<", ">"])
def test_transparency_of_sixteen_bits_is_scaled_as_well(order: str) -> None:
    samples = np.array([[[65535, 0, 0, 65535], [65535, 0, 0, 0], [65535, 0, 0, 13107]]], "u2")  # 0.2
    tags = {**GREY_TAGS, 256: 3, 257: 1, 258: np.full(4, 16, "u2"), 262: 2, 277: 4, 338: 2}
    pixels = read(tiff(order, tags, [samples.astype(order + "u2").tobytes()])).pixels
    assert pixels.tolist() == [[[255, 0, 0], [255, 255, 255], [255, 204, 204]]]


def test_four_samples_of_rgb_are_transparent_though_nobody_says_so() -> None:
    samples = noise("u1", 8, 4)
    content = tiff("<", {**GREY_TAGS, 258: np.full(4, 8, "u2"), 262: 2, 277: 4}, [samples.tobytes()])
    assert np.abs(read(content).pixels - shown(samples, 8, "rgb", ("unassalpha",))).max() < 1


# ---- palettes, inks, L*a*b*, shared colours


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("top", [65535, 255])
def test_a_palette_is_looked_up_whether_it_has_sixteen_bits_or_eight(bits: int, top: int) -> None:
    colours = np.random.default_rng(bits).integers(0, 256, (3, 1 << bits)).astype("u2")
    colours[:, 0] = 255
    index = noise("u2", bits, 1)[..., 0]
    each = np.unpackbits(index.astype(">u2").view("u1").reshape(HEIGHT, WIDTH, 2), axis=-1)[..., 16 - bits :]
    rows = np.packbits(each.reshape(HEIGHT, -1), axis=-1)
    palette = (colours * (top // 255)).reshape(-1)
    content = tiff(">", {**GREY_TAGS, 258: bits, 262: 3, 320: palette}, [rows.tobytes()])
    assert (read(content).pixels == np.moveaxis(colours[:, index], 0, -1)).all()


def test_other_inks_than_cmyk_are_refused() -> None:
    tags = {**GREY_TAGS, 258: np.full(4, 8, "u2"), 262: 5, 277: 4, 332: 2}
    assert reason(tiff("<", tags, [noise("u1", 8, 4).tobytes()])) == "a TIFF with inks other than CMYK is not read here"


@pytest.mark.parametrize("bits", [8, 16])
def test_lab_of_eight_and_sixteen_bits_has_the_colours_that_it_names(bits: int) -> None:
    rgb = np.random.default_rng(5).integers(60, 200, (HEIGHT, WIDTH, 3))
    linear = ((rgb / 255 + 0.055) / 1.055) ** 2.4  # IEC 61966-2-1
    # its XYZ under D50, the white of profiles, and CIE 1976 of that
    matrix = [[0.43607, 0.38506, 0.14308], [0.2225, 0.71688, 0.06062], [0.01393, 0.0971, 0.71417]]
    x, y, z = np.moveaxis(np.cbrt(linear @ np.transpose(matrix) / [0.96422, 1, 0.82521]), -1, 0)
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)
    scale = [2.55, 1, 1] if bits == 8 else [655.35, 256, 256]
    samples = (lab * scale).round().astype("i4").astype(f"u{bits // 8}")
    tags = {**GREY_TAGS, 258: np.full(3, bits, "u2"), 262: 8, 277: 3}
    assert np.abs(read(tiff("<", tags, [samples.tobytes()])).pixels - rgb).mean() < 2


@pytest.mark.parametrize("across", [1, 2, 4])
@pytest.mark.parametrize("down", [1, 2, 4])
@pytest.mark.parametrize("compression", [1, 8])
def test_colours_that_pixels_share_are_given_to_all_of_them(across: int, down: int, compression: int) -> None:
    rows = 8  # a strip, of whole units
    strips = [range(top, min(top + rows, HEIGHT)) for top in range(0, HEIGHT, rows)]
    full = noise("u1", 8, 3)
    full[..., 1:] = full[..., 1:][::down, ::across].repeat(down, 0).repeat(across, 1)[:HEIGHT, :WIDTH]
    chunks = []
    for strip in strips:
        chunk = b""
        for top in range(strip.start, strip.stop, down):
            for left in range(0, WIDTH, across):
                unit = full[top : min(top + down, HEIGHT), left : left + across, 0]
                unit = np.pad(unit, ((0, down - unit.shape[0]), (0, across - unit.shape[1])))
                chunk += unit.tobytes() + full[top, left, 1:].tobytes()
        chunks.append(chunk if compression == 1 else zlib.compress(chunk))
    shared: dict[int, object] = {530: np.array([across, down], "u2"), 532: np.array([0, 255, 128, 255, 128, 255], "f4")}
    tags = {**GREY_TAGS, 258: np.full(3, 8, "u2"), 259: compression, 262: 6, 277: 3, 278: rows, **shared}
    found = read(tiff("<", tags, chunks)).pixels
    assert np.abs(found - shown(full, 8, "ycbcr", ())).max() < 1.5


# ---- compressions of pixels


def smooth(n: int) -> np.ndarray:
    """(64, 80, n) of 8 bits without edges, as JPEG keeps it."""
    y, x = np.mgrid[:64, :80]
    waves = [np.sin(x / (15 + 3 * i) + y / (9 + 2 * i) + i) for i in range(n)]
    return (np.stack(waves, -1) * 110 + 128).astype("u1")


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("stored", [{}, {"tile": (16, 32)}, {"rowsperstrip": 24}])
def test_jpeg_in_a_tiff_is_read_as_tifffile_reads_it(planar: str, stored: dict[str, object]) -> None:
    for photometric, n in (("minisblack", 1), ("miniswhite", 1), ("rgb", 3), ("ycbcr", 3), ("separated", 4)):
        options = {"photometric": photometric, **({"planarconfig": planar} if n > 1 else {}), **stored}
        content = written(smooth(n), compression="jpeg", compressionargs={"level": 95}, **options)
        samples = tifffile.imread(BytesIO(content))
        samples = np.moveaxis(samples, 0, -1) if planar == "separate" and n > 1 else samples.reshape(64, 80, n)
        as_rgb = photometric == "ycbcr" and planar == "contig"  # what tifffile has then made of it
        expected = shown(samples, 8, "rgb" if as_rgb else photometric, ())
        assert np.abs(read(content).pixels - expected).mean() < 1.5, options


@pytest.mark.parametrize("order", ["<", ">"])
def test_old_style_jpeg_is_read_on_every_page(tmp_path: Path, order: str) -> None:
    file = BytesIO()
    Image.fromarray(smooth(3)).save(file, "JPEG", quality=92)
    stream = file.getvalue()
    tags = {256: 80, 257: 64, 258: np.full(3, 8, "u2"), 259: 6, 262: 6, 277: 3, 278: 64, 274: 3}
    tags |= {512: 1, 513: 1024, 514: len(stream), 530: np.array([2, 2], "u2")}  # JPEGProc, the stream and its length
    content = bytearray(tiff(order, tags, [stream]))
    expected = np.asarray(Image.open(BytesIO(stream)))[::-1, ::-1]  # orientation 3
    assert np.abs(read(bytes(content)).pixels.astype(int) - expected).mean() < 1.5
    directory = content[8:1024]  # the same as a second page, after a first of one pixel
    first = struct.pack(order + "H", 2) + b"".join(struct.pack(order + "HHII", tag, 4, 1, 1) for tag in (256, 257))
    first += struct.pack(order + "I", len(content) + 60)
    content += first.ljust(60, b"\0") + directory
    struct.pack_into(order + "I", content, 4, len(content) - 60 - len(directory))
    (tmp_path / "a.tif").write_bytes(content)
    assert count_pages(tmp_path / "a.tif") == 2
    assert np.abs(read(tmp_path / "a.tif", page=2).pixels.astype(int) - expected).mean() < 1.5


def test_jpeg_of_more_than_eight_bits_or_of_odd_colours_is_refused() -> None:
    twelve = written(smooth(1).astype("u2") * 16, photometric="minisblack", bitspersample=12, compression="jpeg")
    assert reason(twelve) == "a TIFF with JPEG compression and samples of 12 bits is not read here"
    options = {"photometric": "minisblack", "extrasamples": ["unassalpha"], "planarconfig": "separate"}
    assert reason(written(smooth(2), compression="jpeg", **options)).endswith(
        "2 samples of grey colours is not read here"
    )


@pytest.mark.parametrize("compression", ["tiff_ccitt", "group3", "group4", "packbits", "tiff_lzw", "raw"])
@pytest.mark.parametrize("white_is_zero", [True, False])
@pytest.mark.parametrize("size", [(80, 64), (37, 23), (1000, 700)])
def test_black_and_white_is_read_in_each_compression(
    compression: str, white_is_zero: bool, size: tuple[int, int]
) -> None:
    ink = np.random.default_rng(1).random((size[1] // 7 + 1, size[0] // 7 + 1)) > 0.5
    ink = ink.repeat(7, 0).repeat(7, 1)[: size[1], : size[0]]
    file = BytesIO()
    tags = {262: 0 if white_is_zero else 1, 278: 16}
    Image.fromarray(ink).save(file, "TIFF", compression=compression, tiffinfo=tags)
    with tifffile.TiffFile(BytesIO(file.getvalue())) as stored:
        assert stored.pages[0].photometric == tags[262]
        assert (stored.asarray().astype(bool) == (ink != white_is_zero)).all()
    assert (read(file.getvalue()).pixels == 255 * ink[..., None]).all()


PILLOW = {mode: ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"] for mode in ("1", "L", "LA", "P")}
PILLOW |= dict.fromkeys(("RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I;16B", "RGBX"), PILLOW["L"])
PILLOW["RGB"] = PILLOW["CMYK"] = [*PILLOW["L"], "jpeg"]


@pytest.mark.parametrize("mode", PILLOW)
@pytest.mark.parametrize("need", [None, 8])
def test_what_pillow_writes_is_read_back(mode: str, need: int | None) -> None:
    colours = Image.fromarray(smooth(3))
    if mode.startswith("I"):
        image = Image.fromarray(smooth(1)[..., 0].astype("u2") * 257)
        image = Image.frombytes(
            mode, image.size, np.asarray(image).astype(">u2" if mode == "I;16B" else "<u2").tobytes()
        )
        expected = Image.fromarray(smooth(1)[..., 0]).convert("RGB")
    else:
        image = colours.convert("RGB" if mode == "RGBX" else mode)
        expected = image.convert("RGB")
    if need:
        expected = expected.reduce(64 // 12)
    for compression in PILLOW[mode]:
        file = BytesIO()
        image.save(file, "TIFF", compression=compression, **({"quality": 95} if compression == "jpeg" else {}))
        picture = read(file.getvalue(), need=need)
        assert (picture.width, picture.height) == (80, 64)
        assert np.abs(picture.pixels.astype(int) - np.asarray(expected)).max() <= (6 if compression == "jpeg" else 1)


@pytest.mark.parametrize(
    ("tags", "what"),
    [
        ({259: 50001}, "compression WebP"),
        ({259: 34712}, "compression JPEG 2000"),
        ({259: 34887}, "compression LERC"),
        ({259: 32771}, "compression CCITT in words"),
        ({259: 12345}, "compression 12345"),
        ({262: 32803}, "raw sensor colours"),
        ({262: 9}, "ICC L*a*b* colours"),
        ({258: 24, 339: 3}, "samples of 24 bits, floating,"),
        ({258: 20}, "samples of 20 bits"),
        ({258: np.array([5, 6, 5], "u2"), 262: 2, 277: 3}, "samples that differ: 5 and 6 bits"),
        ({258: 12, 259: 8, 317: 2}, "predictor 2 and samples of 12 bits"),
        ({259: 8, 317: 3}, "predictor 3 and samples of 16 bits"),
        ({259: 8, 317: 9}, "predictor 9"),
        ({317: 2}, "a predictor and no compression that has one"),
        ({262: 2, 277: 2}, "2 samples a pixel and RGB colours"),
        ({277: 70_000}, "70000 samples a pixel"),
    ],
)
def test_what_is_not_read_is_refused_by_name(tags: dict[int, object], what: str) -> None:
    content = tiff("<", {**GREY_TAGS, **tags}, [bytes(WIDTH * HEIGHT * 6)])
    assert reason(content) == f"a TIFF with {what} is not read here"


def test_damaged_pixels_are_an_error() -> None:
    for compression in (5, 8, 34925, 50000):
        content = tiff("<", {**GREY_TAGS, 259: compression}, [b"\xd6" * 400])
        assert reason(content).startswith("cannot be decoded: ")


@pytest.mark.parametrize("tag", [256, 257, 273, 262])
def test_a_tiff_that_lacks_what_it_needs_is_an_error_or_read_by_the_default(tag: int) -> None:
    content = bytearray(tiff("<", {**GREY_TAGS, 258: 8}, [noise("u1", 8, 1).tobytes()]))
    place = content.index(struct.pack("<H", tag), 10)
    content[place : place + 2] = struct.pack("<H", 60_000)
    if tag == 262:  # WhiteIsZero, as libtiff has it
        assert (read(bytes(content)).pixels == 255 - noise("u1", 8, 1)).all()
    else:
        assert reason(bytes(content)).startswith("cannot be decoded: ")
