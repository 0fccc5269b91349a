"""Opens a film, refuses what is none, reads and decodes its packets. Picks no frames.

A time is whole milliseconds from the film's start, as players count: 0 is where its first stream, picture or sound,
begins, whatever the file calls that moment. The time of a frame is that of its presentation, rounded.

Nothing but the file itself is ever opened: kinds of file that name others (playlists, lists, numbered pictures) are
none of `_KINDS`, and what a film of those kinds refers to is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import SEEK_END
from itertools import chain
from math import floor
from pathlib import Path
from typing import Any, BinaryIO

from .._files import open_regular
from .._platform import n_cores
from ..errors import ImageError, PatchseekError
from ..images import MAX_PIXELS
from ..images._pixels import check_size
from ._film_library import Content, as_image_error, library, refuse, unless_short

FAR = 20_000
"""Milliseconds that are rather leapt over than read through."""
MOST_THREADS = 16

_KINDS = "mov,matroska,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,mxf,dv"
"""Demultiplexers of FFmpeg that may be used."""
_TELL_LENGTH = {"mov", "matroska", "asf", "flv"}
# those whose files say how long they are, rather than have it guessed from what is there
_GUESS_TIMES = {"mpeg", "mpegvideo"}
# those whose frames do not all bear a time: the others' are known only where all is read from the beginning
_HIDE_FRAMES = {"av1", "libdav1d", "libaom-av1", "vp8", "vp9", "libvpx", "libvpx-vp9"}
# those that store frames ahead, to be shown later
_LIMITS = {"max_pixels": str(MAX_PIXELS)}
_OPTIONS = {"format_whitelist": _KINDS, "protocol_whitelist": "none", "enable_drefs": "0"} | _LIMITS
_LIGHT_B = {"h264", "mpeg4", "mpeg2video", "mpeg1video"}
# those in which frames that are predicted from both sides are left out: others rest on them hardly or not at all
_BACK = (0, 2_000, 10_000, 60_000)
# milliseconds before the one looked for at which a leap is tried: formats without an index land anywhere
_WIDEST = 8  # a pixel that claims to be wider or higher than this many others counts as square
_HALF = Fraction(1, 2)


class Film:
    """An open film, for one thread at a time. Its packets and frames are PyAV's."""

    def __init__(self, content: BinaryIO, label: str, draft: bool, n_threads: int) -> None:
        """draft: frames are needed for their looks alone: they are roughly right, and not all are there.

        n_threads: that decode it. Raises ImageError for what is no film.
        """
        self.label = label
        self.n_bad = 0
        # packets that could not be decoded
        self.is_cut_off = False
        # whether reading has ended at what cannot be read
        self._content, self._draft, self._n_threads = Content(content), draft, n_threads
        self._open()
        self.leaps = self._container.format.name not in _GUESS_TIMES
        # whether it is worth trying to go on elsewhere

    def _open(self) -> None:
        """Open it at its beginning."""
        av = library()
        self._content.seek(0)
        try:
            self._container = av.open(
                self._content, "r", options=_OPTIONS, metadata_errors="replace", buffer_size=1 << 16, io_open=refuse
            )
        except av.FFmpegError as error:
            raise ImageError(self.label, "is no film that can be read") from unless_short(error)
        self._errors: type[Exception] = av.FFmpegError
        self._is_fresh = True
        try:
            self._stream = _pictures(self._container, av.stream.Disposition, self.label)
            self._set_clock()
            self._set_decoder()
        except BaseException:
            self._container.close()
            raise

    def _set_clock(self) -> None:
        stream, start = self._stream, self._container.start_time
        self._tick = 1000 * stream.time_base
        starts = [] if start is None else [Fraction(start, 1000)]
        starts += [] if stream.start_time is None else [stream.start_time * self._tick]
        self._zero = min(starts, default=Fraction(0)) - _HALF  # the half rounds

    def _set_decoder(self) -> None:
        codec = self._codec = self._stream.codec_context
        check_size((codec.width or 1, codec.height or 1), self.label, MAX_PIXELS)
        codec.thread_type, codec.thread_count = "AUTO", self._n_threads
        codec.options = _LIMITS
        if self._draft:
            codec.options = _LIMITS | {"skip_loop_filter": "all", "flags2": "+fast"}
            codec.skip_frame = "BIDIR" if codec.name in _LIGHT_B else "NONREF"

    def close(self) -> None:
        """Let go of all but the file."""
        self._container.close()

    @property
    def aspect(self) -> Fraction:
        """How wide a pixel is for its height."""
        aspect = Fraction(self._stream.sample_aspect_ratio or 1)
        return aspect if Fraction(1, _WIDEST) <= aspect <= _WIDEST else Fraction(1)

    @property
    def late(self) -> int:
        """Milliseconds by which a frame may be shown after its bytes were stored, with those of an earlier frame."""
        return 1_000 if self._codec.name in _HIDE_FRAMES else 0

    @property
    def told(self) -> int | None:
        """Milliseconds that the file says it lasts; None where it says nothing."""
        tells = self._container.format.name.split(",")[0] in _TELL_LENGTH and self._container.duration is not None
        return self._container.duration // 1000 if tells else None

    def time_of(self, item: Any) -> int | None:
        """When a frame, or a packet of pictures, is shown; None where nothing says so."""
        stamp = item.dts if item.pts is None else item.pts
        return None if stamp is None else floor(stamp * self._tick - self._zero)

    def end_of(self, packet: Any) -> int:
        """When a packet, of whichever stream, ends."""
        stamp = packet.dts if packet.pts is None else packet.pts
        return 0 if stamp is None else floor((stamp + (packet.duration or 0)) * packet.time_base * 1000 - self._zero)

    def is_past(self, packet: Any, time: int) -> bool:
        """Whether this packet of pictures and all that come after it are shown after a time."""
        return packet.dts is not None and floor(packet.dts * self._tick - self._zero) > time

    def shows(self, packet: Any) -> bool:
        """Whether a packet is one of pictures that are read."""
        return bool(packet.stream_index == self._stream.index)

    def packets(self, of_sound: bool = False) -> Iterator[Any]:
        """Packets of pictures, or of sound too, as stored, up to the end or what cannot be read.

        Raises ImageError for encrypted ones.
        """
        self._is_fresh = False
        streams = [s for s in self._container.streams if s.type in ("video", "audio")] if of_sound else [self._stream]
        try:
            for packet in self._container.demux(*streams):
                if packet.has_sidedata("encryption_info"):
                    raise ImageError(self.label, "is encrypted")
                if packet.size:
                    yield packet
        except IndexError:
            pass  # at the end, PyAV looks for streams that came up on the way, and that it has none of
        except self._errors as error:
            unless_short(error)
            self.is_cut_off = True

    def decoded(self, packet: Any, is_shown: bool = True) -> list[Any]:
        """Frames that are ready after one more packet; after None, all that are left. None at all of a damaged one.

        is_shown: False for a packet that is needed only if others rest on it.
        """
        if self._codec.name in _LIGHT_B and not self._draft:
            self._codec.skip_frame = "DEFAULT" if is_shown else "NONREF"
        try:
            return list(self._codec.decode(packet))
        except self._errors as error:
            unless_short(error)
            self.n_bad += not isinstance(error, EOFError)
            return []

    def forget(self) -> None:
        """What is decoded next has nothing to do with what was decoded before."""
        self._codec.flush_buffers()

    def packets_before(self, time: int) -> Iterator[Any]:
        """Packets of pictures from a key frame on that is not after a time; from the first, where none can be found."""
        if self.leaps and not (self._is_fresh and time <= FAR):
            for back in _BACK:
                try:
                    stamp = floor((time - back + self._zero + _HALF) / self._tick)
                    self._container.seek(stamp, stream=self._stream)
                except self._errors:
                    break
                packets = self.packets()
                first = next((packet for packet in packets if packet.is_keyframe), None)
                found = None if first is None else self.time_of(first)
                if found is not None and found <= time:
                    return chain([first], packets)
        self.leaps = self.leaps and time <= FAR
        if not self._is_fresh:
            self.close()
            self._open()
        return self.packets()


