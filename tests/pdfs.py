"""PDFs written by hand, for tests."""

import hashlib
from collections.abc import Sequence

RED_LEFT = b"1 0 0 rg 0 0 100 100 re f"
"""On a page of 200 x 100 points: its left half is red."""


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    """A PDF of objects, numbered from 1, of which the first is the catalogue."""
    content, places = b"%PDF-1.7\n", []
    for i, each in enumerate(objects, 1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (i, each)
    n, entries = len(objects) + 1, b"".join(b"%010d 00000 n \n" % place for place in places)
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (n, entries)
    end = b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (n, trailer, len(content))
    return content + table + end


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """An object that is a stream."""
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), entries, content)


def one_page(
    content: bytes = RED_LEFT,
    page: bytes = b"/MediaBox [0 0 200 100]",
    others: Sequence[bytes] = (),
    catalogue: bytes = b"",
    trailer: bytes = b"",
) -> bytes:
    """A PDF of one page. others: objects from number 5 on."""
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalogue,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R %s >>" % page,
        stream(content),
        *others,
        trailer=trailer,
    )


def laughing(n_levels: int) -> bytes:
    """One page of which each form draws the next one ten times: 10 ** n_levels forms."""
    first = 5
    forms = [
        stream(
            b"/F Do " * 10 if i + 1 < n_levels else b"0 0 m 1 1 l S",
            b"/Type /XObject /Subtype /Form /BBox [0 0 200 100] /Resources << /XObject << /F %d 0 R >> >>"
            % (first + i + 1),
        )
        for i in range(n_levels)
    ]
    return one_page(b"/F Do " * 10, b"/MediaBox [0 0 200 100] /Resources << /XObject << /F %d 0 R >> >>" % first, forms)


def endless() -> bytes:
    """One page of 2e12 tiles, each of which is made of as many."""
    tile = b"/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] /XStep 0.0001 /YStep 0.0001"
    fill, resources = b"/Pattern cs /P scn 0 0 200 100 re f", b"<< /Pattern << /P 5 0 R >> >>"
    entries = b"/MediaBox [0 0 200 100] /Resources 6 0 R"
    return one_page(fill, entries, [stream(fill, tile + b" /Resources 6 0 R"), resources])


_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")  # PDF 1.7, 7.6.3.3


def locked(for_users: bool) -> bytes:
    """A PDF of one blank page that its owner has locked, with RC4 and keys of 40 bits. for_users: them too."""
    owner, name = bytes(range(32)), bytes(16)
    permissions = (-4).to_bytes(4, "little", signed=True)
    key = hashlib.md5(_PADDING + owner + permissions + name, usedforsecurity=False).digest()[:5]  # of no password
    user = bytes(32) if for_users else _rc4(key, _PADDING)
    entries = b"/Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s>" % (owner.hex().encode(), user.hex().encode())
    trailer = b"/Encrypt << %s >> /ID [<%s> <%s>]" % (entries, *[name.hex().encode()] * 2)
    return one_page(b"", trailer=trailer)


def _rc4(key: bytes, content: bytes) -> bytes:
    box, j = list(range(256)), 0
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) % 256
        box[i], box[j] = box[j], box[i]
    i = j = 0
    found = bytearray()
    for byte in content:
        i = (i + 1) % 256
        j = (j + box[i]) % 256
        box[i], box[j] = box[j], box[i]
        found.append(byte ^ box[(box[i] + box[j]) % 256])
    return bytes(found)
