"""The size of the upright picture, from its header: as Pillow turns it, whatever the format says and wherever."""

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from patchseek.errors import ImageError
from patchseek.images import read, size_of

ORIENTATION = 0x0112


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_the_size_is_that_of_the_upright_picture(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (40, 24), "teal").save(path, exif=turned(orientation))
    with Image.open(path) as image:
        assert size_of(path) == ImageOps.exif_transpose(image).size == ((24, 40) if orientation > 4 else (40, 24))
    picture = read(path)
    assert size_of(str(path)) == (picture.width, picture.height)


@pytest.mark.parametrize("suffix", ["gif", "bmp", "ppm", "jp2"])
def test_formats_without_orientation_have_the_size_they_say(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (40, 24), "teal").save(tmp_path / f"a.{suffix}")
    assert size_of(tmp_path / f"a.{suffix}") == (40, 24)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_a_png_may_say_behind_its_pixels_that_it_is_turned(tmp_path: Path) -> None:
    Image.new("RGB", (40, 24)).save(tmp_path / "plain.png")
    whole = (tmp_path / "plain.png").read_bytes()
    exif = turned(6).tobytes().removeprefix(b"Exif\0\0")
    (tmp_path / "late.png").write_bytes(whole[:-12] + chunk(b"eXIf", exif) + whole[-12:])
    with Image.open(tmp_path / "late.png") as image:
        assert ImageOps.exif_transpose(image).size == (24, 40)
    assert (size_of(tmp_path / "late.png"), size_of(tmp_path / "plain.png")) == ((24, 40), (40, 24))
    picture = read(tmp_path / "late.png")
    assert (picture.width, picture.height) == (24, 40)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_no_pixel_is_needed(tmp_path: Path, suffix: str) -> None:
    noise = Image.effect_noise((640, 480), 90).convert("RGB")
    noise.save(tmp_path / f"a.{suffix}")
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    (tmp_path / f"cut.{suffix}").write_bytes(whole[: len(whole) // 4])
    assert size_of(tmp_path / f"cut.{suffix}") == (640, 480)


def test_of_several_pages_the_first_counts(tmp_path: Path) -> None:
    first, second = Image.new("L", (40, 24)), Image.new("L", (10, 60))
    first.save(tmp_path / "pages.tif", save_all=True, append_images=[second])
    assert size_of(tmp_path / "pages.tif") == (40, 24)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"])
def test_what_has_no_size_is_an_image_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.jpg: "):
        size_of(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match=r"b\.jpg: no such file"):
        size_of(tmp_path / "b.jpg")


def test_a_bomb_has_no_size(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""))
    with pytest.raises(ImageError, match=r"20000 x 20000 pixels, more than the limit of 200000000"):
        size_of(tmp_path / "bomb.png")