@contextmanager
def opened(file: Path, draft: bool = False, n_threads: int | None = None) -> Iterator[Film]:
    """A film, for the block; see there. n_threads: by default, as many as there are cores.

    Raises ImageError, whatever goes wrong with it, MissingExtra without PyAV.
    """
    library()
    label = str(file)
    try:
        with open_regular(file, label) as content:
            if not content.seek(0, SEEK_END):
                raise ImageError(label, "empty file")
            film = Film(content, label, draft, n_threads or min(n_cores(), MOST_THREADS))
            try:
                yield film
            finally:
                film.close()
    except PatchseekError:
        raise
    except Exception as error:
        raise as_image_error(error, label) from error


def _pictures(container: Any, disposition: Any, label: str) -> Any:
    """The stream that players show, not the picture of a record's cover. Raises ImageError where there is none."""
    streams = [stream for stream in container.streams.video if not stream.disposition & disposition.attached_pic]
    if not streams:
        raise ImageError(label, "has sound, but no pictures" if container.streams.audio else "has no pictures")
    stream = next((stream for stream in streams if stream.disposition & disposition.default), streams[0])
    if stream.codec_context is None or not stream.time_base:
        raise ImageError(label, "its pictures cannot be decoded: damaged, or of an unknown kind")
    return stream
