"""The server's parts, each alone: queue, batching, decoder, caches, jobs, names of uploads."""

import asyncio
import itertools
import os
import signal
import threading
import time
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from patchseek.errors import EncoderError, ImageError, PatchseekError
from patchseek.images import Picture, read
from patchseek.server import _batching
from patchseek.server._batching import BatchingEncoder
from patchseek.server._decode import Decoder
from patchseek.server._jobs import Jobs
from patchseek.server._lru import BoundedCache
from patchseek.server._queue import Busy, WorkQueue
from patchseek.server._thumbnails import to_jpeg
from patchseek.server._uploads import safe_name

from .conftest import LIMIT, TinyEncoder, blot, wait_for


def png(seed: int = 0, size: tuple[int, int] = (64, 48)) -> bytes:
    stream = BytesIO()
    blot(seed, *size).save(stream, "PNG")
    return stream.getvalue()


# ---- queue


async def until(condition):
    """As wait_for, of an event loop."""
    while not condition():
        await asyncio.sleep(0.01)


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back():
    async def scenario():
        queue, gate = WorkQueue("test", 1, 1), threading.Event()
        running = asyncio.create_task(queue.run(gate.wait))
        waiting = asyncio.create_task(queue.run(lambda: "second"))
        await until(lambda: queue.n_calls == 2)
        with pytest.raises(Busy) as refused:
            await queue.run(lambda: "third")
        gate.set()
        assert await waiting == "second"
        assert await running is True
        assert await queue.run(lambda: "now there is room") == "now there is room"
        queue.close()
        return refused.value.retry_after

    assert asyncio.run(scenario()) >= 1


def test_who_would_have_to_wait_too_long_is_refused_however_few_wait(monkeypatch):
    async def scenario():
        queue, gate = WorkQueue("test", 1, 64, patience=1.5), threading.Event()
        monkeypatch.setattr(queue, "_seconds", 1.0)  # as if calls had taken so long
        assert queue.wait == 0
        calls = [asyncio.create_task(queue.run(gate.wait))]
        await until(lambda: queue.n_calls == 1)
        assert queue.wait == 1
        calls.append(asyncio.create_task(queue.run(gate.wait)))
        await until(lambda: queue.n_calls == 2)
        assert queue.wait == 2
        with pytest.raises(Busy) as refused:
            await queue.run(gate.wait)
        gate.set()
        await asyncio.gather(*calls)
        assert queue.wait == 0
        queue.close()
        return refused.value.retry_after

    assert asyncio.run(scenario()) == 1


def test_how_long_calls_take_is_learnt_and_a_free_thread_takes_each_of_them():
    async def scenario():
        queue = WorkQueue("test", 1, 64, patience=0.001)
        for _ in range(3):  # each would be too long to wait for
            await queue.run(time.sleep, 0.3)
        gate = threading.Event()
        running = asyncio.create_task(queue.run(gate.wait))
        await until(lambda: queue.n_calls == 1)
        wait = queue.wait
        with pytest.raises(Busy):
            await queue.run(gate.wait)
        gate.set()
        await running
        queue.close()
        return wait

    assert asyncio.run(scenario()) > 0.1 + 0.05


def test_a_caller_who_goes_away_frees_a_place_only_when_the_work_is_done():
    async def scenario():
        queue, gate = WorkQueue("test", 1, 0), threading.Event()
        running = asyncio.create_task(queue.run(gate.wait))
        await until(lambda: queue.n_calls == 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(Busy):
            await queue.run(lambda: None)
        gate.set()
        await until(lambda: queue.n_calls == 0)
        queue.close()

    asyncio.run(scenario())


# ---- batching


class SlowEncoder(TinyEncoder):
    """Counts its calls, and at the first one waits until the others have gathered."""

    streams = 1

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.have_gathered = lambda: True

    def encode(self, patches):
        self.sizes.append(len(patches))
        wait_for(self.have_gathered)
        self.have_gathered = lambda: True
        return super().encode(patches)


def in_threads(functions):
    """The results of functions called at once, errors included."""
    results = [None] * len(functions)

    def run(i):
        try:
            results[i] = functions[i]()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_concurrent_calls_are_joined_and_give_what_single_ones_give():
    encoder, batches = SlowEncoder(), []
    joined = BatchingEncoder(encoder, batches.append)
    encoder.have_gathered = lambda: sum(batches) + len(joined._waiting) >= 24
    queries = [np.random.default_rng(i).integers(0, 256, (1 + i % 2, 8, 8, 3), np.uint8) for i in range(24)]
    features = in_threads([lambda q=q: joined.encode(q) for q in queries])
    for query, found in zip(queries, features, strict=True):
        np.testing.assert_array_equal(found, TinyEncoder().encode(query))
    assert len(encoder.sizes) < 24
    assert sum(batches) == 24
    assert max(encoder.sizes) <= encoder.batch + 1


def test_one_wrong_call_in_a_batch_fails_alone():
    encoder, batches = SlowEncoder(), []
    joined = BatchingEncoder(encoder, batches.append)
    encoder.have_gathered = lambda: sum(batches) + len(joined._waiting) >= 12
    right, wrong = np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 9, 9, 3), np.uint8)
    answers = in_threads([lambda i=i: joined.encode(wrong if i == 5 else right) for i in range(12)])
    assert isinstance(answers[5], EncoderError)
    assert all(isinstance(answer, np.ndarray) for i, answer in enumerate(answers) if i != 5)


