"""Whose rows in a database are these, and of which shard? What engines that keep rows elsewhere share."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

from .._platform import put_first, replace
from ..errors import EngineError
from ..store import Snapshot

_NAMES: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}
"""How a path of any bytes is written down."""


def owner_of(snapshot: Snapshot, cache: Path | None, engine: str) -> str:
    """16 hexadecimal digits, drawn once and kept in the cache folder under the engine's name, with the folder's path.

    A copy of a collection lies elsewhere and draws its own: two that grew apart under one owner would answer with each
    other's pictures. So does a collection that has moved; its old rows stay in the database. Without a cache folder the
    vectors themselves are the owner. Raises EngineError where the folder cannot be written.
    """
    if cache is None:
        return hashlib.sha256("".join(snapshot.shards).encode()).hexdigest()[:16]
    path, home = cache / f"{engine}-owner", str(cache.resolve())
    try:
        while True:
            owner, kept_for = _read(path)
            if kept_for == home:
                return owner
            cache.mkdir(exist_ok=True)
            drawn = uuid.uuid4().hex[:16]
            partial = path.with_suffix(f".{drawn}.tmp")
            partial.write_text(f"{drawn}\n{home}", **_NAMES)
            (replace if owner else put_first)(partial, path)  # of two that are the first at once, one stays
    except OSError as error:
        raise EngineError(f"{path}: cannot be written ({error.strerror}); it says whose rows these are") from error


def known_owner(snapshot: Snapshot, cache: Path | None, engine: str) -> str | None:
    """The same, but where none has been drawn for this folder, None."""
    if cache is None:
        return owner_of(snapshot, cache, engine)
    owner, kept_for = _read(cache / f"{engine}-owner")
    return owner if kept_for == str(cache.resolve()) else None


def _read(path: Path) -> tuple[str, str]:
    """The owner in a file and the folder that it was drawn for; empty ones where there is none."""
    owner, _, kept_for = path.read_text(**_NAMES).partition("\n") if path.exists() else ("", "", "")
    return owner, kept_for


def shard_tag(shard: str) -> str:
    """16 hexadecimal digits that stand for a shard of a snapshot in a database's rows."""
    return hashlib.sha256(shard.encode()).hexdigest()[:16]
