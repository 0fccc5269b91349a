"""What judgements add to a query: accepted finds are further views, refused ones are barred. Trains nothing."""

from collections.abc import Iterable
from dataclasses import replace

from ..boxes import to_pixels
from ..collection import Collection
from ..errors import QueryError
from ..judgements import Judgements
from ..many import Question, Views
from ..store import Content, Judgement, SavedQuery

LEARN = ("no", "accepted", "refused", "all")
"""What a run may learn from: nothing, accepted finds, refused ones, both."""
MOST = 5
"""Accepted finds that become views, and refused ones that are barred with their near twins: the last ones judged."""


def taught(collection: Collection, query: SavedQuery, question: Question, learn: str) -> Question:
    """The question with what was said of the query's finds, as far as their pictures are in the collection.

    learn: one of LEARN, else QueryError. Pictures of the query itself teach nothing, nor do those whose files are gone.
    """
    if learn not in LEARN:
        raise QueryError(f"{learn!r}: a query learns from one of {', '.join(LEARN)}")
    if learn == "no":
        return question
    judgements = Judgements(collection)
    own = {(view.sha256, view.page) for view in query.views}
    standing = [said for content, said in judgements.standing(query.key).items() if content not in own]
    ids = {content: there for content, own in judgements.ids(standing).items() if (there := _at_hand(collection, own))}
    return replace(
        question,
        views=(*question.views, *(_views(standing, "yes", ids) if learn in ("accepted", "all") else ())),
        barred=(*question.barred, *(_views(standing, "no", ids) if learn in ("refused", "all") else ())),
    )


def n_learned(query: SavedQuery, question: Question) -> tuple[int, int]:
    """From how many accepted and refused finds a question of `taught` has learned."""
    return len(question.views) - len(query.wanted), len(question.barred)


def _views(standing: Iterable[Judgement], verdict: str, ids: dict[Content, int]) -> Views:
    """The pictures of which this was said, the last ones, with the boxes judged."""
    said = [each for each in standing if each.verdict == verdict and each.content in ids]
    last = sorted(said, key=lambda each: each.at)[-MOST:]
    return [(ids[each.content], to_pixels(each.box, each.width, each.height)) for each in last]


def _at_hand(collection: Collection, ids: list[int]) -> int | None:
    """The first of these pictures whose file is there."""
    images = collection.store.images(ids)
    return next((image.id for image in images if image and image.file.is_file()), None)
