"""The collection on disk: a catalogue (SQLite) and immutable shards. Opens no picture and no model.

    COLLECTION/catalogue.sqlite     what exists; what is not in it does not count
    COLLECTION/shards/*.npy         the parts of shards, written once, committed with their SHA-256: of each shard
                                    the features of its regions, (n, R, D) float16; the points, where there are any
    COLLECTION/inventories/*.json   what each shard holds, from which `rebuild` makes a catalogue anew
    COLLECTION/indexes/             caches of search engines, can be deleted
    COLLECTION/lock                 held by the one writer

Order of a commit: parts to a temporary name, flush, rename, then one SQLite transaction. Whatever moment a process
dies at, a picture is either committed with its vectors or not there.
"""

from ..patterns import OneOrSeveral
from ._backup import back_up, restore
from ._choice import Choice, Moment, same_tags
from ._exclusions import (
    all_exclusions,
    all_gone_into,
    all_intervals,
    exclusions,
    gone_into,
    intervals,
    outdate_films,
    remember_exclusions,
    remember_inside,
    remember_intervals,
)
from ._features import REGIONS, Half, save_features
from ._files import hash_file, require_space, write_part
from ._judgements import Content, Judgement, add_judgement, ids_of, judgements_of
from ._lock import take_lock
from ._news import News, Untold, add_news, begin_telling, note_posted, note_written, untold, waiting_news
from ._places import folders_in
from ._points import POINTS, Codes, save_points
from ._rebuild import DAMAGED, Rebuilt, catalogue_problem, rebuild
from ._records import (
    ANEW,
    Failure,
    FileState,
    Image,
    KnownFile,
    Move,
    NewEntry,
    Settings,
)
from ._runs import Find, Run, add_run, finds_of, last_id, last_run
from ._saved import SavedQuery, SavedView, damaged_queries, kept_picture, remove_queries, save_query, saved_queries
from ._snapshot import Snapshot
from ._store import Store
from ._writer import ASIDE_DAYS, Writer

__all__ = [
    "ANEW",
    "ASIDE_DAYS",
    "DAMAGED",
    "POINTS",
    "REGIONS",
    "Choice",
    "Codes",
    "Content",
    "Failure",
    "FileState",
    "Find",
    "Half",
    "Image",
    "Judgement",
    "KnownFile",
    "Moment",
    "Move",
    "NewEntry",
    "News",
    "OneOrSeveral",
    "Rebuilt",
    "Run",
    "SavedQuery",
    "SavedView",
    "Settings",
    "Snapshot",
    "Store",
    "Untold",
    "Writer",
    "add_judgement",
    "add_news",
    "add_run",
    "all_exclusions",
    "all_gone_into",
    "all_intervals",
    "back_up",
    "begin_telling",
    "catalogue_problem",
    "damaged_queries",
    "exclusions",
    "finds_of",
    "folders_in",
    "gone_into",
    "hash_file",
    "ids_of",
    "intervals",
    "judgements_of",
    "kept_picture",
    "last_id",
    "last_run",
    "note_posted",
    "note_written",
    "outdate_films",
    "rebuild",
    "remember_exclusions",
    "remember_inside",
    "remember_intervals",
    "remove_queries",
    "require_space",
    "restore",
    "same_tags",
    "save_features",
    "save_points",
    "save_query",
    "saved_queries",
    "take_lock",
    "untold",
    "waiting_news",
    "write_part",
]
