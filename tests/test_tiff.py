"""Pages of a TIFF, and every layout of its pixels, beside what tifffile and numpy say."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from patchseek.errors import ImageError
from patchseek.images import count_pages, read

REDUCED, PAGE, MASK = 1, 2, 4  # bits of NewSubfileType in TIFF 6.0


def reason(source: Path | bytes, **options: object) -> str:
    with pytest.raises(ImageError) as caught:
        read(source, **options)
    assert "\n" not in str(caught.value)
    return caught.value.reason


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
    assert reason(path).startswith("cannot be decoded: ")
    assert (read(path, page=2).pixels == 77).all()
