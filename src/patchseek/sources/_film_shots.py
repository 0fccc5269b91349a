"""Which times of a film are worth a look, and which looks are worth a picture. Sees looks and sizes, no film.

The limits were measured on films of benchmarks/film.py, with grain, of three habits of encoders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from statistics import median

import numpy as np
from numpy.typing import NDArray

from ._film_pixels import LOOK, Look
from ._film_walk import KeyFrames

UNLIKE = 4.0
"""Levels, of 255, by which any of 8 x 8 cells of two frames differs on average that do not look the same.

Drafts of shots at rest under grain differ by 2.3 at most within nine seconds, those that pan and zoom by 15 to 60.
"""
CUT = 0.28
"""Share of the pixels of two frames whose colours the other lacks, where a shot ends between them.

It is 0.29 to 1 at cuts, at most 0.21 within half a second of a pan and 0.43 within two.
"""

_WINDOW = 12
# frames before one that begins a shot to which its bytes are compared
_RISE = 1.5
# times the most bytes of those that such a frame takes; others took 1.3 times as many at most, cuts 1.7 and more
_OF_KEY, _OF_MEDIAN = 0.05, 3.0
# and how many of the lesser key frame's beside it, and of the median frame's between the two
_ALMOST_KEY = 0.8
# of the key frame's, where it comes next
_ONE_CUT = 250  # milliseconds within which such frames are those of one cut
_MOVES = 0.4
# bytes a second between key frames, as a share of the key frame's, where something moves
_SPARSE = 1.75
# times the step at which looks then follow each other: decoding between key frames is what takes time


@dataclass
class Gap:
    """Times between two key frames that are worth a look, too."""

    start: int
    # when the first of the two is shown
    times: set[int]
    # where a shot probably begins, and all of `runs`
    runs: dict[int, tuple[int, list[int]]]
    # by their first time, where a shot begins and those in it at which something may have moved; if nothing has by the
    # first of them, the others are not worth it


def between(film: KeyFrames, looks: Mapping[int, Look], step: int, late: int) -> list[Gap]:
    """What is worth a look beside the key frames that were looked at, what takes longest first.

    looks: by their times. step: milliseconds for which a shot that goes on is not looked at again. late: by how many a
    frame may be shown after its bytes were stored.
    """
    seen = [i for i in film.keys if film.times[i] in looks]
    longest = _usual([film.times[b] - film.times[a] for a, b in pairwise(film.keys)])
    gaps = []
    if film.times and (not seen or film.times[seen[0]] > film.times[0]):
        gaps.append(Gap(0, {max(0, film.times[0])}, {}))
    for first, last in pairwise([*seen, len(film.times)] if seen else []):
        if last - first > 1:
            gaps.append(_gap(film, first, last, looks, step, late, longest))
    return sorted((gap for gap in gaps if gap.times), key=lambda gap: gap.start - max(gap.times))


def _gap(
    film: KeyFrames, first: int, last: int, looks: Mapping[int, Look], step: int, late: int, longest: float
) -> Gap:
    """What is worth a look between the packets of two key frames; the last may be the film's end."""
    sizes, times = film.sizes[first + 1 : last], film.times[first + 1 : last]
    is_open = last == len(film.times)  # at its end, the film is not looked at
    start, end = film.times[first], max(times) if is_open else film.times[last]
    key = film.sizes[first] if is_open else min(film.sizes[first], film.sizes[last])
    cuts = _apart(sorted(times[i] for i in peaks(sizes, key) if times[i] > start))
    gap = Gap(start, set(), {})
    is_due = end - start > 0.98 * longest  # such a key frame stands within a shot: the last one that began is seen
    if len(cuts) > (is_due and not is_open):
        gap.times.update(cuts, (time + late for time in cuts))
    if is_open or unlike(looks[start], looks[end]):
        for begin, stop in pairwise([start, *cuts, end]):
            n = round((stop - begin) / (_SPARSE * step))
            n_bytes = sum(size for time, size in zip(times, sizes, strict=True) if begin < time < stop)
            if 1000 * n_bytes > _MOVES * film.sizes[first] * (stop - begin):
                run = [begin + (stop - begin) * i // n for i in range(1, n + (is_open and stop == end))]
                gap.times.update(run)
                gap.runs.update({run[0]: (begin, run)} if run else {})
    gap.times.difference_update(looks)
    return gap


def peaks(sizes: Sequence[int], key: int) -> list[int]:
    """Which frames between two key frames probably begin a shot: they take more bytes than those before them.

    sizes: bytes of each, as stored. key: bytes of the lesser key frame.
    """
    bar = max(_OF_KEY * key, _OF_MEDIAN * median(sizes))
    found = []
    for i, size in enumerate(sizes):
        before = max(sizes[max(0, i - _WINDOW) : i], default=0)
        if size >= bar and size >= (_RISE * before if before else _ALMOST_KEY * key):
            found.append(i)
    return found


def _usual(distances: list[int]) -> float:
    """The longest distance of key frames, where it comes up again and so is the encoder's own; else infinity."""
    *_, second, first = [0, 0, *sorted(distances)]
    return first if second > 0.98 * first else inf


def _apart(times: list[int]) -> list[int]:
    """The first of each run of rising times that lie close together."""
    return [time for i, time in enumerate(times) if not i or time - times[i - 1] > _ONE_CUT]


def chosen(looks: Sequence[tuple[int, Look]], step: int) -> tuple[int, ...]:
    """Times of those that are worth a picture, of at least one, in order."""
    picked = [looks[0]]
    for (_, before), (time, now) in pairwise(looks):
        if unlike(picked[-1][1], now) and (time - picked[-1][0] >= 0.9 * step or is_cut(before, now)):
            picked.append((time, now))
    return tuple(time for time, _ in picked)


def unlike(one: Look, other: Look) -> bool:
    """Whether two frames look different anywhere."""
    return difference(one, other) >= UNLIKE


def difference(one: Look, other: Look) -> float:
    """Levels by which they differ in the one of 8 x 8 cells where they differ most."""
    cells = np.abs(one - other).mean(0).reshape(LOOK // 2, 2, LOOK // 2, 2).mean((1, 3))
    return float(cells.max())


def is_cut(one: Look, other: Look) -> bool:
    """Whether two frames are of different shots: other colours, wherever they stand."""
    return change(one, other) >= CUT


def change(one: Look, other: Look) -> float:
    """Share of pixels, 0 to 1, whose colours the other lacks."""
    return float(np.abs(_colours(one) - _colours(other)).sum()) / 2


def _colours(of: Look) -> NDArray[np.float64]:
    """Shares of 8 brightnesses x 4 x 4 colours."""
    bins = (of[0] // 32) * 16 + np.clip((of[1] - 96) // 16, 0, 3) * 4 + np.clip((of[2] - 96) // 16, 0, 3)
    shares: NDArray[np.float64] = np.bincount(bins.ravel(), minlength=128) / bins.size
    return shares
