import os
import struct
import sys
import zlib
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from patchseek import _heif, images
from patchseek.errors import ImageError
from patchseek.images import EXTENSIONS, Picture, read

CELL = 8
# the upright picture is  1 2 3 / 4 5 6 ; what a camera stores for each orientation, from the table of EXIF 2.32
STORED = {
    1: ["123", "456"],
    2: ["321", "654"],
    3: ["654", "321"],
    4: ["456", "123"],
    5: ["14", "25", "36"],
    6: ["36", "25", "14"],
    7: ["63", "52", "41"],
    8: ["41", "52", "63"],
}


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def cells(rows: list[str], values: dict[str, object], dtype: type = np.uint8) -> np.ndarray:
    small = np.array([[values[c] for c in row] for row in rows], dtype)
    return small.repeat(CELL, 0).repeat(CELL, 1)


def png(width: int, height: int, raw: bytes, bits: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    """A PNG from the specification alone: colour 0 grey, 2 RGB; raw is rows of a filter byte and samples."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND")


def chunk(name: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def reason(source: Path | bytes | str, **options: object) -> str:
    with pytest.raises(ImageError) as caught:
        read(source, **options)
    assert "\n" not in str(caught.value)
    assert len(caught.value.reason) <= 200
    return caught.value.reason


def photo(width: int, height: int, mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


# ---- upright


GREYS = {c: 40 * int(c) for c in "123456"}
COLOURS = {c: (40 * int(c), 255 - 40 * int(c), 17) for c in "123456"}
REDS = {c: (40 * int(c), 0, 0) for c in "123456"}


def stored_image(mode: str, rows: list[str]) -> tuple[Image.Image, dict[str, tuple[int, int, int]]]:
    """The stored image of a mode, and the colour that each cell must have in the end."""
    as_grey = {c: (v, v, v) for c, v in GREYS.items()}
    if mode == "1":
        ink = {c: (255 if c in "135" else 0) for c in GREYS}
        return Image.fromarray(cells(rows, ink)).convert("1"), {c: (v, v, v) for c, v in ink.items()}
    if mode == "I;16":
        return Image.fromarray(cells(rows, {c: v * 257 for c, v in GREYS.items()}, np.uint16)), as_grey
    if mode == "P":
        image = Image.fromarray(cells(rows, {c: int(c) for c in GREYS})).convert("P")
        image.putpalette([0, 0, 0] + [v for c in "123456" for v in COLOURS[c]])
        return image, COLOURS
    if mode == "LA":
        return Image.fromarray(cells(rows, GREYS)).convert("LA"), as_grey
    if mode == "L":
        return Image.fromarray(cells(rows, GREYS)), as_grey
    if mode == "CMYK":  # no cyan, full magenta and yellow, black the rest: only red is left
        inks = {c: (0, 255, 255, 255 - v) for c, v in GREYS.items()}
        return Image.fromarray(cells(rows, inks), "CMYK"), REDS
    return Image.fromarray(cells(rows, COLOURS)).convert(mode), COLOURS


LOSSLESS = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "TIFF": ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"],
    "WEBP": ["RGB", "RGBA"],
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in LOSSLESS.items() for mode in modes])
def test_a_picture_stands_upright_whatever_its_orientation_and_mode(kind: str, mode: str, orientation: int) -> None:
    image, colours = stored_image(mode, STORED[orientation])
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = read(saved(image, kind, exif=exif(orientation), **options))
    assert (picture.width, picture.height) == (3 * CELL, 2 * CELL)
    np.testing.assert_array_equal(picture.pixels, cells(["123", "456"], colours))


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_stands_upright_in_each_of_its_colour_spaces(mode: str, orientation: int) -> None:
    image, colours = stored_image(mode, STORED[orientation])
    picture = read(saved(image, "JPEG", quality=100, subsampling=0, exif=exif(orientation)))
    assert (picture.width, picture.height) == (3 * CELL, 2 * CELL)
    np.testing.assert_allclose(picture.pixels, cells(["123", "456"], colours), atol=4)


def test_an_avif_stands_upright() -> None:
    image, colours = stored_image("RGB", STORED[6])
    picture = read(saved(image, "AVIF", quality=100, subsampling="4:4:4", exif=exif(6)))
    np.testing.assert_allclose(picture.pixels, cells(["123", "456"], colours), atol=6)


def test_pixels_are_contiguous_bytes_that_nobody_can_write() -> None:
    for turn in (1, 6):
        pixels = read(saved(photo(64, 48), "PNG", exif=exif(turn))).pixels
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous
        assert not pixels.flags.writeable


BROKEN_EXIF = {
    "no TIFF header": b"Exif\0\0garbage",
    "an offset beyond the end": b"Exif\0\0II*\0\xff\xff\xff\x7f",
    "more entries than bytes": b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0",
    "an orientation of text": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0abc\0\0\0\0\0",
    "an orientation of 99": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0",
    "a value out of the block": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x05\0\x09\0\0\0\xff\xff\0\0\0\0\0\0",
    "resolutions of nothing": b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03" + bytes(8) + b"\x01\x1a\0\x05" + bytes(8),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("block", BROKEN_EXIF.values(), ids=list(BROKEN_EXIF))
def test_a_broken_orientation_counts_as_none(kind: str, block: bytes) -> None:
    if kind == "AVIF" and block == BROKEN_EXIF["no TIFF header"]:  # which the AVIF library itself refuses
        with pytest.raises(ImageError, match="cannot be decoded"):
            read(with_exif(kind, block))
        return
    np.testing.assert_array_equal(read(with_exif(kind, block)).pixels, read(saved(photo(48, 32), kind)).pixels)


def with_exif(kind: str, block: bytes) -> bytes:
    """A photo with an EXIF block put in by hand, as Pillow does not write a broken one everywhere."""
    content = saved(photo(48, 32), kind)
    if kind == "JPEG":  # in place of the JFIF segment, which would give the resolution that Pillow looks for in EXIF
        length = struct.unpack(">H", content[4:6])[0]
        return content[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + content[4 + length :]
    if kind == "PNG":
        return content[:33] + chunk(b"eXIf", block[6:]) + content[33:]
    if kind == "AVIF":
        sound = exif(1)
        sound[0x010E] = "a description that makes room for the broken block"
        content = saved(photo(48, 32), kind, exif=sound)
        old = sound.tobytes()[6:]
        assert old in content
        return content.replace(old, block[6:].ljust(len(old), b"\0"))
    return saved(photo(48, 32), kind, exif=block)


# ---- colour


def test_transparent_pixels_show_white_and_half_transparent_ones_blend_with_it() -> None:
    pixels = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [200, 0, 0, 51]]], np.uint8)  # 51/255 = 0.2
    expected = [[[200, 0, 0], [255, 255, 255], [244, 204, 204]]]  # 0.2 * 200 + 0.8 * 255 = 244
    np.testing.assert_array_equal(read(saved(Image.fromarray(pixels), "PNG")).pixels, expected)
    grey = Image.fromarray(np.array([[[0, 255], [0, 0], [0, 51]]], np.uint8))
    np.testing.assert_array_equal(read(saved(grey, "PNG")).pixels[0, :, 0], [0, 255, 204])


def test_a_transparent_entry_of_a_palette_shows_white() -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    for kind in ("PNG", "GIF"):
        pixels = read(saved(image, kind, transparency=0)).pixels
        np.testing.assert_array_equal(pixels, [[[255, 255, 255], [0, 0, 255]]])


def test_a_transparent_colour_of_a_plain_png_shows_white() -> None:
    grey = png(2, 1, b"\0\x07\x09", colour=0, extra=chunk(b"tRNS", b"\0\x07"))
    np.testing.assert_array_equal(read(grey).pixels[0, :, 0], [255, 9])
    rgb = png(2, 1, b"\0\1\2\3\4\5\6", extra=chunk(b"tRNS", b"\0\1\0\2\0\3"))
    np.testing.assert_array_equal(read(rgb).pixels, [[[255, 255, 255], [4, 5, 6]]])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_to_eight_not_clipped(kind: str) -> None:
    values = np.array([[0, 257, 128 * 257, 200 * 257 + 128, 65535]], np.uint16)
    pixels = read(saved(Image.fromarray(values), kind)).pixels
    np.testing.assert_array_equal(pixels[0, :, 0], [0, 1, 128, 200, 255])
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])


def test_sixteen_bits_in_the_other_byte_order_are_the_same() -> None:
    values = np.array([[0, 32896, 65535]], ">u2")
    image = Image.frombytes("I;16B", (3, 1), values.tobytes())
    np.testing.assert_array_equal(read(saved(image, "TIFF")).pixels[0, :, 0], [0, 128, 255])


def test_a_png_of_sixteen_bits_per_colour_keeps_its_colours() -> None:
    sample = png(1, 1, b"\0" + struct.pack(">3H", 0, 0x8080, 0xFFFF), bits=16)
    np.testing.assert_array_equal(read(sample).pixels, [[[0, 128, 255]]])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),  # fractions
        ([0.25, 0.25, 0.5], [64, 64, 128]),
        ([-10.0, 0.0, 10.0], [0, 128, 255]),  # no known range: stretched
        ([np.nan, 5.0, 10.0], [0, 0, 255]),
        ([-np.inf, 0.0, np.inf], [0, 0, 255]),
        ([-3e38, 0.0, 3e38], [0, 128, 255]),
        ([7.0, 7.0, np.nan], [0, 0, 0]),
        ([np.nan, np.nan, np.nan], [0, 0, 0]),
    ],
)
def test_floats_are_fractions_or_stretched(values: list[float], expected: list[int]) -> None:
    pixels = read(saved(Image.fromarray(np.array([values], np.float32)), "TIFF")).pixels
    np.testing.assert_array_equal(pixels[0, :, 0], expected)


def test_whole_numbers_beyond_sixteen_bits_are_stretched() -> None:
    values = np.array([[-1_000_000, 0, 1_000_000]], np.int32)
    np.testing.assert_array_equal(read(saved(Image.fromarray(values), "TIFF")).pixels[0, :, 0], [0, 128, 255])


def test_lab_is_turned_into_rgb() -> None:
    for lab, rgb in (((255, 128, 128), 255), ((0, 128, 128), 0)):
        pixels = read(saved(Image.new("LAB", (2, 2), lab), "TIFF")).pixels
        np.testing.assert_allclose(pixels, rgb, atol=2)


# ---- the first of many


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO", "AVIF"])
def test_only_the_first_frame_or_page_is_read(kind: str) -> None:
    first, second = Image.new("RGB", (16, 8), (250, 10, 10)), Image.new("RGB", (16, 8), (10, 10, 250))
    picture = read(saved(first, kind, save_all=True, append_images=[second]))
    assert (picture.width, picture.height) == (16, 8)
    np.testing.assert_allclose(picture.pixels, np.broadcast_to([250, 10, 10], (8, 16, 3)), atol=8)


# ---- size


def test_a_large_jpeg_is_decoded_small_yet_knows_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(photo(1600, 1200), "JPEG", exif=exif(6))
    full = read(content)
    assert full.pixels.shape == (1600, 1200, 3)
    monkeypatch.delattr(Image.Image, "reduce")  # so that nothing but the decoder can have made it smaller
    small = read(content, need=200)  # 1200 / 4 = 300 = 1.5 * 200
    assert small.pixels.shape == (400, 300, 3)
    assert (small.width, small.height) == (full.width, full.height) == (1200, 1600)
    means = full.pixels.reshape(400, 4, 300, 4, 3).mean((1, 3))
    assert np.abs(means - small.pixels).mean() < 2


def test_a_large_picture_of_another_format_is_shrunk_after_decoding() -> None:
    picture = read(saved(photo(1600, 1200), "PNG"), need=200)
    assert picture.pixels.shape == (300, 400, 3)
    assert (picture.width, picture.height) == (1600, 1200)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_no_side_is_shrunk_below_one_and_a_half_times_the_need(kind: str) -> None:
    for width, height, shape in ((598, 900, (900, 598)), (600, 900, (450, 300)), (4000, 224, (224, 4000))):
        assert read(saved(photo(width, height), kind), need=200).pixels.shape[:2] == shape


def test_a_bomb_is_refused_by_its_header() -> None:
    assert reason(png(100_000, 100_000, b"")) == "100000 x 100000 pixels, more than the limit of 200000000"


def test_the_limit_is_the_callers() -> None:
    content = saved(photo(32, 32), "PNG")
    assert read(content, max_pixels=1024).width == 32
    assert reason(content, max_pixels=1023) == "32 x 32 pixels, more than the limit of 1023"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_the_global_limit_of_pillow_plays_no_part(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(photo(32, 32), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow refuses from 200 on, and warns from 100
    assert read(content).pixels.shape == (32, 32, 3)


def test_a_picture_of_one_pixel_and_one_very_long_are_read() -> None:
    assert read(saved(Image.new("RGB", (1, 1)), "PNG"), need=896).pixels.shape == (1, 1, 3)
    assert read(saved(Image.new("RGB", (20_000, 1)), "PNG"), need=896).pixels.shape == (1, 20_000, 3)


# ---- files that are not pictures


def test_a_path_may_be_text_and_its_ending_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "really a png.jpg"
    path.write_bytes(saved(Image.new("RGB", (5, 4)), "PNG"))
    for source in (path, str(path), path.read_bytes()):
        picture = read(source)
        assert (picture.width, picture.height) == (5, 4)


def test_what_is_not_a_readable_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("a note that somebody renamed")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(tmp_path / "missing.jpg") == "no such file or directory"
    assert reason(tmp_path) == "is a directory"
    assert reason(tmp_path / "empty.jpg") == "empty file"
    assert reason(tmp_path / "pipe.jpg") == "is not a regular file"
    assert reason(tmp_path / "text.jpg") == "not a picture in a format that is read here"
    assert reason(b"") == "empty"
    assert "null" in reason("a\0b.jpg")


def test_a_file_that_may_not_be_opened_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(b"x")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)  # the tests may run as root, who may open everything
    assert reason(path) == "permission denied"


def test_an_error_names_its_picture(tmp_path: Path) -> None:
    path = tmp_path / "missing.jpg"
    with pytest.raises(ImageError, match=r"missing\.jpg: no such file") as caught:
        read(path)
    assert caught.value.source == str(path)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    with pytest.raises(ImageError, match=r"^picture of 5 bytes: not a picture"):
        read(b"hello")
    with pytest.raises(ImageError, match=r"^holiday\.jpg: not a picture"):
        read(b"hello", name="holiday.jpg")


OTHERS = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    "PDF": b"%PDF-1.7\n1 0 obj\n",
    "PSD": b"8BPS\0\1" + bytes(40),
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "ICO": b"\0\0\1\0\1\0\x10\x10" + bytes(40),
    "MP4": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(40),
    "FITS": b"SIMPLE  =                    T" + bytes(40),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_format_that_is_not_on_the_list_is_refused(kind: str) -> None:
    assert reason(OTHERS[kind]) == "not a picture in a format that is read here"


KINDS = ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"]
FILES = {kind: saved(photo(48, 32), kind) for kind in KINDS}
FILES |= {
    "JPEG, CMYK, progressive": saved(photo(48, 32, "CMYK"), "JPEG", progressive=True, exif=exif(6)),
    "PNG, palette": saved(photo(48, 32).quantize(16), "PNG", transparency=3, exif=exif(3)),
    "PNG, 16 bits": saved(Image.fromarray(np.arange(99, dtype=np.uint16).reshape(9, 11)), "PNG"),
    "PNG, animated": saved(photo(48, 32, "RGBA"), "PNG", save_all=True, append_images=[photo(48, 32, "RGBA")]),
    "TIFF, deflate": saved(photo(48, 32), "TIFF", compression="tiff_adobe_deflate", exif=exif(5)),
    "TIFF, floats": saved(photo(48, 32, "F"), "TIFF"),
    "TIFF, LAB": saved(Image.new("LAB", (16, 16), (90, 100, 150)), "TIFF"),
    "WEBP, animated": saved(photo(48, 32, "RGBA"), "WEBP", save_all=True, append_images=[photo(48, 32, "RGBA")]),
    "GIF, animated": saved(photo(48, 32), "GIF", save_all=True, append_images=[Image.new("RGB", (48, 32))]),
}


def test_a_short_message_stands_for_an_error_without_one() -> None:
    assert images._reason(MemoryError()) == "too little memory to decode it"
    assert images._reason(EOFError()) == "cannot be decoded: EOFError"
    assert images._reason(SyntaxError("two\n lines")) == "cannot be decoded: two lines"


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(sorted(FILES)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    near_the_start=st.booleans(),
    kept=st.floats(0.1, 1),
    need=st.sampled_from([None, 8]),
)
def test_a_damaged_file_is_a_picture_or_an_image_error(
    kind: str, changes: list[tuple[float, int]], near_the_start: bool, kept: float, need: int | None
) -> None:
    content = bytearray(FILES[kind])
    span = min(len(content), 200) if near_the_start else len(content)
    for place, value in changes:
        content[int(place * span)] = value
    if kept < 0.9:
        del content[int(kept * len(content)) :]
    try:
        picture = read(bytes(content), need=need, max_pixels=100_000)
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert picture.pixels.shape[2] == 3
        assert picture.width * picture.height <= 100_000


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", *(content[:16] for content in FILES.values())]))
def test_random_bytes_are_an_image_error(noise: bytes, start: bytes) -> None:
    with pytest.raises(ImageError):
        read(start + noise, max_pixels=100_000)


# ---- neither warnings nor threads disturb


def test_odd_metadata_is_no_reason_to_warn() -> None:
    tiff = bytearray(saved(Image.new("L", (4, 4), 77), "TIFF", resolution_unit=2))
    entry = tiff.index(struct.pack("<HHI", 296, 3, 1))
    tiff[entry + 4] = 2  # ResolutionUnit claims two values; Pillow warns, and under -W error raises
    with pytest.warns(UserWarning, match="too many entries"):
        Image.open(BytesIO(tiff))
    assert read(bytes(tiff)).pixels.max() == 77
    apng = png(1, 1, b"\0\1\2\3", extra=chunk(b"acTL", bytes(8)))
    with pytest.warns(UserWarning, match="Invalid APNG"):
        Image.open(BytesIO(apng))
    assert read(apng).pixels.tolist() == [[[1, 2, 3]]]


def test_the_warning_of_bombs_stays_for_other_users_of_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(photo(32, 32), "PNG")
    read(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    with pytest.raises(Image.DecompressionBombWarning):
        Image.open(BytesIO(content))


def test_many_threads_read_what_one_thread_reads(tmp_path: Path) -> None:
    paths = []
    for i, content in enumerate(list(FILES.values()) * 4):
        paths.append(tmp_path / f"{i}.jpg")
        paths[-1].write_bytes(content[: len(content) // 2] if i % 5 == 4 else content)

    def attempt(path: Path) -> bytes:
        try:
            return read(path, need=12).pixels.tobytes()
        except ImageError as error:
            return error.reason.encode()

    alone = [attempt(path) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(attempt, paths)) == alone


# ---- HEIC

# Red left, blue right, 64 x 32 pixels, made by pillow-heif with x265; to the first a box "irot" of a quarter was added,
# as phones do, and in the second the red is clear by four fifths.
TURNED = b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAYdtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAA"
    "AAAERAAAEAAQAAAAABqwABAAAAAAAAACMAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAABB2lwcnAA"
    "AADmaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkA"
    "AAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAA"
    "AAAoY2xhcAAAAEAAAAABAAAAIAAAAAEAAAAAAAAAAv///+AAAAACAAAAEHBpeGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEAAQ"
    "aBAgMFhIYAAAArbWRhdAAAAB8oAa8LYPXlg6//8sr36iiDoVmVf+OkD3mv/xICJ9OA"
)
CLEAR = b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAmttZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAADRpbG9jAA"
    "AAAERAAAIAAQAAAAACjwABAAAAAAAAADsAAgAAAAACygABAAAAAAAAADsAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVp"
    "bmZlAgAAAAACAABodmMxAAAAAA5waXRtAAAAAAABAAABqmlwcnAAAAGCaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGE"
    "ABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkA"
    "AAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAIAAAAAEAAAAAAAAAAv///+AAAAACAAAAEH"
    "BpeGkAAAAAAwgICAAAAHBodmNDAQQIAAAAn/gAAAAAHvAA/Pz4+AAADwNgAAEAF0ABDAH//wQIAAADAJ/4AAADAAAeugJAYQABACVCAQEECAAA"
    "AwCf+AAAAwAAHsCCBBZbq5Ka5sCAAAAMgAAAAwCEYgABAAZEAcFzwIkAAAAOcGl4aQAAAAABCAAAACdhdXhDAAAAAHVybjptcGVnOmhldmM6Mj"
    "AxNTphdXhpZDoxAAAAACBpcG1hAAAAAAAAAAIAAQWBAgMFhAACBYYDB4iEAAAAGmlyZWYAAAAAAAAADmF1eGwAAgABAAEAAAB+bWRhdAAAADco"
    "Aa9Y5vTqv//tAr/+2vyHzzP/V/xD1X7yiT/vK38zvJCYLpHU+u8Q1NbFn48XP6iCIHbMD8T4AAAANygBrrC0PLf//qm/lqH7RwPAFm9gANHt3G"
    "x3pUUPiTAjO9esLHwn2AA7kDK3AEefC5f9y8wFSCA="
)


def test_heic_is_read_upright_and_over_white_in_another_process() -> None:
    turned, clear = read(TURNED, need=8), read(CLEAR)
    assert (turned.width, turned.height) == (32, 64)
    assert turned.pixels.shape == (32, 16, 3)
    assert np.abs(turned.pixels[[0, -1], 0] - np.float32([[200, 30, 30], [20, 60, 220]])).max() < 4
    assert np.abs(clear.pixels[0, [0, -1]] - np.float32([[244, 204, 204], [20, 60, 220]])).max() < 4
    assert "pi_heif" not in sys.modules


def test_heic_that_is_damaged_or_too_large_or_takes_too_long_is_an_image_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reason(TURNED, max_pixels=2047) == "32 x 64 pixels, more than the limit of 2047"
    assert reason(TURNED[:-20]) == f"cut off: only {len(TURNED) - 20} of its {len(TURNED)} bytes are there"
    assert reason(TURNED.replace(b"hvcC", b"none")).startswith("cannot be decoded: ")
    monkeypatch.setattr(_heif, "TIMEOUT", 0.001)
    assert reason(TURNED) == "takes more than 0.001 s to decode"


def test_heic_that_crashes_its_library_is_an_image_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\nkill -ABRT $$\n")
    crashing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crashing))
    assert reason(TURNED) == "crashes the HEIC decoder"


def test_a_folder_scan_looks_for_the_usual_endings() -> None:
    assert {".jpg", ".jpeg", ".png", ".webp", ".tif", ".heic", ".avif"} <= EXTENSIONS
    assert not {".psd", ".eps", ".pdf", ".svg", ".txt", ""} & EXTENSIONS
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in EXTENSIONS)


def test_pictures_are_told_apart_without_comparing_pixels() -> None:
    picture = Picture(np.zeros((1, 1, 3), np.uint8), 1, 1)
    assert picture == picture
    assert picture != Picture(picture.pixels, 1, 1)
