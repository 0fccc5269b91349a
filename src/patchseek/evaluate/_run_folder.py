"""The folder that one run of `eval` writes into: no two runs share one, and nothing but a run's own files is removed.

A run is told from another by what its figures depend on, which is kept beside them in `evaluation.json`. The same run
may be started again: its files are then removed before the first new one is written, so that one that breaks off leaves
no mixture.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from .._platform import LockableFolder, remove, replace
from ..errors import PatchseekError

RECORD = "evaluation.json"
"""What says which run a folder is of."""
_OWN = re.compile(
    r"((results|similarities)-L[0-9]+-[0-9]+-distractors|metrics)\.json(\.tmp)?"
    r"|report\.md|(precision-recall|levels|by-size|by-centre-distance)\.png"
)
_SHOWN = 3  # differences that are named


class RunFolder:
    """For a `with` block, which holds the folder against other runs; `begin` before the first file is written."""

    def __init__(self, path: Path, run: Mapping[str, Any], *, overwrite: bool = False) -> None:
        """run: what the figures depend on, as JSON can hold it. overwrite: whether the files of another run may go."""
        self.path, self._overwrite, self._begun = path, overwrite, False
        self._run: dict[str, Any] = json.loads(json.dumps(run))

    def __enter__(self) -> "RunFolder":
        """Make the folder where there is none. Raises PatchseekError where another run has it, or writes there now."""
        try:
            self._is_new = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            self._opened = LockableFolder(self.path)
        except OSError as error:
            raise PatchseekError(f"{self.path}: cannot be written ({error.strerror}); name another --out") from error
        try:
            with suppress(OSError):  # a file system that cannot lock folders
                self._lock()
            self._check()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def begin(self) -> None:
        """Note which run this is, and remove what an earlier one left; nothing when called again.

        Raises PatchseekError where that cannot be done.
        """
        if self._begun:
            return
        try:
            partial = self.path / f"{RECORD}.tmp"
            partial.write_text(json.dumps({"format": 1, "run": self._run}, indent=2) + "\n", encoding="utf-8")
            for file in self._files():
                remove(file)
            replace(partial, self.path / RECORD)
        except OSError as error:
            raise PatchseekError(f"{self.path}: cannot be written ({error.strerror}); name another --out") from error
        self._begun = True

    def _lock(self) -> None:
        try:
            self._opened.lock.take()
        except BlockingIOError as error:
            raise PatchseekError(f"{self.path}: another run is writing here; name another --out") from error

    def _close(self) -> None:
        self._opened.close()
        if self._is_new:
            with suppress(OSError):  # something is in it
                self.path.rmdir()

    def _check(self) -> None:
        kept, files = self._read(), self._files()
        if self._overwrite or not files or kept == self._run:
            return
        unknown = f"{files[0].name} of a run that nothing is known of"
        what = unknown if kept is None else f"another run ({self._but(kept)})"
        raise PatchseekError(f"{self.path}: holds {what}; name another --out, or say --overwrite")

    def _files(self) -> list[Path]:
        return sorted(file for file in self.path.iterdir() if _OWN.fullmatch(file.name) and not file.is_dir())

    def _read(self) -> dict[str, Any] | None:
        """The run that the folder is of, None where it is of none. Raises PatchseekError for another program's file."""
        record = self.path / RECORD
        try:
            run = json.loads(record.read_text(encoding="utf-8"))["run"]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PatchseekError(f"{record}: cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError) as error:
            raise PatchseekError(f"{record}: not written by patchseek eval; name another --out") from error
        return run if isinstance(run, dict) else {}

    def _but(self, kept: Mapping[str, Any]) -> str:
        """What differs, in words."""
        theirs, ours = _flat(kept), _flat(self._run)
        names = [name for name in ours | theirs if theirs.get(name) != ours.get(name)]
        said = [f"{name}: {_words(theirs.get(name))} there, {_words(ours.get(name))} here" for name in names[:_SHOWN]]
        return "; ".join(said + ([f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []))


def _flat(run: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in run.items():
        found |= {f"{name} {k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
    return found


def _words(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
