"""The collection on disk: a catalogue (SQLite) and immutable vector shards. Opens no picture and no model.

    COLLECTION/catalogue.sqlite     what exists; what is not in it does not count
    COLLECTION/shards/*.npy         (n, R, D) float16, written once, committed with their SHA-256
    COLLECTION/indexes/             caches of search engines, can be deleted
    COLLECTION/lock                 held by the one writer

Order of a commit: vectors to a temporary name, flush, rename, then one SQLite transaction. Whatever moment a process
dies at, a picture is either committed with its vectors or not there.
"""

from ..patterns import Words
from ._backup import back_up, restore
from ._choice import Choice, Moment, same_tags
from ._exclusions import all_exclusions, exclusions, remember_exclusions
from ._lock import take_lock
from ._records import (
    Failure,
    FileState,
    Image,
    KnownFile,
    Move,
    NewPicture,
    Root,
    Settings,
    may_have_pages,
    page_path,
    split_page,
)
from ._shards import Half, hash_file, require_space, write_features
from ._snapshot import Snapshot
from ._store import Store
from ._writer import ASIDE_DAYS, Writer

__all__ = [
    "ASIDE_DAYS",
    "Choice",
    "Failure",
    "FileState",
    "Half",
    "Image",
    "KnownFile",
    "Moment",
    "Move",
    "NewPicture",
    "Root",
    "Settings",
    "Snapshot",
    "Store",
    "Words",
    "Writer",
    "all_exclusions",
    "back_up",
    "exclusions",
    "hash_file",
    "may_have_pages",
    "page_path",
    "remember_exclusions",
    "require_space",
    "restore",
    "same_tags",
    "split_page",
    "take_lock",
    "write_features",
]
