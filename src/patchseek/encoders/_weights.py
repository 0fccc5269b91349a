"""Where weights lie: a folder of one's own, the hub's cache, the network. Moves files; never looks inside a model.

On a machine without network, put MODEL.safetensors into the folder: `fetch` fills such a folder on a machine with one.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._home import expanded
from .._platform import discard, replace
from ..errors import EncoderError, MissingExtra
from ._spec import parse_spec

MANIFEST = "manifest.json"
_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Source:
    """Where a model's weights are published."""

    model: str
    # as its library calls it
    repository: str
    # on the hub, e.g. "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k"; "" where nobody published any
    file: str = "model.safetensors"
    # its name there


def models_folder() -> Path:
    """The folder looked into first: $PATCHSEEK_MODELS, or ~/.cache/patchseek/models."""
    return expanded(os.environ.get("PATCHSEEK_MODELS") or Path("~/.cache/patchseek/models"))


def require_home(folder: Path) -> None:
    """Raise EncoderError for a folder of a home that nobody knows: one called ~ would be made."""
    if str(folder).startswith("~"):
        raise EncoderError(f"{folder}: no home folder is known here; name another with --folder or PATCHSEEK_MODELS")


def place(model: str, folder: Path | None = None) -> Path:
    """Where a model's weights are expected: MODEL.safetensors, with "--" for a slash in its name."""
    return (folder or models_folder()) / (model.replace("/", "--") + _SUFFIX)


def check_file(path: Path) -> Path:
    """The path, made absolute; links are not followed, since shards lie beside them. Raises EncoderError for none."""
    path = expanded(path).absolute()
    if not (path.is_file() or path.is_dir()):
        raise EncoderError(f"{path}: no such file")
    return path


def find(model: str) -> Path | None:
    """The weights file of a model in the models folder, None where there is none."""
    path = place(model)
    return path if path.is_file() else None


def locate(source: Source) -> Path:
    """The weights of a model: from the models folder, the hub's cache, or the network, in this order.

    Raises EncoderError, in one line that says which file to bring and where to put it.
    """
    found = find(source.model)
    if found:
        return found
    if not source.repository:
        raise EncoderError(
            f"{source.model}: no weights are published under this name; pass a file with --weights FILE, "
            f"or put it at {place(source.model)}"
        )
    try:
        return _download(source)
    except (OSError, ValueError) as error:  # the hub's client raises its own kinds of these
        raise EncoderError(
            f"{source.model}: no weights here and none could be fetched; bring {source.file} of the hub repository "
            f"{source.repository} and pass it with --weights FILE, or put it at {place(source.model)}"
        ) from error


def source_of(name: str) -> Source:
    """Where the weights of an encoder of this name are published. Raises EncoderError for one that has none."""
    spec = parse_spec(name)
    if spec.library == "timm":
        from . import _timm

        return _timm.source(*_timm.resolve(spec))
    if spec.library == "openclip":
        from . import _openclip

        return _openclip.source(spec)
    raise EncoderError(f"{name}: only timm and openclip encoders have weights to fetch")


def fetch(name: str, folder: Path | None = None) -> Path:
    """Download the weights of an encoder to folder/MODEL.safetensors and record their SHA-256 there; the path.

    Raises EncoderError when they cannot be had, MissingExtra.
    """
    source, folder = source_of(name), folder or models_folder()
    if not source.repository:
        raise EncoderError(f"{source.model}: no weights are published under this name")
    if not source.file.endswith(_SUFFIX):
        raise EncoderError(f"{source.model}: published as {source.file}, not as safetensors; pass it with --weights")
    require_home(folder)
    target = place(source.model, folder)
    folder.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    try:
        shutil.copyfile(_download(source), partial)
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


def _download(source: Source) -> Path:
    """The file in the hub's cache, fetched when it is not there. Raises OSError or ValueError."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtra("huggingface_hub", "timm") from error
    with _as_os_error():
        return Path(huggingface_hub.hf_hub_download(source.repository, source.file))


@contextmanager
def _as_os_error() -> Iterator[None]:
    """The client's transport errors are of another library; here they are all failures to fetch."""
    try:
        yield
    except (OSError, ValueError):
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
