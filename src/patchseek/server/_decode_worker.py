"""The process that decodes strangers' pictures: a length and bytes in, pixels out, until stdin ends. May be killed.

    python -m patchseek.server._decode_worker MEMORY_BYTES

Holds itself to that much memory where the system can, writes no file and leaves no core dump.
"""

import json
import os
import struct
import sys

from .._platform import limit_for_good
from ..errors import ImageError
from ..images import read

HEADER = struct.Struct("<QQ")
"""Bytes that follow; the most pixels."""
NEED = 2048
"""Pixels worth keeping: a picture is shrunk while both sides stay at least 1.5 times this."""


def main() -> None:
    """Decode picture after picture."""
    limit_for_good(int(sys.argv[1]))  # where the system can; time and pixels are limited everywhere
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a decoding library prints must not get between the answers
    while header := sys.stdin.buffer.read(HEADER.size):
        n_bytes, max_pixels = HEADER.unpack(header)
        try:
            picture = read(sys.stdin.buffer.read(n_bytes), need=NEED, max_pixels=max_pixels, name="picture")
            size = {"shape": picture.pixels.shape, "width": picture.width, "height": picture.height}
            answer = {**size, "note": picture.note}
            pixels = picture.pixels.data.cast("B")
        except ImageError as error:
            answer, pixels = {"reason": error.reason}, memoryview(b"")
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.write(pixels)
        answers.flush()


if __name__ == "__main__":
    main()
