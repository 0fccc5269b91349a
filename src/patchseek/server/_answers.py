"""From a search request to what is found, and pages of that as `patchseek search --json` has them.

Where a request becomes a call of Collection.search; saved queries are asked in `_asking`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from .._progress import OnProgress, unheard
from ..answers import SearchOptions
from ..boxes import to_pixels
from ..collection import Collection
from ..errors import QueryError
from ..images import Picture
from ..judgements import ObjectView, query_key
from ..queries import asked_box
from ..records import collection_record, match_record, query_record
from ..rerank import OnStep
from ..search import Match
from ..store import Content, Judgement
from ._lru import BoundedCache
from ._responses import told

AHEAD = 240
"""So many results are found at once, however few are asked for: further pages of them cost nothing."""
_CACHE_BYTES = 32 << 20
_MATCH_BYTES, _POINT_BYTES = 3000, 16
# what a result takes in memory, about, and each of its points

OPTIONS = {
    "depth": "how many of the first results are looked at by their points, 0 for none",
    "why": "say by which points a picture was found",
    "refine": "how many of the first results get finer boxes, 0 for none",
    "turned": "look for it turned, too, or as it lies alone",
    "mirrored": "look for its mirror image, too",
    "several": "look for several copies in a picture",
    "text": "words to look for, alone or beside pictures",
    "several_queries": "several pictures of one object",
    "exclude": "pictures of what is not meant",
    "distinct": "show near-duplicates once",
    "frames": "show each frame of a film by itself",
    "expand": "search again with the best results added",
    "min_confidence": "leave out what is less sure",
    "under": "only pictures in a folder or of a pattern",
    "tags": "only pictures with a tag",
    "since": "only files changed on a day or later",
    "until": "only files changed until a day",
}


def offered(collection: Collection) -> frozenset[str]:
    """Those of OPTIONS that can be asked of a collection. The page shows controls for these alone."""
    able = {"text": collection.encoder.words is not None, "why": collection.store.settings.points is not None}
    return frozenset(name for name in OPTIONS if able.get(name, True))


@dataclass(frozen=True)
class QueryPicture:
    """One picture to search with."""

    name: str
    # for people: a file name
    picture: Picture
    box: tuple[float, float, float, float] | None = None
    # x y w h in pixels of the picture (or shares of its sides); None for what stands on even ground, else all of it
    ref: tuple[tuple[str, str | int], ...] = ()
    # ("query_id", "...") or ("image_id", 7), by which it can be named again: two of the same have the same pixels
    sha256: str | None = None
    # of its file, where that is known
    page: int = 1
    # of that file


@dataclass(frozen=True)
class SearchRequest:
    """What somebody is looking for."""

    queries: tuple[QueryPicture, ...] = ()
    top: int = 10
    # pictures in the answer
    skip: int = 0
    # better ones left out before them, for paging
    refine: int | None = None
    depth: int | None = None
    # None: as many as by default
    several: bool = False
    text: str | None = None
    exclude: tuple[QueryPicture, ...] = ()
    distinct: bool = False
    under: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    # which pictures may answer; see store.Choice
    why: bool = False
    # say by which points they were found, where that is known
    turned: bool = True
    mirrored: bool = False
    frames: bool = False
    expand: int = 0
    min_confidence: float | None = None
    # see SearchOptions


@dataclass(frozen=True, eq=False)
class Found:
    """What a request found."""

    matches: Sequence[Match]
    queries: Sequence[dict[str, Any]]
    # as query_record has them
    text: str | None
    collection: dict[str, Any]
    n_asked: int
    # matches that there would be, were there enough pictures
    query_key: str | None
    # see judgements.query_key

    def page(self, request: SearchRequest, judged: Mapping[Content, Judgement]) -> dict[str, Any]:
        """The ranked pictures that were asked for, with their boxes: {"query", "collection", "results"}.

        judged: what stands of the query's judgements.
        """
        why = self.queries if request.why else ()
        matches = self.matches[request.skip : request.skip + request.top]
        results = [match_record(rank, match, why) for rank, match in enumerate(matches, request.skip + 1)]
        asked = {query.sha256 for query in request.queries}
        for result, match in zip(results, matches, strict=True):
            result |= {"image": told(result["image"])} | ({"is_query": True} if match.image.sha256 in asked else {})
            if said := judged.get((match.image.sha256, match.image.page)):
                result |= {"verdict": said.verdict, "judged_box": list(to_pixels(said.box, said.width, said.height))}
        return {
            "query": dict(self.queries[0]) if self.queries else {"text": self.text},
            **({"queries": list(self.queries)} if len(self.queries) > 1 else {}),
            **({"query_key": self.query_key} if self.query_key else {}),
            "collection": dict(self.collection),
            "results": results,
        }

    @property
    def n_bytes(self) -> int:
        """In memory, about."""
        points = sum(len(match.partners.places) for match in self.matches if match.partners)
        return _MATCH_BYTES * len(self.matches) + _POINT_BYTES * points


class Answers:
    """Searches a collection, and keeps the latest answers, whose further pages need no search. For several threads."""

    def __init__(self) -> None:
        self._kept: BoundedCache[Any, Found] = BoundedCache(_CACHE_BYTES)

    def find(
        self,
        collection: Collection,
        request: SearchRequest,
        on_step: OnStep,
        on_progress: OnProgress = unheard,
        on_found: Callable[[Found], None] | None = None,
    ) -> Found:
        """What the request asks for, as far as it asks and further. Raises QueryError, BoxError.

        A first page is always looked for: files may have changed since. on_step, on_progress: see Collection.search.
        on_found: told of what it has so far, as on_answer there.
        """
        key, n = _key(collection, request), request.skip + request.top
        kept = self._kept.get(key) if request.skip else None
        if kept is not None and (n <= len(kept.matches) or len(kept.matches) < kept.n_asked):
            return kept
        if not (request.several or request.distinct):  # which look at each one, or compare it with all before it
            n = max(n, AHEAD)
        options = _options(request, offered(collection))
        if not request.queries and "text" not in options:
            raise QueryError("nothing to look for: a form sends a picture (image), or names one (query_id, image_id)")
        records: list[dict[str, Any]] = []

        def found(matches: Sequence[Match]) -> Found:
            records[:] = records or [_record(query) for query in request.queries]
            key = _query_key(request, records)
            return Found(matches, records, request.text, collection_record(collection), n, key)

        matches = collection.search(
            _one_or_all([query.picture for query in request.queries]),
            box=_one_or_all([query.box for query in request.queries]),
            top=n,
            on_step=on_step,
            on_progress=on_progress,
            on_answer=None if on_found is None else lambda so_far: on_found(found(so_far)),
            **options,
        )
        answer = found(matches)
        self._kept.put(key, answer, answer.n_bytes)
        return answer


def _key(collection: Collection, request: SearchRequest) -> Any:
    """What is another wherever an answer could be: the catalogue, the engine, what is asked."""
    asked = tuple((query.ref, query.box) for query in request.queries)
    refused = tuple(query.ref for query in request.exclude)
    rest = replace(request, queries=(), exclude=(), skip=0, top=0, why=False)
    return collection.store.catalogue.state(), collection.index, asked, refused, rest


def _query_key(request: SearchRequest, records: Sequence[dict[str, Any]]) -> str | None:
    """What the query is known by; records: its pictures, as query_record has them. None where a file is not known."""
    views = [
        ObjectView(query.sha256, query.page, tuple(record["box"] or (0, 0, record["width"], record["height"])))
        for query, record in zip(request.queries, records, strict=True)
        if query.sha256 is not None
    ]
    return query_key(views, request.text) if len(views) == len(request.queries) else None


def _options(request: SearchRequest, known: frozenset[str]) -> dict[str, Any]:
    """The arguments of Collection.search beyond picture, box and top. Raises QueryError for what is not offered."""
    usual, names = SearchRequest(), [field.name for field in fields(SearchOptions) if field.name != "top"]
    options = {name: value for name in names if (value := getattr(request, name)) != getattr(usual, name)}
    if request.text:
        options["text"] = request.text
    if request.exclude:
        options["exclude"] = [query.picture for query in request.exclude]
    wanted = {*options, *(["several_queries"] if len(request.queries) > 1 else [])}
    missing = sorted(wanted - known)
    if missing:
        raise QueryError(f"this server cannot do that: {', '.join(f'{name} ({OPTIONS[name]})' for name in missing)}")
    return options


def _one_or_all(values: Sequence[Any]) -> Any:
    """None, the value, or the list of values, as Collection.search takes them."""
    if not values:
        return None
    return values[0] if len(values) == 1 else list(values)


def _record(query: QueryPicture) -> dict[str, Any]:
    picture = query.picture
    return query_record(told(query.name), picture, asked_box(picture, query.box)) | dict(query.ref)
