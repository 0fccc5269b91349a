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
        raise StoreLocked(
            f"{store.path}: process {path.read_text().strip() or 'unknown'} watches for this collection already; "
            "stop it, or leave it to that"
        ) from error
    with lock:
        yield
