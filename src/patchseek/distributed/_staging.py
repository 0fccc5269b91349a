"""Where finished shards lie until the driver commits them: a folder that all machines share, or a URL.

    PLACE/KEY-HASH.npy    features (n, R, D) float16
    PLACE/KEY.json        what became of each picture, and the SHA-256 of the features; written last, so that a shard
                          that has one is whole

In a folder both are flushed and renamed. At a URL they are written in one go; a torn file is told by its hash.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from .._addresses import is_url
from ..encode import Same
from ..errors import PatchseekError, StoreError
from ..store import Failure, FileState, Half, KnownFile, NewPicture, Root, Settings, require_space, write_features
from ._files import list_folder, read_url, remove_url, write_url

_RECORD_BYTES = 1 << 20  # more than a record takes


@dataclass(frozen=True)
class Record:
    """What became of a work's pictures."""

    key: str
    # the work's
    root: Root
    settings: str
    # hash of the collection's settings
    file: str | None
    # name of the features at the staging place, None where no picture was encoded
    sha256: str | None
    # of that file
    pictures: tuple[NewPicture, ...]
    # in the order of the features
    failures: tuple[Failure, ...]
    same: tuple[Same, ...]

    def to_json(self) -> str:
        """The record as one JSON object."""
        return json.dumps(asdict(self) | {"root": str(self.root)})

    @classmethod
    def from_json(cls, text: str | bytes) -> "Record":
        """The inverse of to_json. Raises ValueError, KeyError or TypeError for anything else."""
        values = json.loads(text)
        values["root"] = values["root"] if is_url(values["root"]) else Path(values["root"])
        for name, kind in (("pictures", NewPicture), ("failures", Failure)):
            values[name] = tuple(kind(**{**v, "state": FileState(**v["state"])}) for v in values[name])
        values["same"] = tuple(
            Same(**{**v, "state": FileState(**v["state"]), "images": tuple(map(_known, v["images"]))})
            for v in values["same"]
        )
        return cls(**values)


def _known(values: dict[str, object]) -> KnownFile:
    return KnownFile(**{**values, "state": FileState(**values["state"])})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Staging:
    """A staging place, as the driver and all workers see it."""

    place: str
    # an absolute path or a URL, this collection's alone
    settings: str
    # hash of the collection's settings

    @classmethod
    def open(cls, place: str, settings: Settings) -> "Staging":
        """Make the place where there is none, and leave a mark for the workers. Raises PatchseekError."""
        staging = cls(place, hashlib.sha256(settings.to_json().encode()).hexdigest())
        if not is_url(place):
            try:
                Path(place).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"{place}: cannot be made ({error.strerror})") from error
        staging._write("mark.txt", staging.settings.encode())
        return staging

    def check(self) -> None:
        """Raise StoreError unless the mark that the driver left can be seen from here."""
        try:
            seen = self._read("mark.txt")
        except (OSError, PatchseekError):
            seen = b""
        if seen != self.settings.encode():
            raise StoreError(
                f"{self.place} is not the place that the driver sees; keep the collection where all machines see it, "
                "or name such a place or a URL with --staging"
            )

    def write(
        self,
        key: str,
        root: Root,
        pictures: Sequence[NewPicture],
        features: Half,
        failures: Sequence[Failure],
        same: Sequence[Same],
    ) -> Record:
        """Write a finished shard; features (n, R, D) float16. Raises DiskFull, PatchseekError."""
        name = sha256 = None
        if pictures and is_url(self.place):
            buffer = BytesIO()
            np.save(buffer, features, allow_pickle=False)
            sha256 = hashlib.sha256(buffer.getbuffer()).hexdigest()
            name = f"{key}-{sha256[:12]}.npy"
            self._write(name, buffer.getvalue())
        elif pictures:
            name, sha256 = write_features(Path(self.place), key, features)
        record = Record(key, root, self.settings, name, sha256, tuple(pictures), tuple(failures), tuple(same))
        self._write(f"{key}.json", record.to_json().encode())
        return record

    def finished(self) -> Iterator[Record]:
        """The shards of this collection that are whole and wait to be committed. What is torn is removed."""
        for name in self._names():
            if not name.endswith(".json"):
                continue
            try:
                record = Record.from_json(self._read(name))
            except (ValueError, KeyError, TypeError):
                self._remove(name)
                continue
            if record.settings == self.settings:
                yield record

    def fetch(self, record: Record, folder: Path) -> Path:
        """A record's features as a file of this machine, in folder where it has to be copied. Raises PatchseekError."""
        assert record.file is not None
        if not is_url(self.place):
            return Path(self.place) / record.file
        copy = folder / f"{record.key}.tmp"
        content = self._read(record.file)
        require_space(folder, 2 * len(content))
        copy.write_bytes(content)
        return copy

    def remove(self, record: Record) -> None:
        """Forget a shard that is committed."""
        self._remove(f"{record.key}.json")
        if record.file is not None:
            self._remove(record.file)

    def clear(self) -> None:
        """Remove what is left when all is committed: the mark, and what killed workers left half done."""
        for name in self._names():
            if not name.endswith(".json"):
                self._remove(name)
        if not is_url(self.place) and not any(Path(self.place).iterdir()):
            Path(self.place).rmdir()

    def _names(self) -> list[str]:
        if is_url(self.place):
            return list(list_folder(self.place))
        return sorted(path.name for path in Path(self.place).iterdir())

    def _read(self, name: str) -> bytes:
        return read_url(f"{self.place}/{name}") if is_url(self.place) else (Path(self.place) / name).read_bytes()

    def _write(self, name: str, content: bytes) -> None:
        if is_url(self.place):
            write_url(f"{self.place}/{name}", content)
            return
        final = Path(self.place) / name
        require_space(final.parent, _RECORD_BYTES)
        partial = final.with_suffix(f".{os.urandom(4).hex()}.tmp")
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(final)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StoreError(f"{final}: cannot be written ({error.strerror})") from error

    def _remove(self, name: str) -> None:
        if is_url(self.place):
            remove_url(f"{self.place}/{name}")
        else:
            (Path(self.place) / name).unlink(missing_ok=True)
