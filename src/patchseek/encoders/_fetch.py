"""Weights brought beforehand: a folder of files that is filled on a machine with a network, and looked over on any."""

import json
import shutil
from pathlib import Path
from typing import Any

from .._platform import discard, replace
from ..errors import EncoderError
from ._spec import parse_spec
from ._weights import SUFFIX, Published, download, hash_file, models_folder, place, require_home

MANIFEST = "manifest.json"


def source_of(name: str) -> Published:
    """Where the weights of an encoder of this name are published. Raises EncoderError for one that has none."""
    spec = parse_spec(name)
    if spec.library == "timm":
        from ._timm import resolve, source

        return source(*resolve(spec))
    if spec.library == "openclip":
        from ._openclip import source as source_of_clip

        return source_of_clip(spec)
    raise EncoderError(f"{name}: only timm and openclip encoders have weights to fetch")


def fetch(name: str, folder: Path | None = None) -> Path:
    """Download the weights of an encoder to folder/MODEL.safetensors and record their SHA-256 there; the path.

    Raises EncoderError when they cannot be had, MissingExtra.
    """
    source, folder = source_of(name), folder or models_folder()
    if not source.repository:
        raise EncoderError(f"{source.model}: no weights are published under this name")
    if not source.file.endswith(SUFFIX):
        raise EncoderError(f"{source.model}: published as {source.file}, not as safetensors; pass it with --weights")
    require_home(folder)
    target = place(source.model, folder)
    folder.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    try:
        shutil.copyfile(download(source), partial)
        replace(partial, target)
    except (OSError, ValueError) as error:
        discard(partial)
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EncoderError(f"{source.model}: {source.repository} could not be fetched: {reason}") from error
    entry = {"model": source.model, "repository": source.repository, "sha256": hash_file(target)}
    manifest = folder / MANIFEST
    entries = _entries(manifest) | {target.name: entry | {"bytes": target.stat().st_size}}
    partial.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    replace(partial, manifest)
    return target


def fetched(folder: Path) -> list[str]:
    """The files that `fetch` recorded in a folder."""
    return sorted(_entries(folder / MANIFEST))


def verify(folder: Path | None = None) -> list[str]:
    """What is wrong with the files that `fetch` recorded in a folder, a line each; none when all are as recorded."""
    folder = folder or models_folder()
    problems = []
    for name, entry in sorted(_entries(folder / MANIFEST).items()):
        path = folder / name
        if not path.is_file():
            problems.append(f"{path}: missing")
        elif hash_file(path) != entry.get("sha256"):
            problems.append(f"{path}: not the file that was fetched (SHA-256 differs)")
    return problems


def _entries(manifest: Path) -> dict[str, dict[str, Any]]:
    if not manifest.exists():
        return {}
    try:
        entries = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{manifest}: cannot be read; remove it and fetch again") from error
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise EncoderError(f"{manifest}: not a list of fetched files; remove it and fetch again")
    return entries
