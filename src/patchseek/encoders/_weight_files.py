"""Which files weights lie in: one, those that an index lists, or those of a folder. Reads names and first bytes."""

import json
from pathlib import Path

from ..errors import EncoderError

_INDEX = "*.index.json"
_PREFERRED = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
"""What hubs call the file of a folder."""
_MOST_HEADER = 100 << 20  # bytes that safetensors allow for names


def files_of(path: Path) -> list[Path]:
    """The files of weights that a path means: itself, what an index (itself or beside it) lists, or those of a folder.

    Raises EncoderError, naming it, for one that is missing, is no weights, or lies outside the index's folder.
    """
    if path.is_dir():
        return files_of(_file_in(path))
    listed = _listed(path) if _begins(path, b"{") else []
    if listed:
        return [_check(path, name) for name in listed]
    for index in sorted(path.parent.glob(_INDEX)):
        if path.name in (listed := _listed(index)):
            return [_check(index, name) for name in listed]
    return [require_weights(path)]


def require_weights(path: Path) -> Path:
    """The path of a file that begins as weights do. Raises EncoderError for any other."""
    if not (is_safetensors(path) or _begins(path, b"PK\x03\x04") or _begins(path, b"\x80")):
        raise EncoderError(
            f"{path}: cannot be read as weights: neither of safetensors nor of torch.save; "
            "weights are a .safetensors, .pt, .pth or .bin file, whatever it is called"
        )
    return path


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as those of safetensors do: the length of its header in 8 bytes, and a brace."""
    head = _head(path)
    n = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= n <= min(_MOST_HEADER, path.stat().st_size - 8)


def _file_in(folder: Path) -> Path:
    """The file of a folder that holds the weights, or says where they are."""
    for name in _PREFERRED:
        if (folder / name).is_file():
            return folder / name
    found = sorted(folder.glob(_INDEX))
    if not found:
        found = [file for file in sorted(folder.iterdir()) if file.is_file() and _is_weights(file)]
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise EncoderError(
            f"{folder}: a folder with one file of weights, or one index of several, is meant; found {names}"
        )
    return found[0]


def _is_weights(path: Path) -> bool:
    try:
        require_weights(path)
    except EncoderError:
        return False
    return True


def _listed(index: Path) -> list[str]:
    """The names of the files that an index lists; none where it is no index."""
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return sorted(set(map(str, names)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _check(index: Path, name: str) -> Path:
    file = index.parent / name
    if Path(name).name != name or name in ("", ".", ".."):
        raise EncoderError(f"{index}: lists {name!r}, which is no file of its folder")
    if not file.is_file():
        raise EncoderError(f"{index}: lists {name}, which is not beside it; bring that file, too")
    return require_weights(file)


def _begins(path: Path, start: bytes) -> bool:
    return _head(path).startswith(start)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise EncoderError(f"{path}: cannot be read ({error.strerror})") from error
