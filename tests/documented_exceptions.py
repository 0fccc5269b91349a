"""What the pages of the documentation take for granted, and what of them is not run here, each with its reason.

A command is named by its page and how it begins. Whatever names nothing any more fails `tests/test_documented.py`.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from .documented import Block, Command

NO_WEIGHTS = "its weights come from the network"
NO_GPU = "needs a GPU"
NO_CLUSTER = "needs a cluster of several machines and a store that they share"
NO_SERVER = "needs a Milvus server; make test-milvus has one"
NO_DATA = "needs the download of ILIAS"

NOT_RUN = {
    ("README.md", "patchseek index ~/Pictures --collection big --encoder siglip"): NO_WEIGHTS,
    ("docs/gpu.md", "patchseek index ~/Pictures --encoder siglip"): NO_WEIGHTS,
    ("docs/gpu.md", "patchseek search photo.jpg --device cuda"): NO_GPU,
    ("docs/gpu.md", 'patchseek index ~/Pictures --index "exact;device=cuda"'): NO_GPU,
    ("docs/distributed.md", "patchseek index ~/Pictures --ray local"): "starts Ray; tests/test_distributed.py does",
    ("docs/distributed.md", "patchseek index /nfs/pictures --ray auto"): NO_CLUSTER,
    ("docs/distributed.md", "patchseek index s3://bucket/pictures --ray auto"): NO_CLUSTER,
    ("docs/milvus.md", "patchseek index ~/Pictures --index milvus:http://host:19530"): NO_SERVER,
    ("docs/milvus.md", "patchseek use-index 'milvus:http://host:19530"): NO_SERVER,
    ("docs/reproduce.md", "patchseek eval ilias:ilias"): NO_DATA,
    ("docs/reproduce.md", "patchseek dataset ilias prepare ilias"): NO_DATA,
    ("docs/reproduce.md", "patchseek encoders fetch siglip"): NO_WEIGHTS,
    ("docs/workflows/fiftyone.md", "import fiftyone as fo"): "FiftyOne starts a database of its own",
}
"""Commands of patchseek, and blocks of Python, that are only parsed."""

ELSEWHERE = {
    "pip": "installs; tests/test_install_lines.py has pip judge each line",
    "make": "hours; that each target is there is looked at",
    "python": "hours; that each script is there and takes these options is looked at",
    "docker": "needs a container engine; that its files are there, and what it runs of patchseek, is looked at",
    "ray": "needs machines",
}
"""Programs that no test of a page begins."""

RUN_BY = {
    "docs/saved.md": "test_workflows",
    "docs/sources.md": "test_sources_page",
    "docs/workflows/brand-search.md": "test_workflows",
    "docs/workflows/fiftyone.md": "test_workflows",
    "docs/workflows/photo-archive.md": "test_workflows",
    "docs/workflows/pre-annotation.md": "test_workflows",
}
"""Pages whose lines another file of tests runs, all of them, and then looks at what they left."""

TEXTS = {
    ("docs/formats.md", "fo.Dataset.from_dir("): NOT_RUN["docs/workflows/fiftyone.md", "import fiftyone as fo"],
    ("docs/library.md", "MISSING: "): "what `index` prints",
    ("docs/library.md", "changed since indexed, "): "what `search` prints",
    ("docs/library.md", "points: none are kept, "): "what `info` prints",
    ("docs/library.md", "passed over: "): "what `index` prints",
    ("docs/sources.md", "x_pt = "): "a formula",
    ("docs/sources.md", "x = left"): "a formula",
    ("docs/sources.md", "rank  sure  score"): "what `search` prints",
}
"""Blocks that are nothing to type."""

INDEXED = "patchseek index ~/Pictures"
BEFORE = {
    "docs/formats.md": [INDEXED],
    "docs/notebooks.md": [INDEXED],
    "docs/operations.md": [INDEXED],
    "docs/server.md": [INDEXED],
    "docs/watching.md": ["openssl rand -hex 32 > key"],
}
"""What a page takes for done: on other pages, or by a sentence further down."""

NAMES = {
    "docs/formats.md": "import patchseek as ps",
    "docs/notebooks.md": 'import patchseek as ps\nc = ps.Collection.open("~/Pictures")',
}
"""What a page's Python takes for known from README.md."""

MEANWHILE: dict[tuple[str, str], Callable[[Path], object]] = {
    ("docs/mcp.md", "import asyncio"): lambda home: shutil.copy(home / "cup.jpg", home / "Pictures"),
    ("docs/operations.md", "patchseek restore pictures-2026-11-24.tar ~/Pictures/.patchseek"): (
        lambda home: shutil.rmtree(home / "Pictures" / ".patchseek")
    ),
}
"""What happens before somebody types this: a photograph is taken, the collection is lost."""

FOREIGN = {"--address", "--build-arg", "--check", "--core", "--cpus"}
"""Options in sentences that are of ray, docker, sha256sum, pytest."""

NOT_OURS = {
    "machine()": "of benchmarks/turns.py",
    'MissingExtra("library", "extra")': "an error",
    "f(number, error)": "the reader's",
    "MilvusClient(URI).drop_collection(NAME)": "of pymilvus",
}
"""Calls in sentences that are none of the library's."""

Begin = tuple[str, str]


def excepted(each: Block | Command, table: Iterable[Begin]) -> bool:
    """Whether one of these (page, beginning) names it."""
    return any(each.file == page and each.text.startswith(begin) for page, begin in table)


def unused(table: Iterable[Begin], each: Iterable[Block | Command]) -> list[Begin]:
    """Those that name nothing."""
    those = list(each)
    return [begin for begin in table if not any(excepted(one, [begin]) for one in those)]
