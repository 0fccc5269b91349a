"""docs/sources.md as a reader tries it: each of its examples runs, over sources of the test's own."""

import re
import shlex
from pathlib import Path

import av
import fsspec
import numpy as np
import pyarrow
import pytest
import urllib3
from pypdfium2 import PdfDocument

from patchseek import Collection

from .commands import run
from .conftest import TinyEncoder, blot
from .test_archives import pack
from .test_films import RATE, film
from .test_iiif import Museum
from .test_iiif import png as png_of
from .test_parquet_rows import rows_of, save, table
from .web_server import serving

pytestmark = [pytest.mark.extra("urls"), pytest.mark.usefixtures("own_web")]
assert all((av, urllib3, PdfDocument, pyarrow)), "what extras bring"
PAGE = (Path(__file__).parents[1] / "docs" / "sources.md").read_text()
COMMANDS = re.findall(r"^    (patchseek .*)$", PAGE, re.MULTILINE) + re.findall(r"`(patchseek index [^`]+)`", PAGE)
LINES = re.findall(r"`(c\.add\([^`]+\))`", PAGE)


def png(seed):
    return png_of(blot(seed, 96, 72))


def shots(file, *seeds):
    file.parent.mkdir(exist_ok=True)
    film(file, [np.asarray(blot(seed, 160, 96)) for seed in seeds for _ in range(RATE)])


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with all that the page names."""
    home = tmp_path / "home"
    for name, seed in (("Pictures/0.png", 0), ("Pictures/1.png", 1), ("new/2.png", 2), ("rose.png", 12)):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(png(seed))
    for name in ("Pictures/box.zip", "old.zip", "scans.tar.gz"):
        pack(home / name, {"a.png": png(len(name))})
    for name in ("Pictures/other.pdf", "manual.pdf"):
        blot(len(name), 96, 72).save(home / name)
    shots(home / "Pictures" / "tape.mp4", 7, 8)
    shots(home / "Films" / "tape.mp4", 9, 10)
    (home / "list.csv").write_text("path\nPictures/0.png\n")
    save(home / "flowers" / "data" / "train-00000-of-00002.parquet", table(rows_of(png(11), png(12))))
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def there():
    """Addresses that the page names, and what stands for them: a museum, a store in memory, a list on the web."""
    store = fsspec.filesystem("memory")
    store.store.clear()  # it is one for the whole process
    store.pipe_file("/bucket/pictures/2024/a.png", png(20))
    with serving() as (site, base):
        museum = Museum(site, base)
        site.put("/b.png", png(21))
        site.put("/list.csv", f"url\n{base}b.png\n".encode())
        manifest = museum.manifest3("manifest.json", museum.canvas3(0), museum.canvas3(1))
        yield {
            "https://museum/manifest.json": manifest,
            "https://host/list.csv": f"{base}list.csv",
            "s3://bucket/pictures": "memory://bucket/pictures",
        }
    store.store.clear()
    store.pseudo_dirs[:] = [""]


def test_every_example_of_the_page_runs(home, there):
    added = []
    for command in COMMANDS:
        words = [there.get(word, word.replace("~", str(home))) for word in shlex.split(command, comments=True)]
        said = run(home, *words[1:])
        if words[1] == "index":
            added += map(int, re.findall(r"^(\d+) added", said.stderr, re.MULTILINE))
        else:
            assert said.stdout.startswith("rank\timage\t")
    assert added == [4, 2, 3, 1, 1, 2, 1, 2, 0, 2, 1, 0], "a new example needs its source in `home` or `there`"


def test_every_line_of_python_on_the_page_runs(home):
    added = []
    for i, line in enumerate(LINES):
        collection = Collection.open(home / str(i), encoder=TinyEncoder(), points=False, create=True)
        added.append(eval(line, {"c": collection}).added)
    assert added == [4, 2], "a new example needs its source in `home`"
