"""Questions that are searched together: their patches are cut by threads, encoded in full batches, compared at once."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby

import numpy as np

from .._platform import n_cores
from ..answers import Searched, SearchOptions, answer
from ..boxes import WHOLE
from ..encode import features_of_regions
from ..encoders import Features
from ..errors import BoxError, ImageError, PatchseekError, QueryError
from ..images import Picture
from ..indexes import Hits
from ..patches import Patches, joined
from ..queries import Asked, asked_box
from ..search import Query, encode_query, encode_words, join, laid_patches, laid_query
from ._foreseen import Foreseen
from ._questions import AskedView, Outcome, Question

BOXES = 32
"""Of one picture, that are cut together: their patches are in memory at once."""


class Lot:
    """Questions that are searched together."""

    def __init__(
        self,
        questions: Sequence[Question],
        options: SearchOptions,
        searched: Searched,
        read: Callable[[Asked], Picture],
        n_hits: int,
    ) -> None:
        self.questions, self._options, self._searched, self._read = questions, options, searched, read
        self._views: list[dict[int, AskedView]] = [{} for _ in questions]
        self._problems: list[dict[int, PatchseekError]] = [{} for _ in questions]
        self._found: dict[int, tuple[Query, Hits]] = {}
        self._search(self._encode(), n_hits)

    def outcome(self, number: int) -> Outcome:
        """Of the question of a number in the lot, with closer looks as the options say."""
        views, problems = self._views[number], self._problems[number]
        if number not in self._found or not self._searched.snapshot.n_live:
            return Outcome([], views, problems)
        self._searched.on_step()
        query, hits = self._found[number]
        searched = replace(self._searched, index=Foreseen(self._searched.index, query.features[1], hits))
        try:
            if regions := self._regions(number):
                searched = replace(searched, refused=np.stack(regions))
            looked = self._closer(number, query)
            return Outcome(answer(looked, self._options, searched), views, problems)
        except (ImageError, QueryError) as error:  # gone since it was encoded
            return Outcome([], views, problems | {next(iter(views), 0): error})

    def _closer(self, number: int, query: Query) -> Query:
        """The query with what closer looks need; its features stay those that were searched with."""
        options, searched = self._options, self._searched
        has_points = bool(options.depth) and searched.store.settings.points is not None
        if not (has_points or options.refine or options.several):
            return query
        looked = []
        for place, view in self._views[number].items():
            picture = self._read(self.questions[number].views[place][0])
            box = view.box or WHOLE
            looked.append(encode_query(picture, searched.encoder, box, points=has_points, lays=options.lays))
        looked += self._words(number)
        return replace(join(looked), feature=query.feature, laid=query.laid, wanted=query.wanted)

    def _regions(self, number: int) -> list[Features]:
        """The features (R, D) of the regions of each picture that may not answer."""
        searched, question, problems = self._searched, self.questions[number], self._problems[number]
        found = []
        for place, (asked, _) in enumerate((*question.refused, *question.barred), len(question.views)):
            if place not in problems:
                try:
                    picture = self._read(asked)
                    found.append(features_of_regions(picture, searched.store.settings, searched.encoder))
                except (ImageError, QueryError) as error:
                    problems[place] = error
        return found

    def _search(self, queries: dict[int, Query], n_hits: int) -> None:
        """Ask the index for all of them at once."""
        if not queries or not self._searched.snapshot.n_live:
            self._found = {number: (query, _NOTHING) for number, query in queries.items()}
            return
        features = [query.features[1] for query in queries.values()]
        hits = self._searched.index.search(np.concatenate(features), n_hits, self._searched.among)
        end = 0
        for (number, query), own in zip(queries.items(), features, strict=True):
            rows = slice(end, end := end + len(own))
            self._found[number] = query, Hits(hits.positions[rows], hits.regions[rows], hits.scores[rows])

    def _encode(self) -> dict[int, Query]:
        """Number -> query, of all that can be encoded: one for all its pictures."""
        encoder, lays = self._searched.encoder, self._options.lays
        views: dict[int, list[Query]] = {}
        for (number, place), features in self._features():
            try:
                views.setdefault(number, []).append(laid_query(features, encoder, lays))
            except QueryError as error:
                self._fail(number, place, error)
        queries = {}
        for number in range(len(self.questions)):
            try:
                own = [*views.get(number, ()), *self._words(number)]
                if own:
                    queries[number] = join(own, self._unwanted(number))
            except QueryError as error:
                self._fail(number, next(iter(self._views[number]), 0), error)
        return queries

    def _words(self, number: int) -> list[Query]:
        text = self.questions[number].text
        return [] if text is None else [encode_words(text, self._searched.encoder)]

    def _unwanted(self, number: int) -> list[Query]:
        """What a query does not mean."""
        unwanted = []
        question = self.questions[number]
        for place, (asked, given) in enumerate(question.refused, len(question.views)):
            try:
                picture = self._read(asked)
                box = asked_box(picture, given) or WHOLE
                unwanted.append(encode_query(picture, self._searched.encoder, box))
            except (ImageError, BoxError, QueryError) as error:
                self._problems[number][place] = error
        return unwanted

    def _fail(self, number: int, place: int, error: PatchseekError) -> None:
        self._problems[number][place] = error
        self._views[number].pop(place, None)

    def _features(self) -> Iterator[tuple[tuple[int, int], Features]]:
        """((number, place of a picture), features (1 + L, D)), encoded in full batches."""
        encoder, n = self._searched.encoder, 1 + len(self._options.lays)
        keys: list[tuple[int, int]] = []
        waiting: list[Patches] = []
        for key, patches in self._patches():
            keys.append(key)
            waiting.append(patches)
            if len(waiting) * n >= encoder.batch:
                yield from zip(keys, self._split(waiting, n), strict=True)
                keys, waiting = [], []
        if waiting:
            yield from zip(keys, self._split(waiting, n), strict=True)

    def _split(self, patches: list[Patches], n: int) -> list[Features]:
        self._searched.on_step()
        features = self._searched.encoder.encode(joined(patches))
        return [features[i : i + n] for i in range(0, len(features), n)]

    def _patches(self) -> Iterator[tuple[tuple[int, int], Patches]]:
        """The patches of every picture that can be read, in order. Threads read them, each once for its next boxes."""
        named = [(i, place) for i, own in enumerate(self.questions) for place in range(len(own.views))]
        of_one = [list(own) for _, own in groupby(named, lambda key: _same(self.questions[key[0]].views[key[1]][0]))]
        lots = [own[i : i + BOXES] for own in of_one for i in range(0, len(own), BOXES)]
        ahead = max(2 * self._searched.encoder.batch // (1 + len(self._options.lays)), 4 * n_cores())  # boxes
        with ThreadPoolExecutor(n_cores(), "many") as pool:
            running: deque[tuple[int, Future[list[tuple[tuple[int, int], Patches]]]]] = deque()
            n_running = 0
            for keys in lots:
                while running and n_running >= ahead:
                    n, made = running.popleft()
                    n_running -= n
                    yield from made.result()
                running.append((len(keys), pool.submit(self._cut, keys)))
                n_running += len(keys)
            for _, made in running:
                yield from made.result()

    def _cut(self, keys: list[tuple[int, int]]) -> list[tuple[tuple[int, int], Patches]]:
        """The patches of the boxes of one picture."""
        made = []
        picture: Picture | None = None
        for number, place in keys:
            asked, given = self.questions[number].views[place]
            try:
                picture = picture or self._read(asked)
                box = asked_box(picture, given)
                feed = self._searched.encoder.feed
                made.append(((number, place), laid_patches(picture, box or WHOLE, feed, self._options.lays)))
                self._views[number][place] = AskedView(picture.width, picture.height, box)
            except (ImageError, BoxError, QueryError) as error:
                self._problems[number][place] = error
        return made


def _same(asked: Asked) -> object:
    """Equal for two that are one picture."""
    return asked if isinstance(asked, Hashable) else id(asked)


_NOTHING = Hits(np.empty((0, 0), np.int64), np.empty((0, 0), np.int64), np.empty((0, 0), np.float32))
