"""Frames of films that answer: of each film the best one, which tells of the others and of when the object is seen."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..confidence import DOUBTFUL
from ..rank import Candidate
from ..search import Match
from ..store import Image, Store

OF_BEST, OF_BEST_ALONE = 0.5, 0.9
"""A frame counts that is not doubtful and scores at least this share of its film's best; the second where nobody can
say what is doubtful. In a small collection, little is doubtful.
"""
Judged = tuple[Match, Candidate[Image]]
Film = tuple[Path, Path]
"""The folder that was indexed, and the file."""


def film_of(image: Image) -> Film | None:
    """The film of which a picture is a frame; None for others."""
    place = image.stored
    return (image.root, place.file) if place.is_frame else None


def is_probable(confidence: float | None, score: float, best: float) -> bool:
    """Whether the object is probably seen in a frame, in whose film the best frame has such a score."""
    if confidence is None:
        return score >= OF_BEST_ALONE * best
    return confidence >= DOUBTFUL and score >= OF_BEST * best


def by_film(judged: Sequence[Judged], store: Store) -> list[Judged]:
    """The matches, best first, with one for each film: its best frame. Others keep their places.

    That frame has all in which the object is probably seen, itself too, in their order, and the times at which that is.
    """
    films: dict[Film, list[Match]] = {}
    for match, _ in judged:
        if film := film_of(match.image):
            films.setdefault(film, []).append(match)
    best = {frames[0].image.id: frames for frames in films.values()}
    others = {match.image.id for frames in films.values() for match in frames[1:]}
    return [
        (_with_frames(match, best[match.image.id], store), candidate) if match.image.id in best else (match, candidate)
        for match, candidate in judged
        if match.image.id not in others
    ]


def _with_frames(best: Match, frames: Sequence[Match], store: Store) -> Match:
    probable = [frame for frame in frames if frame is best or is_probable(frame.confidence, frame.score, best.score)]
    seen = sorted(probable, key=lambda match: match.image.page)
    return replace(best, frames=tuple(seen), ranges=_ranges([frame.image.page for frame in seen], best, store))


def _ranges(pages: Sequence[int], best: Match, store: Store) -> tuple[tuple[float, float], ...]:
    """First and last second of each run of frames, between which the collection has no other frame of the film."""
    order = {page: i for i, page in enumerate(store.pages_of(best.image))}
    runs: list[list[int]] = []
    for page in pages:
        if runs and order.get(page, -1) == order.get(runs[-1][-1], -1) + 1:
            runs[-1].append(page)
        else:
            runs.append([page])
    return tuple(((run[0] - 1) / 1000, (run[-1] - 1) / 1000) for run in runs)
