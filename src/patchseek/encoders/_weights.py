"""Where weights lie: a folder of one's own, the hub's cache, the network. Never looks inside a model, and knows none.

On a machine without network, put MODEL.safetensors into the folder; `_fetch` fills such a folder on a machine with one.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .._home import expanded
from ..errors import EncoderError, MissingExtra

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Published:
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
    return (folder or models_folder()) / (model.replace("/", "--") + SUFFIX)


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


def locate(source: Published) -> Path:
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
        return download(source)
    except (OSError, ValueError) as error:  # the hub's client raises its own kinds of these
        raise EncoderError(
            f"{source.model}: no weights here and none could be fetched; bring {source.file} of the hub repository "
            f"{source.repository} and pass it with --weights FILE, or put it at {place(source.model)}"
        ) from error


def download(source: Published) -> Path:
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
