"""YOLO: data.yaml and, below labels/, a text file for each picture: class, centre x, centre y, width, height as shares.

There is no place for a score: what lies below a confidence is left out by the search (`--min-confidence`).
"""

import json
from pathlib import Path

from ._answer import Answer, by_picture, labels
from ._files import Taken, below, plain_text, write_text


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
