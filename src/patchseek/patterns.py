"""Names and patterns of pictures in .gitignore's manner. Knows no disk and no catalogue, only paths.

    neu          everything called so, and all below it         /neu, ./neu     the one at the top alone
    neu/         folders alone                                  raw/*.tif       in the folder raw itself
    **/neu/**    all below any folder of that name              raw/**/*.tif    at any depth below it
    *.tif [ab]?  as in a shell, within one name                 !keep.tif       an exception from what stands before it

In two things names go before patterns. Where something bears the very name that was given, it alone is meant: a picture
`image[1].jpg`, a folder `!old`. And a text that was given is no line of a file: blanks at its ends and a leading # are
part of it. Composed and decomposed letters (NFC and NFD) are equal everywhere, large and small ones are not.
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from unicodedata import normalize

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from .errors import QueryError

Words = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One text or several."""
Given = Words | Mapping[str, str]
"""Patterns as somebody gave them; or, as `Exclusions.lines`, each with the line that it stands for."""

_SET = re.compile(r"\\.|\[([!^]?)(\]?(?:\[:[a-z]+:\]|[^]/])*)\]|\s+$", re.DOTALL)
_CLASSES = {
    "[:alnum:]": "0-9A-Za-z",
    "[:alpha:]": "A-Za-z",
    "[:blank:]": " \t",
    "[:digit:]": "0-9",
    "[:lower:]": "a-z",
    "[:space:]": " \t\n\r\f\v",
    "[:upper:]": "A-Z",
    "[:xdigit:]": "0-9A-Fa-f",
}
_STAR = r"\[\^/\]\*"
_STARS = re.compile(rf"{_STAR}((?:\\.|\[(?:\\.|[^]\\])+\](?![*+])|[^][\\/(){{}}])*)(?={_STAR})")
_NEAR = 0.7  # likeness of a name that may have been meant, by difflib's measure
_MOST_NAMES = 5000  # compared so, which takes long


def plain(text: str) -> str:
    """The text by which names are compared: letters composed (NFC)."""
    return text if text.isascii() else normalize("NFC", text)


def spellings(text: str) -> tuple[str, ...]:
    """The ways in which a name may be written on a disk: as given, composed, decomposed; each once."""
    return tuple(dict.fromkeys((text, normalize("NFC", text), normalize("NFD", text))))


def several(given: "Words | None") -> list[str]:
    """One text or several, as several; paths are texts too. Raises QueryError for what is neither."""
    if given is None:
        return []
    found = [given] if isinstance(given, str | os.PathLike) else list(given) if isinstance(given, Iterable) else [given]
    texts = [os.fspath(each) if isinstance(each, os.PathLike) else each for each in found]
    if not all(isinstance(text, str) for text in texts):
        raise QueryError(f"names, patterns and tags are texts, found {given!r}"[:200])
    return texts


def escaped(name: str) -> str:
    """The pattern that means just this name."""
    return re.sub(r"^[!#]|[\\*?\[\]]", r"\\\g<0>", name)


def tidy(text: str, root: Path | str | None = None) -> str:
    """A text as a pattern of paths relative to root: an absolute one inside root, or one with a ./ before it, becomes
    anchored (/neu), and a//b, a/./b, a/c/../b all become a/b."""
    if os.sep == "\\":
        text = text.replace("\\", "/")
    inner = inside(text, root) if root is not None else None
    if inner is not None:
        text = f"/{inner}"
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    is_anchored = text.startswith(("/", "./", "../"))
    return ("/" if is_anchored else "") + "/".join(parts) + ("/" if parts and text.endswith("/") else "")


def inside(place: str, root: Path | str) -> str | None:
    """What an absolute path or a URL is relative to root, with its slash at the end; None where it is not inside."""
    wholes = absolute(place)
    homes = absolute(os.path.abspath(root)) if wholes and isinstance(root, Path) else (f"{root}",)  # noqa: PTH100
    for whole, home in product(wholes, homes):
        if plain(whole).startswith(start := plain(home.rstrip("/")) + "/"):
            return plain(whole).removeprefix(start) + ("/" if place.endswith("/") else "")
    return None


def absolute(place: str) -> tuple[str, ...]:
    """The ways to read an absolute path (with and without the links on its way followed) or a URL; none for others."""
    if "://" in place:
        return (place.rstrip("/"),)
    file = Path(os.path.expanduser(place) if place == "~" or place.startswith("~/") else place)  # noqa: PTH111
    if not file.is_absolute() or "\0" in place:
        return ()
    ways = (file.parent.resolve() / file.name, file.resolve(), Path(os.path.abspath(file)))  # noqa: PTH100
    return tuple(dict.fromkeys(way.as_posix() for way in ways))


