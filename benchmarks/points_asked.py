"""Questions to a collection and its ranked lists, by ways of asking, for points.py. Only what any user can call.

WAYS are arguments of Collection.search; to measure another way is one more line there.
"""

import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from localisation import auroc
from points_rows import Ranked
from quality import index_gallery, peak_mb
from turns import middle, take_turns

from patchseek import AddReport, Collection
from patchseek._ties import in_order
from patchseek.answers import SearchOptions
from patchseek.confidence import DOUBTFUL
from patchseek.datasets import Box, Dataset, open_dataset

Way = Mapping[str, Any]
WAYS: dict[str, Way] = {
    "patches": {"depth": 0, "refine": 0},
    "patches, refined": {"depth": 0, "refine": 20},
    "points": {"depth": 500, "refine": 0},
    "points, refined": {"depth": 500, "refine": 20},
}


def possible(ways: Mapping[str, Way] = WAYS) -> dict[str, Way]:
    """The ways that this version knows. An option it lacks is as good as 0: off."""
    known = {field.name for field in fields(SearchOptions)}
    return {
        name: {option: value for option, value in way.items() if option in known}
        for name, way in ways.items()
        if all(option in known or not value for option, value in way.items())
    }


@dataclass(frozen=True)
class Question:
    """What is asked for."""

    id: str
    picture: Any
    # whatever Collection.search takes
    box: Box | None = None
    # x y w h in pixels


@dataclass(frozen=True)
class Indexed:
    """A set whose gallery is in a collection."""

    data: Dataset
    folder: Path
    collection: Collection
    report: AddReport
    ids: Mapping[str, str]
    # path in the collection -> gallery id

    @property
    def questions(self) -> list[Question]:
        """The set's queries with their boxes."""
        return [Question(query.id, query.image, query.box) for query in self.data.queries]

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Gallery id -> width, height in pixels."""
        images = self.collection.store.images(self.collection.store.snapshot().ids.tolist())
        return {self.ids[image.path]: (image.width, image.height) for image in images if image}

    def ask(self, questions: Sequence[Question], way: Way) -> Ranked:
        """Every picture of the gallery, ranked for each question."""
        ranked = {}
        for question in questions:
            found = self.collection.search(question.picture, box=question.box, top=None, **way)
            entries = [[self.ids[match.image.path], match.score, list(match.pixels)] for match in found]
            order = in_order([name for name, *_ in entries], [score for _, score, _ in entries])
            ranked[question.id] = [entries[i] for i in order]  # the scorer takes ties as they stand
        return ranked


def index(folder: Path, temporary: Path, n_queries: int | None = None) -> Indexed:
    """Index the gallery of a set; of its queries, the first so many are kept."""
    data = open_dataset(folder)
    ids = {picture.image.relative_to(folder.absolute()).as_posix(): picture.id for picture in data.gallery}
    data = replace(data, queries=data.queries[:n_queries])
    return Indexed(data, folder, *index_gallery(folder, list(ids), temporary / "collection"), ids)


def confidence(indexed: Indexed, ways: Mapping[str, Way]) -> dict[str, dict[str, float]]:
    """By way, AUROC of the first answer's confidence: the queries as they are against the same without their positives;
    and the shares of both that are not called doubtful.

    Pictures are taken out of a search by a tag on all the others.
    """
    collection, data = indexed.collection, indexed.data
    paths = {name: path for path, name in indexed.ids.items()}
    for query in data.queries:
        right, ignored = set(data.positives(query)), data.ignored(query)
        for tag, left_out in (("present", ignored), ("absent", right | ignored)):
            collection.tag(f"{tag} {query.id}", *(paths[name] for name in paths if name not in left_out))
    found: dict[str, dict[str, float]] = {}
    for name, way in ways.items():
        sure: dict[str, list[float]] = {"present": [], "absent": []}
        for question in indexed.questions:
            for tag, values in sure.items():
                asked = collection.search(question.picture, box=question.box, top=1, tags=f"{tag} {question.id}", **way)
                values.append(asked[0].confidence)
        found[name] = {"AUROC": round(auroc(sure["present"], sure["absent"]), 3)}
        for tag, values in sure.items():
            found[name][f"{tag}, not doubtful"] = round(statistics.fmean(value >= DOUBTFUL for value in values), 3)
    return found


def cost(indexed: Indexed, ways: Mapping[str, Way], n_queries: int, rounds: int) -> dict[str, dict[str, float]]:
    """What a whole query costs by way: ms, against the first way, and the peak memory of a process that asks so."""
    questions = indexed.questions[:n_queries]
    seconds = take_turns(
        {name: partial(_ask, indexed.collection, questions, way) for name, way in ways.items()}, rounds
    )
    base, *_ = ways
    ratios, ms = middle(seconds, base), {n: 1000 * statistics.median(s) / len(questions) for n, s in seconds.items()}
    return {
        name: {
            "ms": round(ms[name], 1),
            "ms more": round(ms[name] - ms[base], 1),
            f"times {base}": ratios[name],
            "peak MB": _in_a_process_of_its_own(_ask_and_weigh, indexed.collection.path, questions, way),
        }
        for name, way in ways.items()
    }


def price(indexed: Indexed, n: int = 100, rounds: int = 3) -> dict[str, float]:
    """What the collection costs: bytes, and how fast its first n pictures are indexed with points and without, in
    turns; what is measured of confidence afterwards is left out."""
    names = list(indexed.ids)[:n]
    speeds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(rounds):
        for points, own in speeds.items():
            with tempfile.TemporaryDirectory() as place:
                _, report = index_gallery(indexed.folder, names, Path(place) / "collection", points=points)
                own.append(len(names) / report.seconds)
    return {
        "pictures/s": round(statistics.median(speeds[True]), 2),
        "of the speed without points": round(
            statistics.median(a / b for a, b in zip(*speeds.values(), strict=True)), 3
        ),
        "KB a picture": round(indexed.collection.store.n_bytes() / len(indexed.collection) / 1000, 1),
    }


def _ask(collection: Collection, questions: Sequence[Question], way: Way) -> None:
    for question in questions:
        collection.search(question.picture, box=question.box, top=20, **way)


def _ask_and_weigh(path: Path, questions: Sequence[Question], way: Way) -> int:
    """Peak memory of this process in MB after the questions."""
    _ask(Collection.open(path), questions, way)
    if sys.platform != "linux":
        return peak_mb()
    status = Path("/proc/self/status").read_text()  # what the kernel tells of a child begins at its parent's peak
    return next(int(line.split()[1]) >> 10 for line in status.splitlines() if line.startswith("VmHWM"))


def _in_a_process_of_its_own(function: Any, *arguments: Any) -> int:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return int(pool.submit(function, *arguments).result())
