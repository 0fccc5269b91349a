"""Where finished shards lie until the driver commits them: a folder that all machines share, or a URL.

    PLACE/KEY-HASH.npy    features (n, R, D) float16; another one with the points, where the collection has any
    PLACE/KEY.json        what became of each picture, and the SHA-256 of those files; written last, so that a shard
                          that has one is whole

In a folder both are flushed and renamed. At a URL they are written in one go; a torn file is told by its hash.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO

from .._addresses import is_url
from .._platform import discard, remove, replace
from ..encode import Same
from ..errors import PatchseekError, StoreError
from ..sources import Root
from ..sources.stores import list_folder, read_url, remove_url, write_url
from ..store import (
    POINTS,
    REGIONS,
    Codes,
    Failure,
    FileState,
    Half,
    KnownFile,
    NewEntry,
    Settings,
    require_space,
    save_features,
    save_points,
    write_part,
)

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
    pictures: tuple[NewEntry, ...]
    # in the order of the features
    failures: tuple[Failure, ...]
    same: tuple[Same, ...]
    points: tuple[str, str] | None = None
    # name and SHA-256 of the points at the staging place, None where none were looked for

    @property
    def files(self) -> list[tuple[str, str]]:
        """Name and SHA-256 of what lies at the staging place beside it: the features, then the points."""
        if self.file is None or self.sha256 is None:
            return []
        return [(self.file, self.sha256), *([self.points] if self.points else [])]

    def to_json(self) -> str:
        """The record as one JSON object."""
        return json.dumps(asdict(self) | {"root": str(self.root)})

    @classmethod
    def from_json(cls, text: str | bytes) -> "Record":
        """The inverse of to_json. Raises ValueError, KeyError or TypeError for anything else."""
        values = json.loads(text)
        values["root"] = values["root"] if is_url(values["root"]) else Path(values["root"])
        for name, kind in (("pictures", NewEntry), ("failures", Failure)):
            values[name] = tuple(kind(**{**v, "state": FileState(**v["state"])}) for v in values[name])
        values["same"] = tuple(
            Same(
                **{
                    **v,
                    "state": FileState(**v["state"]),
                    "images": tuple(map(_known, v["images"])),
                    "left": tuple(v.get("left", ())),
                }
            )
            for v in values["same"]
        )
        values["points"] = tuple(values["points"]) if values.get("points") else None
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
        pictures: Sequence[NewEntry],
        features: Half,
        failures: Sequence[Failure],
        same: Sequence[Same],
        points: Sequence[Codes | None] | None = None,
        width: int = 0,
    ) -> Record:
        """Write a finished shard; features (n, R, D) float16, points (n_i, width) uint8 each where they are looked for.

        Raises DiskFull, PatchseekError.
        """
        name = sha256 = found = None
        if pictures:
            save = partial(save_features, features=features)
            name, sha256 = self._write_part(key, REGIONS, features.nbytes, save)
        if pictures and points is not None:
            n_bytes = sum(codes.nbytes for codes in points if codes is not None)
            found = self._write_part(key, POINTS, n_bytes, partial(save_points, points=points, width=width))
        done = tuple(pictures), tuple(failures), tuple(same)
        record = Record(key, root, self.settings, name, sha256, *done, found)
        self._write(f"{key}.json", record.to_json().encode())
        return record

    def _write_part(self, key: str, kind: str, n_bytes: int, save: Callable[[IO[bytes]], None]) -> tuple[str, str]:
        """Write a file of a shard; its name and SHA-256."""
        if not is_url(self.place):
            part = write_part(Path(self.place), key, kind, n_bytes, save)
            return part.file, part.sha256
        buffer = BytesIO()
        save(buffer)
        sha256 = hashlib.sha256(buffer.getbuffer()).hexdigest()
        name = f"{key}-{sha256[:12]}.npy"
        self._write(name, buffer.getvalue())
        return name, sha256

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

    @contextmanager
    def fetched(self, record: Record, folder: Path) -> Iterator[list[tuple[Path, str]]]:
        """A record's files, see Record.files, on this machine; what has to be copied, into a folder, and then is gone.

        Raises PatchseekError.
        """
        with ExitStack() as copies:
            yield [(self._fetch(name, folder, copies), sha256) for name, sha256 in record.files]

    def _fetch(self, name: str, folder: Path, copies: ExitStack) -> Path:
        if not is_url(self.place):
            return Path(self.place) / name
        copy = (folder / name).with_suffix(".tmp")
        content = self._read(name)
        require_space(folder, 2 * len(content))
        copies.callback(discard, copy)
        copy.write_bytes(content)
        return copy

    def remove(self, record: Record) -> None:
        """Forget a shard that is committed."""
        self._remove(f"{record.key}.json")
        for name, _ in record.files:
            self._remove(name)

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
            replace(partial, final)
        except OSError as error:
            discard(partial)
            raise StoreError(f"{final}: cannot be written ({error.strerror})") from error

    def _remove(self, name: str) -> None:
        if is_url(self.place):
            remove_url(f"{self.place}/{name}")
        else:
            remove(Path(self.place) / name)
