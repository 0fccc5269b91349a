"""What judgements teach a saved query: mAP and precision at 10 after 0, 1, 3 and 5 of them, on both annotated sets.

    python benchmarks/judgements.py [--data FOLDER] [--sets dev-set composite-set] [--after 1 3 5] [--learn all]

Each query of a set is saved and asked, and of its ranking the first so many pictures are judged by the annotations,
with the boxes that were found. Then it is asked again, learning from what was accepted, refused, or both (`patchseek
query run --learn`). Scored is the rest, the pictures that nobody has judged, in the order before and after: that judged
ones could be sorted by their verdicts says nothing of learning. "all, sorted": all pictures, accepted ones first and
refused ones last. Queries whose positives were all judged are left out of both. Every search ranks all pictures and
refines twenty, as by default. Writes results/CLASS/judgements.json.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from turns import keep, machine, parse_with_data

from patchseek import Collection
from patchseek.datasets import Dataset, Query, open_dataset
from patchseek.judgements import Judgements
from patchseek.metrics import average_precision, make_ranking
from patchseek.saved import Saved


class Bench:
    """A set as a collection with saved queries."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.data: Dataset = open_dataset(folder)
        pictures = home / "pictures"
        pictures.mkdir()
        self.ids: dict[str, str] = {}
        for number, entry in enumerate(self.data.gallery):
            name = f"{number:05}{Path(entry.image).suffix}"
            shutil.copy(entry.image, pictures / name)
            self.ids[name] = entry.id
        self.collection = Collection.open(home / "c", create=True)
        self.collection.add(pictures)
        self.saved, self.judgements = Saved(self.collection), Judgements(self.collection)
        for query in self.data.queries:
            self.saved.add(query.id, query.image, box=query.box)

    def ask(self, learn: str) -> dict[str, list[dict[str, Any]]]:
        """The results of each query, all pictures, best first."""
        told = self.saved.run(learn=learn, top=len(self.collection), again=True)
        return {each.query.name: [find.record for find in each.finds] for each in told}

    def judge(self, first: dict[str, list[dict[str, Any]]], n: int) -> dict[str, dict[str, bool]]:
        """Judge the first n results of each query; what was said, by the picture's id."""
        said: dict[str, dict[str, bool]] = {}
        for query, saved in zip(self.data.queries, self.saved.get(*(q.id for q in self.data.queries)), strict=True):
            own = said[query.id] = {}
            for record in first[query.id]:
                name = self.ids[record["image"]]
                if len(own) < n and name not in self.data.ignored(query):
                    own[name] = name in self.data.positives(query)
                    verdict = "yes" if own[name] else "no"
                    self.judgements.add(saved.key, record["image_id"], verdict, record["box"])
        return said

    def score(self, query: Query, ranked: Iterable[str], without: Iterable[str] = ()) -> tuple[float, float] | None:
        """Average precision and precision at 10 of a ranking; None where no positive is left."""
        out = set(without)
        truth = dict.fromkeys(name for name in self.data.positives(query) if name not in out)
        if not truth:
            return None
        left = [name for name in ranked if name not in out]
        ranking = make_ranking(
            [(name, -float(i), None) for i, name in enumerate(left)], truth, self.data.ignored(query)
        )
        counted = [name for name in left if name not in self.data.ignored(query)]
        return average_precision(ranking), float(np.mean([name in truth for name in counted[:10]]))

    def rest(self, answers: dict[str, list[dict[str, Any]]], said: dict[str, dict[str, bool]]) -> list[Any]:
        """Scores of each query's rest."""
        return [self.score(query, self.names(answers[query.id]), said[query.id]) for query in self.data.queries]

    def sorted_by_verdict(
        self, answers: dict[str, list[dict[str, Any]]], said: dict[str, dict[str, bool]]
    ) -> list[Any]:
        """Scores of each query's whole ranking, accepted ones first and refused ones last."""
        scores = []
        for query in self.data.queries:
            own = said[query.id]
            names = [*(name for name, yes in own.items() if yes), *self.names(answers[query.id])]
            unique = dict.fromkeys(name for name in names if own.get(name, True))
            scores.append(self.score(query, [*unique, *(name for name, yes in own.items() if not yes)]))
        return scores

    def names(self, records: Sequence[dict[str, Any]]) -> list[str]:
        """Ids of the set."""
        return [self.ids[record["image"]] for record in records]


def mean(scores: Sequence[tuple[float, float] | None]) -> dict[str, float]:
    """mAP and precision at 10."""
    values = np.array([score for score in scores if score is not None]).mean(axis=0)
    return {"mAP": round(100 * float(values[0]), 1), "P@10": round(100 * float(values[1]), 1)}


def measure(folder: Path, after: Sequence[int], learn_from: Sequence[str]) -> dict[str, Any]:
    """All figures of one set."""
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(folder, Path(name))
        first = bench.ask("no")
        nothing: dict[str, dict[str, bool]] = {query.id: {} for query in bench.data.queries}
        figures: dict[str, Any] = {"0": {"all, sorted": mean(bench.rest(first, nothing))}}
        for n in after:
            said = bench.judge(first, n)
            refused = sum(not yes for own in said.values() for yes in own.values())
            rows: dict[str, Any] = {"refused": refused, "the rest, as before": mean(bench.rest(first, said))}
            for learn in learn_from:
                answers = bench.ask(learn)
                rows[f"the rest, learning from {learn}"] = mean(bench.rest(answers, said))
            rows["all, sorted"] = mean(bench.sorted_by_verdict(answers, said))
            figures[str(n)] = rows
            print(folder.name, n, rows, flush=True)
    return figures


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["dev-set", "composite-set"])
    parser.add_argument("--after", nargs="+", type=int, default=[1, 3, 5])
    parser.add_argument("--learn", nargs="+", choices=("accepted", "refused", "all"), default=["all"])
    asked = parse_with_data(parser)
    figures = {name: measure(Path(asked.data) / name, asked.after, asked.learn) for name in asked.sets}
    keep("judgements", {"machine": machine(), "sets": figures})


if __name__ == "__main__":
    main()
