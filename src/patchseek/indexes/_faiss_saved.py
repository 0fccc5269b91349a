"""FAISS indexes on disk: each is a cache. A manifest beside it says what it was built from, and its SHA-256.

One that does not match is built anew, so a stale or damaged file can cost time but never a wrong answer. Nor is one
believed that was trained on other features than it would be today: see `_outgrown`.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from .._platform import discard, remove
from .._platform import replace as give_name
from ..store import Snapshot, hash_file
from ._faiss_recipe import FaissRecipe

_log = logging.getLogger(__name__)


def state_of(snapshot: Snapshot) -> dict[str, Any]:
    """Which pictures there are to be found, as a manifest keeps it."""
    live = hashlib.sha256(np.packbits(snapshot.live).tobytes()).hexdigest()[:16]
    return {"n_shards": len(snapshot.shards), "n_live": snapshot.n_live, "live": live}


@dataclass(frozen=True)
class Training:
    """What an index was trained on, and how that went."""

    state: dict[str, Any]
    # see state_of
    n_rows: int
    # features that trained it
    seconds: float
    # that building it took
    trains: bool
    # whether it matters what it was trained on
    errors: dict[str, tuple[float, float]]
    # see _outgrown.Trained

    @property
    def is_known(self) -> bool:
        """False for an index of a version that did not note it."""
        return self.n_rows > 0


_UNKNOWN = Training({"n_shards": 1, "n_live": 0}, 0, 0.0, True, {})
"""Of an index that does not say: at least the first shard is known to be among it."""


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

    def is_whole(self, snapshot: Snapshot, recipe: FaissRecipe) -> bool:
        """Whether it can be searched as it is."""
        return self.n_shards == len(snapshot.shards) and recipe.parameters in ("", *self.tried)

    @property
    def training(self) -> Training:
        """What it was trained on."""
        try:
            return Training(**self.manifest["trained"])
        except (KeyError, TypeError):
            return _UNKNOWN

    def judged(self, snapshot: Snapshot) -> tuple[str | None, ...]:
        """Why it no longer fits, or None where it does; nothing where that was not looked at for these pictures."""
        if not self.training.trains or not snapshot.n_live:
            return (None,)
        judged = self.manifest.get("judged", {"state": self.training.state, "outgrown": None})
        return (judged["outgrown"],) if judged["state"] == state_of(snapshot) else ()


def find_saved(cache: Path, recipe: FaissRecipe, snapshot: Snapshot) -> Saved | None:
    """The saved index of a recipe, None where there is none that can be used."""
    path, manifest_path = _paths(cache, recipe, snapshot.n_regions)
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
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


def keep(
    written: Path, cache: Path, recipe: FaissRecipe, snapshot: Snapshot, training: Training, outgrown: str | None
) -> None:
    """Give an index file its name and its manifest; a reader finds both or rebuilds. A failure costs only the cache."""
    path, manifest_path = _paths(cache, recipe, snapshot.n_regions)
    try:
        tried = ["", *([recipe.parameters] if recipe.parameters else [])]
        manifest: dict[str, Any] = {"factory": recipe.factory, "shards": snapshot.shards, "tried": tried}
        manifest |= {"sha256": hash_file(written)}
        manifest |= {"trained": asdict(training), "judged": {"state": state_of(snapshot), "outgrown": outgrown}}
        remove(manifest_path)
        give_name(written, path)
        _write(manifest_path, manifest)
    except OSError as error:
        _log.warning("the index %s could not be saved (%s); it will be built again next time", recipe.factory, error)
    finally:
        discard(written)


def note_tried(saved: Saved, recipe: FaissRecipe) -> Saved:
    """Note that the index was searched with these parameters; where that cannot be written, it is tried again."""
    if recipe.parameters in ("", *saved.tried):
        return saved
    return _note(saved, {"tried": [*saved.tried, recipe.parameters]})


def note_judged(saved: Saved, snapshot: Snapshot, outgrown: str | None) -> Saved:
    """Note why the index no longer fits these pictures, or that it does; the same index with that note."""
    return _note(saved, {"judged": {"state": state_of(snapshot), "outgrown": outgrown}})


def _note(saved: Saved, fields: dict[str, Any]) -> Saved:
    path = saved.path.with_suffix(".json")
    noted = replace(saved, manifest=saved.manifest | fields)
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        if there.get("sha256") == saved.manifest["sha256"]:  # else another process built one
            _write(path, noted.manifest)
    except (OSError, ValueError) as error:
        _log.info("what was found out of the index %s cannot be kept (%s)", saved.manifest["factory"], error)
    return noted


def _write(path: Path, manifest: dict[str, Any]) -> None:
    partial = path.with_suffix(f".{uuid4().hex[:8]}.tmp")
    try:
        partial.write_text(json.dumps(manifest), encoding="utf-8")
        give_name(partial, path)
    finally:
        discard(partial)


def _paths(cache: Path, recipe: FaissRecipe, n_regions: int) -> tuple[Path, Path]:
    """The files of an index and of its manifest; those of two pyramid levels stand beside each other."""
    stem = f"{recipe.stem}-{n_regions}"
    return cache / f"{stem}.faiss", cache / f"{stem}.json"


def discard_all(cache: Path) -> int:
    """See indexes.discard_saved."""
    n_bytes = 0
    for built in cache.glob("*.faiss"):
        n_bytes += built.stat().st_size
        discard(built)
    return n_bytes
