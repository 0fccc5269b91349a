"""The little of a shell that the documentation uses: variables, quotes, comments, `$(...)`, `;`, `&&`, `|`, `>`.

What else a shell knows is refused, so that nothing is taken for something it is not.
"""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

INNER = re.compile(r"\$\(([^()]*)\)")
_SETS = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_OPERATORS = (";", "&&", "|", ">", "&")
_PLACEHOLDER = re.compile(r"(?:.*[:/])?[A-Z][A-Z_]*(?:\.\w+)?|\.\.\.|\[.*|.*\]")


class NotUnderstood(ValueError):
    """A line that is written in no way known here."""


@dataclass
class Simple:
    """One program with its words, what is set for it, where its output goes, and what stands behind it."""

    sets: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    into: str | None = None
    then: str = ";"


def simple_commands(text: str, answer: Callable[[str], str] = lambda _: "1") -> list[Simple]:
    """The programs that a line runs, in order. answer: what the command inside `$(...)` prints."""
    whole = _without_comment(text)
    answers = [answer(inner) for inner in INNER.findall(whole)]
    line = INNER.sub("\0", whole)
    if "$(" in line or "`" in line:
        raise NotUnderstood(f"a command within a command within a command: {text}")
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split, lexer.commenters = True, ""
    found = [Simple()]
    words = [re.sub("\0", lambda _: answers.pop(0), word) for word in lexer]
    while words:
        word = words.pop(0)
        if word == ">":
            found[-1].into = words.pop(0)
        elif word in _OPERATORS:
            found[-1].then = word
            found.append(Simple())
        elif re.fullmatch(r"[;&|<>]+", word):
            raise NotUnderstood(f"{word}: {text}")
        elif (named := _SETS.fullmatch(word)) and (not found[-1].words or found[-1].words == ["export"]):
            found[-1].sets[named[1]] = named[2]
        else:
            found[-1].words.append(word)
    return [each for each in found if each.words or each.sets]


def _without_comment(text: str) -> str:
    """The line up to a `#` that begins a word outside quotes."""
    quote = ""
    for i, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and (i == 0 or text[i - 1].isspace()):
            return text[:i]
    return text


def is_placeholder(word: str) -> bool:
    """Whether a reader puts something of their own in place of a word: `FOLDER`, `ilias:DIR`, `...`, `[--option X]`."""
    return bool(_PLACEHOLDER.fullmatch(word))


def filled(words: list[str]) -> list[str]:
    """The words with something in place of each placeholder, and nothing in place of dots."""
    bare = [word.strip("[]") for word in words if word != "..."]
    return ["1" if is_placeholder(word) else word for word in bare]
