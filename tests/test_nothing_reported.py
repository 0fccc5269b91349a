"""Nothing is reported to anybody: no library of ours looks a name up or leaves an identifier behind.

Each is opened as patchseek opens it, by a process with a home of its own of which the kernel tells all (`watched`).
"""

import os
import sys
import tomllib
from pathlib import Path

import pytest

from .watched import Watched, watched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells what a process does")

QUANTIZE = """
import numpy as np, torch
from patchseek.encoders import Opening
from patchseek.encoders._torch_engines import open_network

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 8, 4, 4)

    def forward(self, patches):
        return torch.nn.functional.normalize(self.layer(patches.permute(0, 3, 1, 2) / 255.0).flatten(1))

patches = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
open_network(Network(), 16, Opening(precision="int8"), patches)
"""
PLOT = """
from patchseek.draw.plots import metrics_by_level
metrics_by_level({"L0": {"mAP": 0.5}, "L1": {"mAP": 0.6}}, "plot.png")
"""
WATCH = """
from pathlib import Path
from patchseek.watch import Changes
with Changes(Path.cwd(), Path.cwd() / "collection", print) as changes:
    changes.listen()
    Path("1.png").touch()
    assert changes.wait(600) == {Path.cwd() / "1.png"}
"""
DRAW = """
from pathlib import Path
from PIL import Image
from patchseek.sources._documents import page
Image.new("RGB", (64, 64)).save("a.pdf")
page(Path("a.pdf"), 1)
"""
PICK = """
import av, numpy
from pathlib import Path
from patchseek.sources._films import pick
with av.open("a.mp4", "w") as film:
    stream = film.add_stream("mpeg4", rate=25, width=64, height=64)
    film.mux(stream.encode(av.VideoFrame.from_ndarray(numpy.zeros((64, 64, 3), numpy.uint8), "rgb24")))
    film.mux(stream.encode())
pick(Path("a.mp4"))
"""
OPENED = {
    "onnx": "from patchseek.encoders import open_encoder; open_encoder('embedded', engine='onnxruntime')",
    "timm": "import patchseek.encoders._timm",
    "int8": QUANTIZE,
    "openclip": "import patchseek.encoders._openclip",
    "parquet": "from pathlib import Path; from patchseek._parquet import *; write_columns(Path('a'), {'a': [1]})",
    "plots": PLOT,
    "demo": "import skimage.data",
    "ray": "import ray",
    "mcp": "from patchseek.mcp import require_sdk; require_sdk()",
    "watch": WATCH,
    "pdf": DRAW,
    "video": PICK,
    "stores": "import aiohttp, fsspec.implementations.http; from patchseek.sources.stores import expand; expand('memory://*')",
    "urls": "from patchseek.sources import open_web; open_web()",
    "milvus": "from patchseek.indexes._milvus_server import connect; connect('a.db').list_collections()",
    "postgres": "from patchseek.indexes._postgres_server import Server; Server('postgresql://a@127.0.0.1/b')",
}
"""Each extra, as it is opened."""
FONTS = (".cache/matplotlib", ".config/matplotlib")
KEPT = {"plots": FONTS, "int8": FONTS}
"""What an extra may keep in the home folder: matplotlib's list of fonts. Older releases of NNCF import that."""
SERVE = """
import pi_heif.as_plugin, uvicorn
from patchseek import Collection, server
server.create_app(Collection.open("collection"))
"""
CORE = [
    ("-m", "patchseek", "index", "pictures", "--collection", "collection"),
    ("-m", "patchseek", "search", "pictures/1.png", "--collection", "collection"),
    ("-c", SERVE),
]


def watch(folder: Path, *arguments: str) -> Watched:
    """Python with these arguments, at home in a folder of its own.

    Nothing tells it of tests or of CI, where some libraries keep silent that would report elsewhere.
    """
    for name in ("home", "temporary"):
        (folder / name).mkdir(exist_ok=True)
    told = ("PATH", "PYTHONPATH", "PATCHSEEK_CORES", "OMP_NUM_THREADS")
    env = {name: os.environ[name] for name in told if name in os.environ}
    env |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary"), "PYTHONDONTWRITEBYTECODE": "1"}
    return watched([sys.executable, *arguments], env, folder)


def strays(found: Watched, folder: Path, *kept: str) -> set[str]:
    """What was written beside the folder that it ran in, or in its home beside what may be kept there."""
    home = folder / "home"
    named = [home / each for each in kept]
    paths = {Path(path) for path in found.written} | set(home.rglob("*"))
    outside = {path for path in paths if path.is_relative_to(home) or not path.is_relative_to(folder)}
    return {
        str(path)
        for path in outside - {Path("/dev/null"), Path("/proc/self/oom_score_adj")}  # neither is a file
        if not any(path.is_relative_to(each) or each.is_relative_to(path) for each in named)
    }


def test_a_look_up_and_a_file_of_any_process_are_seen(tmp_path):
    """Else the tests below would pass whatever happens."""
    child = "import socket, time; time.sleep(0.2); socket.getaddrinfo('patchseek.invalid', 80)"
    code = f"import subprocess, sys, pathlib; subprocess.Popen([sys.executable, '-c', {child!r}])"
    found = watch(tmp_path, "-c", f"{code}; (pathlib.Path.home() / 'deep').mkdir(); print('done')")
    assert any(place.endswith(" port 53") for place in found.reached)
    assert strays(found, tmp_path) == {str(tmp_path / "home" / "deep")}
    assert found.code == 0
    assert "done" in found.said


def test_indexing_searching_and_the_server_report_nothing(tmp_path, make_folder):
    make_folder("1.png", "2.png")
    for arguments in CORE:
        found = watch(tmp_path, *arguments)
        assert found.code == 0, found.said
        assert found.reached == []
        assert strays(found, tmp_path, ".local/state/patchseek", ".cache/patchseek") == set()


@pytest.mark.parametrize("extra", [pytest.param(name, marks=pytest.mark.extra(name)) for name in OPENED])
def test_no_extra_reports_anything(tmp_path, extra):
    found = watch(tmp_path, "-c", OPENED[extra])
    assert found.code == 0, found.said
    assert found.reached == []
    assert strays(found, tmp_path, *KEPT.get(extra, ())) == set()


def test_every_extra_with_a_library_is_among_them():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].items()
    assert {name for name, needs in extras if any(not need.startswith("patchseek[") for need in needs)} == set(OPENED)
