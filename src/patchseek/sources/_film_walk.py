"""Walks through a film's packets: key frames alone, or the frames shown at given times. Knows no pixels."""

from array import array
from collections import deque
from collections.abc import Iterator
from typing import Any

from ._film_file import FAR, Film

_MOST_HELD = 64 << 20  # bytes of packets that wait until it is known whether they are needed
_LINGER = 1_000  # milliseconds for which the last frame is shown, where nothing says for how long


class KeyFrames:
    """The key frames of a whole film, without what is between them, and what is learnt of the film on the way."""

    def __init__(self, film: Film) -> None:
        self.times, self.sizes = array("q"), array("q")
        # of each packet of pictures, as stored: milliseconds, bytes
        self.keys: list[int] = []
        # which of them are key frames
        self.end = 0
        # milliseconds at which the last frame ends
        self.damage: str | None = None
        # why the film ends early
        self._film = film

    def frames(self, apart: int) -> Iterator[Any]:
        """The frames; of several within `apart` milliseconds the last. Ends where the file is damaged."""
        film, held, latest, end_of_all = self._film, None, -apart - 1, 0
        for packet in film.packets(of_sound=True):
            end_of_all = max(end_of_all, film.end_of(packet))
            time = film.time_of(packet) if film.shows(packet) else None
            if time is None:
                continue
            self.end = max(self.end, film.end_of(packet))
            if packet.is_keyframe:
                self.keys.append(len(self.times))
                if held and time - latest > apart:
                    latest = film.time_of(held) or 0
                    yield from film.decoded(held)
                held = packet
            self.times.append(time)
            self.sizes.append(packet.size)
        if held:
            yield from film.decoded(held)
        yield from film.decoded(None)
        film.forget()
        if film.told and end_of_all < 0.99 * film.told - 1000:
            self.damage = f"ends after {end_of_all / 1000:.1f} of {film.told / 1000:.1f} s"
        elif film.is_cut_off:
            self.damage = f"cannot be read after {end_of_all / 1000:.1f} s"


def shown(film: Film, todo: deque[int]) -> Iterator[tuple[int, Any]]:
    """(time, the frame that is shown then) of rising times; nothing of those after the film's end.

    The first frame is shown before its time, too. todo: each is taken away when it is done; others may be, on the way.
    """
    walk = _Walk(film, todo)
    last, end = None, 0
    for frame in walk.frames():
        time = None if frame is None else film.time_of(frame)
        if time is None:
            last = last if frame else None
            continue
        while todo and time > todo[0]:
            yield todo.popleft(), last or frame
        if todo and time == todo[0]:
            yield todo.popleft(), frame
        if not todo:
            return
        last, end = frame, time + _LINGER
    while todo and last and todo[0] <= max(end, walk.end):
        yield todo.popleft(), last


class _Walk:
    """Decodes what is needed for some times and no more.

    Packets wait until it is known whether a key frame comes that is nearer to the next time. So a film that is read
    through is decoded only from the key frame before each time to the time itself.
    """

    def __init__(self, film: Film, todo: deque[int]) -> None:
        """todo: rising times; whoever takes the frames takes those away that are done."""
        self.todo, self.end = todo, 0
        self._film = film
        self._held: list[Any] = []
        self._n_bytes = 0
        self._goes_on = False
        # whether those that wait follow what the decoder has had

    def frames(self) -> Iterator[Any]:
        """Frames as they are shown, and None where some are left out."""
        film, todo = self._film, self.todo
        if not todo:
            return
        leapt_to = todo[0]
        packets = film.packets_before(leapt_to)
        while todo and (packet := next(packets, None)):
            self.end = max(self.end, film.end_of(packet))
            if not self._hold(packet):
                continue
            time = film.time_of(packet)
            is_past = film.is_past(packet, todo[0])
            if is_past or self._n_bytes > _MOST_HELD:
                yield from self._decoded(is_past)
            elif film.leaps and time is not None and todo[0] - time > FAR and todo[0] != leapt_to:
                leapt_to = todo[0]
                packets = film.packets_before(leapt_to)
                self._held, self._n_bytes, self._goes_on = [], 0, False
        yield from self._decoded(is_all=False)
        yield from film.decoded(None)

    def _hold(self, packet: Any) -> bool:
        """Let a packet wait, alone if nothing before it is needed. False where nothing says how to decode it."""
        time = self._film.time_of(packet)
        if packet.is_keyframe and time is not None and time <= self.todo[0] and self._held:
            self._held, self._n_bytes, self._goes_on = [], 0, False
        if not packet.is_keyframe and not self._held and not self._goes_on:
            return False
        self._held.append(packet)
        self._n_bytes += packet.size
        return True

    def _decoded(self, is_all: bool) -> Iterator[Any]:
        """Frames of those that wait. is_all: all frames up to the next time are among them; most need not be shown."""
        film, held, goes_on = self._film, self._held, self._goes_on
        self._held, self._n_bytes, self._goes_on = [], 0, True
        if held and not goes_on:
            film.forget()
            yield None
        times = [film.time_of(packet) for packet in held]
        wanted = max((time for time in times if is_all and time is not None and time <= self.todo[0]), default=0)
        for packet, time in zip(held, times, strict=True):
            yield from film.decoded(packet, is_shown=time is None or time >= wanted)
