"""A PostgreSQL server and its connections. The only file that imports psycopg, and translates what it raises."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import EngineError, MissingExtra
from ._database import StaleEngine

_SILENCE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4, "tcp_user_timeout": 30_000}
# seconds, and milliseconds, after which a connection that was cut without a word is given up


class NotAllowed(EngineError):
    """The role, or the server as a whole, may not do that. reason: PostgreSQL's words."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"PostgreSQL at {url}: {reason}; nothing is lost, the next try goes on from here")
        self.reason = reason


class Server:
    """Where a database is, and as whom we come. Raises EngineError for an address that is none, MissingExtra."""

    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise MissingExtra("psycopg", "postgres") from error
        try:
            said = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError:  # its message may quote a password
            raise EngineError("the database must be given as postgresql://USER@HOST:PORT/DATABASE") from None
        if any("password" in key for key in said):  # an engine's name is kept and printed
            raise EngineError(
                "a database's URL takes no password, it is kept; PGPASSWORD or the file ~/.pgpass holds it"
            )
        self.url = url
        self._target: dict[str, Any] = {"connect_timeout": 10, "application_name": "patchseek", **_SILENCE, **said}
        self._idle: SimpleQueue[Any] = SimpleQueue()
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """A connection of one's own, so that threads may work at the same time; it is kept for the next.

        Errors come out as EngineError: NotAllowed, or StaleEngine for what may be well after an update.
        """
        db = self._connect()
        try:
            with self.translated():
                yield db
        except BaseException:
            db.close()  # and with it what it had begun
            raise
        self._idle.put(db)

    def _connect(self) -> Any:
        import psycopg

        with suppress(Empty):
            while True:
                db = self._idle.get_nowait()
                with suppress(psycopg.OperationalError):
                    db.execute("")  # is it still there?
                    return db
        return self._open()

    def _open(self, **more: Any) -> Any:
        import psycopg

        try:
            return psycopg.connect(**self._target | more, autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            raise EngineError(self._line(error)) from error

    def ping(self, seconds: int) -> None:
        """Raise EngineError unless the server lets us in within some seconds, two at least."""
        self._open(connect_timeout=seconds).close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What psycopg raises becomes our own; see connection."""
        import psycopg
        from psycopg import errors

        try:
            yield
        except errors.LockNotAvailable as error:
            reason = "another process is bringing it up to date; try again when it is done"
            raise EngineError(f"PostgreSQL at {self.url}: {reason}") from error
        except errors.QueryCanceled as error:  # by a limit of time, which a second try would exceed too
            raise EngineError(self._line(error)) from error
        except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as error:
            raise NotAllowed(self.url, _reason(error)) from error
        except psycopg.Error as error:
            raise StaleEngine(self._line(error)) from error

    def _line(self, error: Exception) -> str:
        return f"PostgreSQL at {self.url}: {_reason(error)}; nothing is lost, the next try goes on from here"


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _close(idle: "SimpleQueue[Any]") -> None:
    while not idle.empty():
        idle.get_nowait().close()
