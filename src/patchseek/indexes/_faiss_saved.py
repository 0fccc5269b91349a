"""FAISS indexes on disk: each is a cache. A manifest beside it says what it was built from, and its SHA-256.

One that does not match is built anew, so a stale or damaged file can cost time but never a wrong answer.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..store import Snapshot, hash_file
from ._faiss_recipe import Recipe

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Saved:
    """An index whose bytes are as they were written, over the first shards of a snapshot."""

    path: Path
    n_shards: int
    manifest: dict[str, Any]

    @property
    def tried(self) -> Sequence[str]:
        """Search parameters that it was searched with before."""
        return tuple(self.manifest.get("tried", ()))

    def is_whole(self, snapshot: Snapshot, recipe: Recipe) -> bool:
        """Whether it can be searched as it is."""
        return self.n_shards == len(snapshot.shards) and recipe.parameters in ("", *self.tried)


def find_saved(cache: Path, recipe: Recipe, snapshot: Snapshot) -> Saved | None:
    """The saved index of a recipe, None where there is none that can be used."""
    path, manifest_path = _paths(cache, recipe, snapshot.n_regions)
    try:
        manifest = json.loads(manifest_path.read_text())
        shards = tuple(manifest["shards"])
        if shards != snapshot.shards[: len(shards)]:
            _log.info("the index %s was built from other vectors; building it anew", recipe.factory)
        elif manifest["sha256"] != hash_file(path):
            _log.warning("the index file of %s is damaged; building it anew", recipe.factory)
        else:
            return Saved(path, len(shards), manifest)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("the saved index of %s cannot be read (%s); building it anew", recipe.factory, error)
    return None


def keep(written: Path, cache: Path, recipe: Recipe, snapshot: Snapshot) -> None:
    """Give an index file its name and its manifest; a reader finds both or rebuilds. A failure costs only the cache."""
    path, manifest_path = _paths(cache, recipe, snapshot.n_regions)
    try:
        tried = ["", *([recipe.parameters] if recipe.parameters else [])]
        manifest = {"factory": recipe.factory, "shards": snapshot.shards, "sha256": hash_file(written), "tried": tried}
        manifest_path.unlink(missing_ok=True)
        written.replace(path)
        _write(manifest_path, manifest)
    except OSError as error:
        _log.warning("the index %s could not be saved (%s); it will be built again next time", recipe.factory, error)
    finally:
        written.unlink(missing_ok=True)


def note_tried(saved: Saved, recipe: Recipe) -> None:
    """Note that the index was searched with these parameters; where that cannot be written, it is tried again."""
    try:
        _write(saved.path.with_suffix(".json"), saved.manifest | {"tried": [*saved.tried, recipe.parameters]})
    except OSError as error:
        _log.info("the index %s will be tried again next time (%s)", recipe.factory, error)


def _write(path: Path, manifest: dict[str, Any]) -> None:
    partial = path.with_suffix(f".{uuid4().hex[:8]}.tmp")
    try:
        partial.write_text(json.dumps(manifest))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _paths(cache: Path, recipe: Recipe, n_regions: int) -> tuple[Path, Path]:
    """The files of an index and of its manifest; those of two pyramid levels stand beside each other."""
    stem = f"{recipe.stem}-{n_regions}"
    return cache / f"{stem}.faiss", cache / f"{stem}.json"
