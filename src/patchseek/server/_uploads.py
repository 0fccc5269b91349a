"""The folder of pictures that were uploaded into the collection. Writes names that can neither climb nor hide."""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .._platform import possible_name, remove, replace
from ..errors import PatchseekError
from ..images import EXTENSIONS
from ..sources import split_page
from ..store import Image, Store
from ._responses import told

FOLDER = "uploads"
_LONGEST = 100  # bytes of a name; file systems take 255


@dataclass(frozen=True)
class Refusal:
    """A picture that was sent and is not added."""

    image: str
    # what its sender calls it
    reason: str

    def record(self) -> dict[str, str]:
        """As a JSON object."""
        return {name: told(text) for name, text in asdict(self).items()}


class NothingAdded(PatchseekError):
    """Of the pictures that were sent, not one can be added."""

    def __init__(self, refused: Sequence[Refusal]) -> None:
        first = "; ".join(f"{refusal.image}: {refusal.reason}" for refusal in refused[:3])
        more = f"; and {len(refused) - 3} more" if len(refused) > 3 else ""
        super().__init__(
            first if len(refused) == 1 else f"none of the {len(refused)} files can be added: {first}{more}"
        )
        self.refused = refused


def safe_name(name: str, content: bytes) -> str:
    """A file name of letters as given, without folders, control characters or a leading dot, unique to the content."""
    stem, _, suffix = name.replace("\\", "/").rpartition("/")[2].rpartition(".")
    if f".{suffix.lower()}" not in EXTENSIONS:
        stem, suffix = f"{stem}.{suffix}" if stem else suffix, "jpg"  # pictures are read by content, found by name
    shown = "".join(c for c in stem if unicodedata.category(c)[0] != "C" and c != "/").strip(". ")
    shown = shown.encode("utf-8", "ignore")[:_LONGEST].decode("utf-8", "ignore") or "picture"
    shown = possible_name(shown)
    return f"{shown}-{hashlib.sha256(content).hexdigest()[:10]}.{suffix.lower()}"


def write_upload(collection: Path, name: str, content: bytes) -> None:
    """Write a picture into the folder of uploads, to be indexed. Raises PatchseekError."""
    path = collection / FOLDER / safe_name(name, content)
    partial = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(exist_ok=True)
        partial.write_bytes(content)
        replace(partial, path)
    except OSError as error:
        raise PatchseekError(f"the upload could not be kept ({error.strerror})") from error


def is_upload(store: Store, image: Image) -> bool:
    """Whether a picture came as an upload."""
    folder = (store.path / FOLDER).resolve()
    return image.root == folder and image.file.resolve().parent == folder


def drop_upload(store: Store, image: Image) -> None:
    """Delete the file of a removed picture, if it came as an upload; every other file is its owner's.

    One of which other pages are still in the collection stays.
    """
    if is_upload(store, image) and not any(
        image.root / split_page(path)[0] == image.file for path in store.known(image.root)
    ):
        remove(image.file)
