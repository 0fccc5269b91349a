"""The name that somebody probably meant."""

import difflib
from collections.abc import Iterable

from ._gitignore import Pattern
from ._names import escaped, plain

_NEAR = 0.7  # likeness, by difflib's measure
_MOST_NAMES = 5000  # compared so, which takes long


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
