"""What is left out of a folder, found out while it is gone through."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ._gitignore import Pattern
from ._names import OneOrSeveral, escaped, plain, several, tidy
from ._nearest import nearest

Given = OneOrSeveral | Mapping[str, str]
"""Patterns as somebody gave them; or, as `Exclusions.lines`, each with the line that it stands for."""


class _Rule:
    """A pattern of `Exclusions`, and what is known of it by now."""

    def __init__(self, said: str, line: str) -> None:
        self.said, self.line, self.pattern = said, line, Pattern(line)
        self.has_matched = False
        name = line.strip("/")
        self._name = plain(name) if escaped(name) != name else None  # a name that would not be meant by its pattern
        self._is_place, self._is_folder = "/" in line.rstrip("/"), line.endswith("/")

    def learn(self, path: str, is_folder: bool) -> bool:
        """Mean just this name from now on, where what is there bears it; whether that is new."""
        if self._name is None or self._name != (path if self._is_place else path.rpartition("/")[2]):
            return False
        if self._is_folder and not is_folder:
            return False
        slashes = ("/" if self._is_place else "", "/" if self._is_folder else "")
        self.line, self._name = escaped(self._name).join(slashes), None
        self.pattern = Pattern(self.line)
        return True


class Exclusions:
    """What is left out of a folder. The last pattern that means a file decides; below a folder left out nothing is.

    Whether a pattern is something's very name shows on the way: where `has_learned`, all is to be asked once more.
    """

    def __init__(self, given: Given = (), root: Path | str | None = None) -> None:
        """root: what absolute patterns are inside. Empty texts are passed over."""
        if isinstance(given, Mapping):
            lines = dict(given)
        else:  # of one that is given twice the last decides, as of all others
            texts = [said for said in several(given) if said]
            lines = {said: _line(said, root) for said in reversed(dict.fromkeys(reversed(texts)))}
        self._rules = [_Rule(said, line) for said, line in lines.items()]
        self._learned = False

    @property
    def lines(self) -> dict[str, str]:
        """Each pattern as it was given, and the line in .gitignore's manner that it came to stand for."""
        return {rule.said: rule.line for rule in self._rules}

    def leaves_out(self, path: str, is_folder: bool) -> bool:
        """Whether this file or folder is left out, where the folder it is in is not."""
        if not self._rules:
            return False
        path, is_out = plain(path), False
        for rule in self._rules:
            self._learned |= rule.learn(path, is_folder)
            if rule.pattern.names(path, is_folder):
                rule.has_matched, is_out = True, not rule.pattern.is_exception
        return is_out

    def has_learned(self) -> bool:
        """Whether since it was last asked a pattern turned out to be a name, so that earlier answers may be wrong."""
        learned, self._learned = self._learned, False
        return learned

    def kept(self, paths: Sequence[str]) -> list[str]:
        """Those of all the files there are that are not left out, neither themselves nor with a folder."""
        while True:
            known = {"": False}
            kept = [path for path in paths if not (self._folder(path.rpartition("/")[0], known) or self._file(path))]
            if not self.has_learned():
                return kept

    def _file(self, path: str) -> bool:
        return self.leaves_out(path, is_folder=False)

    def _folder(self, path: str, known: dict[str, bool]) -> bool:
        """Whether a folder is left out, or one that it is in. known: what was found before."""
        if path not in known:
            known[path] = self._folder(path.rpartition("/")[0], known) or self.leaves_out(path, is_folder=True)
        return known[path]

    def unmatched(self, paths: Iterable[str], folder: Path | None = None) -> dict[str, str | None]:
        """The patterns, as they were given, that meant nothing, each with the path that may have been meant.

        folder: what is there although nobody looked at it, such as in a folder left out, was not meant in vain.
        """
        return {
            rule.said: nearest(rule.line, paths)
            for rule in self._rules
            if not (rule.has_matched or (folder is not None and _is_there(folder, rule.line.strip("/"))))
        }


def _is_there(folder: Path, path: str) -> bool:
    """Whether a folder has this path, in these very letters also where the system knows it by others."""
    parent, _, name = path.rpartition("/")
    try:
        return plain(name) in map(plain, os.listdir(folder / parent))  # noqa: PTH208  # names are all that is needed
    except (OSError, ValueError):
        return False


def _line(said: str, root: Path | str | None) -> str:
    return f"!{tidy(said[1:], root)}" if said.startswith("!") else tidy(said, root)
