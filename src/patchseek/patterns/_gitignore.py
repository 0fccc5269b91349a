"""A pattern of .gitignore's as a regular expression. The only file that imports pathspec."""

import re

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from ._names import plain

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
