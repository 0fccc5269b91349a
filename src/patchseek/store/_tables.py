"""The tables of a catalogue, and how those of an earlier one become them. Text alone."""

FORMAT = 2
"""Version of the catalogue's tables and of the shards' layout.

1 knew one file a shard, in columns of `shard`. It is read as it is, and carried over by the first writer.
"""

_PART = """CREATE TABLE part (
    shard INTEGER NOT NULL REFERENCES shard, kind TEXT NOT NULL, file TEXT NOT NULL, n_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, PRIMARY KEY (shard, kind));"""

TABLES = f"""
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE root (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);
CREATE TABLE shard (id INTEGER PRIMARY KEY AUTOINCREMENT, n_images INTEGER NOT NULL);
{_PART}
CREATE TABLE image (
    id INTEGER PRIMARY KEY AUTOINCREMENT, root INTEGER NOT NULL REFERENCES root, path TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL, width INTEGER NOT NULL,
    height INTEGER NOT NULL, shard INTEGER NOT NULL REFERENCES shard, slot INTEGER NOT NULL,
    removed INTEGER NOT NULL DEFAULT 0, ctime_ns INTEGER, n_pages INTEGER, UNIQUE (shard, slot));
CREATE UNIQUE INDEX image_path ON image (root, path) WHERE NOT removed;
CREATE TABLE failure (
    root INTEGER NOT NULL REFERENCES root, path TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (root, path));
"""

FROM_FORMAT_1 = f"""
{_PART}
INSERT INTO part SELECT id, 'regions', file, n_bytes, sha256 FROM shard;
CREATE TABLE new_shard (id INTEGER PRIMARY KEY AUTOINCREMENT, n_images INTEGER NOT NULL);
INSERT INTO new_shard SELECT id, n_images FROM shard;
DELETE FROM sqlite_sequence WHERE name = 'new_shard';
INSERT INTO sqlite_sequence SELECT 'new_shard', seq FROM sqlite_sequence WHERE name = 'shard';
DROP TABLE shard;
ALTER TABLE new_shard RENAME TO shard;
UPDATE setting SET value = '2' WHERE key = 'format';
"""
"""Not by DROP COLUMN, which SQLite has only since 3.35. No number of a shard is given a second time."""

LATER_COLUMNS = ("ctime_ns", "n_pages")
"""Columns of `image` that catalogues of before lack; see store.FileState and NewEntry. Unknown is NULL.

An older patchseek names the columns that it writes, and leaves these alone.
"""

LATER_TABLES = {
    "tag": "name TEXT, image INTEGER, PRIMARY KEY (name, image)",
    "aside": "image INTEGER PRIMARY KEY, since REAL NOT NULL",
    "failure_note": "root INTEGER, path TEXT, ctime_ns INTEGER, passing INTEGER NOT NULL, PRIMARY KEY (root, path)",
    "taken_out": "root INTEGER, path TEXT, PRIMARY KEY (root, path)",
    "judgement": "query TEXT, number INTEGER, sha256 TEXT NOT NULL, page INTEGER NOT NULL, width INTEGER NOT NULL, "
    "height INTEGER NOT NULL, x0 REAL NOT NULL, y0 REAL NOT NULL, x1 REAL NOT NULL, y1 REAL NOT NULL, verdict TEXT, "
    "at REAL NOT NULL, who TEXT NOT NULL, PRIMARY KEY (query, number)",
    "saved_query": "name TEXT PRIMARY KEY, query TEXT NOT NULL, text TEXT NOT NULL, note TEXT NOT NULL, "
    "at REAL NOT NULL, who TEXT NOT NULL",
    "saved_view": "name TEXT, number INTEGER, wanted INTEGER NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL, "
    "page INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, x INTEGER NOT NULL, y INTEGER NOT NULL, "
    "w INTEGER NOT NULL, h INTEGER NOT NULL, kept TEXT NOT NULL, kept_x INTEGER NOT NULL, kept_y INTEGER NOT NULL, "
    "PRIMARY KEY (name, number)",
    "kept_picture": "sha256 TEXT PRIMARY KEY, content BLOB NOT NULL",
    "query_run": "query TEXT, number INTEGER, mark INTEGER NOT NULL, n_pictures INTEGER NOT NULL, "
    "options TEXT NOT NULL, made_by TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (query, number)",
    "query_find": "query TEXT, sha256 TEXT, page INTEGER, run INTEGER NOT NULL, first INTEGER NOT NULL, "
    "record TEXT NOT NULL, PRIMARY KEY (query, sha256, page)",
    "told_query": "query TEXT PRIMARY KEY, run INTEGER NOT NULL",
    "told": "query TEXT, sha256 TEXT, page INTEGER, PRIMARY KEY (query, sha256, page)",
    "news": "number INTEGER PRIMARY KEY, text TEXT NOT NULL, place TEXT NOT NULL, size INTEGER NOT NULL, "
    "written INTEGER NOT NULL, posted INTEGER NOT NULL",
}
"""Tables that the first writer makes. An older patchseek does not look at those that it does not know.

aside: pictures that are removed but kept, and since when (seconds since 1970). failure_note: for what `failure` has no
room. taken_out: files of which somebody took all pictures out, so that they do not come in again by themselves.
judgement: see store.Judgement; those of a query are numbered. It refers to no row of `image`: these come and go.
saved_query, saved_view, kept_picture: see store.SavedQuery. query_run, query_find: see store.Run and store.Find.
told_query, told: finds that need no more be handed on, and up to which run they have been looked through; the query ""
says that somebody began with it. news: see store.News.
"""

WITH_ROWS_APART = ("kept_picture", "news")
"""Of these, those whose rows are too large to be kept in the tree of their keys (WITHOUT ROWID)."""