def seen_from(root: Path | str, path: str) -> str:
    """A path as patterns see it: relative to root where it is inside, and without the slash of a full one."""
    return path.removeprefix(f"{root}".rstrip("/") + "/").removeprefix("/").replace("://", ":/")


def moved_below(folder: str, line: str) -> str:
    """A line that was said of a folder, as it is said of the one around it: for sub/, *.tif becomes /sub/**/*.tif."""
    mark, body = ("!", line[1:]) if line.startswith("!") else ("", line)
    is_anchored = "/" in body.rstrip("/")
    return f"{mark}/{escaped(folder)}{'' if is_anchored else '**/'}{body.lstrip('/')}"


class Pattern:
    """One line in .gitignore's manner. One that cannot be read, such as [z-a], matches nothing, as in git."""

    def __init__(self, line: str) -> None:
        self.is_exception = line.startswith("!")
        body = line.removeprefix("!")
        self._regex = _compile(plain(body))
        self._is_inner = body.endswith("/**") or self._regex is _ANYTHING  # means what is in a folder, not the folder

    def covers(self, path: str) -> bool:
        """Whether it means a file, given as `plain` has it, or a folder in which the file lies."""
        return self._regex is not None and self._regex.search(path) is not None

    def names(self, path: str, is_folder: bool) -> bool:
        """Whether it means this very file or folder, given as `plain` has it, not only one in which it lies."""
        if self._regex is None:
            return False
        if self._is_inner:
            return self.covers(path)
        return self._regex.fullmatch(f"{path}/" if is_folder else path) is not None


_ANYTHING = re.compile(".", re.DOTALL)


def _compile(body: str) -> "re.Pattern[str] | None":
    """The regular expression of a pattern without its exclamation mark."""
    body = re.sub(r"^\*/$|^/?(\*\*/)+(\*/)?$", "?*/", body)  # any folder
    body = re.sub(r"/\*\*/$", "/**/*/", body)  # any folder below
    body = _SET.sub(_readable, re.sub("^[!#]", r"\\\g<0>", body))
    try:
        regex, _ = GitIgnoreSpecPattern.pattern_to_regex(body)
        if regex is None or regex == ".":
            return _ANYTHING if regex else None
        # Each star but the last of a name takes as little as it can and never more: else many stars would take for ever
        return re.compile(_STARS.sub(r"(?>[^/]*?\1)", regex).replace("--", r"-\-"), re.DOTALL)
    except (ValueError, IndexError, re.error):
        return None


def _readable(found: "re.Match[str]") -> str:
    """A set of characters as Python's regular expressions take it without remark; blanks at the end so that they stay.

    found: a match of _SET.
    """
    text, mark, inner = found[0], found[1], found[2]
    if text[0].isspace():
        return "".join(f"[{blank}]" for blank in text)
    if inner is None:  # an escaped character
        return text
    if not mark and len(inner) == 1:
        return f"\\{inner}"
    for name, characters in _CLASSES.items():
        inner = inner.replace(name, characters)
    inner = re.sub(r"([&~|])\1+", r"\1", inner)
    first = inner.lstrip("[")
    return f"[{mark}{first}{'[' if first != inner else ''}]"


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
        lines = given if isinstance(given, Mapping) else {said: _line(said, root) for said in several(given) if said}
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


def nearest(text: str, paths: Iterable[str]) -> str | None:
    """The name, folder or path that was probably meant: the same but for large and small letters, else much alike."""
    text = text.lstrip("!").strip("/")
    names: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        for i, part in enumerate(parts, 1):
            name = "/".join(parts[:i]) if "/" in text else part
            names.setdefault(plain(name).casefold(), name)
    wanted = plain(text).casefold()
    parts = wanted.split("/")  # the beginning may be where somebody stands
    if tail := next((key for i in range(len(parts)) if (key := "/".join(parts[i:])) in names), None):
        return names[tail]
    if escaped(wanted) != wanted and (first := next(filter(Pattern(wanted).covers, names), None)):
        return names[first]
    alike = [key for key in names if abs(len(key) - len(wanted)) <= 3 and not set(key[:2]).isdisjoint(wanted[:2])]
    close = difflib.get_close_matches(wanted, alike[:_MOST_NAMES], 1, _NEAR)
    return names[close[0]] if close else None
