"""Frames of films that are made here: every frame shows its number, so which one is read is known from outside."""

import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from patchseek.errors import ImageError, MissingExtra
from patchseek.images import EXTENSIONS
from patchseek.sources import FILMS
from patchseek.sources._film_pixels import without_combs
from patchseek.sources._film_shots import peaks
from patchseek.sources._films import Picks, frame, frames, pick

pytestmark = pytest.mark.extra("video")

Pixels = NDArray[np.uint8]
RATE = 25
H264 = "libx264" if "libx264" in av.codecs_available else "mpeg4"


# ---- films of which all is known


def numbered(n: int, size: tuple[int, int] = (64, 48)) -> list[Pixels]:
    """n pictures, each of eight bars: the bits of its number, the lowest on the left."""
    w, h = size
    return [
        np.repeat([[255 * (i >> x * 8 // w & 1)] for x in range(w)], 3, 1)[None].repeat(h, 0).astype(np.uint8)
        for i in range(n)
    ]


def number(ppm: bytes) -> int:
    """What number a picture shows."""
    bars = pixels_of(ppm).mean((0, 2)).reshape(8, -1).mean(1) > 128
    return int((bars << np.arange(8)).sum())


def pixels_of(ppm: bytes) -> Pixels:
    image = Image.open(BytesIO(ppm))
    assert image.format == "PPM"
    assert image.mode == "RGB"
    return np.asarray(image)


def still(name: str, seconds: float = 1.0, size: tuple[int, int] = (160, 96)) -> list[Pixels]:
    """A shot in which nothing moves."""
    picture = Image.fromarray(getattr(data, name)()).convert("RGB").resize(size)
    return [np.asarray(picture)] * round(RATE * seconds)


def pan(name: str, seconds: float, size: tuple[int, int] = (160, 96)) -> list[Pixels]:
    """A shot that goes over a photograph from left to right."""
    photo = Image.fromarray(getattr(data, name)()).convert("RGB").resize((4 * size[0], 2 * size[1]))
    n = round(RATE * seconds)
    lefts = np.linspace(0, 3 * size[0], n)
    return [np.asarray(photo.crop((round(x), 40, round(x) + size[0], 40 + size[1]))) for x in lefts]


def film(
    path: Path,
    pictures: Sequence[Pixels],
    codec: str = H264,
    *,
    fmt: str = "yuv420p",
    times: Sequence[int] | None = None,
    muxing: dict[str, str] | None = None,
    sound: float = 0,
    settings: dict[str, Any] | None = None,
    **options: str,
) -> Path:
    """A film. times: milliseconds at which its frames are shown, by default 25 a second. sound: seconds of it."""
    with av.open(path, "w", options=muxing or {}) as container:
        stream: Any = container.add_stream(codec, rate=RATE, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p" if fmt == "woven" else fmt
        for name, value in ({"time_base": Fraction(1, 1000 if times else RATE)} | (settings or {})).items():
            setattr(stream.codec_context, name, value)
        noise: Any = container.add_stream("mp2", rate=48000) if sound else None
        for i in range(round(sound * 48000) // 1152):
            heard = av.AudioFrame.from_ndarray(np.zeros((1, 2304), np.int16), "s16", "stereo")
            heard.sample_rate, heard.pts, heard.time_base = 48000, 1152 * i, Fraction(1, 48000)
            container.mux(noise.encode(heard))
        for i, picture in enumerate(pictures):
            one = (
                woven_420(picture)
                if fmt == "woven"
                else av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=fmt)
            )
            one.pts, one.time_base = (times[i], Fraction(1, 1000)) if times else (i, Fraction(1, RATE))
            container.mux(stream.encode(one))
        container.mux(stream.encode())
    return path


def woven_420(picture: Pixels) -> av.VideoFrame:
    """A frame of two moments as cameras store it: the colours of each are those of its own lines."""
    halves = [av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[i::2]), "rgb24") for i in (0, 1)]
    stored = [half.reformat(format="yuv420p").to_ndarray() for half in halves]
    rows = [stored[i][: len(stored[i]) * 2 // 3] for i in (0, 1)]
    w = picture.shape[1]
    colours = [stored[i][len(rows[i]) :].reshape(2, -1, w // 2) for i in (0, 1)]
    y, uv = np.stack(rows, 1).reshape(-1, w), np.stack(colours, 2).reshape(-1, w)
    return av.VideoFrame.from_ndarray(np.concatenate([y, uv]), "yuv420p")


def cut_off(path: Path, share: float) -> Path:
    """The first part of a file, instead of it."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def reason(path: Path) -> str:
    """Why a film cannot be read, of both ways to read it."""
    with pytest.raises(ImageError) as picked:
        pick(path)
    with pytest.raises(ImageError) as shown:
        frame(path, 0)
    assert picked.value.source == str(path)
    assert "\n" not in str(picked.value)
    assert not picked.value.passing
    if "no frame" not in picked.value.reason:
        assert shown.value.reason == picked.value.reason
    return picked.value.reason


# ---- which frame


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", H264, {"g": "20", "bf": "3"}),
        ("a.mov", "mjpeg", {}),
        ("a.mkv", H264, {"bf": "3"}),
        ("a.webm", "libvpx-vp9", {"cpu-used": "8", "deadline": "realtime"}),
        ("a.avi", "mpeg4", {"g": "12", "bf": "2"}),
        ("a.mpg", "mpeg2video", {"bf": "2"}),
        ("a.ts", H264, {"g": "25", "bf": "3", "x264-params": "open-gop=1"}),
        ("a.m2ts", "mpeg2video", {"g": "12", "bf": "2"}),
        ("a.flv", H264, {"g": "20"}),
        ("a.wmv", "wmv2", {"g": "12"}),
    ],
)
def test_every_frame_is_found_at_its_time(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"no {codec}")
    path = film(tmp_path / name, numbered(60), codec, fmt="yuvj420p" if codec == "mjpeg" else "yuv420p", **options)
    late = 40 if name == "a.avi" else 0  # with frames out of order, an AVI begins with a moment of nothing
    times = [40 * i + late for i in range(60)]
    assert [(ms, number(shown)) for ms, shown in frames(path, times)] == [(ms, i) for i, ms in enumerate(times)]
    for i in (0, 1, 19, 31, 59):
        assert number(frame(path, times[i])) == i
    picks = pick(path, every=0.2)
    assert len(picks.times) > 1
    assert picks.seconds == pytest.approx(2.4 + late / 1000, abs=0.001)
    assert picks.damage is None
    for ms in picks.times:
        assert times[number(frame(path, ms))] == ms


def test_the_pixels_of_many_frames_are_those_of_each(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", pan("coffee", 3), g="30")
    times = [0, 120, 1000, 1040, 2200, 2960]
    each = {ms: frame(path, ms) for ms in times}
    assert dict(frames(path, times)) == each
    every = dict(frames(path, range(0, 3000, 40)))  # of which none can be passed over
    assert {ms: every[ms] for ms in times} == each


def test_between_two_frames_the_former_is_shown(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", numbered(5))
    assert [number(frame(path, ms)) for ms in (0, 39, 40, 79, 80, 161)] == [0, 0, 1, 1, 2, 4]


def test_after_its_end_a_film_has_no_frame(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", numbered(25))
    with pytest.raises(ImageError, match=r"has no frame at 7\.5 s"):
        frame(path, 7500)


def test_frames_that_are_shown_for_unequal_times_are_found(tmp_path: Path) -> None:
    times = [0, 40, 41, 500, 1717, 1750, 4000, 9001, 9034]
    for name in ("a.mp4", "a.mkv"):
        path = film(tmp_path / name, numbered(9), times=times)
        assert [number(shown) for _, shown in frames(path, times)] == list(range(9))
        assert [number(frame(path, ms)) for ms in (1716, 1717, 8999, 9001)] == [3, 4, 6, 7]
        assert set(pick(path).times) <= set(times)


def test_a_rate_with_a_fraction_is_rounded_to_the_nearest_millisecond(tmp_path: Path) -> None:
    times = [round(1001 * i / 24) for i in range(48)]
    path = film(tmp_path / "a.mkv", numbered(48), times=times, g="10")
    assert [number(frame(path, ms)) for ms in times[::9]] == list(range(48))[::9]


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_a_film_begins_at_0_whatever_its_file_calls_that(tmp_path: Path, name: str) -> None:
    path = film(tmp_path / name, numbered(30), times=[5000 + 40 * i for i in range(30)], g="10")
    assert [number(frame(path, ms)) for ms in (0, 40, 800)] == [0, 1, 20]
    assert pick(path).times[0] == 0
    assert pick(path).seconds == pytest.approx(1.2, abs=0.041)  # MPEG-TS has no length of the last frame


def test_where_sound_comes_first_the_film_begins_with_it(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", numbered(30), times=[1000 + 40 * i for i in range(30)], sound=3)
    assert pick(path).times[0] == 1000
    assert [number(frame(path, ms)) for ms in (0, 1000, 1400)] == [0, 0, 10]


def test_an_edit_list_cuts_the_beginning_off(tmp_path: Path) -> None:
    """Begins at frame 10, which has no key frame before it but the first, which is not shown."""
    path = film(tmp_path / "a.mp4", numbered(60), g="40", bf="0")
    content = bytearray(path.read_bytes())
    place = content.index(b"elst") + 4 + 4 + 4  # after its name, version and count: duration, media time
    assert struct.unpack_from(">I", content, place - 4) == (1,)
    struct.pack_into(">Ii", content, place, 2000, 10 * 512)  # 12800 ticks a second
    path.write_bytes(content)
    assert [number(frame(path, ms)) for ms in (0, 40, 400, 1200)] == [10, 11, 20, 40]
    picks = pick(path)
    assert picks.times[0] == 0
    assert [number(frame(path, ms)) for ms in picks.times] == [10 + ms // 40 for ms in picks.times]


def test_what_stands_before_the_first_key_frame_is_passed_over(tmp_path: Path) -> None:
    path = film(
        tmp_path / "a.ts", numbered(60, (640, 480)), g="20", bf="0", preset="ultrafast", muxing={"pat_period": "0.02"}
    )
    packets = path.read_bytes()
    path.write_bytes(packets[188 * (len(packets) // 188 // 6) :])  # from within the first 20 frames
    picks = pick(path)
    assert number(frame(path, picks.times[0])) == 20


# ---- what a frame shows


QUARTERS = np.zeros((48, 64, 3), np.uint8)
QUARTERS[:24, :32], QUARTERS[:24, 32:], QUARTERS[24:, :32], QUARTERS[24:, 32:] = (
    (220, 30, 30),
    (30, 200, 30),
    (30, 30, 220),
    230,
)


@pytest.mark.parametrize(
    ("matrix", "turns", "mirror"),
    [
        ((1, 0, 0, 1), 0, 1),
        ((0, 1, -1, 0), -1, 1),
        ((-1, 0, 0, -1), 2, 1),
        ((0, -1, 1, 0), 1, 1),
        ((-1, 0, 0, 1), 0, -1),
    ],
)
def test_a_frame_is_shown_upright(tmp_path: Path, matrix: tuple[int, ...], turns: int, mirror: int) -> None:
    """ISO 14496-12: x goes to a x + c y, y to b x + d y; so (0, 1, -1, 0) is a quarter clockwise."""
    path = film(tmp_path / "a.mp4", [QUARTERS] * 3, crf="1")
    content = bytearray(path.read_bytes())
    a, b, c, d = (65536 * value for value in matrix)
    struct.pack_into(">9i", content, content.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    shown = pixels_of(frame(path, 40))
    right = np.rot90(QUARTERS, turns)[:, ::mirror]
    assert shown.shape == right.shape
    assert np.abs(shown[4::12, 4::12].astype(int) - right[4::12, 4::12]).max() < 12


@pytest.mark.parametrize(
    ("aspect", "size"), [((4, 3), (85, 48)), ((3, 4), (64, 64)), ((1, 1), (64, 48)), ((900, 1), (64, 48))]
)
def test_pixels_become_square(tmp_path: Path, aspect: tuple[int, int], size: tuple[int, int]) -> None:
    path = film(
        tmp_path / "a.mkv",
        [QUARTERS] * 3,
        "mpeg2video" if aspect == (900, 1) else H264,
        settings={"sample_aspect_ratio": Fraction(*aspect)},
    )
    shown = pixels_of(frame(path, 0))
    assert shown.shape == (size[1], size[0], 3)
    w, h = size
    for x, y in ((w // 4, h // 4), (3 * w // 4, h // 4), (w // 4, 3 * h // 4), (3 * w // 4, 3 * h // 4)):
        assert np.abs(shown[y, x].astype(int) - QUARTERS[y * 48 // h, x * 64 // w]).max() < 12


MATRICES = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593), 7: (0.212, 0.087)}
# Kr and Kb of ITU-T H.273, table 4, by its numbers


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize(("matrix", "size"), [(1, 64), (5, 64), (9, 64), (7, 64), (2, 64), (2, 1280)])
def test_colours_are_those_of_the_matrix_and_range_that_a_film_names(
    tmp_path: Path, bits: int, is_full: bool, matrix: int, size: int
) -> None:
    """2 names none: then large pictures are of BT.709, small ones of BT.601. FFV1 loses nothing."""
    rows = np.array([(100, 90, 170), (60, 150, 110), (180, 128, 128), (120, 200, 90)]) << (bits - 8)
    one = av.VideoFrame(size, 64, "yuv420p10le" if bits == 10 else "yuv420p")
    for plane, values in zip(one.planes, rows.T, strict=True):
        width = plane.line_size // (2 if bits == 10 else 1)
        bands = np.repeat(values, plane.height // 4)[:, None].repeat(width, 1)
        plane.update(bands.astype(np.uint16 if bits == 10 else np.uint8).tobytes())
    with av.open(tmp_path / "a.mkv", "w") as container:
        stream: Any = container.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = size, 64, one.format.name
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if is_full else 1
        one.colorspace, one.color_range, one.pts = matrix, 2 if is_full else 1, 0
        container.mux(stream.encode(one))
        container.mux(stream.encode())
    unit = 1 << (bits - 8)
    black, white, spread = (0, 256 * unit - 1, 256 * unit - 1) if is_full else (16 * unit, 235 * unit, 224 * unit)
    y, u, v = (rows[:, 0] - black) / (white - black), *((rows[:, i] - 128 * unit) / spread for i in (1, 2))
    kr, kb = MATRICES[matrix if matrix != 2 else 1 if size == 1280 else 5]
    r, b = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    right = 255 * np.stack([r, (y - kr * r - kb * b) / (1 - kr - kb), b], 1)
    shown = pixels_of(frame(tmp_path / "a.mkv", 0))[8::16, 16]
    assert np.abs(shown - right.clip(0, 255)).max() <= 1.5


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    picture = np.dstack([QUARTERS, np.full((48, 64), 255, np.uint8)])
    picture[:24, :, 3], picture[24:, :32, 3] = 0, 102
    with av.open(tmp_path / "a.mov", "w") as container:
        stream: Any = container.add_stream("png", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgba"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgba")))
        container.mux(stream.encode())
    shown = pixels_of(frame(tmp_path / "a.mov", 0))
    assert (shown[:24] == 255).all()
    assert (shown[30, 10] == (165, 165, 241)).all()  # 0.4 x (30, 30, 220) + 0.6 x 255
    assert (shown[30, 40] == 230).all()


def test_two_moments_woven_into_one_frame_are_one(tmp_path: Path) -> None:
    """A bar moves over a photograph at rest, 16 pixels from one moment to the next."""

    def moment(half: int) -> Pixels:
        picture = still("coffee", size=(320, 192))[0].copy()
        picture[40:140, 8 + 16 * half : 68 + 16 * half] = (30, 200, 60)
        return picture

    woven = [moment(2 * i) for i in range(6)]
    for i, picture in enumerate(woven):
        picture[1::2] = moment(2 * i + 1)[1::2]
    path = film(tmp_path / "a.mpg", woven, "mpeg2video", fmt="woven", b="9M", flags="+ildct+ilme", qmax="2")
    shown, right = pixels_of(frame(path, 120)).astype(int), moment(6)
    ends = np.s_[50:130, 98:190]  # where the bar of either moment begins or ends
    assert np.abs(woven[3].astype(int) - right)[ends].mean() > 10
    assert np.abs(shown - right)[ends].mean() < 5
    rest = np.s_[:, 200:]
    assert np.abs(shown - right)[rest].mean() < 4


def test_what_rests_keeps_all_its_lines() -> None:
    photo, thin = still("coffee", size=(720, 576))[0], np.zeros((48, 64, 3), np.uint8)
    thin[11, 10:50] = thin[30:32, 10:50] = thin[5:40, 20] = 255
    for picture in (photo, thin):
        assert (without_combs(picture) == picture).mean() > 0.997


# ---- which frames are picked


def test_a_shot_in_which_nothing_moves_is_picked_once(tmp_path: Path) -> None:
    shots = still("coffee", 4) + still("chelsea", 4) + still("rocket", 4)
    path = film(tmp_path / "a.mp4", shots, g="25")
    assert pick(path, every=1) == Picks((0, 4000, 8000), 12.0, None)


def test_a_shot_that_goes_on_and_changes_is_picked_every_so_often(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", pan("coffee", 12), g="10", sc_threshold="0")
    gaps = np.diff(pick(path, every=2).times)
    assert len(gaps) >= 4
    assert ((gaps >= 1800) & (gaps <= 2400)).all()


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", H264, {"sc_threshold": "0"}),
        ("a.mkv", "libx265", {"x265-params": "keyint=1000:scenecut=0:log-level=none"}),
        ("a.webm", "libvpx-vp9", {"cpu-used": "8", "deadline": "realtime"}),
        ("a.mpg", "mpeg2video", {"bf": "2", "sc_threshold": "1000000000"}),
        ("a.avi", "mpeg4", {"sc_threshold": "1000000000"}),
    ],
)
def test_a_cut_without_a_key_frame_is_found(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"no {codec}")
    shots = still("coffee", 3.2) + still("chelsea", 3.2) + still("rocket", 3.2)
    path = film(tmp_path / name, shots, codec, **{"g": "600"} | options)
    with av.open(path) as container:
        assert sum(packet.is_keyframe for packet in container.demux(video=0)) == 1
    assert [ms // 3200 for ms in pick(path).times] == [0, 1, 2]


def test_a_frame_that_begins_a_shot_takes_more_bytes_than_those_before_it() -> None:
    at_rest, moving = [90, 10, 12, 80, 11, 9, 10] * 4, [2000, 400, 410, 2100, 390, 405] * 4
    assert peaks([*at_rest, 3000, *at_rest], 9000) == [28]
    assert peaks([*moving, 5000, *moving], 9000) == [24]
    assert peaks([*moving, 5000, *(2 * size for size in moving)], 9000) == [24]
    assert peaks(at_rest, 9000) == peaks(moving, 9000) == []
    assert peaks([8000, *moving], 9000) == [0]  # right after the key frame: it has to be nearly as large
    assert peaks([5000, *moving], 9000) == []


def test_a_short_shot_between_two_key_frames_is_found_by_its_two_cuts(tmp_path: Path) -> None:
    shots = still("coffee", 2.4) + still("chelsea", 1) + still("coffee", 2.6)
    path = film(tmp_path / "a.mp4", shots, g="50", keyint_min="50", sc_threshold="0")
    times = pick(path).times
    assert times[0] == 0
    assert 2400 <= times[1] < 2600  # what begins the shot is stored after two frames that are shown before it


def test_a_long_shot_with_one_key_frame_is_picked_where_it_moves(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", still("chelsea", 1) + pan("coffee", 9), g="1000")
    times = pick(path).times
    assert {0, 1000} <= set(times)
    assert len(times) >= 4
    assert (np.diff(times[1:]) >= 1800).all()


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", H264), ("a.ts", H264), ("a.mpg", "mpeg2video")])
def test_picks_are_the_same_on_any_number_of_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, codec: str
) -> None:
    shots = still("rocket", 1.2) + pan("coffee", 6) + still("chelsea", 2) + pan("rocket", 8)
    path = film(tmp_path / name, shots, codec, g="150", sc_threshold="0" if codec == H264 else "1000000000")
    seen = []
    for cores in ("1", "2", "5"):
        monkeypatch.setenv("PATCHSEEK_CORES", cores)
        picks = pick(path)
        assert len(picks.times) > 5
        seen.append((picks, [frame(path, ms) for ms in picks.times]))
    assert seen[0] == seen[1] == seen[2]


# ---- what is damaged, or no film


@pytest.mark.parametrize(
    ("name", "codec", "muxing"),
    [("a.mp4", H264, {"movflags": "faststart"}), ("a.mkv", H264, {}), ("a.avi", "mpeg4", {}), ("a.flv", H264, {})],
)
def test_what_stands_before_the_end_of_a_cut_off_film_counts(
    tmp_path: Path, name: str, codec: str, muxing: dict[str, str]
) -> None:
    pictures = numbered(200, (320, 192))
    path = cut_off(film(tmp_path / name, pictures, codec, muxing=muxing, g="10", qmax="8"), 0.6)
    picks = pick(path)
    assert name == "a.avi" or "ends after" in str(picks.damage)  # AVI's length is guessed from what is there
    assert 2 < picks.seconds < 7
    assert picks.times[-1] < 1000 * picks.seconds
    assert [number(frame(path, ms)) for ms in picks.times] == [ms // 40 for ms in picks.times]


def test_a_film_without_an_index_is_read(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", numbered(200), muxing={"live": "1"}, g="25")
    assert b"\x1c\x53\xbb\x6b" not in path.read_bytes()  # Matroska's Cues
    assert pick(path).seconds == pytest.approx(8)
    assert [number(frame(path, 40 * i)) for i in (0, 99, 199)] == [0, 99, 199]
    assert "no film" in reason(cut_off(film(tmp_path / "a.mp4", numbered(200, (320, 192)), qmax="4"), 0.5))


def test_a_hole_in_a_film_costs_what_is_in_it(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", numbered(200, (320, 192)), g="25", qmax="8", muxing={"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    path.write_bytes(content)
    picks = pick(path)
    assert picks.seconds == pytest.approx(8)
    assert picks.times[-1] > 6000
    assert number(frame(path, 7960)) == 199


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"")
    assert reason(path) == "empty file"
    for content in (bytes(50_000), np.random.default_rng(0).bytes(200_000), b"A text\n" * 500, b"%PDF-1.7\n" * 50):
        path.write_bytes(content)
        assert reason(path) == "is no film that can be read"
    Image.fromarray(QUARTERS).save(tmp_path / "b.png")
    assert "no film" in reason(tmp_path / "b.png")
    with pytest.raises(ImageError, match="is a directory"):
        pick(tmp_path)
    with pytest.raises(ImageError) as error:
        pick(tmp_path / "none.mp4")
    assert error.value.passing


def test_a_film_without_pictures_is_refused(tmp_path: Path) -> None:
    with av.open(tmp_path / "a.mp4", "w") as container:
        stream: Any = container.add_stream("aac", rate=48000)
        for i in range(40):
            heard = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
            heard.sample_rate, heard.pts, heard.time_base = 48000, 1024 * i, Fraction(1, 48000)
            container.mux(stream.encode(heard))
        container.mux(stream.encode())
    assert reason(tmp_path / "a.mp4") == "has sound, but no pictures"


def test_an_encrypted_film_is_refused(tmp_path: Path) -> None:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00" * 16, "encryption_kid": "11" * 16}
    assert reason(film(tmp_path / "a.mp4", numbered(30), muxing=key)) == "is encrypted"


def test_a_film_of_which_no_frame_can_be_had_is_refused(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", numbered(30, (320, 192)), muxing={"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    content[start:] = bytes(len(content) - start)
    path.write_bytes(content)
    assert reason(path) == "is damaged: no frame can be decoded"


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a film that says so, and of one whose frames alone do."""
    path = film(tmp_path / "a.mov", numbered(3), "mjpeg", fmt="yuvj420p")
    said, claimed = (struct.pack(">BHH", 8, *size) for size in ((48, 64), (30_000, 30_000)))
    path.write_bytes(path.read_bytes().replace(said, claimed))  # in the header of each JPEG
    assert reason(path) == "is damaged: no frame can be decoded"
    monkeypatch.setattr("patchseek.sources._film_file.MAX_PIXELS", 3000)
    assert reason(film(tmp_path / "b.mp4", numbered(3))) == "64 x 48 pixels, more than the limit of 3000"


def playlists(real: Path) -> dict[str, str]:
    """Texts by which FFmpeg can be made to open another file."""
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{real}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{real.name}'\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "dash": f'<?xml version="1.0"?><MPD><Period><AdaptationSet><BaseURL>{real}</BaseURL></AdaptationSet></Period>',
        "asx": f"[Reference]\nRef1=file://{real}\n",
        "numbers": "%03d.png",
    }


@pytest.mark.parametrize("kind", list(playlists(Path("a"))))
def test_a_list_of_other_files_is_no_film(tmp_path: Path, kind: str) -> None:
    real = film(tmp_path / "real.mp4", numbered(30))
    for name in ("a.mp4", "a.m3u8", "a.ffconcat", "a.sdp"):
        path = tmp_path / name
        path.write_text(playlists(real)[kind])
        assert reason(path) == "is no film that can be read"


def test_ffmpeg_says_nothing_on_standard_error(tmp_path: Path) -> None:
    path = cut_off(film(tmp_path / "a.mp4", numbered(200, (320, 192)), muxing={"movflags": "faststart"}, qmax="4"), 0.6)
    code = (
        f"from pathlib import Path\nfrom patchseek.sources._films import *\nprint(len(pick(Path({str(path)!r})).times))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0
    assert int(done.stdout) > 0
    assert done.stderr == ""


def test_without_pyav_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"'video' with: pip install '?av"):
        pick(tmp_path / "a.mp4")


def test_suffixes_are_lower_case_and_none_is_that_of_a_picture() -> None:
    assert {".mp4", ".mov", ".mkv", ".webm", ".avi"} <= FILMS
    assert not FILMS & EXTENSIONS
    assert all(suffix == suffix.lower() for suffix in FILMS)