def test_full_batches_go_straight_through_and_an_idle_encoder_does_not_wait(monkeypatch):
    encoder, waits = SlowEncoder(), []
    monkeypatch.setattr(_batching, "time", SimpleNamespace(sleep=waits.append))
    joined = BatchingEncoder(encoder)
    joined.encode(np.zeros((30, 8, 8, 3), np.uint8))
    joined.encode(np.zeros((1, 8, 8, 3), np.uint8))
    assert encoder.sizes == [30, 1]
    assert waits == []
    assert (joined.identity, joined.feed, joined.batch) == (encoder.identity, encoder.feed, encoder.batch)
    assert (joined.streams, joined.runs_on) == (encoder.streams, encoder.runs_on)


def test_a_dense_encoder_stays_dense():
    class Dense(TinyEncoder):
        regions = property(lambda self: self)

        def encode_regions(self, pictures, boxes):
            return np.zeros((len(pictures), len(boxes), 13), np.float32)

    joined = BatchingEncoder(Dense())
    assert joined.regions.encode_regions(np.zeros((2, 8, 8, 3), np.uint8), [[0, 0, 1, 1]]).shape == (2, 1, 13)
    plain = BatchingEncoder(TinyEncoder())
    assert (plain.regions, plain.cells, plain.words) == (None, None, None)


# ---- decoder


@pytest.fixture
def decoder():
    decoder = Decoder(1, 1_000_000, LIMIT)
    yield decoder
    decoder.close()


def test_a_decoded_picture_is_what_read_gives(decoder):
    found, expected = decoder.decode(png(), "a.png"), read(png())
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert (found.width, found.height) == (64, 48)


def test_what_is_no_picture_is_refused_by_name_and_the_decoder_goes_on(decoder):
    with pytest.raises(ImageError, match=r"notes\.txt: not a picture"):
        decoder.decode(b"just some text", "notes.txt")
    with pytest.raises(ImageError, match="more than the limit of 1000000"):
        decoder.decode(png(size=(2000, 1000)), "large.png")
    assert decoder.decode(png(), "a.png").width == 64


def test_a_decoder_that_takes_too_long_is_killed_and_replaced():
    decoder = Decoder(1, 1_000_000, LIMIT)
    decoder.decode(png(), "a.png")
    worker = next(iter(decoder._all))
    os.kill(worker.pid, signal.SIGSTOP)  # it will never answer
    decoder.seconds = 0.3
    with pytest.raises(ImageError, match="took longer than"):
        decoder.decode(png(), "slow.png")
    assert worker.poll() == -signal.SIGKILL
    decoder.seconds = LIMIT
    assert decoder.decode(png(), "a.png").width == 64
    decoder.close()


def test_a_decoder_that_dies_is_replaced(decoder):
    decoder.decode(png(), "a.png")
    worker = next(iter(decoder._all))
    worker.kill()
    worker.wait()
    assert decoder.decode(png(), "b.png").width == 64


def test_a_picture_that_needs_too_much_memory_is_refused_and_the_decoder_goes_on():
    decoder = Decoder(1, 400_000_000, LIMIT, memory_bytes=400 << 20)
    stream = BytesIO()
    Image.new("L", (20_000, 20_000)).save(stream, "PNG")  # 400 megapixels in a few hundred kilobytes
    with pytest.raises(ImageError, match=r"too little memory|broke down"):
        decoder.decode(stream.getvalue(), "bomb.png")
    assert decoder.decode(png(), "a.png").width == 64
    decoder.close()


