"""The end of a run: what becomes of the pictures whose files are gone for good. Asks the disk what it looks like."""

from dataclasses import replace
from pathlib import Path

from ..sources import Root, split_page
from ..store import Writer
from ._plan import FilePlan, Missing, is_alarming
from ._report import AddReport
from ._scan import emptied_folder, is_there
from ._tasks import Place


def take_leave(writer: Writer, plan: FilePlan, report: AddReport, *, prune: bool = False) -> None:
    """Take out what is gone, once every file has been read that could have been one of them; note it in the report.

    It is set aside, with prune dropped, and then also what was set aside in this place before. Where alarmingly much is
    gone, it stays in unless prune.
    """
    root, under = plan.place.root, plan.place.under
    leave = plan.leave(lambda folder: emptied_folder(root, folder) if isinstance(root, Path) else None, all_of_it=prune)
    if prune:
        writer.drop_aside([file.id for file in writer.store.aside(root, under)])
    report.removed += (writer.remove if prune else writer.set_aside)(leave.ids)
    if leave.failures:
        writer.forget_failures(root, leave.failures)
    for missing in leave.missing:
        _add_missing(report, replace(missing, folder=f"{root}/{missing.folder}".rstrip("/")))
    for other in plan.robbed:
        _leave_root(writer, other, report)


def let_in(writer: Writer, place: Place) -> None:
    """Forget what somebody took out of a place, so that it comes in again."""
    writer.let_in(place.root, writer.store.taken_out(place.root, place.under))


def _leave_root(writer: Writer, root: Root, report: AddReport) -> None:
    """What is left of a folder that lost pictures to this place: if nothing of it is where it was, all are gone."""
    known = writer.store.known(root)
    files = {split_page(path)[0] for path in known}
    if not files or any(is_there(root, file) for file in files):
        return
    if is_alarming(len(files), len(files)):
        _add_missing(report, Missing(str(root), len(files), len(files)))
    else:
        report.removed += writer.set_aside([file.id for file in known.values()])


def _add_missing(report: AddReport, missing: Missing) -> None:
    report.missing += missing.n
    report.missing_from.append(missing)
