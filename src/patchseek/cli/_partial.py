"""What is answered so far of many queries, in a file beside the output: whoever is ended goes on there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._platform import remove
from ..errors import PatchseekError


class Partial:
    """Such a file: a line that says of which search, then one for each query. The output may be a folder."""

    def __init__(self, output: Path, facts: Mapping[str, Any]) -> None:
        whole = output.absolute()
        self.path = whole.parent / f"{whole.name}.partial"
        self._head = json.dumps(facts, default=str)
        self._is_same = False

    def read(self, n: int) -> list[dict[str, Any]]:
        """The records of the first so many of n queries; none where the file is of another search."""
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError):
            return []
        if lines[0] != self._head:
            return []
        try:
            done = [json.loads(line) for line in lines[1:-1][:n]]  # the last: nothing, or torn
        except ValueError:  # damaged
            return []
        self._is_same = True
        return done

    def writing(self) -> "Writing":
        """The file open for further records."""
        return Writing(self.path, self._head, is_same=self._is_same)

    def remove(self) -> None:
        """When the output is written."""
        remove(self.path)


class Writing:
    """Appends records, each at once. A torn line at the end is cut off first."""

    def __init__(self, path: Path, head: str, *, is_same: bool) -> None:
        self._path = path
        try:
            if is_same:
                kept = path.read_bytes()
                os.truncate(path, kept.rfind(b"\n") + 1)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab" if is_same else "wb")
            if not is_same:
                self._append(head)
        except OSError as error:
            raise PatchseekError(f"{path}: cannot be written ({error.strerror})") from error

    def _append(self, line: str) -> None:
        try:
            self._file.write(line.encode("utf-8", "backslashreplace") + b"\n")
            self._file.flush()
        except OSError as error:
            raise PatchseekError(f"{self._path}: cannot be written ({error.strerror})") from error

    def __enter__(self) -> Any:
        return lambda record: self._append(json.dumps(record))

    def __exit__(self, *_: object) -> None:
        self._file.close()
