"""What `index` says of itself at its end, on stderr and in the file of --report."""

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._addresses import masked
from .._platform import discard, replace
from .._words import counted
from ..errors import PatchseekError
from ._log import say

if TYPE_CHECKING:
    from ..collection import Collection
    from ..encode import AddReport, PointsReport

_ALWAYS = ("added", "unchanged", "changed", "moved", "removed")
_SOMETIMES = ("returned", "missing")  # said only where there are some
_NAMED = 5  # suffixes of files passed over


def say_report(collection: "Collection", report: "AddReport", *, prune: bool, wants_points: bool = True) -> None:
    """Failures, what is missing, what was passed over, counts and the size of the collection, a line each."""
    from ._output import printable

    for failure in report.failed:
        path = masked(failure.path)
        text = f"failed: {printable(path)}: {failure.reason}"
        say(text, level=logging.WARNING, image=path, reason=failure.reason)
    for path, missing in report.damaged.items():
        path = masked(path)
        say(f"damaged: {printable(path)}: {missing}", level=logging.WARNING, image=path, missing=missing)
    for excluded, near in report.unmatched.items():
        hint = f"; did you mean {near!r}?" if near else ""
        text = f"--exclude {excluded!r} matched nothing{hint}"
        say(text, level=logging.WARNING, exclude=excluded, near=near)
    _say_gone(report, prune=prune)
    if report.passed_over:
        say(f"passed over: {passed_over_text(report.passed_over)}", passed_over=dict(report.passed_over))
    n_encoded = report.added + report.changed
    counts = _counts(report)
    said = {name: n for name, n in counts.items() if n or name not in _SOMETIMES}
    say(
        ", ".join(f"{n:,} {name}" for name, n in said.items()) + (_spent(report) if n_encoded else ""),
        **counts,
        seconds=round(report.seconds, 3),
        confidence_seconds=round(report.confidence_seconds, 3),
    )
    n_bytes = collection.store.n_bytes()
    text = f"collection: {collection.path} ({counted(len(collection), 'picture')}, {n_bytes / 1e6:.1f} MB)"
    say(text, path=str(collection.path), images=len(collection), bytes=n_bytes)
    if wants_points and (lacking := points_text(collection)):
        say(f"points: {lacking}")


def _spent(report: "AddReport") -> str:
    """How fast pictures were encoded, and what the run took as a whole."""
    from ._progress import duration

    rate = (report.added + report.changed) / report.seconds
    text = f"; {rate:.1f} pictures/s, {duration(report.seconds + report.confidence_seconds)} in all"
    if round(report.confidence_seconds):
        text += f", {duration(report.confidence_seconds)} of them to measure confidence"
    return text


def points_text(collection: "Collection") -> str | None:
    """What a collection lacks of points, and how it gets them; None where it has all."""
    with_points = "patchseek index FOLDER --with-points"
    if collection.store.settings.points is None:
        return f"none are kept, by which more is found and boxes fit; get them with: {with_points}"
    n_without = sum(map(len, collection.store.without_points()))
    without = f"{counted(n_without, 'picture has', 'pictures have')} none yet; get them with: {with_points}"
    return without if n_without else None


def say_points(report: "PointsReport") -> None:
    """What became of the pictures that had no points, a line each of those that still have none."""
    from ._output import printable

    for path, reason in report.without.items():
        text = f"no points: {printable(masked(path))}: {reason}"
        say(text, level=logging.WARNING, image=masked(path), reason=reason)
    text = f"points: of {counted(report.added, 'picture')} added, {len(report.without):,} without"
    say(text, points_added=report.added, without_points=len(report.without), seconds=round(report.seconds, 3))


def _say_gone(report: "AddReport", *, prune: bool) -> None:
    from ._output import printable

    for missing in report.missing_from:
        folder = printable(missing.folder)
        text = (
            f"MISSING: {missing.n} of {missing.n_known} files known in {folder} are not there: is a disk not mounted? "
            f"They stay in the collection; to drop them: patchseek index {folder} --prune"
        )
        say(text, level=logging.WARNING, folder=masked(missing.folder), missing=missing.n, known=missing.n_known)
    if report.removed and not prune:
        say(
            f"set aside: {counted(report.removed, 'picture')}, for 30 days in case their files come back",
            set_aside=report.removed,
        )


def passed_over_text(counts: Mapping[str, int], *, can_follow: bool = True) -> str:
    """Files passed over in words, the most frequent suffixes first, then what was left out.

    can_follow: whether the command has --follow-symlinks.
    """
    from ..sources import EXCLUDED, HIDDEN, KINDS, LINKS, NO_SUFFIX, REPEATED, TAKEN_OUT
    from ._output import printable

    others = (REPEATED, HIDDEN, LINKS, EXCLUDED, TAKEN_OUT)
    suffixes = sorted((s for s in counts if s not in others), key=lambda s: (-counts[s], s))
    kinds = {suffix: f" (--inside {kind})" for kind, all_of in KINDS.items() for suffix in all_of} if can_follow else {}
    named = {s: "without suffix" if s == NO_SUFFIX else printable(s) + kinds.get(s, "") for s in suffixes[:_NAMED]}
    said = [f"{counts[s]} {name}" for s, name in named.items()]
    n_others = sum(counts[suffix] for suffix in suffixes[_NAMED:])
    if n_others:
        said.append(f"{n_others} others")
    hints = {LINKS: " (--follow-symlinks)" if can_follow else "", REPEATED: " (of one name the last counts)"}
    hints[TAKEN_OUT] = " (--with-removed)"
    said += [f"{counts[kind]} {kind}{hints.get(kind, '')}" for kind in others if counts.get(kind)]
    return ", ".join(said)


def _counts(report: "AddReport") -> dict[str, Any]:
    return {name: getattr(report, name) for name in _ALWAYS} | {
        "failed": len(report.failed),
        **{name: getattr(report, name) for name in _SOMETIMES},
    }


def write_run_report(
    path: Path, collection: "Collection", report: "AddReport", asked: dict[str, Any] | None = None
) -> None:
    """What a run of `index` did, as JSON; a reader of the file finds the report before or this one, never a half.

    asked: what became of saved queries, where there are some.
    """
    ended, n_encoded = datetime.now(UTC), report.added + report.changed
    record: dict[str, Any] = {
        "collection": str(collection.path),
        "began": (ended - timedelta(seconds=report.seconds + report.confidence_seconds)).isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
        **_counts(report),
        "seconds": round(report.seconds, 3),
        "confidence_seconds": round(report.confidence_seconds, 3),
        "pictures_per_second": round(n_encoded / report.seconds, 3) if report.seconds else None,
        "images": len(collection),
        "bytes": collection.store.n_bytes(),
        "missing_from": [{"folder": masked(m.folder), "missing": m.n, "known": m.n_known} for m in report.missing_from],
        "passed_over": dict(report.passed_over),
        "damaged": [{"image": masked(path), "missing": missing} for path, missing in report.damaged.items()],
        "failures": [{"image": masked(f.path), "reason": f.reason} for f in report.failed],
        **({"saved_queries": asked} if asked else {}),
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        replace(partial, path)
    except OSError as error:
        discard(partial)
        raise PatchseekError(f"{path}: cannot be written ({error.strerror}); the pictures are indexed") from error
