"""Benchmarks in one small shape: queries, a gallery, and what is right for each query. Decodes no picture.

    dataset = open_dataset("dev-set")
    for query in dataset.queries:
        query.image, query.box                  # the picture, and the object's x y w h in it, or None
        dataset.positives(query)                # gallery id -> its true boxes, or None where they are unknown
        dataset.ignored(query)                  # gallery ids to leave out of the ranking

Formats, each described in its file: our own query.json and gallery.json and those of the original (`formats._schema`),
one CSV for pictures of your own (`_csv`), COCO that names the very objects (`_coco`), and as their authors publish them
ILIAS (`_ilias`, its distractors `_shards`, its similarity files `_similarities`), INSTRE (`_instre`), revisited Oxford
and Paris (`_revisited`). To bring another benchmark, write query.json and gallery.json for it. The boxes of our own
schema, CSV and COCO are held against their pictures as every box that somebody gives (`boxes.from_pixels`), before
anything is encoded; those of others are cut to size, and that is noted. Nothing is downloaded, and nothing that is read
is ever run.
"""

from pathlib import Path

from .._home import expanded
from ..errors import DatasetError
from ..formats import Box, clamp, corners
from ._coco import read_coco_set
from ._csv import read_csv
from ._dataset import Dataset, GalleryPicture, Query, Truth
from ._ilias import TextQuery, prepare_ilias, read_ilias, text_queries
from ._instre import read_instre
from ._revisited import NAMES, read_revisited
from ._schema import read_schema
from ._shards import DistractorTar, Keys, Place, iter_shard, open_shards, read_keys, webdataset_key
from ._similarities import read_similarities, write_similarities
from ._write import write_schema

__all__ = [
    "Box",
    "Dataset",
    "DistractorTar",
    "GalleryPicture",
    "Keys",
    "Place",
    "Query",
    "TextQuery",
    "Truth",
    "clamp",
    "corners",
    "iter_shard",
    "open_dataset",
    "open_shards",
    "prepare_ilias",
    "read_keys",
    "read_similarities",
    "text_queries",
    "webdataset_key",
    "write_schema",
    "write_similarities",
]


def open_dataset(
    source: str | Path, split: str = "test", *, rows_as_pictures: bool = False, allow_missing: bool = False
) -> Dataset:
    """Open a benchmark.

    source: a folder with query.json and gallery.json, or with ilias_core; a .csv file; COCO as .json; or a name and a
    folder: "ilias:DIR", "instre:DIR", "roxford5k:DIR", "rparis6k:DIR:hard" (easy, medium or hard; medium by default).
    split: "test" is the benchmark itself, any other a folder of that name inside, for query.json alone.
    rows_as_pictures: every row of gallery.json is a gallery picture of its own, also where several name one picture.
    allow_missing: leave absent pictures out, everywhere, and list them in `missing`. Raises DatasetError.
    """
    name, colon, rest = str(source).partition(":")
    kind = name if colon and name in ("ilias", "instre", *NAMES) else ""
    path = expanded(rest if kind else source)
    if not kind and path.is_dir():
        folder = path / split if split != "test" or not (path / "query.json").is_file() else path
        if (folder / "query.json").is_file():
            return read_schema(folder, rows_as_pictures=rows_as_pictures, allow_missing=allow_missing)
        kind = "ilias" if (path / "ilias_core").is_dir() else ""
    if not kind and path.is_file() and path.suffix.lower() in (".csv", ".json"):
        kind = path.suffix.lower()[1:]
    if not kind or split != "test":
        raise DatasetError(_hint(path, split))
    if rows_as_pictures:
        raise DatasetError(f"{source}: only the rows of a gallery.json may each be a picture of its own")
    if kind == "csv":
        return read_csv(path, allow_missing=allow_missing)
    if kind == "json":
        return read_coco_set(path, allow_missing=allow_missing)
    if kind == "ilias":
        return read_ilias(path, allow_missing=allow_missing)
    if kind == "instre":
        return read_instre(path, allow_missing=allow_missing)
    folder_name, colon, setup = rest.rpartition(":")
    if not folder_name or path.exists():
        return read_revisited(path, kind, allow_missing=allow_missing)
    return read_revisited(expanded(folder_name), kind, setup, allow_missing=allow_missing)


def _hint(path: Path, split: str) -> str:
    """Why there is no benchmark at path."""
    if not path.exists():
        return f"{path}: no such file or folder; a benchmark is a folder, a file, or a name such as ilias:FOLDER"
    if split != "test":
        return f"{path}: no split {split!r} here: it would be a folder {split} with query.json and gallery.json"
    if path.is_file():
        return f"{path}: a benchmark is a folder with query.json and gallery.json, a .csv file, or COCO as .json"
    return f"{path}: no query.json and gallery.json here, and no ilias_core; others by name: instre:DIR, roxford5k:DIR"
