"""From a search request to the JSON of `patchseek search --json`. The one place that calls Collection.search."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..collection import Collection
from ..encoders import TextEncoder
from ..errors import QueryError
from ..images import Picture
from ..queries import asked_box
from ..records import collection_record, match_record, query_record
from ..rerank import OnStep
from ._responses import told

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
    "under": "only pictures in a folder or of a pattern",
    "tags": "only pictures with a tag",
    "since": "only files changed on a day or later",
    "until": "only files changed until a day",
}


def offered(collection: Collection) -> frozenset[str]:
    """Those of OPTIONS that can be asked of a collection. The page shows controls for these alone."""
    able = {"text": isinstance(collection.encoder, TextEncoder), "why": collection.store.settings.points is not None}
    return frozenset(name for name in OPTIONS if able.get(name, True))


@dataclass(frozen=True)
class QueryPicture:
    """One picture to search with."""

    name: str
    # for people: a file name
    picture: Picture
    box: tuple[float, float, float, float] | None = None
    # x y w h in pixels of the picture (or shares of its sides); None for all of it


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
    under: Sequence[str] = ()
    tags: Sequence[str] = ()
    since: str | None = None
    until: str | None = None
    # which pictures may answer; see store.Choice
    why: bool = False
    # say by which points they were found, where that is known
    turned: bool = True
    mirrored: bool = False
    # see SearchOptions


def answer(collection: Collection, request: SearchRequest, on_step: OnStep) -> dict[str, Any]:
    """The ranked pictures with their boxes, {"query", "collection", "results"}. Raises QueryError, BoxError.

    on_step: see Collection.search.
    """
    options = _options(request, offered(collection))
    if not request.queries and "text" not in options:
        raise QueryError("nothing to look for: a form sends a picture (image), or names one (query_id, image_id)")
    pictures = [query.picture for query in request.queries]
    boxes = [query.box for query in request.queries]
    matches = collection.search(
        _one_or_all(pictures), box=_one_or_all(boxes), top=request.skip + request.top, on_step=on_step, **options
    )
    queries = [_record(query) for query in request.queries]
    why = queries if request.why else ()
    results = [match_record(rank, match, why) for rank, match in enumerate(matches[request.skip :], request.skip + 1)]
    results = [result | {"image": told(result["image"])} for result in results]
    return {
        "query": queries[0] if queries else {"text": request.text},
        **({"queries": queries} if len(queries) > 1 else {}),
        "collection": collection_record(collection),
        "results": results,
    }


def _options(request: SearchRequest, known: frozenset[str]) -> dict[str, Any]:
    """The arguments of Collection.search beyond picture, box and top. Raises QueryError for what is not offered."""
    options: dict[str, Any] = {}
    options |= {name: n for name in ("refine", "depth") if (n := getattr(request, name)) is not None}
    if not request.turned:
        options["turned"] = False
    if request.mirrored:
        options["mirrored"] = True
    if request.several:
        options["several"] = True
    if request.text:
        options["text"] = request.text
    if request.exclude:
        options["exclude"] = [query.picture for query in request.exclude]
    if request.distinct:
        options["distinct"] = True
    options |= {name: getattr(request, name) for name in ("under", "tags", "since", "until") if getattr(request, name)}
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
    return query_record(told(query.name), picture, asked_box(picture, query.box))
