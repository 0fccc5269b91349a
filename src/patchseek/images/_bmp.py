"""BMP in runs (RLE8 and RLE4), decoded a run at a time; Pillow does so a pixel at a time, in Python."""

from typing import Any

from PIL import BmpImagePlugin, Image, ImageFile

_CODEC = "patchseek_bmp_runs"


class Bmp(BmpImagePlugin.BmpImageFile):
    """A BMP whose runs are decoded here."""

    def _open(self) -> None:
        super()._open()
        self.tile = [tile._replace(codec_name=_CODEC) if tile.codec_name == "bmp_rle" else tile for tile in self.tile]


class _Runs(ImageFile.PyDecoder):
    """The runs of a BMP, from its first row: a length and a value, or 0 and an order. What is skipped is 0.

    Orders: 0 ends a row, 1 the picture, 2 skips as many pixels and rows as the next two bytes say; a larger one is the
    number of pixels that follow as they are, padded to two bytes. In RLE4 a byte is two pixels, which a run takes in
    turn.
    """

    _pulls_fd = True

    def decode(self, buffer: Any) -> tuple[int, int]:  # noqa: ARG002  # Pillow's; the file is read here
        assert self.fd is not None
        n_pixels = self.state.xsize * self.state.ysize
        made, n_made = _unrolled(self.fd.read(), self.state.xsize, n_pixels, is_four=bool(self.args[1]))
        # where the file ends too early this raises ValueError, after what there is has been taken
        self.set_as_raw(memoryview(made)[:n_made], "P" if self.mode == "P" else "L", (0, self.args[-1]))  # type: ignore[arg-type]
        return -1, 0


def _unrolled(content: bytes, width: int, n_pixels: int, *, is_four: bool) -> tuple[bytearray, int]:
    """All pixels, a byte each, in the order of the file, and how many of them the content holds."""
    made, at, row_end, place = bytearray(n_pixels), 0, width, 0
    while at < n_pixels and place + 1 < len(content):
        n, value = content[place], content[place + 1]
        place += 2
        if n:  # a run never goes beyond its row
            n = min(n, row_end - at)
            made[at : at + n] = (_halves(value) * n)[:n] if is_four else bytes((value,)) * n
            at += n
        elif value == 0:
            at, row_end = row_end, row_end + width
        elif value == 1:
            return made, n_pixels
        elif value == 2:
            right, up = (*content[place : place + 2], 0, 0)[:2]
            at, place = at + right + up * width, place + 2
            row_end = (at // width + 1) * width
        else:
            n_bytes = (value + 1) // 2 if is_four else value
            given = content[place : place + n_bytes]
            given = b"".join(map(_halves, given)) if is_four else given
            n = min(len(given), value, row_end - at)
            made[at : at + n] = given[:n]
            at, place = at + n, place + n_bytes + n_bytes % 2
    return made, min(at, n_pixels)


def _halves(byte: int) -> bytes:
    return bytes((byte >> 4, byte & 15))


Image.register_decoder(_CODEC, _Runs)
