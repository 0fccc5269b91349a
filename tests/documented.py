"""What a page of the documentation tells its readers to type: every block of code, every command, where it stands.

A block is fenced, or indented by four spaces. A command is a line of such a block, with the lines that it goes on in,
or a span in backticks within the text, which may be a mere mention (`patchseek index`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = ("patchseek", "patchseek-mcp", "pip", "make", "python", "curl", "docker", "ray", "openssl", "export")
"""What a line of a shell begins with, behind NAME=VALUE."""
SCRIPT = r"(?:benchmarks|tools|demo|scripts)/[\w/]+\.(?:py|sh)"
_FENCE = re.compile(r"^( {0,3})```(\S*)[ ]*$")
_SETS = r"(?:\w+=(?:\$\([^)]*\)|[^\s`])* +)*"
_SHELL = re.compile(rf"^{_SETS}(?:{'|'.join(PROGRAMS)}|{SCRIPT}|main\.py|eval(?= \"))(?: |$)")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LISTED = re.compile(r"^ *(?:[-*+]|\d+[.)]) ")


@dataclass(frozen=True)
class Block:
    """A block of code of a kind: what its fence says, or else shell, json, xml or text."""

    file: str
    line: int
    kind: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command as a reader would type it. within: it stands in a sentence, and may be a mention of a command."""

    file: str
    line: int
    text: str
    within: bool = False

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


def pages() -> list[str]:
    """The pages whose blocks are looked at, as they are called below the project."""
    own = ["README.md", "CONTRIBUTING.md", "demo/README.md"]
    return own + sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str, file: str) -> list[Block]:
    """All blocks of a page, in order. Raises ValueError for a fence without an end."""
    return [Block(file, first + 1, kind, body) for first, _, kind, body in _found(text, file)]


def commands(text: str, file: str) -> list[Command]:
    """All commands of a page, in order: the lines of its shell blocks, and what stands in backticks."""
    found = [
        each
        for block in blocks(text, file)
        if block.kind in ("shell", "sh", "bash", "console", "text")
        for each in _commands_of(block)
    ]
    for line, said in spans(text, file):
        if " " in said and _SHELL.match(said):
            found.append(Command(file, line, said, within=True))
    return sorted(found, key=lambda each: each.line)


def spans(text: str, file: str) -> list[tuple[int, str]]:
    """(line, what it says) of all that stands in backticks outside blocks."""
    lines = text.split("\n")
    for first, end, _, _ in list(_found(text, file)):
        lines[first : end + 1] = [""] * len(lines[first : end + 1])
    rest = "\n".join(lines)
    return [
        (rest.count("\n", 0, paragraph.start() + span.start()) + 1, " ".join(span[2].split()))
        for paragraph in re.finditer(r"(?:[^\n]+\n?)+", rest)
        for span in _SPAN.finditer(paragraph[0])
    ]


def _found(text: str, file: str) -> Iterator[tuple[int, int, str, str]]:
    """(first line, line after the last, kind, text) of every block, lines counted from 0, a fence without its marks."""
    lines = text.split("\n")
    i, in_list = 0, False
    while i < len(lines):
        if fence := _FENCE.match(lines[i]):
            end = next((j for j in range(i + 1, len(lines)) if lines[j].strip() == "```"), None)
            if end is None:
                raise ValueError(f"{file}:{i + 1}: a fence without an end")
            yield i + 1, end, fence[2] or "text", "\n".join(line[len(fence[1]) :] for line in lines[i + 1 : end])
            i, in_list = end + 1, in_list and bool(fence[1])
            continue
        if lines[i].startswith("    ") and not in_list and (i == 0 or not lines[i - 1].strip()):
            end = i
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            while not lines[end - 1].strip():
                end -= 1
            body = "\n".join(line[4:] for line in lines[i:end])
            yield i, end, _kind(body), body
            i = end
            continue
        if lines[i].strip() and not lines[i].startswith(" "):
            in_list = bool(_LISTED.match(lines[i]))
        i += 1


def _kind(body: str) -> str:
    """What an indented block holds, by its first sign."""
    if _SHELL.match(body):
        return "shell"
    return {"{": "json", '"': "json", "<": "xml"}.get(body[:1], "text")


def _commands_of(block: Block) -> Iterator[Command]:
    """The commands of a block of a shell, each with the lines it goes on in; of other text, what it says to run."""
    if block.kind == "text":
        for number, line in enumerate(block.text.split("\n")):
            if told := re.search(r": (patchseek .+)$", line):
                yield Command(block.file, block.line + number, told[1], within=True)
        return
    begun, parts = block.line, list[str]()
    for number, line in enumerate([*block.text.split("\n"), ""]):
        begun = begun if parts else block.line + number
        if line.endswith("\\"):
            parts.append(line[:-1].strip())
        elif text := " ".join([*parts, line.strip()]).strip():
            yield Command(block.file, begun, text)
            parts = []
