"""What is said on stderr as one JSON object a line, for programs that collect logs. Knows no command.

    {"time": "2026-11-24T09:30:00.123+00:00", "level": "INFO", "logger": "patchseek.cli", "message": "...", ...}

Further fields stand beside these where a line has some: "doing", "done", "total" and "rate" of progress, say.
"""

import json
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

QUIET = "PATCHSEEK_QUIET"
_log = logging.getLogger("patchseek.cli")


class JsonLines(logging.Formatter):
    """A record as JSON in ASCII, so that no name of a file can break a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_plainly() -> None:
    """Warnings of libraries and all that patchseek logs, as text."""
    logging.raiseExceptions = False  # of a handler whose stream is full, say
    logging.basicConfig(format="patchseek: %(message)s", level=logging.WARNING)
    logging.getLogger("patchseek").setLevel(logging.INFO)


def log_as_json() -> None:
    """From now on, everything that is said on stderr is JSON, Python's warnings included."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("patchseek").setLevel(logging.INFO)
    logging.captureWarnings(True)


def hush() -> None:
    """From now on, no progress is shown."""
    os.environ[QUIET] = "1"


def is_quiet() -> bool:
    """Whether no progress is wanted."""
    return bool(os.environ.get(QUIET))


def logs_json() -> bool:
    """Whether log_as_json was called."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.root.handlers)


def say(text: str, *, level: int = logging.INFO, prefix: str = "", **fields: Any) -> None:
    """A line of chatter: prefix and text as they are, or text as JSON with these fields beside it."""
    if logs_json():
        _log.log(level, text, extra={"fields": fields})
    else:
        with suppress(OSError):  # a stderr that is full or closed: no work stops for that
            sys.stderr.write(f"{prefix}{text}\n")


def say_crash(error: BaseException) -> None:
    """An error that nobody foresaw, with its traceback, as JSON."""
    _log.critical("%s: %s", type(error).__name__, error, exc_info=error, extra={"fields": {"exit_code": 1}})
