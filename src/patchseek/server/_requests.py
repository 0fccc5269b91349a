"""The JSON objects that are sent to the API, as types. `_shapes` has those that come back."""

from typing import Annotated

from pydantic import BaseModel, Field

from ._shapes import MOST_ID, ImageId, Number, Quadrilateral, QueryKey, Verdict, Xywh


class ResultRef(BaseModel):
    """A result to be drawn or kept."""

    image_id: ImageId
    box: Xywh
    score: Number | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    outline: Quadrilateral | None = None


class CopyRef(BaseModel):
    """A further place of the object in a picture."""

    box: Xywh
    score: Number | None = None
    outline: Quadrilateral | None = None


class FoundRef(ResultRef):
    """A result to be written into a file. boxes: all places, the first one included, where there are several.

    With the verdict "yes", judged_box takes the place of what was found.
    """

    rank: Annotated[int, Field(ge=1, le=MOST_ID)] | None = None
    boxes: Annotated[list[CopyRef], Field(max_length=1000)] = []
    verdict: Annotated[str, Field(max_length=20)] | None = None
    judged_box: Xywh | None = None


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
