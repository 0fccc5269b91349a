"""Pictures that people search with, kept decoded for a while under ids that nobody guesses. Decodes nothing itself.

A box that moves asks again and again about the same picture: it travels and is decoded once.
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass

from ..images import Picture
from ._lru import BoundedCache


@dataclass(frozen=True)
class SentPicture:
    """A picture to search with."""

    id: str
    name: str
    # of the file, for people
    picture: Picture
    sha256: str
    # of the file, as it was sent
    content: bytes
    # the file


Content = tuple[str, Picture, str, bytes]
"""Id, picture, SHA-256 and bytes of a file."""


class Queries:
    """The latest pictures, as many as fit into so many bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._kept: BoundedCache[str, SentPicture] = BoundedCache(max_bytes)
        self._secret = secrets.token_bytes(32)

    def id_of(self, sha256: str) -> str:
        """The id of a file of this SHA-256: the same one for the same bytes, as long as this server runs."""
        digest = hashlib.blake2b(sha256.encode(), digest_size=18, key=self._secret).digest()
        return urlsafe_b64encode(digest).decode()

    def keep(self, content: Content, name: str) -> SentPicture:
        """Keep what a file holds under its id, and from now on under this name."""
        query_id, picture, sha256, file = content
        query = SentPicture(query_id, name, picture, sha256, file)
        self._kept.put(query_id, query, picture.pixels.nbytes + len(file))
        return query

    def get(self, query_id: str) -> SentPicture | None:
        """The picture of this id; None where it is not kept any more."""
        return self._kept.get(query_id)

    @property
    def n_bytes(self) -> int:
        """Bytes of all pictures kept, and of their files."""
        return self._kept.n_bytes
