"""Names and paths as they are compared, and as somebody may write them."""

import os
import re
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path, PurePath
from unicodedata import normalize

from ..errors import QueryError

OneOrSeveral = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One text or several."""


def plain(text: str) -> str:
    """The text by which names are compared: letters composed (NFC)."""
    return text if text.isascii() else normalize("NFC", text)


def is_utf8(text: str) -> bool:
    """Whether a name, as the system gives it, is text that can be stored: other bytes are lone surrogates in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def spellings(text: str) -> tuple[str, ...]:
    """The ways in which a name may be written on a disk: as given, composed, decomposed; each once."""
    return tuple(dict.fromkeys((text, normalize("NFC", text), normalize("NFD", text))))


def several(given: OneOrSeveral | None) -> list[str]:
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
    """A text as a pattern of paths relative to root: a//b, a/./b and a/c/../b become a/b.

    An absolute one inside root, and one with a ./ before it, become anchored (/neu); one that leads out means nothing.
    """
    if os.sep == "\\":
        text = text.replace("\\", "/")
    inner = inside(text, root) if root is not None else None
    if inner is not None:
        text = f"/{inner}"
    parts: list[str] = []
    for part in text.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
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


def seen_from(root: PurePath | str, path: str) -> str:
    """A path as patterns see it: relative to root where it is inside, and without the slash of a full one."""
    above = root.as_posix() if isinstance(root, PurePath) else root
    return path.removeprefix(above.rstrip("/") + "/").removeprefix("/").replace("://", ":/")


def moved_below(folder: str, line: str) -> str:
    """A line that was said of a folder, as it is said of the one around it: for sub/, *.tif becomes /sub/**/*.tif."""
    mark, body = ("!", line[1:]) if line.startswith("!") else ("", line)
    is_anchored = "/" in body.rstrip("/")
    return f"{mark}/{escaped(folder)}{'' if is_anchored else '**/'}{body.lstrip('/')}"
