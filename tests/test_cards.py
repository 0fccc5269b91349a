"""Several devices, each with a process of its own, are one encoder; a process that ends costs a batch."""

import logging
import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
from skimage import data

from patchseek.encoders import Opening, _cards, open_encoder
from patchseek.encoders._cards import LANES, RESTARTS, Card, Cards
from patchseek.errors import DeviceFailed, EncoderError
from patchseek.patches import crop, cut
from patchseek.regions import Pyramid

from .contract_encoder import check_encoder, cosines
from .test_encoder_timm import PLAIN, patches_for, random_model
from .test_patches import picture_of

pytestmark = pytest.mark.extra("timm")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    safetensors.torch.save_file(random_model(PLAIN).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def single(weights):
    return open_encoder(f"timm:{PLAIN}", weights=weights, engine="torch", batch=4)


@pytest.fixture(scope="module")
def cards(weights):
    opened = open_encoder(f"timm:{PLAIN}", weights=weights, engine="torch", batch=4, device="cpu, cpu")
    yield opened
    opened.close()


def test_two_devices_keep_the_promises_of_every_encoder(cards, single):
    assert cards.runs_on == "cpu + cpu, each torch cpu f32"
    assert (cards.identity, cards.feed, cards.streams) == (single.identity, single.feed, 2 * LANES)
    patches = patches_for(cards.feed)
    check_encoder(cards, patches)
    assert cosines(cards.encode(patches), single.encode(patches)).min() > 0.99999


def test_they_can_do_what_the_encoder_can_and_nothing_else(cards, single):
    assert (cards.regions, cards.words) == (None, None)
    assert (cards.cells.window, cards.cells.power) == (single.window, single.power)
    patches = patches_for(cards.feed)[:2]
    assert cards.cells.encode_cells(patches)[1].fine == pytest.approx(single.encode_cells(patches)[1].fine, abs=1e-4)
    assert cards.cells.encode_map(patches) == pytest.approx(single.encode_map(patches), abs=1e-4)


def test_uncut_patches_are_cut_in_the_process_of_a_device(cards, single):
    picture = picture_of(data.coffee())
    uncut = cut(picture, Pyramid((0, 1)), replace(cards.feed, late=True))
    plain = cut(picture, Pyramid((0, 1)), single.feed)
    assert cosines(cards.encode(uncut), single.encode(plain)).min() > 0.9999


def test_a_process_that_ends_is_begun_anew_and_every_batch_is_answered(cards, single, caplog):
    patches = np.concatenate([patches_for(cards.feed)] * 4)
    expected = single.encode(patches)
    first = cards._cards[0]

    def encode(i):
        if i == 5:
            os.kill(first._process.pid, signal.SIGKILL)
        return cards.encode(patches[4 * i : 4 * i + 4])

    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(2 * LANES) as pool:
        features = np.concatenate(list(pool.map(encode, range(9))))
        features_after = np.concatenate([cards.encode(patches[:4]) for _ in range(2 * LANES)])
    assert cosines(features, expected).min() > 0.99999
    assert cosines(features_after, np.tile(expected[:4], (2 * LANES, 1))).min() > 0.99999
    assert first.n_begun == 2
    assert [r.getMessage() for r in caplog.records] == ["cpu: the process of the encoder ended; it is begun anew"]


def test_wrong_patches_are_the_callers_error_and_leave_the_devices_as_they_were(cards):
    for _ in range(2 * LANES + 1):
        with pytest.raises(EncoderError, match="patches must be"):
            cards.encode(crop(picture_of(data.coffee()), [(0, 0, 1, 1)], replace(cards.feed, size=32)))
    assert cards.encode(patches_for(cards.feed)[:1]).shape == (1, 64)


def test_what_cannot_be_opened_is_one_error(tmp_path):
    with pytest.raises(EncoderError, match=r"cpu: .*nothing\.safetensors"):
        open_encoder(f"timm:{PLAIN}", weights=tmp_path / "nothing.safetensors", engine="torch", device="cpu,cpu")


class Failing:
    """An encoder whose device is gone."""

    def encode(self, _):
        raise DeviceFailed("cuda:0 fails")


def test_a_process_whose_device_fails_ends_without_an_answer(monkeypatch):
    ended = []

    def end(code):
        ended.append(code)
        raise SystemExit

    monkeypatch.setattr(_cards.os, "_exit", end)
    ours, theirs = multiprocessing.Pipe()
    ours.send(("encode", (None,)))
    with pytest.raises(SystemExit):
        _cards._answer(theirs, Failing())
    assert ended == [1]
    assert not ours.poll()


class Ending(Card):
    """A device whose process ends at every call."""

    def begin(self):
        self.n_begun += 1
        return {}

    def ask(self, *_):
        raise EOFError

    def end(self):
        pass


class Working(Ending):
    def ask(self, _, asked):
        return f"{asked[0]} on {self.device}"


SAID = {"identity": None, "feed": None, "batch": 4, "runs_on": "numpy", "cells": None, "words": False, "regions": False}


def test_a_device_that_keeps_failing_is_left_to_the_others(caplog):
    bad, good = Ending("cuda:0", "tiny", Opening()), Working("cuda:1", "tiny", Opening())
    for card in (bad, good):
        card.begin()
    cards = Cards([bad, good], SAID)
    with caplog.at_level(logging.WARNING):
        assert {cards.encode(None) for _ in range(20)} == {"encode on cuda:1"}
    assert bad.n_begun == RESTARTS + 1
    assert caplog.messages[-1] == "cuda:0: its process has ended 4 times; going on without it"
    assert len(caplog.messages) == RESTARTS + 1


def test_where_no_device_is_left_it_says_so_to_everybody():
    card = Ending("cuda:0", "tiny", Opening())
    card.begin()
    cards = Cards([card], SAID)
    for _ in range(3):
        with pytest.raises(EncoderError, match="no device is left to encode on"):
            cards.encode(None)
