"""The JSON objects that the API answers with, as types for its OpenAPI document. `_requests` has those that are sent.

Results may grow fields that older clients skip.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_ID = 2**53 - 1
"""Larger numbers lose digits in JavaScript."""

ImageId = Annotated[int, Field(ge=1, le=MOST_ID, description="a picture of the collection")]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
Xywh = Annotated[tuple[Number, Number, Number, Number], Field(description="x y w h in pixels of the upright picture")]

Verdict = Literal["yes", "no", "unsure"]
QueryKey = Annotated[
    str, Field(pattern="^[0-9a-f]{64}$", description="what a query is known by: the same box of the same picture")
]

_Corner = tuple[Number, Number]
Quadrilateral = tuple[_Corner, _Corner, _Corner, _Corner]
Outline = Annotated[
    list[tuple[float, float]],
    Field(
        description="x y in pixels of the upright picture, maybe beyond it, of the four corners of the query's box, "
        "from its upper left one clockwise in the query"
    ),
]


class Partners(BaseModel):
    """Points of a query picture that are points of a picture found. The first few lie all over the object."""

    query: int = Field(description="which picture searched with, from 0: in the order of `queries`")
    points: list[tuple[float, float, float, float]] = Field(
        description="x y in pixels of that upright picture, x y in pixels of the one found"
    )


class Copy(BaseModel):
    """One of several places of the object in a picture."""

    model_config = ConfigDict(extra="allow")

    box: list[int]
    score: float
    outline: Outline | None = None


class Result(BaseModel):
    """A ranked picture and where the object is in it."""

    model_config = ConfigDict(extra="allow")

    rank: int
    image: str
    image_id: int
    score: float
    confidence: float | None = None
    refined: bool
    box: list[int]
    bbox_format: str
    width: int
    height: int
    outline: Outline | None = None
    boxes: list[Copy] | None = None
    seconds: float | None = Field(None, description="of a frame of a film, when it is shown")
    ranges: list[tuple[float, float]] | None = Field(None, description="of a film, seconds in which it is seen")
    frames: list[dict[str, Any]] | None = Field(None, description="of a film, all frames found in which it is")
    box_points: list[float] | None = Field(None, description="on a page of a document, x y w h in 1/72 inch of it")
    canvas: str | None = Field(None, description="of IIIF, the canvas and the box on it, #xywh= in its own units")
    crop: str | None = Field(None, description="of IIIF, the address of what is in the box")
    partners: Partners | None = None
    is_query: bool | None = Field(None, description="there, and true, where its file is one that was searched with")
    verdict: Verdict | None = Field(None, description="there where somebody has judged it for this query")
    judged_box: list[int] | None = Field(None, description="x y w h in pixels of the place that was judged")


class QueryShape(BaseModel):
    """A picture searched with."""

    model_config = ConfigDict(extra="allow")

    image: str | None = None
    box: list[int] | None = None
    bbox_format: str | None = None
    width: int | None = None
    height: int | None = None
    query_id: str | None = None
    text: str | None = None


class ProposalsShape(BaseModel):
    """Boxes that somebody may mean in a picture, the likeliest first."""

    boxes: list[tuple[int, int, int, int]] = Field(description="x y w h in pixels of the upright picture, at most 3")
    bbox_format: str
    width: int
    height: int


class SearchAnswer(BaseModel):
    """The JSON of `patchseek search --json`."""

    model_config = ConfigDict(extra="allow")

    query: QueryShape
    query_key: QueryKey | None = None
    collection: dict[str, Any]
    results: list[Result]


class ImageShape(BaseModel):
    """A picture of the collection. file: where it is, told on this machine alone."""

    image_id: int
    image: str
    width: int
    height: int
    file: str | None = None


class ImagePage(BaseModel):
    """Some of the collection's pictures, and how many there are."""

    total: int
    images: list[ImageShape]


class FailureShape(BaseModel):
    """A file that could not be indexed."""

    image: str
    reason: str


class FolderShape(BaseModel):
    """A folder that may be indexed. path: told on this machine alone."""

    folder_id: int
    name: str
    path: str | None = None


class FolderLook(BaseModel):
    """What is in a folder that may be indexed. bytes_new: what the new pictures would take in the collection."""

    folder_id: int
    name: str
    n_pictures: int
    n_new: int
    bytes_new: int


class CollectionShape(BaseModel):
    """What the collection is and what this server offers."""

    name: str
    path: str | None
    encoder: str
    runs_on: str
    levels: list[int]
    overlap: float
    images: int
    index: str
    outgrown: str | None = None
    doubtful_below: float
    bytes: int
    n_failures: int
    failures: list[FailureShape]
    folders: list[FolderShape]
    tags: list[str]
    features: dict[str, bool]
    limits: dict[str, float]


class PlacesShape(BaseModel):
    """What a search may be limited to. n_folders: how many there are; a server lists some hundreds."""

    folders: list[str]
    n_folders: int
    tags: list[str]


class JobShape(BaseModel):
    """Work on the collection and how far it has come. report: counts, by what kind of work it is."""

    job_id: str
    kind: str
    title: str
    state: str
    doing: str = Field(description="what is being done now")
    done: int
    total: int = Field(description="0 where nobody knows")
    seconds: float
    doing_seconds: float
    error: str | None
    report: dict[str, int] | None
    failures: list[FailureShape] = Field(description="pictures sent that cannot be added, then the first that failed")


class JudgementShape(BaseModel):
    """What somebody said of a find."""

    verdict: Verdict | None
    box: list[int] = Field(description="x y w h in pixels of the place judged")
    bbox_format: str
    width: int
    height: int
    sha256: str = Field(description="of the file of the picture judged")
    page: int
    at: str = Field(description="when, in UTC")
    who: str


class ListedJudgement(JudgementShape):
    """The same, and of which pictures. Of copies there are several, of one that is gone none."""

    image_ids: list[int]


class JudgementList(BaseModel):
    """What was said of a query's finds."""

    query_key: QueryKey
    judgements: list[ListedJudgement]
