"""The SQLite catalogue: what the collection is and which picture sits in which slot of which shard. Opens no vectors.

A connection lives for one operation, so that any thread may ask and a reader never holds a lock for long. Transactions
are SQLite's own, with a rollback journal and full synchronisation: a commit that returned survives `kill -9`.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._platform import file_uri
from ..errors import StoreDamaged, StoreError, StoreLocked
from ._tables import FROM_FORMAT_1, LATER_COLUMNS, LATER_TABLES, TABLES, WITH_ROWS_APART
from ._typed import find_wrong

_log = logging.getLogger(__name__)

SILENT_SECONDS = 2.0
"""How long a catalogue that another program holds is waited for before that is said."""
WAIT_SECONDS = 10.0
"""How long it is waited for in all."""
COMMIT_SECONDS = 30.0
"""How long to put in what has been made: longer, since a copy of a large catalogue is one long reading."""


State = tuple[int, ...]
"""See Catalogue.state."""


class Catalogue:
    """One SQLite file. Reads work while another process writes.

    Writes are made by the holder of the write lock, but for notes (see `noting`), which anybody may make at any time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_looked_at = False
        self._noted: tuple[State, State] | None = None
        # the state that the latest note led to, and the one before it and others

    def create(self) -> None:
        """Make the tables in a new file, all or nothing."""
        with self.writing(create=True) as db:
            _execute_all(db, TABLES)

    def _connect(self, mode: str, *statements: str) -> sqlite3.Connection:
        """A connection on which statements have been executed. Raises StoreLocked, other errors as SQLite's own."""
        db = sqlite3.connect(f"{file_uri(self.path.resolve())}?mode={mode}", uri=True, isolation_level=None)
        try:
            pragmas = ("PRAGMA synchronous = EXTRA", "PRAGMA foreign_keys = ON")
            for statement in (*pragmas, *statements):
                self._patiently(db, statement, WAIT_SECONDS)
        except BaseException:
            db.close()
            raise
        return db

    def _patiently(self, db: sqlite3.Connection, statement: str, seconds: float) -> None:
        """Execute a statement; where another program holds the catalogue, say so and wait, but not for ever."""
        db.execute(f"PRAGMA busy_timeout = {round(1000 * SILENT_SECONDS)}")
        try:
            db.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            if not _is_locked(error):
                raise
            _log.warning("waiting until nobody else holds the catalogue %s", self.path)
            db.execute(f"PRAGMA busy_timeout = {round(1000 * max(seconds - SILENT_SECONDS, 0))}")
            db.execute(statement).fetchall()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one read transaction: everything it sees is of the same moment.

        Opened for writing where possible, since only then can SQLite roll back what a killed writer left half done.
        The first one looks whether all values are of the kinds that were written. Raises StoreLocked, StoreDamaged.
        """
        for mode in ("rw", "ro"):
            try:
                db = self._connect(mode, "BEGIN", "SELECT count(*) FROM sqlite_schema")
                break
            except (sqlite3.Error, UnicodeDecodeError) as error:
                if _is_locked(error):
                    raise self._locked() from error
                if not self.path.exists():
                    raise self._gone() from error
                if mode == "ro" or (isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error)):
                    why = f"cannot be read as a catalogue ({error}); run: patchseek repair"
                    raise StoreDamaged(f"{self.path}: {why}") from error
        try:
            if not self._is_looked_at and (wrong := find_wrong(db)):
                why = f"the catalogue is damaged ({wrong} is not of its kind); run: patchseek repair"
                raise StoreDamaged(f"{self.path}: {why}")
            self._is_looked_at = True
            yield db
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise StoreDamaged(f"{self.path}: the catalogue is damaged ({error}); run: patchseek repair") from error
        except UnicodeEncodeError as error:
            raise _no_text(error) from error
        finally:
            db.close()

    @contextmanager
    def writing(
        self,
        *,
        create: bool = False,
        rebuild: bool = False,
        then: Callable[[sqlite3.Connection], None] = lambda _: None,
    ) -> Iterator[sqlite3.Connection]:
        """A connection inside one transaction, committed when the block ends well and rolled back when it does not.

        rebuild: let a table that others refer to be replaced by another one of that name. then: called with the
        connection once that is committed. Raises StoreLocked, StoreDamaged, StoreError; then nothing has changed.
        """
        db = None
        try:
            keys = ["PRAGMA foreign_keys = OFF"] if rebuild else []
            db = self._connect("rwc" if create else "rw", *keys, "BEGIN IMMEDIATE")
            yield db
            self._patiently(db, "COMMIT", COMMIT_SECONDS)
            then(db)
        except sqlite3.OperationalError as error:
            if _is_locked(error):
                raise self._locked() from error
            raise StoreError(f"{self.path}: cannot be written ({error}); nothing was changed") from error
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise StoreDamaged(f"{self.path}: the catalogue is damaged ({error}); run: patchseek repair") from error
        except UnicodeEncodeError as error:
            raise _no_text(error) from error
        finally:
            if db is not None:
                db.close()  # an open transaction is rolled back

    @contextmanager
    def noting(self, *tables: str) -> Iterator[sqlite3.Connection]:
        """As `writing`, to put rows into some of LATER_TABLES that no search depends on, without the write lock.

        They are made where they are not there yet. `state` stays what it was: what is open needs no second opening.
        Whether anybody else has changed the catalogue meanwhile, SQLite says (`PRAGMA data_version`).
        """
        before: State = ()
        version = 0

        def note(db: sqlite3.Connection) -> None:
            after = self._status()
            with suppress(sqlite3.OperationalError):  # another program holds it, and may have changed it
                if _version(db) == version:  # no commit but this one, up to now: `after` is its work alone
                    self._noted = after, before

        with self.writing(then=note) as db:
            for table in tables:
                db.execute(_later_table(table))
            before, version = self.state(), _version(db)
            yield db

    def state(self) -> State:
        """What is another once the catalogue has been changed, or another one put in its place. Raises StoreError.

        But for what `noting` has put in.
        """
        found, noted = self._status(), self._noted
        return noted[1] if noted and noted[0] == found else found

    def _status(self) -> State:
        """The file is not opened: to close it again would take SQLite's locks off it."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise self._gone() from error
        return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size

    def _gone(self) -> StoreError:
        return StoreError(f"{self.path.parent}: the collection that was here is gone, or may not be looked at")

    def _locked(self) -> StoreLocked:
        return StoreLocked(f"{self.path}: another program holds the catalogue; nothing was changed, try again later")

    def extend(self) -> None:
        """Carry a catalogue of format 1 over, and add the columns and tables that one of before lacks."""
        with self.reading() as db:
            is_of_format_1 = not has_table(db, "part")
            columns = [column for column in LATER_COLUMNS if column not in _columns(db)]
            tables = [table for table in LATER_TABLES if not has_table(db, table)]
        if is_of_format_1 or columns or tables:
            with self.writing(rebuild=is_of_format_1) as db:
                if is_of_format_1:
                    _execute_all(db, FROM_FORMAT_1)
                for column in columns:
                    db.execute(f"ALTER TABLE image ADD COLUMN {column} INTEGER")
                for table in tables:
                    db.execute(_later_table(table))

    def get(self, key: str) -> str | None:
        """The setting under a key, None where there is none."""
        with self.reading() as db:
            return setting_of(db, key)

    def set(self, key: str, value: str) -> None:
        """Store a setting."""
        with self.writing() as db:
            put_setting(db, key, value)


