"""Files that end too early: read where most of the picture is there, with a word about it, and refused where not."""

import re
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile

from patchseek.images import read

from .test_images import reason, saved

WIDTH, HEIGHT = 320, 240


def photo(mode: str = "RGB") -> Image.Image:
    """A picture that is nowhere flat."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    return Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).convert(mode)


def tiff(**options: object) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, np.asarray(photo()), photometric="rgb", metadata=None, **options)
    return file.getvalue()


def said(n_missing: int, end: str = "last", n_rows: int = HEIGHT) -> str:
    if n_missing == 1:
        return f"the {end} of its {n_rows} rows is missing"
    return f"its {end} {n_missing} of {n_rows} rows are missing"


# ---- JPEG

JPEGS = {
    "4:2:0": saved(photo(), "JPEG"),
    "4:4:4": saved(photo(), "JPEG", subsampling=0),
    "grey": saved(photo("L"), "JPEG"),
    "CMYK": saved(photo("CMYK"), "JPEG"),
    "progressive": saved(photo(), "JPEG", progressive=True),
    "restarts": saved(photo(), "JPEG", restart_marker_rows=1),
    "restarts within rows": saved(photo(), "JPEG", restart_marker_blocks=3),
    "flat, grey as what is missing": saved(Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128)), "JPEG"),
    "white": saved(Image.new("RGB", (WIDTH, HEIGHT), "white"), "JPEG"),
}


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("need", [None, 20])
def test_a_jpeg_without_its_end_marker_has_all_its_pixels(kind: str, need: int | None) -> None:
    content = JPEGS[kind]
    whole = read(content, need=need)
    for ending in (content[:-2], content[:-1], content[:-2] + b"\xff\xff"):
        picture = read(ending, need=need)
        assert picture.note is None
        np.testing.assert_array_equal(picture.pixels, whole.pixels)
    assert whole.note is None


@pytest.mark.parametrize("share", [0.65, 0.8, 0.97])
def test_a_cut_jpeg_says_how_many_rows_are_missing(share: float) -> None:
    content = JPEGS["restarts"]  # a marker after each 16 rows
    cut = content[: int(len(content) * share)]
    n_blocks = len(re.findall(rb"\xff[\xd0-\xd7]", cut))
    picture, whole = read(cut), read(content)
    missing = HEIGHT - 16 * n_blocks
    assert picture.note in (said(missing), said(missing + 1))  # colours of the row above are mixed with those below
    np.testing.assert_array_equal(picture.pixels[: -missing - 1], whole.pixels[: -missing - 1])
    assert (picture.pixels[-missing:] == 128).all()
    assert (picture.width, picture.height) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("kind", sorted(set(JPEGS) - {"progressive", "flat, grey as what is missing", "white"}))
def test_what_is_there_of_a_cut_jpeg_is_as_in_the_whole_one_and_the_rest_is_grey(kind: str) -> None:
    content = JPEGS[kind]
    whole = read(content).pixels
    for share in (0.7, 0.85, 0.95):
        picture = read(content[: int(len(content) * share)])
        missing = int(re.fullmatch(r"its last (\d+) of 240 rows are missing", picture.note or "")[1])
        assert 0 < missing < HEIGHT // 2
        np.testing.assert_array_equal(picture.pixels[:-missing], whole[:-missing])
        assert (picture.pixels[-missing:] == 128).all()


def test_rows_are_counted_in_the_whole_picture_however_small_it_is_decoded() -> None:
    content = JPEGS["restarts"]
    cut = content[: int(len(content) * 0.8)]
    n_blocks = len(re.findall(rb"\xff[\xd0-\xd7]", cut))
    picture = read(cut, need=20)  # 240 / 8 = 30 = 1.5 * 20
    assert picture.pixels.shape == (30, 40, 3)
    assert abs(int(picture.note.split()[2]) - (HEIGHT - 16 * n_blocks)) <= 8


def test_a_cut_progressive_jpeg_has_all_its_rows_and_not_all_their_detail() -> None:
    content = JPEGS["progressive"]
    whole = read(content).pixels.astype(int)
    errors = []
    for share in (0.9, 0.6, 0.4):
        picture = read(content[: int(len(content) * share)])
        assert picture.note == "some of its finer detail is missing"
        errors.append(np.abs(picture.pixels - whole).mean())
    assert 0 < errors[0] < errors[1] < errors[2] < 30


def test_a_progressive_jpeg_cut_in_its_first_scan_has_only_the_rows_of_that() -> None:
    content = JPEGS["progressive"]
    scans = [match.start() for match in re.finditer(rb"\xff\xda", content)]
    most = content[: scans[0] + int((scans[1] - scans[0]) * 0.9)]
    assert re.fullmatch(r"its last \d+ of 240 rows are missing", read(most).note)
    assert reason(content[: scans[0] + (scans[1] - scans[0]) // 4]).startswith("cut off: only ")


def test_a_jpeg_of_which_half_is_missing_is_refused_with_what_is_there() -> None:
    content = JPEGS["restarts"]
    for share in (0.45, 0.2):
        cut = content[: int(len(content) * share)]
        n_blocks = len(re.findall(rb"\xff[\xd0-\xd7]", cut))
        assert reason(cut) in [f"cut off: only {16 * n_blocks - i} of its 240 rows are there" for i in (0, 1)]
    header = content.index(b"\xff\xda")
    assert reason(content[: header - 10]).startswith("cannot be decoded: ")


# ---- formats of rows


def rows_of_png(content: bytes, row_bytes: int) -> int:
    """Whole rows in the data of a cut PNG, by zlib alone."""
    place, data = 8, b""
    while place + 8 < len(content):
        length = struct.unpack(">I", content[place : place + 4])[0]
        if content[place + 4 : place + 8] == b"IDAT":
            data += content[place + 8 : place + 8 + length]
        place += 12 + length
    return len(zlib.decompressobj().decompress(data)) // (1 + row_bytes)


PNGS = {"RGB": 3 * WIDTH, "RGBA": 4 * WIDTH, "L": WIDTH, "P": WIDTH, "1": WIDTH // 8, "I;16": 2 * WIDTH}


@pytest.mark.parametrize("mode", PNGS)
@pytest.mark.parametrize("share", [0.6, 0.75, 0.9, 0.999])
def test_a_cut_png_has_the_rows_that_can_be_inflated(mode: str, share: float) -> None:
    image = photo("L") if mode == "I;16" else photo(mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    content = saved(image, "PNG")
    cut = content[: int((len(content) - 12) * share)]  # without its end chunk
    n_rows = rows_of_png(cut, PNGS[mode])
    picture, whole = read(cut), read(content)
    assert picture.note == said(HEIGHT - n_rows)
    np.testing.assert_array_equal(picture.pixels[:n_rows], whole.pixels[:n_rows])
    assert (picture.pixels[n_rows:] == 128).all()


def test_a_png_without_its_last_chunk_is_whole() -> None:
    content = saved(photo(), "PNG")
    for cut in (content[:-12], content[:-16], content[:-13]):  # and without the checksum of the one before
        picture = read(cut)
        assert picture.note is None
        np.testing.assert_array_equal(picture.pixels, read(content).pixels)


@pytest.mark.parametrize("at_the_top", [True, False])
def test_a_cut_bmp_lacks_the_rows_that_come_last_in_it(at_the_top: bool) -> None:
    content = bytearray(saved(photo(), "BMP"))
    if not at_the_top:
        struct.pack_into("<i", content, 22, -HEIGHT)  # a negative height: from the top
    whole = read(bytes(content)).pixels
    cut = bytes(content[: 54 + 200 * 3 * WIDTH + 17])
    picture = read(cut)
    assert picture.note == said(40, "first" if at_the_top else "last")
    there, lost = (slice(40, None), slice(40)) if at_the_top else (slice(200), slice(200, None))
    np.testing.assert_array_equal(picture.pixels[there], whole[there])
    assert (picture.pixels[lost] == 128).all()
    assert reason(bytes(content[: 54 + 120 * 3 * WIDTH])) == "cut off: at most 120 of its 240 rows can be there"


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_a_cut_pnm_lacks_its_last_rows(mode: str) -> None:
    content = saved(photo(mode), "PPM")
    row = {"1": WIDTH // 8, "L": WIDTH, "RGB": 3 * WIDTH}[mode]
    picture = read(content[: len(content) - 50 * row + 1])
    assert picture.note == said(50)
    np.testing.assert_array_equal(picture.pixels[:190], read(content).pixels[:190])
    assert (picture.pixels[190:] == 128).all()
    assert reason(content[: len(content) - 120 * row]) == "cut off: only 120 of its 240 rows are there"
    assert reason(content[: len(content) - 239 * row - 1]) == "cut off: only 0 of its 240 rows are there"


def test_a_cut_pnm_of_digits_lacks_its_last_rows() -> None:
    digits = b"P2\n4 6\n9\n" + b"1 2 3 4\n" * 4 + b"5 6 "
    picture = read(digits)
    assert picture.note == said(2, n_rows=6)
    assert picture.pixels[:4, 0, 0].tolist() == [28] * 4  # 255 / 9
    assert reason(digits[:-20]) == "cut off: only 2 of its 6 rows are there"


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_cut_gif_has_the_rows_that_came_and_copies_of_them_between(interlaced: bool) -> None:
    content = saved(photo().quantize(200), "GIF", interlace=interlaced)
    whole = read(content).pixels
    for share in (0.65, 0.9):
        picture = read(content[: int(len(content) * share)])
        same = (picture.pixels == whole).all(axis=(1, 2))
        n_missing = int(re.search(r"(\d+) of (?:its )?240 rows are missing", picture.note)[1])
        assert n_missing == HEIGHT - same.sum()
        if interlaced:
            for row in np.flatnonzero(~same):
                np.testing.assert_array_equal(picture.pixels[row], picture.pixels[row - 1])
        else:
            assert picture.note.startswith("its last ")
            assert not same[-n_missing:].any()
    assert reason(content[: int(len(content) * 0.4)]).startswith("cut off: only ")


def test_a_gif_that_covers_a_part_of_its_screen_lacks_no_other_row() -> None:
    content = bytearray(saved(photo().quantize(200), "GIF", interlace=0))
    struct.pack_into("<HH", content, 6, WIDTH, HEIGHT + 60)  # the screen is larger than the frame
    picture = read(bytes(content[: int(len(content) * 0.9)]))
    n_missing = int(re.search(r"(\d+) of its 300 rows are missing", picture.note)[1])
    assert 0 < n_missing < 30


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rowsperstrip": 8},
        {"tile": (16, 16)},
        {"rowsperstrip": 8, "compression": "lzw"},
        {"rowsperstrip": 8, "compression": "adobe_deflate", "predictor": True},
        {"tile": (32, 32), "compression": "zstd"},
        {"rowsperstrip": 16, "compression": "jpeg"},
    ],
    ids=str,
)
@pytest.mark.parametrize("share", [0.7, 0.9])
def test_a_cut_tiff_has_the_strips_and_tiles_that_are_there(options: dict[str, object], share: float) -> None:
    content = tiff(**options)
    cut = content[: int(len(content) * share)]
    with tifffile.TiffFile(BytesIO(content)) as file:
        page = file.pages[0]
        ends = np.add(page.dataoffsets, page.databytecounts)
        across = -(-WIDTH // page.tilewidth) if page.is_tiled else 1
        height = page.tilelength if page.is_tiled else page.rowsperstrip
    n_rows = min((ends <= len(cut)).argmin() // across * height, HEIGHT)
    if "compression" not in options and "tile" not in options:  # of an uncompressed strip, whole rows count
        n_rows = (len(cut) - page.dataoffsets[0]) // (3 * WIDTH)
    picture = read(cut)
    assert picture.note == said(HEIGHT - n_rows)
    np.testing.assert_array_equal(picture.pixels[:n_rows], read(content).pixels[:n_rows])
    assert (picture.pixels[n_rows:] == 128).all()
    assert reason(content[: int(len(content) * 0.3)]).startswith("cut off: only ")


def test_planes_of_which_the_last_is_cut_end_where_that_ends() -> None:
    file = BytesIO()
    planes = np.moveaxis(np.asarray(photo()), -1, 0)
    tifffile.imwrite(file, planes, photometric="rgb", planarconfig="separate", rowsperstrip=8, metadata=None)
    content = file.getvalue()
    picture = read(content[: len(content) - 40 * WIDTH])
    assert picture.note == said(40)
    assert reason(content[: len(content) - HEIGHT * WIDTH]) == "cut off: only 0 of its 240 rows are there"


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "JPEG2000"])
def test_a_cut_file_of_a_format_without_rows_says_how_much_of_it_is_there(kind: str) -> None:
    content = saved(photo(), kind)
    for share in (0.5, 0.99):
        cut = content[: int(len(content) * share)]
        assert reason(cut) == f"cut off: only {len(cut)} of its {len(content)} bytes are there"


# ---- what is not cut


def test_a_damaged_file_is_not_taken_for_a_cut_one() -> None:
    content = bytearray(saved(photo(), "PNG"))
    middle = len(content) * 3 // 4
    content[middle : middle + 40] = bytes(40)
    assert reason(bytes(content)).startswith("cannot be decoded: ")


def test_the_note_travels_with_the_picture_however_it_lies() -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    content = saved(photo(), "JPEG", exif=tags, restart_marker_rows=1)
    picture = read(content[: int(len(content) * 0.8)])
    assert (picture.width, picture.height) == (HEIGHT, WIDTH)
    assert re.fullmatch(r"its last \d+ of 240 rows are missing", picture.note)
    assert (picture.pixels[:, :10] == 128).all()  # the last rows of the file are on the left


def test_nothing_is_set_for_the_whole_process_and_threads_do_not_meet() -> None:
    contents = [JPEGS["4:2:0"], JPEGS["4:2:0"][:-2], JPEGS["4:2:0"][:14_000], saved(photo(), "PNG")[:90_000]] * 6
    alone = [read(content).pixels.tobytes() for content in contents]
    with ThreadPoolExecutor(8) as pool:
        assert [picture.pixels.tobytes() for picture in pool.map(read, contents)] == alone
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
