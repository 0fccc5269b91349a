"""One watcher a collection."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import StoreLocked
from ..store import Store, take_lock


@contextmanager
def alone(store: Store) -> Iterator[None]:
    """For the length of a `with` block, be the only watcher of a collection. Raises StoreLocked, StoreError."""
    path = store.path / "watching"
    try:
        lock = take_lock(path)
    except StoreLocked as error:
        other = path.read_text(encoding="utf-8").strip() or "unknown"
        raise StoreLocked(
            f"{store.path}: process {other} watches for this collection already; stop it, or leave it to that"
        ) from error
    with lock:
        yield
