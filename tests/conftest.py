"""Fixtures: a tiny encoder, small photographs made on the spot, and the annotated sets where they are at hand."""

import gc
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest
from PIL import Image

from patchseek import confidence
from patchseek.encoders import CellEncoder, DenseEncoder, EncoderIdentity, Features, TextEncoder, check_patches
from patchseek.patches import Feed, Patches

from .remembering import ITSELF, remembering

if TYPE_CHECKING:
    from patchseek import Collection
    from patchseek.indexes._faiss_child import BuildJob

os.environ["PATCHSEEK_QUIET"] = "1"  # else what is said on stderr would depend on how fast the machine is at the moment
os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported: no test asks the network
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")  # how fast the machine is at the moment is nothing to fail for

LIMIT = 600
"""Seconds that a wait may take which only a fault makes long, where it must end for the fault to be seen."""

SLOW = (
    "test_sets",
    "test_distributed",
    "test_main",
    "test_cli",
    "test_web",
    "test_web_why",
    "test_web_drawing",
    "test_web_adding",
    "test_web_proposals",
    "test_web_answers",
    "test_web_review",
    "test_workflows",
    "test_documented",
    "test_encoder_embedded",
    "test_encoder_export",
    "test_copies",
    "test_operations",
    "test_windows",
)
"""The files that take longest. They are begun first, so that no worker waits for another at the end.

In this order: a cluster and a browser take a gigabyte each, and should not run at once."""

JUDGED = ("test_answers", "test_copies", "test_originals", "test_sets")
"""How the files of tests begin that are about how sure a match is."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--core", action="store_true", help="leave out tests that are marked extra: the core is enough")


def needs_more(file: Path) -> bool:
    """Whether a whole file of tests says that it needs more than the core."""
    return bool(re.search(r"^pytestmark = .*\bextra\(", file.read_text(), re.MULTILINE))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With --core, such a file is not even imported."""
    is_out = config.getoption("--core") and collection_path.suffix == ".py" and needs_more(collection_path)
    return True if is_out else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """With --core, say which tests are none of it: several processes do not tell how many they left out."""
    if config.getoption("--core"):
        named = [file for file in sorted(Path(__file__).parent.glob("test_*.py")) if "mark.extra(" in file.read_text()]
        wholly, partly = ([file.stem for file in named if needs_more(file) == all_of_it] for all_of_it in (True, False))
        terminalreporter.section("left out by --core: what needs more than the core")
        terminalreporter.write_line(f"all of {' '.join(wholly)}")
        terminalreporter.write_line(f"some of {' '.join(partly)}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not asked for; sort and mark the slow ones."""
    if config.getoption("--core"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("extra")])
        items[:] = [item for item in items if not item.get_closest_marker("extra")]
    for item in items if sys.platform == "win32" else ():
        if item.get_closest_marker("posix"):
            item.add_marker(pytest.mark.skip(reason="about what Windows has not"))
    items.sort(key=lambda item: SLOW.index(item.path.stem) if item.path.stem in SLOW else len(SLOW))
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)
        if item.path.stem.startswith("test_web"):  # what a browser never answers should not hold up all others
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="module", autouse=True)
def memory() -> Iterator[None]:
    """Encoders refer to themselves, so that they would stay, gigabytes of them, until Python looks for such circles."""
    yield
    gc.collect()


