"""BMP in runs, beside what the format says: Pillow before 13 loses its place behind runs of an odd length."""

import struct

import numpy as np
import pytest

from patchseek.errors import ImageError
from patchseek.images import read

RLE8, RLE4 = 1, 2
PALETTE = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)


def bmp(width: int, height: int, kind: int, data: bytes) -> bytes:
    """A BMP of runs, by the format's definition."""
    bits = 8 if kind == RLE8 else 4
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, kind, len(data), 0, 0, 0, 0)
    palette = b"".join(bytes((*colour[::-1], 0)) for colour in PALETTE[: 1 << bits].tolist())
    start = 14 + len(header) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + header + palette + data


def indices(content: bytes, width: int, height: int) -> list[list[int]]:
    """Which colours of the palette a picture has, from the top."""
    pixels = read(content).pixels
    assert pixels.shape == (height, width, 3)
    return [[(pixel == PALETTE).all(1).argmax().item() for pixel in row] for row in pixels]


def test_the_example_of_the_format_is_read_as_it_says() -> None:
    # the example of RLE8 in the description of the format, with its end: 04 is four times, 00 05 five as they are
    data = bytes.fromhex("0304 0506 0003 4556 6700 0278 0002 0501 0278 0000 091e 0001".replace(" ", ""))
    rows = [[4] * 3 + [6] * 5 + [0x45, 0x56, 0x67] + [0x78] * 2, [0] * 18 + [0x78] * 2, [0x1E] * 9]
    rows = [row + [0] * (20 - len(row)) for row in rows]
    assert indices(bmp(20, 3, RLE8, data), 20, 3) == rows[::-1]  # the first row is the lowest


def test_four_bits_are_taken_in_turn() -> None:
    # the example of RLE4 of the same description, up to the end of its first row
    data = bytes.fromhex("0304 0506 0006 4556 6700 0478 0000 0001".replace(" ", ""))
    row = [0, 4, 0, 0, 6, 0, 6, 0, 4, 5, 5, 6, 6, 7, 7, 8, 7, 8]
    assert indices(bmp(20, 1, RLE4, data), 20, 1) == [[*row, 0, 0]]


@pytest.mark.parametrize("kind", [RLE8, RLE4])
def test_runs_of_all_kinds_are_what_they_say(kind: int) -> None:
    for seed in range(40):
        chance, width, height = np.random.default_rng(seed), 23, 9
        data, expected = b"", np.zeros((height, width), int)
        for row in range(height):
            left = width
            while left:
                n, value = int(chance.integers(1, left + 1)), int(chance.integers(0, 256))
                if n >= 3 and chance.random() < 0.4:
                    stored = chance.bytes((n + 1) // 2 if kind == RLE4 else n)
                    data += bytes((0, n)) + stored + bytes(len(stored) % 2)
                else:
                    stored = bytes((value,)) * n
                    data += bytes((n, value))
                colours = [half for byte in stored for half in divmod(byte, 16)] if kind == RLE4 else list(stored)
                expected[-1 - row, width - left :][:n] = colours[:n]  # the first row is the lowest
                left -= n
            data += b"\0\0"
        pixels = read(bmp(width, height, kind, data + b"\0\1")).pixels
        np.testing.assert_array_equal(pixels, PALETTE[expected])


def test_a_picture_that_is_ended_early_has_its_first_colour_in_the_rest() -> None:
    assert indices(bmp(3, 2, RLE8, b"\3\7\0\0\0\1"), 3, 2) == [[0, 0, 0], [7, 7, 7]]


def test_what_is_cut_off_is_said() -> None:
    data = b"\3\7\0\0" * 10
    picture = read(bmp(3, 10, RLE8, data)[:-8])
    assert picture.note == "its first 2 of 10 rows are missing"
    assert (picture.pixels[2:] == PALETTE[7]).all()
    with pytest.raises(ImageError, match="cut off: only 4 of its 10 rows are there"):
        read(bmp(3, 10, RLE8, data)[:-24])


@pytest.mark.parametrize("kind", [RLE8, RLE4])
def test_runs_of_nonsense_are_a_picture_or_an_image_error(kind: int) -> None:
    for seed in range(200):
        try:
            read(bmp(11, 7, kind, np.random.default_rng(seed).bytes(60)))
        except ImageError as error:
            assert "\n" not in str(error)
