"""Ground truth files "gnd": two lists of pictures, and for each query a box and lists of numbers of pictures.

    imlist   the gallery's pictures      qimlist  the queries' pictures, one per query
    gnd      for each query {"bbx": four numbers, "ok" or "easy", "hard": positives, "junk": neither right nor wrong}

They come as .mat (numbers from 1) or .pkl (numbers from 0); .json, with numbers from 0, is ours. All three are read as
data: a pickle, which may hold arrays in place of lists, is never run. Sources: the code of the revisited Oxford and
Paris benchmark (Radenovic et al., CVPR 2018) and public readers of gnd_instre.mat (Iscen et al., CVPR 2017).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from ..formats import Annotations, shorten
from ._literals import read_literals
from ._mat import read_mat

SUFFIXES = (".json", ".mat", ".pkl")
_MOST_NUMBERS = 1_000_000


@dataclass(frozen=True)
class Judgement:
    """What a gnd file says of one query."""

    bbx: tuple[float, float, float, float] | None
    # as written; what the numbers mean differs between benchmarks
    lists: Mapping[str, tuple[int, ...]]
    # "ok", "easy", "hard", "junk": positions in imlist, from 0


@dataclass(frozen=True)
class Gnd:
    """A ground truth file."""

    path: Path
    imlist: tuple[str, ...]
    qimlist: tuple[str, ...]
    judgements: tuple[Judgement, ...]
    # one for each of qimlist


def find_gnd(folders: Sequence[Path], name: str) -> Path:
    """The file NAME.json, NAME.mat or NAME.pkl in the first of the folders that has one."""
    paths = [folder / f"{name}{suffix}" for folder in folders for suffix in SUFFIXES]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        raise DatasetError(
            f"{folders[0]}: no {name}.mat, {name}.pkl or {name}.json here; the benchmark's page offers it"
        )
    return found


def read_gnd(annotations: Annotations, path: Path) -> Gnd:
    """A ground truth file. Raises DatasetError where it is not of the form above or a number names no picture."""
    first = 1 if path.suffix == ".mat" else 0
    if path.suffix == ".json":
        content = annotations.json(path)
    else:
        read = read_mat if path.suffix == ".mat" else read_literals
        content = read(annotations.data(path), path)
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: imlist, qimlist and gnd are expected, found {shorten(content)}")
    imlist, qimlist = _names(content, "imlist", path), _names(content, "qimlist", path)
    gnd = content.get("gnd")
    if not isinstance(gnd, list) or len(gnd) != len(qimlist):
        raise DatasetError(f"{path}: gnd must have an entry for each of the {len(qimlist)} pictures of qimlist")
    judgements = [_judgement(entry, first, len(imlist), f"{path}: gnd {n}") for n, entry in enumerate(gnd, 1)]
    return Gnd(path, imlist, qimlist, tuple(judgements))


def _names(content: Mapping[str, Any], key: str, path: Path) -> tuple[str, ...]:
    names = content.get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise DatasetError(f"{path}: {key} must be a list of picture names")
    return tuple(names)


def _judgement(entry: object, first: int, n: int, where: str) -> Judgement:
    if not isinstance(entry, dict):
        raise DatasetError(f"{where}: a box and lists of pictures are expected, found {shorten(entry)}")
    if len(entry) == 2 and not entry.keys() & {"ok", "easy", "bbx", "bbox"}:
        entry = dict(zip(("ok", "bbx"), entry.values(), strict=True))  # public readers go by position, not by name
    bbx = entry.get("bbx", entry.get("bbox"))
    box = None if bbx is None else _numbers(bbx, f"{where}: bbx")
    if box is not None and len(box) != 4:
        raise DatasetError(f"{where}: bbx must be four numbers, found {shorten(bbx)}")
    lists: dict[str, tuple[int, ...]] = {}
    for key in ("ok", "easy", "hard", "junk"):
        if key in entry:
            numbers = _numbers(entry[key], f"{where}: {key}")
            if not all(v.is_integer() for v in numbers):
                raise DatasetError(f"{where}: {key} must be whole numbers, found {shorten(numbers)}")
            lists[key] = tuple(int(v) - first for v in numbers)
            if not all(0 <= i < n for i in lists[key]):
                raise DatasetError(f"{where}: {key} names a picture that is not among the {n} of imlist")
    return Judgement((box[0], box[1], box[2], box[3]) if box else None, lists)


def _numbers(values: object, where: str) -> list[float]:
    if isinstance(values, list) and values and all(isinstance(row, list) for row in values):  # with two axes
        if sum(map(len, values)) > _MOST_NUMBERS:  # one row written once and named many times
            raise DatasetError(f"{where} must be a list of numbers, found more than {_MOST_NUMBERS}")
        values = [value for row in values for value in row]
    if not isinstance(values, list) or not all(type(v) in (int, float) and abs(v) < 1e15 for v in values):
        raise DatasetError(f"{where} must be a list of numbers, found {shorten(values)}")
    return [float(v) for v in values]