@pytest.fixture(scope="module", autouse=True)
def cores(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests of what works on several cores at once have all, whatever PATCHSEEK_CORES says."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.stem.startswith(("test_encoder", "test_indexes", "test_many", "test_rerank")):
            patch.delenv("PATCHSEEK_CORES", raising=False)
        yield


@pytest.fixture(scope="module", autouse=True)
def remembered(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the networks say of pixels is computed once, where they are not what is tested."""
    with nullcontext() if request.path.stem.startswith(ITSELF) else remembering():
        yield


@pytest.fixture(scope="module", autouse=True)
def few_strangers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where confidence is not what is tested, a third of the regions measure it: that takes longer than indexing."""
    with pytest.MonkeyPatch.context() as patch:
        if not request.path.stem.startswith(JUDGED):
            few = partial(confidence.find_strangers, n=confidence.MIN_REGIONS + 3)
            patch.setattr(confidence, "find_strangers", few)
        yield


@pytest.fixture
def own_cache(tmp_path: Path) -> Iterator[Path]:
    """A cache folder of the test's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield tmp_path / "cache"


@pytest.fixture
def own_web(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001
    """A cache of the web, and hosts, of the test's own; this machine may be asked."""
    from patchseek.sources import _web

    monkeypatch.setenv("PATCHSEEK_PRIVATE_HOSTS", "127.0.0.1, ::1")
    _web._web_of.cache_clear()
    yield
    _web._web_of.cache_clear()


class TinyEncoder:
    """Sees the mean colours of a 2 x 2 grid: real enough to find things, small enough to follow by hand."""

    batch = 7
    streams = 2
    runs_on = "numpy"
    feed = Feed(8)
    cells: CellEncoder | None = None
    words: TextEncoder | None = None
    regions: DenseEncoder | None = None

    def __init__(self, name: str = "tiny") -> None:
        self.identity = EncoderIdentity(name, 8, 13, hashlib.sha256(name.encode()).hexdigest(), "squash to 8 px")

    def encode(self, patches: Patches) -> Features:
        check_patches(patches, 8)
        means = patches.reshape(-1, 2, 4, 2, 4, 3).mean(axis=(2, 4), dtype=np.float64).reshape(len(patches), 12)
        vectors = np.concatenate([means - 127.5, np.full((len(patches), 1), 20.0)], axis=1)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def tiny() -> TinyEncoder:
    return TinyEncoder()


def wait_for(condition: Callable[[], object]) -> None:
    """Look again and again until it is true. How long that takes, the machine says; pytest ends what never ends."""
    while not condition():
        time.sleep(0.01)


def blot(seed: int, width: int = 64, height: int = 48) -> Image.Image:
    """A picture of random coloured tiles, 8 x 8 pixels each: every patch of it looks different."""
    tiles = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(tiles.repeat(8, axis=0).repeat(8, axis=1))


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """make_folder("a.png", "sub/b.png") -> a folder with these pictures, each with its own content."""

    def make(*names: str, folder: str = "pictures") -> Path:
        root = tmp_path / folder
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            blot(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)).save(path)
        return root

    return make


@pytest.fixture
def viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in which the program that the system opens things with writes what it was given; there is a screen."""
    programs, given = tmp_path / "programs", tmp_path / "opened"
    programs.mkdir()
    for name in ("xdg-open", "open", "explorer"):
        (programs / name).write_text(f'#!/bin/sh\nprintf %s "$1" > "{given}.part"\nmv "{given}.part" "{given}"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":0")
    return given


@pytest.fixture(scope="session")
def data_sets() -> Path:
    """The folder of annotated sets named by PATCHSEEK_DATA; without the variable the test is skipped and says so."""
    folder = os.environ.get("PATCHSEEK_DATA")
    if not folder:
        pytest.skip("PATCHSEEK_DATA is not set: it names the folder that holds dev-set and composite-set")
    path = Path(folder).resolve()
    assert (path / "dev-set" / "query.json").is_file(), f"PATCHSEEK_DATA={folder} holds no dev-set"
    return path


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> "list[BuildJob]":
    """What FAISS is told to build or try from now on, in order."""
    from patchseek.indexes import _faiss

    jobs: list[BuildJob] = []
    build = _faiss.build

    def note(job: "BuildJob", *features: Any) -> None:
        jobs.append(job)
        build(job, *features)

    monkeypatch.setattr(_faiss, "build", note)
    return jobs


@pytest.fixture
def server_collection(tmp_path: Path, tiny: TinyEncoder, make_folder: Callable[..., Path]) -> "Collection":
    """Twelve small pictures, 1.png to 12.png, and one file that is none, in a collection of the tiny encoder."""
    from patchseek import Collection

    folder = make_folder(*(f"{i}.png" for i in range(1, 13)))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a JPEG")
    collection = Collection.open(
        tmp_path / "collection", encoder=tiny, points=False, create=True
    )  # they cost half a second a test
    collection.add(folder)
    return collection
