"""YOLO: data.yaml and, below labels/, a text file for each picture: class, centre x, centre y, width, height as shares.

There is no place for a score: what lies below a confidence is left out by the search (`--min-confidence`).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import DatasetError
from ._annotations import Annotations, parse_four, parse_number, shorten
from ._answer import Answer, by_picture, labels
from ._files import Taken, below, plain_text, write_text
from ._labelled import Label, Row, noted, object_name


def write_yolo(answer: Answer, folder: Path) -> list[str]:
    """Write the folder; returns a line for each picture that is left out. Raises PatchseekError."""
    names, taken, problems = labels(answer), Taken(), []
    listed: list[str] = []
    for own in by_picture(answer).values():
        path = below(folder / "labels", own[0].name, ".txt")
        if problem := taken.problem(path, own[0].name):
            problems.append(problem)
            continue
        width, height = own[0].size
        lines = []
        for place in own:
            x, y, w, h = place.box
            numbers = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            lines.append(" ".join([str(names.index(place.label)), *(f"{number:.10g}" for number in numbers)]) + "\n")
        write_text(path, "".join(lines))
        listed.append(own[0].name)
    write_text(folder / "images.txt", "".join(f"images/{plain_text(name)}\n" for name in listed))
    head = f"# {answer.program}\n" + "".join(f"# {key}: {value}\n" for key, value in answer.maker.items())
    classes = "".join(f"  {i}: {json.dumps(name)}\n" for i, name in enumerate(names))
    write_text(folder / "data.yaml", f"{head}train: images.txt\nval: images.txt\nnc: {len(names)}\nnames:\n{classes}")
    return problems


def read_yolo(annotations: Annotations, folder: Path, problems: list[str]) -> Iterator[Row]:
    """A row for each text file below the folder with boxes."""
    names = _names(annotations, folder)
    for path in sorted(folder.rglob("*.txt")):
        if path.name == "images.txt" or path.name == "classes.txt":
            continue
        labels = []
        with noted(problems):
            for where, line in annotations.lines(path):
                with noted(problems):
                    labels.append(_label(line.split(), names, where))
            if labels:
                yield Row(str(path), path.stem, _picture(path, folder), tuple(labels))


def _label(words: list[str], names: dict[int, str], where: str) -> Label:
    if len(words) not in (5, 6):
        raise DatasetError(f"{where}: a box is a class, centre x, y, width, height, found {len(words)} words")
    kind = int(words[0]) if words[0].isdecimal() and len(words[0]) < 9 else -1
    if kind < 0 or (names and kind not in names):
        raise DatasetError(f"{where}: there is no class {shorten(words[0])}")
    x, y, w, h = parse_four([parse_number(word, where) for word in words[1:5]], where)
    box = x - w / 2, y - h / 2, w, h
    if max(x, y, w, h) > 1:
        raise DatasetError(f"{where}: boxes of YOLO are shares of the picture, at most 1, found {' '.join(words[1:5])}")
    left, top = max(box[0], 0.0), max(box[1], 0.0)
    right, bottom = min(box[0] + w, 1.0), min(box[1] + h, 1.0)  # rounded numbers lap over
    return Label(names.get(kind, str(kind)), (left, top, right - left, bottom - top))


def _picture(path: Path, folder: Path) -> str:
    """The picture of a file of boxes, without suffix: below images/ where that is below labels/."""
    inside = path.relative_to(folder).with_suffix("")
    return Path(*("images" if part == "labels" else part for part in inside.parts)).as_posix()


def _names(annotations: Annotations, folder: Path) -> dict[int, str]:
    """The classes of data.yaml or classes.txt, in the few ways in which they are written; {} where neither is there."""
    plain = folder / "classes.txt"
    if plain.is_file():
        return {i: object_name(line) for i, (_, line) in enumerate(annotations.lines(plain))}
    path = next((folder / name for name in ("data.yaml", "data.yml") if (folder / name).is_file()), None)
    if path is None:
        return {}
    text = annotations.text(path)
    flow = re.search(r"^names:[ \t]*([\[{].*?[\]}])[ \t]*(?:#.*)?$", text, re.MULTILINE | re.DOTALL)
    if flow:
        entries = [part.strip() for part in flow[1][1:-1].split(",") if part.strip()]
    else:
        block = re.search(r"^names:[ \t]*(?:#.*)?\n((?:[ \t]*(?:- |\d+[ \t]*:).*\n?)+)", text, re.MULTILINE)
        entries = [line.strip() for line in block[1].splitlines()] if block else []
    names = {}
    for i, entry in enumerate(entries):
        numbered = re.fullmatch(r"(\d+)[ \t]*:[ \t]*(.*)", entry)
        names[int(numbered[1]) if numbered else i] = _unquoted(numbered[2] if numbered else entry.removeprefix("- "))
    if not names:
        raise DatasetError(f"{path}: no names of classes: a list, or numbers and names, under 'names:'")
    return names


def _unquoted(text: str) -> str:
    text = text.strip()
    if text[:1] == '"' and text[-1:] == '"':
        try:
            return object_name(str(json.loads(text)))
        except ValueError:
            pass
    return object_name(text[1:-1].replace("''", "'") if text[:1] == text[-1:] == "'" and len(text) > 1 else text)