# ---- caches, thumbnails, names


def test_the_cache_forgets_what_was_not_used_for_the_longest_time():
    cache = BoundedCache(100)
    cache.put("a", 1, 40)
    cache.put("b", 2, 40)
    assert cache.get("a") == 1
    cache.put("c", 3, 40)
    assert (cache.get("a"), cache.get("b"), cache.get("c"), cache.n_bytes) == (1, None, 3, 80)
    cache.put("huge", 4, 1000)
    assert (cache.get("huge"), cache.get("a"), cache.n_bytes) == (4, None, 1000)


def test_a_jpeg_for_the_browser_carries_no_metadata():
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    stream = BytesIO()
    blot(1, 400, 320).save(stream, "JPEG", exif=exif)
    made = to_jpeg(read(stream.getvalue()), 320)
    image = Image.open(BytesIO(made))
    assert image.size == (320, 256)
    assert b"taken at home" not in made
    assert not image.getexif()


def test_a_tall_picture_keeps_its_shape():
    tall = Picture(np.zeros((1000, 10, 3), np.uint8), 10, 1000)
    assert Image.open(BytesIO(to_jpeg(tall, 320))).size == (3, 320)


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..\\..\\windows", "/etc/cron.d/x.jpg", ".hidden.png", "a\nb\x00.jpg", "", "...", "é" * 300],
)
def test_no_name_of_an_upload_climbs_hides_or_grows(name):
    safe = safe_name(name, b"content")
    assert "/" not in safe
    assert "\\" not in safe
    assert not safe.startswith(".")
    assert safe.isprintable()
    assert len(safe.encode()) < 140
    assert safe.rpartition(".")[2] in ("jpg", "png")


@pytest.mark.posix  # such names; those of Windows: test_spellings.py
def test_an_upload_keeps_its_name_and_different_contents_differ():
    assert safe_name("My cat.JPG", b"1").startswith("My cat-")
    assert safe_name("My cat.JPG", b"1").endswith(".jpg")
    assert safe_name("a.jpg", b"1") != safe_name("a.jpg", b"2")
    assert safe_name("<img src=x onerror=alert(1)>.jpg", b"1").startswith("<img src=x onerror=alert(1)>-")


# ---- jobs


def ended(job):
    """Its record when it is over."""
    wait_for(lambda: job.is_over)
    return job.record()


def test_jobs_run_one_after_the_other_and_say_how_they_ended():
    jobs = Jobs()
    order = []

    def fail(_):
        raise PatchseekError("no such folder")

    def crash(_):
        raise ZeroDivisionError("oops")

    started = [jobs.start("folder", "a", lambda p: (p(1, 2, "counting"), order.append("a"), None)[2])]
    started += [jobs.start("folder", "b", fail), jobs.start("folder", "c", crash)]
    first, second, third = map(ended, started)
    assert (first["state"], first["doing"], first["done"], first["total"]) == ("done", "counting", 1, 2)
    assert (second["state"], second["error"]) == ("failed", "no such folder")
    assert (third["state"], third["error"]) == ("failed", "unexpected: ZeroDivisionError: oops")
    assert [job.title for job in jobs.all()] == ["c", "b", "a"]
    jobs.close()


def test_a_job_can_be_cancelled_while_it_waits_and_while_it_runs():
    jobs, begun = Jobs(), threading.Event()

    def work(on_progress):
        begun.set()
        for i in itertools.count():
            on_progress(i, 1000, "counting")
            time.sleep(0.01)

    running, waiting = jobs.start("folder", "a", work), jobs.start("folder", "b", work)
    assert begun.wait(LIMIT)
    for job in (waiting, running):
        job.cancelled.set()
    assert ended(running)["state"] == "cancelled"
    assert ended(waiting)["state"] == "cancelled"
    jobs.close()


def test_too_many_jobs_are_refused():
    jobs, gate = Jobs(), threading.Event()
    for i in range(20):
        jobs.start("folder", str(i), lambda _: gate.wait() and None)
    with pytest.raises(Busy):
        jobs.start("folder", "one more", lambda _: None)
    gate.set()
    jobs.close()
