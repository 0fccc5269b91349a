"""Whose rows in a database are these? Each collection draws a name once; a copy of it draws its own."""

import hashlib
import os
import uuid
from pathlib import Path

from ..store import Snapshot


def owner_of(snapshot: Snapshot, cache: Path | None, engine: str) -> str:
    """16 hexadecimal digits, kept in the cache folder under the engine's name, with the folder's path.

    A copy of a collection lies elsewhere and draws its own: two that grew apart under one owner would answer with each
    other's pictures. So does a collection that has moved; its old rows stay in the database. Without a cache folder the
    vectors themselves are the owner.
    """
    if cache is None:
        return hashlib.sha256("".join(snapshot.shards).encode()).hexdigest()[:16]
    path, home = cache / f"{engine}-owner", str(cache.resolve())
    owner, _, kept_for = path.read_text().partition("\n") if path.exists() else ("", "", "")
    if kept_for != home:
        owner = uuid.uuid4().hex[:16]
        cache.mkdir(exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        partial.write_text(f"{owner}\n{home}")
        partial.replace(path)
    return owner
