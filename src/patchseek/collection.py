"""The five-line way to use patchseek: one object that opens, adds, searches and looks after a collection.

It joins the write path and the read path and owns what is costly to open: the encoder and, by `engine`, the vectors.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._addresses import is_url
from ._home import expanded
from ._progress import OnProgress, unheard
from .answers import Searched, SearchOptions, answer
from .boxes import WHOLE
from .confidence import MIN_REGIONS, Background, measure_background
from .encode import (
    AddReport,
    IsReady,
    PointsReport,
    add_file,
    add_folder,
    add_list,
    add_points,
    always,
    features_of_regions,
    is_file,
    require_own,
)
from .encoders import Encoder, Features, open_encoder
from .engine import Engine
from .errors import EngineError, ImageChanged, ImageError, PatchseekError, QueryError, StoreError
from .images import Picture
from .indexes import EXACT, Held, Index, Refit, judge_parameters, open_index
from .lays import Lay
from .many import Outcome, Question, Views, answer_many
from .matches import Matches
from .originals import open_original
from .patterns import Given, plain
from .points import identify
from .queries import Asked, as_id, asked_box, paired, read_query
from .regions import Pyramid
from .rerank import OnStep, go_on
from .search import Query, encode_query, encode_words, join
from .sources import is_archive, is_film, is_list, require_interval
from .store import Choice, Settings, Store, Writer, back_up, restore, same_tags

_log = logging.getLogger(__name__)

FOLDER = ".patchseek"
"""Where the collection of a folder lives unless told otherwise."""


class Collection:
    """Pictures that can be searched for an object.

        c = Collection.open("~/Pictures/.patchseek", create=True)
        c.add("~/Pictures")
        c.search("query.jpg", box=(40, 60, 200, 180))

    May be used from several threads.
    """

    def __init__(self, store: Store, encoder: Encoder | None = None, weights: Path | None = None) -> None:
        self.store = store
        self._encoder = encoder
        self.weights = weights
        self._lock = threading.Lock()
        self.engine = Engine(store)
        """How it is searched: see `use_index`."""

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        encoder: str | Encoder | None = None,
        pyramid: Pyramid | None = None,
        weights: Path | None = None,
        points: bool = True,
        create: bool = False,
    ) -> "Collection":
        """Open the collection at path, or that of the folder at path. create: where there is none, make one.

        encoder (a name or an Encoder) and pyramid are by default the collection's own, "embedded" and levels 0-3 for a
        new one. weights: the encoder's file, where it does not find it itself. points: whether a new one keeps points
        beside the features; see `add_points` for one of before. Raises StoreMismatch when they are given and differ,
        StoreError when there is none and create was not asked for.
        """
        path = find_collection(expanded(path))
        if not Store.exists(path):
            if not create:
                raise StoreError(
                    f"{path}: no collection here; make one with: patchseek index FOLDER (in Python: create=True)"
                )
            if encoder is None or isinstance(encoder, str):
                encoder = open_encoder(encoder or "embedded", weights=weights)
            kept = identify() if points else None
            return cls(Store.create(path, Settings.of(encoder, pyramid or Pyramid(), kept)), encoder)
        store = Store.open(path)
        own = store.settings
        if own.outdated:
            _log.warning("%s: %s", path, own.outdated)
        if isinstance(encoder, str):
            encoder = None if encoder == own.encoder.name else open_encoder(encoder, weights=weights)
        if encoder:
            require_own(store, encoder, pyramid or own.pyramid)
        else:
            store.require(Settings(own.encoder, pyramid or own.pyramid))
        return cls(store, encoder, weights)

    def move_to(self, store: Store) -> None:
        """Be the collection of another store from now on, one of the same encoder."""
        self.store, self.engine = store, Engine(store)

    @property
    def path(self) -> Path:
        """The folder of the collection."""
        return self.store.path

    @property
    def encoder(self) -> Encoder:
        """The encoder of queries, opened at first use. Raises StoreMismatch when it is no longer the collection's own.

        An outdated collection is searched with the encoder that has taken its name.
        """
        own = self.store.settings
        with self._lock:
            if self._encoder is None:
                encoder = open_encoder(own.encoder.name, weights=self.weights)
                if not own.outdated:
                    require_own(self.store, encoder, own.pyramid)
                self._encoder = encoder
            return self._encoder

    def _ready(self, on_progress: OnProgress) -> Encoder:
        """The encoder; to open it may take a while."""
        if self._encoder is None:
            on_progress(0, 0, "opening the encoder")
        return self.encoder

    def __len__(self) -> int:
        """Pictures that can be found."""
        return len(self.store)

    def add(
        self,
        folder: str | Path,
        *,
        exclude: Given | None = None,
        inside: Sequence[str] | None = None,
        every: float | None = None,
        hidden: bool = False,
        follow_symlinks: bool = False,
        retry: bool = False,
        check_content: bool = False,
        prune: bool = False,
        with_removed: bool = False,
        is_ready: IsReady = always,
        on_progress: OnProgress = unheard,
    ) -> AddReport:
        """Bring the collection up to date with a folder of pictures, or an archive; see encode.add_folder.

        Or with a list of pictures, a IIIF manifest or what lies at a URL, see encode.add_list; or with a single
        picture, document or film, see encode.add_file, which takes of the options `every` alone, of a film. Raises
        StoreMismatch where the
        collection is outdated.
        """
        self.store.require_current()
        require_interval(every)
        place = expanded(folder)
        has_list = is_url(str(folder)) or is_list(place)
        if every is not None and is_file(place) and not (is_film(place.name) or has_list):
            raise PatchseekError(f"{place}: every is for films, and for folders and lists of some")
        is_single = not has_list and is_file(place) and not is_archive(place.name)
        if inside and (has_list or is_single):
            raise PatchseekError(f"{folder}: inside is for folders, which hold archives, documents and films")
        if has_list:
            report = add_list(
                self.store,
                folder,
                self._ready(on_progress),
                exclude=exclude,
                hidden=hidden,
                every=every,
                retry=retry,
                check_content=check_content,
                prune=prune,
                with_removed=with_removed,
                on_progress=on_progress,
            )
        elif is_single:
            if exclude is not None:
                raise PatchseekError(f"{place}: a single picture; exclusions are for folders")
            report = add_file(self.store, place, self._ready(on_progress), every=every, on_progress=on_progress)
        else:
            report = add_folder(
                self.store,
                place,
                self._ready(on_progress),
                exclude=exclude,
                inside=inside,
                every=every,
                hidden=hidden,
                follow_symlinks=follow_symlinks,
                retry=retry,
                check_content=check_content,
                prune=prune,
                with_removed=with_removed,
                is_ready=is_ready,
                on_progress=on_progress,
            )
        report.confidence_seconds = self.refresh_background(on_progress)
        return report

    def add_points(self, *, on_progress: OnProgress = unheard) -> PointsReport:
        """Have the collection keep points, and find those of all pictures that were indexed without.

        See encode.add_points. Nothing is encoded. A collection that is made today keeps points from the beginning.
        """
        report = add_points(self.store, identify(), on_progress=on_progress)
        self.refresh_background(on_progress)
        return report

    @property
    def background(self) -> Background | None:
        """What strangers score here, by which confidence is judged; None where the collection is too small to say."""
        text = self.store.option("background")
        return Background.from_json(text) if text else None

    def refresh_background(self, on_progress: OnProgress = unheard) -> float:
        """Measure the background anew where the collection has grown or shrunk by a quarter since.

        Returns the seconds that it took.
        """
        known, n, began = self.background, len(self), time.monotonic()
        has_points = self.store.settings.points is not None
        if n < MIN_REGIONS or (known and known.is_of(n, has_points=has_points)):
            return 0.0
        snapshot, engine = self.engine.open(EXACT)  # the truth, and no engine has to be trained for it
        try:
            measured = measure_background(engine, snapshot, self.store, self.encoder, on_progress)
        except EngineError as error:  # what is there is no reason to lose what has been added
            _log.warning("%s: %s", self.path, error)
            measured = None
        if measured:
            with Writer(self.store) as writer:
                writer.set_option("background", measured.to_json())
        return time.monotonic() - began

    def search(
        self,
        query: Asked | Sequence[Asked] | None = None,
        *,
        box: Sequence[float] | Sequence[Sequence[float] | None] | None = None,
        text: str | None = None,
        exclude: Asked | Sequence[Asked] = (),
        index: str | None = None,
        on_progress: OnProgress = unheard,
        on_step: OnStep = go_on,
        on_answer: Callable[[Matches], None] | None = None,
        **options: Any,
    ) -> Matches:
        """The pictures that hold the query's object, best first, each with the box where it is.

        They are a list that shows itself in notebooks, and becomes a table of pandas or detections of supervision.

        query: a file (its path, its bytes, or open in binary), pixels (a Picture, an image of Pillow's, an array
        (h, w), (h, w, 3) or (h, w, 4) of uint8), or the id of a picture of the collection; or a list of these, several
        pictures of one object.
        box: x y w h of the object in pixels of the upright query (or all four at most 1: shares of its sides), by
        default what stands on even ground, else the whole picture; a list of boxes or None, one a picture, for several.
        text: words instead of a picture, or beside one. exclude: pictures of what is not wanted: neither these answer,
        nor what is nearly the same. index: an engine, see indexes.open_index, by default what `use_index` chose.
        options: the fields of patchseek.SearchOptions, such as top=10, refine=20, under="holidays/2024".
        on_progress: see _progress. on_step: called between pictures and between batches, from any thread; what it
        raises ends the search. on_answer: told of the answer so far, as patches have it, before points are compared and
        files are opened, which takes longest, and before further copies are looked for; it may name other pictures in
        another order than the last.
        Raises ImageError for a query that is no picture, BoxError, QueryError.
        """
        asked = SearchOptions(**options)
        if index is not None:
            judge_parameters(index)
        has_points = bool(asked.depth) and self.store.settings.points is not None
        lays = asked.lays
        # queries become one question
        self._ready(on_progress)
        on_progress(0, 0, "encoding the query")
        wanted = [self._encode(each, inner, on_step, lays, points=has_points) for each, inner in paired(query, box)]
        if text is not None:
            wanted.append(encode_words(text, self.encoder))
        if not wanted:
            raise QueryError("nothing to search for: give a picture or words")
        unwanted = []
        for each, _ in paired(exclude, None):
            on_step()
            unwanted.append(self.read(each))  # once: what is open in binary can be read no second time
        joined = join(wanted, [self._encode(each, None, on_step) for each in unwanted])
        # what is searched, and with what
        on_progress(0, 0, "opening the index")
        snapshot, engine = self.engine.open(index)
        if engine.outgrown:
            text = "%s no longer fits: %s; it finds less than it could until it is built anew: %s"
            _log.warning(text, engine.name, engine.outgrown, self.use_index_command(index))
        if not snapshot.n_live:
            return Matches()
        refused = self._regions(unwanted, on_step) if unwanted else None
        searched = Searched(
            engine, snapshot, self.store, self.encoder, self.background, refused=refused, on_step=on_step
        )
        # and the answer to it
        told = None if on_answer is None else lambda so_far: on_answer(Matches(so_far))
        return Matches(answer(joined, asked, searched, on_progress, told))

    def _regions(self, pictures: Sequence[Picture], on_step: OnStep) -> Features:
        """The features (m, R, D) of the regions of pictures."""
        found = []
        for each in pictures:
            on_step()
            found.append(features_of_regions(each, self.store.settings, self.encoder))
        return np.stack(found)

    def search_many(
        self,
        queries: Sequence[Asked | tuple[Asked, Sequence[float] | None] | Views],
        *,
        on_problem: Callable[[int, PatchseekError], None] | None = None,
        index: str | None = None,
        **options: Any,
    ) -> Iterator[Matches]:
        """The matches of each query, in order: many are encoded together and compared with the features at once.

        queries: each a picture (see search), a picture and its box, or a list of these: several pictures of one object.
        on_problem: told of each picture that cannot be searched with, by the number of its query, which then has the
        others alone; by default that is raised. index and options: as of search. Raises as search.
        """
        views = [each if isinstance(each, list) else [each] for each in queries]
        pairs = [[view if isinstance(view, tuple) else (view, None) for view in own] for own in views]
        for number, outcome in enumerate(self.answer_many(pairs, index=index, **options)):
            for problem in outcome.problems.values():
                if on_problem is None:
                    raise problem
                on_problem(number, problem)
            yield Matches(outcome.matches)

    def answer_many(
        self,
        queries: Sequence[Views | Question],
        *,
        begin: int = 0,
        after: int = 0,
        index: str | None = None,
        on_step: OnStep = go_on,
        **options: Any,
    ) -> Iterator[Outcome]:
        """The same with all that is known of each query. begin: the first to answer; those before are left out.

        A query's answer does not depend on where it is begun. after: an id; only pictures with larger ones answer, as
        if there were no others, and are looked at by exact search.
        """
        asked = SearchOptions(**options)
        if index is not None:
            judge_parameters(index)
        if after:
            snapshot = self.store.snapshot(after)
            engine = open_index(EXACT, snapshot, self.engine.folder)
        else:
            snapshot, engine = self.engine.open(index)
        searched = Searched(engine, snapshot, self.store, self.encoder, self.background, on_step=on_step)
        questions = [each if isinstance(each, Question) else Question(each) for each in queries]
        yield from answer_many(questions, asked, searched, self.read, begin=begin)

    def _encode(
        self,
        asked: Asked,
        box: Sequence[float] | None,
        on_step: OnStep,
        lays: Sequence[Lay] = (),
        *,
        points: bool = False,
    ) -> Query:
        on_step()
        picture = self.read(asked)
        inner = asked_box(picture, box) or WHOLE
        return encode_query(picture, self.encoder, inner, points=points, lays=lays)

    def read(self, query: Asked) -> Picture:
        """The query as pixels; see search."""
        image_id = as_id(query)
        if image_id is None:
            return read_query(query)
        image = self.store.images([image_id])[0]
        if image is None:
            raise QueryError(f"the collection has no picture with id {image_id}")
        try:
            return open_original(image)
        except ImageChanged:
            raise
        except ImageError as error:
            raise ImageError(
                image.stored.name, f"{error.reason}; the collection is older than the file, index again"
            ) from error

    def use_index(self, engine: str, refit: Refit = Refit.WHERE_CHANGED, *, on_progress: OnProgress = unheard) -> Index:
        """Build a search engine, try it, make it the collection's choice and return it.

        engine: see indexes.open_index. Nothing is encoded. refit: by default an engine that is kept from before is
        trained anew where it was trained on other pictures than there are now. Raises EngineError for one that cannot
        be built or does not find the collection's own features, and then the choice is what it was.
        """
        return self.engine.choose(engine, refit, on_progress)

    @property
    def outgrown(self) -> str | None:
        """Why the engine that searched last no longer fits the collection, see Index; None where it does."""
        return self.engine.outgrown

    def why_outgrown(self) -> str | None:
        """The same of the collection's choice, without a search: looks at what is kept of it on disk."""
        return self.engine.why_outgrown()

    def use_index_command(self, engine: str | None = None) -> str:
        """The command that builds an engine, by default the collection's choice, anew."""
        return self.engine.command_for(engine or self.index)

    @property
    def index(self) -> str:
        """The collection's choice of search engine."""
        return self.engine.name

    def ping(self, seconds: int = 2) -> None:
        """Raise PatchseekError unless the collection is there, with the files of its features, and its engine answers.

        seconds: that a server of the engine may take. Asks for no picture and sends nothing.
        """
        self.store.require_unchanged()
        self.store.require_shards()
        self.engine.ping(seconds)

    def held(self, *, every: bool = False) -> Held | None:
        """What the database of the engine holds of the collection; None for an engine that is none.

        every: compare every feature, and not only some. Raises EngineError where it does not answer.
        """
        return self.engine.held(every=every)

    def remove(self, *places: str | Path) -> list[str]:
        """Take pictures out by path, folder or pattern (see `patterns`); returns the paths taken out.

        The files are not touched. When the folder is indexed again they stay out, until `add` is told with_removed or
        is given the very file. A page of a file whose other pages stay comes back. Raises QueryError for a place that
        means nothing, and then nothing is removed.
        """
        ids = self._ids_in(places) if places else []
        paths = [image.path for image in self.store.images(ids) if image]
        with Writer(self.store) as writer:
            writer.take_out(ids)
        return paths

    def tag(self, name: str, *places: str | Path, remove: bool = False) -> int:
        """Put a tag on pictures by path, folder or pattern, or take it off; returns on how many that changed it.

        A picture keeps its tags when its file moves and loses them when its content changes. Raises QueryError.
        """
        ids = self._ids_in(places)
        names = same_tags(list(self.store.tags()), name) or [plain(name)]
        with Writer(self.store) as writer:
            if not remove:
                return writer.tag(names[0], ids)
            return sum(writer.untag(each, ids) for each in names)

    def _ids_in(self, places: Sequence[str | Path]) -> list[int]:
        """Raises QueryError for an empty text too, such as a variable without a value leaves: all would be meant."""
        if "" in places:
            raise QueryError("an empty text names no pictures; all of them are '.'")
        ids: list[int] = Choice(under=places).ids(self.store).tolist()
        return ids

    def verify(self, on_progress: OnProgress = unheard) -> list[str]:
        """What is wrong, a line each: with the collection on disk, or else with what its engine keeps in a database.

        Empty when every byte is as committed, and the database holds what was sent to it.
        """
        return self.store.problems(on_progress) or self.engine.problems(on_progress)

    def repair(self, on_progress: OnProgress = unheard) -> int:
        """Drop damaged shards, and send to a database what it has lost.

        Returns how many pictures the next `add` must encode again.
        """
        self.engine.let_go()
        with Writer(self.store) as writer:
            n_dropped = writer.repair(on_progress)
        self.engine.restock()
        return n_dropped

    def compact(self, on_progress: OnProgress = unheard) -> int:
        """Free the space of pictures that were removed, replaced, or set aside 30 days ago; returns the bytes freed."""
        self.engine.let_go()
        with Writer(self.store) as writer:
            n_freed = writer.compact(on_progress)
            return n_freed + self.engine.discard_saved()

    def back_up(self, file: str | Path, on_progress: OnProgress = unheard) -> int:
        """Write the collection of this moment into a new tar file, without its indexes; returns the bytes written.

        Others may search and add meanwhile. on_progress hears shards. Raises StoreError, StoreDamaged, DiskFull.
        """
        return back_up(self.store, expanded(file), on_progress)

    @classmethod
    def restore(
        cls,
        file: str | Path,
        folder: str | Path,
        *,
        pictures: str | Path | None = None,
        on_progress: OnProgress = unheard,
    ) -> "Collection":
        """Unpack such a file into a new folder, check every byte and open it; the first search builds the index anew.

        pictures: where the indexed folder is now, for a collection of one folder; by default it is looked for where it
        was, seen from the collection, and else keeps its path of that time. Raises as `back_up` and for a folder that
        is there already.
        """
        moved_to = expanded(pictures) if pictures is not None else None
        return cls(restore(expanded(file), expanded(folder), moved_to, on_progress))


def find_collection(path: Path) -> Path:
    """The collection meant by path: itself, or the `.patchseek` folder inside it."""
    if path.name != FOLDER and not Store.exists(path) and (Store.exists(path / FOLDER)):
        return path / FOLDER
    return path
