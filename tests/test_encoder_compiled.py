"""Compiled networks that are kept: the same numbers, sooner; whatever happened to the file, a network opens."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from patchseek.encoders import _compiled, open_encoder
from patchseek.encoders._probes import make_probes


class Built(Exception):
    """A network was compiled."""


def refuse(*_, **__):
    raise Built


def kept(place: Path) -> list[Path]:
    return sorted((place / "patchseek" / "networks").iterdir())


def answers():
    """What a newly opened encoder says: features, and a map."""
    encoder = open_encoder("embedded")
    return encoder.encode(make_probes(224)), encoder.encode_map(make_probes(encoder.window)[:1])


def test_the_second_start_compiles_nothing_and_gives_the_same_numbers(own_cache, monkeypatch):
    first = answers()
    assert len(kept(own_cache)) == 2  # of patches, of windows
    monkeypatch.setattr("patchseek.encoders._openvino._with_outputs", refuse)
    for mine, its in zip(answers(), first, strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "folder"])
def test_a_damaged_file_is_made_anew(own_cache, harm):
    first = answers()
    for file in kept(own_cache):
        content = file.read_bytes()
        file.unlink()
        if harm == "folder":
            file.mkdir()
            continue
        harmed = {"cut": content[: len(content) // 2], "flip": content[:999] + b"\xff" + content[1000:], "empty": b""}
        file.write_bytes(harmed[harm])
        assert harmed[harm] != content
    np.testing.assert_array_equal(answers()[0], first[0])
    if harm != "folder":
        assert all(file.stat().st_size > 1 << 20 for file in kept(own_cache))


def test_what_openvino_refuses_is_made_anew(own_cache):
    """As of another release, which says of itself that it is the same."""
    first = answers()
    for file in kept(own_cache):
        _compiled._keep(file, b"no network")
    np.testing.assert_array_equal(answers()[0], first[0])


def test_without_a_place_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert answers()[0].shape == (4, 1280)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert answers()[0].shape == (4, 1280)
    assert not Path("relative").exists()


def test_those_used_last_are_kept_and_no_more_of_them(tmp_path):
    for i in range(_compiled.MOST + 3):
        _compiled._keep(tmp_path / f"{i}.blob", bytes([i]))
        os.utime(tmp_path / f"{i}.blob", (i, i))
        assert _compiled._read(tmp_path / "0.blob") == b"\0"  # which makes it the latest
    names = {file.name for file in tmp_path.iterdir()}
    assert len(names) == _compiled.MOST and {"0.blob", "10.blob"} <= names and "1.blob" not in names


def test_several_processes_may_be_the_first_at_once(tmp_path):
    code = "from patchseek.encoders import open_encoder; print(open_encoder('embedded').runs_on)"
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    said = {process.communicate()[0] for process in started}
    assert len(said) == 1 and said.pop().startswith("OpenVINO")
    (file,) = kept(tmp_path)
    assert _compiled._read(file)
