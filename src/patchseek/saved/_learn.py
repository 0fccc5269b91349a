"""What judgements add to a query: accepted finds are further views, refused ones are barred. Trains nothing."""

from collections.abc import Iterable
from dataclasses import replace

from ..boxes import to_pixels
from ..collection import Collection
from ..judgements import Judgements
from ..many import Question, Views
from ..store import Content, Judgement, SavedQuery

LEARN = ("no", "accepted", "refused", "all")
"""What a run may learn from: nothing, accepted finds, refused ones, both."""
MOST = 5
"""Accepted finds that become views, and refused ones that are barred with their near twins: the last ones judged."""


def taught(collection: Collection, query: SavedQuery, question: Question, learn: str) -> Question:
    """The question with what was said of the query's finds, as far as their pictures are in the collection.

    learn: one of LEARN. Pictures of the query itself teach nothing.
    """
    judgements = Judgements(collection)
    own = {(view.sha256, view.page) for view in query.views}
    standing = [said for content, said in judgements.standing(query.key).items() if content not in own]
    ids = judgements.ids(standing)
    return replace(
        question,
        views=(*question.views, *(_views(standing, "yes", ids) if learn in ("accepted", "all") else ())),
        barred=(*question.barred, *(_views(standing, "no", ids) if learn in ("refused", "all") else ())),
    )


def _views(standing: Iterable[Judgement], verdict: str, ids: dict[Content, list[int]]) -> Views:
    """The pictures of which this was said, the last ones, with the boxes judged."""
    said = [each for each in standing if each.verdict == verdict and each.content in ids]
    last = sorted(said, key=lambda each: each.at)[-MOST:]
    return [(ids[each.content][0], to_pixels(each.box, each.width, each.height)) for each in last]
