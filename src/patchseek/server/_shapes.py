"""The JSON objects of the API as types, for its OpenAPI document. Results may grow fields that older clients skip."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_ID = 2**53 - 1
"""Larger numbers lose digits in JavaScript."""

ImageId = Annotated[int, Field(ge=1, le=MOST_ID, description="a picture of the collection")]
_Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
Xywh = Annotated[
    tuple[_Number, _Number, _Number, _Number], Field(description="x y w h in pixels of the upright picture")
]

Verdict = Literal["yes", "no", "unsure"]
QueryKey = Annotated[
    str, Field(pattern="^[0-9a-f]{64}$", description="what a query is known by: the same box of the same picture")
]

_Corner = tuple[_Number, _Number]
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
    """A change to the collection and how far it has come."""

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


class ResultRef(BaseModel):
    """A result to be drawn or kept."""

    image_id: ImageId
    box: Xywh
    score: _Number | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    outline: Quadrilateral | None = None


class CopyRef(BaseModel):
    """A further place of the object in a picture."""

    box: Xywh
    score: _Number | None = None
    outline: Quadrilateral | None = None


class FoundRef(ResultRef):
    """A result to be written into a file. boxes: all places, the first one included, where there are several."""

    rank: Annotated[int, Field(ge=1, le=MOST_ID)] | None = None
    boxes: Annotated[list[CopyRef], Field(max_length=1000)] = []
    verdict: Annotated[str, Field(max_length=20)] | None = None


class AskedRef(BaseModel):
    """What was searched with, as rows repeat it."""

    image: Annotated[str, Field(max_length=1000)]
    box: Xywh | None = None
    limits: Annotated[str, Field(max_length=2000, description="which pictures might answer, in words")] = ""


class ExportRequest(BaseModel):
    """What goes into a file, and in which format: one of those of `patchseek search --format`.

    query: with it, csv, jsonl and parquet have a row for every box, with the query and the verdict.
    """

    format: Annotated[str, Field(max_length=40)]
    results: Annotated[list[FoundRef], Field(max_length=1000)]
    query: AskedRef | None = None
    label: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    base: Annotated[str, Field(max_length=500)] = ""


class QueryRef(BaseModel):
    """A picture searched with: query_id or image_id, and its box."""

    query_id: str | None = Field(None, max_length=100)
    image_id: ImageId | None = None
    box: Xywh | None = None


class SheetRequest(BaseModel):
    """What goes on a contact sheet."""

    query: QueryRef | None = None
    results: Annotated[list[ResultRef], Field(max_length=100)]


class JudgedShape(BaseModel):
    """An object, and which results showed it; unsure: shown and not judged."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    query: QueryRef
    right: Annotated[list[ResultRef], Field(max_length=1000)]
    unsure: Annotated[list[ImageId], Field(max_length=1000)] = []


class JudgedSet(BaseModel):
    """Judged objects, to be saved for `patchseek eval`."""

    objects: Annotated[list[JudgedShape], Field(min_length=1, max_length=200)]


class Judging(BaseModel):
    """What somebody says of a find. The query: query_key of its answer, or else its pictures and words."""

    query_key: QueryKey | None = None
    queries: Annotated[list[QueryRef], Field(max_length=10)] = []
    text: Annotated[str | None, Field(max_length=500)] = None
    image_id: ImageId
    box: Xywh
    verdict: Verdict | None = Field(description="null: what was said before is taken back")


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
