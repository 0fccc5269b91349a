"""What a PNG says of itself behind its pixels, where a reader comes across it only after decoding. Decodes nothing.

PNG 1.2, section 3.2: after the signature, chunks of length, type, content and checksum.
"""

import struct
from io import SEEK_CUR
from typing import BinaryIO

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = b"IDAT"
_NOTES = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")


def has_late_notes(file: BinaryIO) -> bool:
    """Whether a file is a PNG that has EXIF or texts behind its pixels; it is left where it was."""
    place = file.tell()
    file.seek(0)
    if file.read(8) != _SIGNATURE:
        file.seek(place)
        return False
    seen_pixels = False
    try:
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if seen_pixels and kind in _NOTES:
                return True
            seen_pixels |= kind == _PIXELS
            file.seek(length + 4, SEEK_CUR)
        return False
    finally:
        file.seek(place)
