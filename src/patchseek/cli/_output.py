"""Matches as text: a table for people, JSON, JSON Lines, CSV and Parquet for programs. Boxes are x y w h pixels."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import PatchseekError


def write_records(
    queries: list[dict[str, Any]],
    collection: dict[str, Any],
    results: list[dict[str, Any]],
    form: str | None,
    parquet: Path | None,
) -> None:
    """Results on stdout as json, jsonl, csv or (None) a table, and into a Parquet file where one is named."""
    if parquet:
        write_parquet(results, parquet)
    if form == "json":
        write_json(queries, collection, results)
    elif form == "jsonl":
        write_jsonl(results)
    elif form == "csv":
        write_csv(results)
    else:
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


def write_table(results: list[dict[str, Any]]) -> None:
    """A table for a terminal; tab-separated values when stdout is not one."""
    if not sys.stdout.isatty():
        write_csv(results, "\t")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("rank", "sure", "score", "picture", "box x,y,w,h", "of", box=None, header_style="bold")
    for result in results:
        boxes = [found["box"] for found in result.get("boxes", [])] or [result["box"]]
        box = "  ".join(",".join(map(str, each)) for each in boxes)
        sure = "" if result["confidence"] is None else f"{result['confidence']:.0%}"
        size = f"{result['width']}x{result['height']}"
        name = Text(printable(result["image"]), overflow="fold")
        table.add_row(str(result["rank"]), sure, f"{result['score']:.3f}", name, box, size)
    Console().print(table)


def printable(text: str) -> str:
    """Text that cannot steer a terminal: control characters of a file name become escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def print_line(text: str) -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")
