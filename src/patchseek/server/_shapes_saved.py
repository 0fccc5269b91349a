"""The JSON objects of saved queries, as types: those that are sent, and those that come back."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ._requests import QueryRef
from ._shapes import ImageId, QueryKey, Result

Name = Annotated[str, Field(min_length=1, max_length=200, description="of a saved query: a line")]


class SaveRequest(BaseModel):
    """A query to be kept: pictures that were sent before, or of the collection, with their boxes, and words."""

    name: Name
    queries: Annotated[list[QueryRef], Field(max_length=10)] = []
    text: Annotated[str | None, Field(max_length=500)] = None
    exclude: Annotated[list[ImageId], Field(max_length=10, description="pictures that are not meant")] = []
    note: Annotated[str, Field(max_length=1000, description="for people")] = ""
    replace: bool = Field(False, description="the one of this name, whose judgements stay")


class RunRequest(BaseModel):
    """Which saved queries are asked, and of what."""

    names: Annotated[list[Name], Field(max_length=1000, description="none: all of them")] = []
    only_new: bool = Field(False, description="only of pictures that came since a query was asked last")


class SavedViewShape(BaseModel):
    """A picture of a saved query."""

    is_wanted: bool = Field(description="false: of what is not meant")
    image: str
    sha256: str = Field(description="of the file that was searched with")
    box: list[int]
    bbox_format: str
    width: int
    height: int
    kept: str = Field(description="SHA-256 of what is kept: see /api/kept/{sha256}")
    kept_box: list[int] = Field(description="the box in it")
    kept_width: int | None = Field(None, description="of what is kept, where one query is told")
    kept_height: int | None = None


class SavedShape(BaseModel):
    """A saved query and what there is of it."""

    model_config = ConfigDict(extra="allow")

    name: str
    note: str
    text: str
    query_key: QueryKey
    saved: str = Field(description="when, in UTC")
    who: str
    asked: str | None = Field(description="when last, in UTC")
    images: int = Field(description="of the collection, when it was asked last")
    finds: int
    sure: int
    open: int = Field(description="sure finds that are there and that nobody has judged")
    new: int = Field(description="those of them that a later run than the first has found")
    judged: dict[str, int] = Field(description="how many by verdict")
    views: list[SavedViewShape]


class SavedList(BaseModel):
    """The saved queries, by name."""

    queries: list[SavedShape]


class FindShape(Result):
    """A find of a saved query. image_id: null where no picture of the collection has this content any more."""

    image_id: int | None  # type: ignore[assignment]
    images: list[str] = Field(description="paths that have this content; of copies there are several")
    is_sure: bool
    is_new: bool = Field(description="open, and found by a later run than the first")
    same_as: int | None = Field(description="the first picture of these that is nearly the same; maybe itself")


class SavedPage(BaseModel):
    """A saved query and some of its finds: the sure ones first, and of these the best."""

    query: SavedShape
    total: int
    finds: list[FindShape]


class Removed(BaseModel):
    """What was removed."""

    removed: int
