"""Samples of other than eight bits, in the formats beside TIFF: scaled by what they may be, not clipped."""

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from patchseek.errors import ImageError
from patchseek.images import read

HEIGHT, WIDTH = 40, 56


def smooth(n: int, top: int) -> np.ndarray:
    """Samples (HEIGHT, WIDTH, n) from 0 to top, without edges."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [np.cos(x / (9 + i) + y / (7 + 2 * i) + i) for i in range(n)]
    planes = [(plane - plane.min()) / (plane.max() - plane.min()) for plane in planes]
    return (np.stack(planes, -1) * top).round().astype(np.uint16 if top > 255 else np.uint8)


def shown(samples: np.ndarray, top: int) -> np.ndarray:
    """Grey, grey and alpha, RGB, or RGBA as it looks over white: (h, w, 3) from 0 to 255."""
    shares = samples.astype(np.float64) / top
    n_colours = 3 if samples.shape[2] > 2 else 1
    colours = shares[..., :n_colours]
    if samples.shape[2] > n_colours:
        alpha = shares[..., n_colours:]
        colours = colours * alpha + 1 - alpha
    return np.broadcast_to(colours * 255, (HEIGHT, WIDTH, 3))


def squeezed(samples: np.ndarray) -> np.ndarray:
    return samples[..., 0] if samples.shape[2] == 1 else samples


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_is_scaled_by_its_bits(n: int, bits: int) -> None:
    samples = smooth(n, 2**bits - 1)
    found = read(imagecodecs.png_encode(squeezed(samples))).pixels
    assert np.abs(found - shown(samples, 2**bits - 1)).max() < 2.5


def chunk(name: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(bits: int, colour: int, row: bytes, width: int, clear: tuple[int, ...]) -> bytes:
    """A PNG of one row, in which one grey (colour 0) or one colour (2) is transparent."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, bits, colour, 0, 0, 0))
    transparency = chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
    return b"\x89PNG\r\n\x1a\n" + header + transparency + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND")


