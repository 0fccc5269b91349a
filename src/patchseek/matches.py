"""The list that a search answers with: it shows itself in a notebook, and becomes what others work with.

A list of Python's, and equal to one, so that nobody has to know this class; one of its own, since only what has a
class can say how a notebook shows it.
"""

from typing import Any, SupportsIndex, overload

from ._html import gallery
from ._pandas import data_frame
from ._supervision import detections
from .boxes import BBOX_FORMAT, to_pixels
from .search import FoundBox, Match

COLUMNS = ("rank", "image", "image_id", "score", "confidence", "x", "y", "w", "h", "bbox_format", "width", "height")
"""Of a row for a box, in a table and in every file of rows."""


class Matches(list[Match]):
    """Matches, best first."""

    @overload
    def __getitem__(self, at: SupportsIndex, /) -> Match: ...
    @overload
    def __getitem__(self, at: slice, /) -> "Matches": ...
    def __getitem__(self, at: SupportsIndex | slice, /) -> "Match | Matches":
        """One of them, or some, which show themselves as well."""
        return Matches(super().__getitem__(at)) if isinstance(at, slice) else super().__getitem__(at)

    def _repr_html_(self) -> str:
        """How a notebook shows them: pictures with their boxes, the first 24 at most."""
        if not self:
            return "<p>nothing found</p>"
        return gallery((match.figure(f"{i}. {match.image.path}") for i, match in enumerate(self, 1)), len(self))

    def to_pandas(self) -> Any:
        """A pandas.DataFrame with a row a box, several where all copies in a picture were asked for.

        Its columns are those of the CSV: rank, image, image_id, score, confidence, x, y, w, h (pixels of the upright
        picture), bbox_format, width, height. Raises MissingLibrary without pandas.
        """
        found = [_row(rank, match, place) for rank, match in enumerate(self, 1) for place in match.places]
        return data_frame({name: [row[i] for row in found] for i, name in enumerate(COLUMNS)})

    def to_supervision(self) -> dict[str, Any]:
        """Every picture's supervision.Detections by its file, as supervision.DetectionDataset takes them.

        Boxes are x0 y0 x1 y1 in pixels, confidence is that of the picture, the one class is 0, and `data` has "score",
        "rank" and "image_id". Raises MissingLibrary without supervision.
        """
        found = {}
        for rank, match in enumerate(self, 1):
            image, places = match.image, match.places
            boxes = [to_pixels(place.box, image.width, image.height) for place in places]
            columns = {"score": [place.score for place in places]}
            columns |= {"rank": [rank] * len(places), "image_id": [image.id] * len(places)}
            found[str(image.root / image.path)] = detections(boxes, match.confidence, columns)
        return found


def _row(rank: int, match: Match, place: FoundBox) -> tuple[Any, ...]:
    """The values of COLUMNS."""
    image = match.image
    box = to_pixels(place.box, image.width, image.height)
    return rank, image.path, image.id, place.score, match.confidence, *box, BBOX_FORMAT, image.width, image.height
