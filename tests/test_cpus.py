"""One definition of a feature on every processor: what is said about this one, and collections of other definitions."""

import json
import sqlite3

import pytest
from click.testing import CliRunner

from patchseek import Collection
from patchseek.cli import cli
from patchseek.encoders import _cpu, open_encoder
from patchseek.encoders._predecessors import AGREEING, UNLIKE
from patchseek.errors import StoreMismatch

XEON = """processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8480C
flags\t\t: fpu sse avx2 avx512f avx512_vnni avx512_bf16 amx_tile
processor\t: 1
model name\t: another
"""
LAPTOP = "processor\t: 0\nmodel name\t: Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz\nflags\t\t: fpu sse4_2 avx avx2 fma\n"
GRAVITON = "processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: fp asimd fphp asimddp i8mm bf16\n"
M2 = """machdep.cpu.brand_string: Apple M2
hw.optional.AdvSIMD: 1
hw.optional.arm.FEAT_FP16: 1
hw.optional.arm.FEAT_BF16: 0
"""


@pytest.mark.parametrize(
    ("text", "machine", "words"),
    [
        (XEON, "x86_64", "Intel(R) Xeon(R) Platinum 8480C: AVX2, AVX-512, VNNI, BF16, AMX"),
        (LAPTOP, "x86_64", "Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz: AVX2; without AVX-512, VNNI, BF16, AMX"),
        (GRAVITON, "aarch64", "aarch64: NEON, FP16, BF16"),
        ("", "x86_64", "x86_64: nothing known"),
    ],
)
def test_what_a_processor_offers_is_read_from_linux(monkeypatch, text, machine, words):
    monkeypatch.setattr(_cpu.Path, "read_text", lambda *_, **__: text)
    monkeypatch.setattr(_cpu.platform, "system", lambda: "Linux")
    monkeypatch.setattr(_cpu.platform, "machine", lambda: machine)
    monkeypatch.setattr(_cpu.platform, "processor", lambda: "")
    for variable in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "OV_CPU_MAX_ISA"):
        monkeypatch.delenv(variable, raising=False)
    assert str(_cpu.read_processor()) == words
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert str(_cpu.read_processor()) == words + "; held back by ONEDNN_MAX_CPU_ISA=AVX2"


def test_and_from_macos(monkeypatch):
    class Done:
        stdout = M2

    monkeypatch.setattr(_cpu.subprocess, "run", lambda *_, **__: Done)
    monkeypatch.setattr(_cpu.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(_cpu.platform, "machine", lambda: "arm64")
    found = _cpu.read_processor()
    assert (found.name, found.offers, found.lacks) == ("Apple M2", ("NEON", "FP16"), ("BF16",))


def test_where_the_system_says_nothing_the_processor_is_still_named(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError("sysctl")

    monkeypatch.setattr(_cpu.subprocess, "run", missing)
    monkeypatch.setattr(_cpu.platform, "system", lambda: "Windows")
    monkeypatch.setattr(_cpu.platform, "processor", lambda: "Intel64 Family 6 Model 186")
    assert str(_cpu.read_processor()).startswith("Intel64 Family 6 Model 186: nothing known")


def test_the_list_of_encoders_says_how_those_that_ship_run_here():
    lines = CliRunner().invoke(cli, ["encoders"]).stdout.splitlines()
    processor, plain, fast = lines[-3:]
    assert processor == f"processor: {_cpu.read_processor()}; {open_encoder().streams} cores used"
    for line, name in ((plain, "embedded"), (fast, "embedded-fast")):
        assert line.startswith(f"{name} runs on {open_encoder(name).runs_on} (")
        assert float(line.rpartition(": ")[2].removesuffix(" crops/s")) > 1


def made_by(collection, **changed):
    """The collection as if another encoder had made it."""
    with sqlite3.connect(collection / "catalogue.sqlite") as db:
        (text,) = db.execute("SELECT value FROM setting WHERE key = 'settings'").fetchone()
        settings = json.loads(text)
        settings["encoder"] |= changed
        db.execute("UPDATE setting SET value = ? WHERE key = 'settings'", (json.dumps(settings),))


@pytest.fixture
def indexed(tmp_path, make_folder):
    """A collection of three pictures by an encoder that ships: indexed(name) -> its folder, beside `pictures`."""

    def index(name):
        make_folder("a.png", "b.png", "c.png")
        Collection.open(tmp_path / name, encoder=name, create=True).add(tmp_path / "pictures")
        return tmp_path / name

    return index


def test_collections_of_the_embedded_encoder_before_its_weights_were_rounded_go_on(indexed, tmp_path, make_folder):
    home = indexed("embedded")
    (old,) = AGREEING
    made_by(home, weights=old)
    collection = Collection.open(home)
    assert collection.search(tmp_path / "pictures" / "b.png")[0].image.path == "b.png"
    make_folder("d.png")
    assert collection.add(tmp_path / "pictures").added == 1
    assert collection.search(tmp_path / "pictures" / "d.png")[0].image.path == "d.png"
    assert AGREEING[old] == open_encoder().identity.weights, "nothing agrees with weights that no longer ship"


def test_collections_of_the_first_8_bit_encoder_open_with_a_line_and_take_nothing_new(indexed, tmp_path, caplog):
    home = indexed("embedded-fast")
    (old,) = UNLIKE
    made_by(home, weights=old)
    collection = Collection.open(home)
    assert "differ from one processor to another" in caplog.text
    assert collection.search(tmp_path / "pictures" / "b.png")[0].image.path == "b.png"
    assert collection.verify() == []
    with pytest.raises(StoreMismatch, match="not added to: make it anew with `patchseek index --fast`"):
        collection.add(tmp_path / "pictures")
    done = CliRunner().invoke(cli, ["info", "-c", str(home)])
    assert done.exit_code == 0
    assert "from one processor to another" in done.stdout


def test_any_other_difference_of_weights_is_still_refused(indexed):
    home = indexed("embedded")
    made_by(home, weights="0" * 64)
    with pytest.raises(StoreMismatch, match="encoder's weights"):
        _ = Collection.open(home).encoder
