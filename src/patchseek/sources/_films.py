"""Frames of films as pictures: which of them to take, and the pixels of one. Keeps nothing.

    _film_library (PyAV) -> _film_file -> _film_walk -> _film_pixels (what a frame shows)
                                                     -> _film_shots (which times are worth a look, and a picture)

Not every frame is taken: one a shot at least, one every few seconds at most where a shot goes on and changes, none that
looks like the one before. Key frames go first: encoders put them where a shot begins, and each is decoded by itself.
Between them, sizes tell: a frame that takes more bytes than those before it probably begins a shot, and where frames
take few, nothing moves. So what lies between is decoded only up to where it seems worth a look, and roughly.

What can be missed: a shot between two key frames that holds neither, where sizes do not show it, as where a dissolve or
a picture much simpler than the one before begins it; a shot shorter than a quarter of `every`, or half a second where
that is less; what comes and goes between two key frames that look alike; in a shot that moves while key frames are
sparse, what is seen for less than 2.6 times `every`; what is new in less than a 64th of the picture, or differs little
from what was there.
"""

from collections import ChainMap, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .._platform import n_cores
from ..errors import ImageError
from ._film_file import MOST_THREADS, Film, opened
from ._film_pixels import Look, look, ppm
from ._film_shots import Gap, between, chosen, unlike
from ._film_walk import KeyFrames, shown
from ._intervals import EVERY

MOST_FILMS = 4
"""Times that a film is open at once, where what lies between its key frames is looked at."""


@dataclass(frozen=True)
class Picks:
    """Frames of a film that are worth being looked at."""

    times: tuple[int, ...]
    # milliseconds from the film's start as players count, rising: when each is first shown; see `_film_file`
    seconds: float
    # from the film's start to the end of its last frame
    damage: str | None
    # why it ends early, or what of it could not be read; what stands before counts


def pick(file: Path, *, every: float = EVERY) -> Picks:
    """The frames of a film that are worth being looked at; at least one.

    every: seconds for which a shot that goes on is not looked at again. The same on any number of cores; each, up to
    the fourth, holds a few frames and 64 MB of the file at most. Raises ImageError for what is no film, has sound
    alone, is encrypted, empty, too large, or so damaged that no frame can be had; MissingExtra without PyAV.
    """
    step = max(1, round(1000 * every))
    looks: dict[int, Look] = {}
    with opened(file, draft=True) as film:
        keys = KeyFrames(film)
        for frame in keys.frames(min(step, round(1000 * EVERY)) // 4):  # no shot is missed since `every` is long
            _keep(looks, film, frame)
        bad = f"{film.n_bad} key frames cannot be decoded" if film.n_bad else None
        gaps, leaps = between(keys, looks, step, film.late), film.leaps
    looks |= _looked_between(file, gaps, looks, leaps)
    if not looks:
        raise ImageError(file, "is damaged: no frame can be decoded")
    return Picks(chosen(sorted(looks.items()), step), keys.end / 1000, keys.damage or bad)


def _looked_between(file: Path, gaps: list[Gap], keys: dict[int, Look], leaps: bool) -> dict[int, Look]:
    """What a film looks like between key frames. keys: what it looks like at those. leaps: whether it can be read so.

    Each gap can be decoded by itself, so several are at once: threads that decode the same one wait for each other.
    """
    if not gaps:
        return {}
    if not leaps:  # then it is read once
        gaps = [Gap(0, set().union(*(gap.times for gap in gaps)), dict(ChainMap(*(gap.runs for gap in gaps))))]
    n = min(n_cores(), MOST_FILMS, len(gaps))
    n_threads = max(1, min(n_cores(), MOST_THREADS) // n)
    left = iter(gaps)  # each takes its next one from there
    with ThreadPoolExecutor(n) as pool:
        found = [pool.submit(_looked, file, left, keys, n_threads) for _ in range(n)]
        return dict(ChainMap(*(future.result() for future in found)))


def _looked(file: Path, gaps: Iterable[Gap], keys: dict[int, Look], n_threads: int) -> dict[int, Look]:
    """What a film looks like in gaps between key frames."""
    looks: dict[int, Look] = {}
    with opened(file, draft=True, n_threads=n_threads) as film:
        for gap in gaps:
            todo = deque(sorted(gap.times))
            for time, frame in shown(film, todo):
                _keep(looks, film, frame)
                start, run = gap.runs.get(time, (-1, []))
                before = keys.get(start, looks.get(start))
                if before is not None and not unlike(before, look(frame)):
                    for later in set(run) & set(todo):
                        todo.remove(later)
    return looks


def frame(file: Path, ms: int) -> bytes:
    """The frame that is shown so many milliseconds from a film's start, as the bytes of a binary PPM.

    Upright as its file says, with square pixels (the side that is too short is stretched), 8-bit RGB; more in
    `_film_pixels`. Raises as `pick` does, and ImageError where the film is over by then.
    """
    return next(frames(file, [ms]))[1]


def frames(file: Path, times: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """(time, its `frame`) of each of rising times. Reads the film once; leaps where that spares more than it costs.

    The file is open until the last one is taken or the iterator is closed.
    """
    with opened(file) as film:
        n_done = 0
        for ms, one in shown(film, deque(times)):
            yield ms, ppm(one, film.aspect, film.label)
            n_done += 1
        if n_done < len(times):
            raise ImageError(film.label, f"has no frame at {times[n_done] / 1000:g} s")


def _keep(looks: dict[int, Look], film: Film, frame: object) -> None:
    time = film.time_of(frame)
    if time is not None and time >= 0:
        looks.setdefault(time, look(frame))