def setting_of(db: sqlite3.Connection, key: str) -> str | None:
    """The setting under a key, None where there is none."""
    row = db.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def put_setting(db: sqlite3.Connection, key: str, value: str) -> None:
    """Store a setting."""
    db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (key, value))


def _execute_all(db: sqlite3.Connection, script: str) -> None:
    """Each statement of a script, inside the transaction that is open."""
    for statement in script.split(";")[:-1]:
        db.execute(statement)


def _later_table(name: str) -> str:
    """The statement that makes one of LATER_TABLES, unless somebody else has meanwhile."""
    kind = "" if name in WITH_ROWS_APART else " WITHOUT ROWID"
    return f"CREATE TABLE IF NOT EXISTS {name} ({LATER_TABLES[name]}){kind}"


def _version(db: sqlite3.Connection) -> int:
    """Another number once anybody but this connection has changed the catalogue."""
    return int(db.execute("PRAGMA data_version").fetchone()[0])


def _columns(db: sqlite3.Connection) -> set[str]:
    return {row[1] for row in db.execute("PRAGMA table_info(image)")}


def later_columns(db: sqlite3.Connection) -> str:
    """LATER_COLUMNS for a SELECT from `image`, NULL for those that this catalogue lacks."""
    there = _columns(db)
    return ", ".join(column if column in there else "NULL" for column in LATER_COLUMNS)


def has_table(db: sqlite3.Connection, name: str) -> bool:
    """Whether the catalogue has one of the tables that the first writer makes; readers may come before it."""
    return db.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", (name,)).fetchone() is not None


def _is_locked(error: Exception) -> bool:
    """Whether another program holds the file; the lower byte of a code is its kind."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _no_text(error: UnicodeEncodeError) -> StoreError:
    return StoreError(f"{error.object!a}: a name that is not valid UTF-8 cannot be kept; rename it")


def tags_of(db: sqlite3.Connection) -> dict[str, int]:
    """Every tag in use and how many pictures have it."""
    if not has_table(db, "tag"):
        return {}
    query = "SELECT name, count(*) FROM tag JOIN image ON id = image WHERE NOT removed GROUP BY name ORDER BY name"
    return dict(db.execute(query).fetchall())
