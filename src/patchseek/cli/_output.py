"""Matches as text: JSON, JSON Lines, CSV and Parquet for programs; `_table` has people's. Boxes are x y w h pixels."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

from .._addresses import masked
from ..errors import PatchseekError


def write_records(
    queries: list[dict[str, Any]],
    collection: dict[str, Any],
    results: list[dict[str, Any]],
    form: str | None,
) -> None:
    """Results on stdout as json, jsonl, csv or (None) a table."""
    if form == "json":
        write_json(queries, collection, results)
    elif form == "jsonl":
        write_jsonl(results)
    elif form == "csv":
        write_csv(results)
    else:
        from ._table import write_table

        write_table(results)


def write_json(queries: list[dict[str, Any]], collection: dict[str, Any], results: list[dict[str, Any]]) -> None:
    """One object {"query", "collection", "results"} on stdout; of several pictures, all are under "queries"."""
    several = {"queries": queries} if len(queries) > 1 else {}
    print_line(json.dumps({"query": queries[0], **several, "collection": collection, "results": results}, indent=2))


def write_jsonl(results: list[dict[str, Any]]) -> None:
    """One object a line on stdout."""
    for result in results:
        print_line(json.dumps(result))


def flat(result: dict[str, Any]) -> dict[str, Any]:
    """A result with the box as four columns x y w h. Further copies in a picture are in JSON alone."""
    x, y, w, h = result["box"]
    columns = {
        "rank": result["rank"],
        "image": result["image"],
        "image_id": result["image_id"],
        "score": result["score"],
        "confidence": result["confidence"],
    }
    return columns | {"x": x, "y": y, "w": w, "h": h} | {k: result[k] for k in ("bbox_format", "width", "height")}


COLUMNS = ("rank", "image", "image_id", "score", "confidence", "x", "y", "w", "h", "bbox_format", "width", "height")


def write_csv(results: list[dict[str, Any]], delimiter: str = ",") -> None:
    """A header and a row a result on stdout."""
    writer = csv.DictWriter(sys.stdout, COLUMNS, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat(result) for result in results)


def write_parquet(results: list[dict[str, Any]], path: Path) -> None:
    """The CSV's columns as a Parquet file. Raises MissingExtra without pyarrow."""
    from .._parquet import write_columns

    rows = [flat(result) for result in results]
    try:
        write_columns(path, {name: [row[name] for row in rows] for name in COLUMNS})
    except OSError as error:
        raise PatchseekError(f"{path}: cannot be written ({error})") from error


def printable(text: str) -> str:
    """Text for a terminal: control characters of a file name cannot steer it, passwords in URLs are not shown."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in masked(text))


def print_line(text: str) -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")
