"""HEIC through pi-heif, in a child process: a damaged file can crash its decoder, libheif.

This file is both sides. `as_tiff` starts it as a program, hands it the file and gets plain pixels back, in about 0.1 s
more than the decoding takes. Only the program imports pi-heif.
"""

import subprocess
import sys
from io import BytesIO

from PIL import ImageFile

TIMEOUT = 60.0
"""Seconds that one file may take."""


def as_tiff(content: bytes, max_pixels: int) -> bytes:
    """A HEIC file as an upright, uncompressed TIFF.

    Raises OSError saying why not, and where that is not the file's doing TimeoutError or MemoryError.
    """
    from ._platform import ended_by  # which the program has no use for

    program = [sys.executable, "-P", __file__, str(max_pixels)]  # -P: our own folder shadows no other library
    try:
        child = subprocess.run(program, input=content, capture_output=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"takes more than {TIMEOUT:g} s to decode") from error
    by = ended_by(child.returncode)
    if by == "SIGKILL":  # nothing but a system short of memory does that
        raise MemoryError
    if by:
        raise OSError("crashes the HEIC decoder")
    if child.returncode:
        said = child.stderr.decode(errors="replace").split("\n")
        raise OSError(next((line for line in reversed(said) if line), "the HEIC decoder failed")[:200])
    return child.stdout


def _serve(max_pixels: int) -> None:
    """The child: a HEIC file on standard input, a TIFF on standard output; what is wrong goes to standard error."""
    from pi_heif.as_plugin import HeifImageFile

    try:
        image: ImageFile.ImageFile = HeifImageFile(BytesIO(sys.stdin.buffer.read()), "")
        if image.width * image.height > max_pixels:
            sys.exit(f"{image.width} x {image.height} pixels, more than the limit of {max_pixels}")
        image.load()
        image.info.clear()  # libheif has applied rotation and mirroring already
        tiff = BytesIO()
        image.save(tiff, "TIFF")
    except Exception as error:
        sys.exit(f"cannot be decoded: {' '.join(str(error).split())}")
    sys.stdout.buffer.write(tiff.getbuffer())


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