@pytest.mark.parametrize(
    ("bits", "row", "values"),
    [
        (1, b"\x40", [0, 255]),
        (2, b"\x1b", [0, 85, 170, 255]),
        (4, b"\x01\x8f", [0, 17, 136, 255]),
        (8, bytes([0, 1, 200]), [0, 1, 200]),
        (16, struct.pack(">3H", 0, 257, 51400), [0, 1, 200]),
    ],
)
def test_a_transparent_grey_shows_white_in_every_depth(bits: int, row: bytes, values: list[int]) -> None:
    top = (1 << bits) - 1
    for i, value in enumerate(values):
        expected = [*values[:i], 255, *values[i + 1 :]]
        content = png(bits, 0, row, len(values), (value * top // 255,))
        assert read(content).pixels[0, :, 0].tolist() == expected


def test_a_transparent_colour_of_sixteen_bits_shows_white() -> None:
    row = struct.pack(">6H", 1000, 20_000, 30_000, 40_000, 50_000, 60_000)
    assert read(png(16, 2, row, 2, (1000, 20_000, 30_000))).pixels[0, 0].tolist() == [255, 255, 255]
    assert read(png(16, 2, row, 2, (1, 2, 3))).pixels[0, 0].tolist() == [3, 78, 117]


@pytest.mark.parametrize("top", [1, 9, 100, 255, 256, 1000, 1023, 4095, 16_383, 65_535])
@pytest.mark.parametrize("n", [1, 3])
def test_a_pnm_is_scaled_by_its_largest_value(top: int, n: int) -> None:
    samples = smooth(n, top)
    head = b"P%d\n# a comment\n%d %d # another\n%d\n"
    raw = head % (6 if n == 3 else 5, WIDTH, HEIGHT, top) + samples.astype(">u2" if top > 255 else "u1").tobytes()
    plain = head % (3 if n == 3 else 2, WIDTH, HEIGHT, top)
    plain += b"\n".join(b" ".join(b"%d" % value for value in row.ravel()) + b" # row" for row in samples)
    for content in (raw, plain):
        assert np.abs(read(content).pixels - shown(samples, top)).max() < 1.5
        assert read(content, need=5).pixels.shape == (HEIGHT // 5, -(-WIDTH // 5), 3)


@pytest.mark.parametrize("blank", [b"", b" ", b"\n"])
def test_a_plain_bitmap_needs_no_blanks_between_its_digits(blank: bytes) -> None:
    ink = smooth(1, 1)[..., 0]
    content = b"P1\n%d %d\n" % (WIDTH, HEIGHT) + blank.join(b"%d" % value for value in ink.ravel().tolist())
    assert (read(content).pixels[..., 0] == 255 - 255 * ink).all()
    packed = b"P4\n%d %d\n" % (WIDTH, HEIGHT) + np.packbits(ink, axis=1).tobytes()
    assert (read(packed).pixels == read(content).pixels).all()


@pytest.mark.parametrize(
    "content",
    [
        b"P2\n2 1\n255\n1 x",
        b"P2\n2 1\n255\n1 -2",
        b"P2\n2 1\n255\n1.5 2",
        b"P1\n2 1\n0 2",
        b"P5\n2 1\n0\nab",
        b"P5\n2 1\n65536\nabcd",
        b"P5\n2\n",
        b"P5 two 1 255\nab",
        b"P5\n0 1\n255\n",
        b"P5\n99999999999 1\n255\n",
        b"P2\n2 1\n255\n1 #2\n",
    ],
)
def test_a_pnm_that_makes_no_sense_is_an_error(content: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_values_beyond_the_largest_are_white() -> None:
    assert read(b"P2\n3 1\n100\n50 100 99999999").pixels[0, :, 0].tolist() == [128, 255, 255]
    assert read(b"P5\n3 1\n100\n\x32\x64\xff").pixels[0, :, 0].tolist() == [128, 255, 255]


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8, 9, 10, 12, 16])
@pytest.mark.parametrize("kind", ["j2k", "jp2"])
@pytest.mark.parametrize("is_exact", [True, False])
def test_a_jpeg2000_is_scaled_by_its_bits(tmp_path: Path, n: int, bits: int, kind: str, is_exact: bool) -> None:
    samples = smooth(n, 2**bits - 1)
    options = {"codecformat": kind, "reversible": is_exact, "level": 0 if is_exact else 70, "bitspersample": bits}
    content = imagecodecs.jpeg2k_encode(squeezed(samples), **options)
    (tmp_path / "a.jp2").write_bytes(content)
    expected = shown(np.asarray(imagecodecs.jpeg2k_decode(content)).reshape(HEIGHT, WIDTH, n), 2**bits - 1)
    for source in (content, tmp_path / "a.jp2"):
        found = read(source).pixels
        assert np.abs(found - expected).max() < (3.5 if is_exact or bits > 4 else 140)
        assert np.abs(found - expected).mean() < 1.5


def test_white_and_black_of_a_deep_jpeg2000_are_white_and_black() -> None:
    for bits in (10, 12, 16):
        for value, expected in ((0, 0), (2**bits - 1, 255)):
            flat = np.full((HEIGHT, WIDTH, 3), value, np.uint16)
            content = imagecodecs.jpeg2k_encode(flat, reversible=True, level=0, bitspersample=bits)
            assert (read(content).pixels == expected).all()


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + name + body


def jp2(codestream: bytes, size: tuple[int, int], boxes: bytes, n: int = 1, bits: int = 8) -> bytes:
    """A JP2 by ISO 15444-1, annex I, around a codestream."""
    header = box(b"ihdr", struct.pack(">IIHBBBB", size[1], size[0], n, bits - 1, 7, 0, 0)) + boxes
    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return start + box(b"jp2h", header) + box(b"jp2c", codestream)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_palette_of_a_jpeg2000_is_looked_up_whatever_its_bits(bits: int) -> None:
    index = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % (1 << bits)).astype(np.uint8)
    codestream = imagecodecs.jpeg2k_encode(index, codecformat="j2k", reversible=True, level=0, bitspersample=bits)
    palette = np.random.default_rng(bits).integers(0, 256, (1 << bits, 3), np.uint8)
    entries = struct.pack(">HB3B", len(palette), 3, 7, 7, 7) + palette.tobytes()
    mapping = b"".join(struct.pack(">HBB", 0, 1, i) for i in range(3))
    boxes = box(b"colr", struct.pack(">BBBI", 1, 0, 0, 16)) + box(b"pclr", entries) + box(b"cmap", mapping)
    content = jp2(codestream, (WIDTH, HEIGHT), boxes, bits=bits)
    assert (read(content).pixels == palette[index]).all()


def test_a_jpeg2000_whose_content_is_larger_than_its_container_says_is_refused() -> None:
    codestream = imagecodecs.jpeg2k_encode(smooth(3, 255), codecformat="j2k", reversible=True, level=0)
    colours = box(b"colr", struct.pack(">BBBI", 1, 0, 0, 16))
    assert read(jp2(codestream, (WIDTH, HEIGHT), colours, 3)).width == WIDTH
    with pytest.raises(ImageError, match="its container and its content differ in size"):
        read(jp2(codestream, (WIDTH - 8, HEIGHT - 8), colours, 3))


def test_a_deep_jpeg2000_of_shared_colours_and_one_of_more_bits_than_are_read_are_refused() -> None:
    deep = imagecodecs.jpeg2k_encode(smooth(3, 4095), codecformat="j2k", reversible=True, level=0, bitspersample=12)
    shared = box(b"colr", struct.pack(">BBBI", 1, 0, 0, 18))
    with pytest.raises(ImageError, match="a JPEG 2000 of 12 bits and colours that differ in kind is not read here"):
        read(jp2(deep, (WIDTH, HEIGHT), shared, 3, 12))
    more = bytearray(deep)
    place = more.index(b"\xff\x4f\xff\x51") + 42
    more[place] = 19
    with pytest.raises(ImageError, match="a JPEG 2000 of 20 bits is not read here"):
        read(bytes(more))


@pytest.mark.parametrize("n", [1, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_an_avif_is_scaled_by_its_bits(n: int, bits: int) -> None:
    samples = smooth(n, 2**bits - 1)
    options = {"level": 100, "bitspersample": bits, "pixelformat": "400" if n == 1 else "444"}
    found = read(imagecodecs.avif_encode(squeezed(samples), **options)).pixels
    assert np.abs(found - shown(samples, 2**bits - 1)).mean() < 2


def test_a_jpeg_of_twelve_bits_or_without_loss_is_refused() -> None:
    for content in (
        imagecodecs.jpeg8_encode(smooth(1, 4095)[..., 0], bitspersample=12),
        imagecodecs.jpeg8_encode(smooth(1, 65_535)[..., 0], lossless=True),
    ):
        with pytest.raises(ImageError, match="cannot be decoded: "):
            read(content)
