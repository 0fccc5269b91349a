"""Names of objects, as `formats.object_name` has them: which one was probably meant where a query finds no picture."""

import difflib
from collections.abc import Collection, Sequence
from unicodedata import normalize

MAX_NAMES = 3
# of queries or pictures, in a line for people
_NEAR = 0.7  # likeness, by difflib's measure


def meant(name: str, held: Collection[str]) -> str | None:
    """The one of the names held by the gallery that somebody may have meant; None where none is much like it."""
    alike: dict[str, str] = {}
    for other in held:
        alike.setdefault(_folded(other), other)
    close = difflib.get_close_matches(_folded(name), alike, 1, _NEAR)
    return alike[close[0]] if close else None


def _folded(name: str) -> str:
    """Without what is easily mistaken: capitals, widths of letters, several blanks for one."""
    return " ".join(normalize("NFKC", name).casefold().split())


def without_answer(asked: Sequence[tuple[str, str]], held: Collection[str]) -> str:
    """The first of queries (id, object) that no picture answers, and what may be behind it, as a clause for people.

    held: the names of all objects in the gallery.
    """
    clauses = [_clause(query, name, held) for query, name in asked[:MAX_NAMES]]
    more = f" and {len(asked) - MAX_NAMES} more" if len(asked) > MAX_NAMES else ""
    return ", ".join(clauses) + more


def _clause(query: str, name: str, held: Collection[str]) -> str:
    if name in held:
        return f"{query!r} ({name!r} is only in pictures that are left out for it)"
    close = meant(name, held)
    hint = f"; did you mean {close!r}?" if close else ""
    return f"{query!r} ({name!r}{hint})" if query != name or hint else f"{query!r}"


def mistakable(asked: Collection[str], held: Collection[str]) -> list[str]:
    """A line for every name of the gallery that differs from one asked for by capitals, widths or blanks alone.

    asked: names that are in the gallery themselves, so that nothing else would say that the other one does not count.
    """
    wanted = {_folded(name): name for name in sorted(asked)}
    others = [(name, wanted.get(_folded(name))) for name in sorted(set(held) - set(asked))]
    return [f"{name!r} in the gallery is not {other!r}, which queries ask for" for name, other in others if other]
