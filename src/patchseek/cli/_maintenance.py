"""The commands that look after a collection: what it is, what it holds, whether it is whole. Parse, call, print."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._words import counted
from ..errors import EngineError, PatchseekError, StoreError
from ._collection import collection_option, locate, open_collection
from ._log import say
from ._report import points_text

if TYPE_CHECKING:
    from ..collection import Collection


@click.command("info")
@collection_option
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def info_command(collection: Path | None, as_json: bool) -> None:
    """Say what a collection is and what it holds."""
    from ..records import collection_record
    from ..store import all_exclusions, all_gone_into, all_intervals
    from . import _output

    opened = open_collection(collection)
    failures = opened.store.failures()
    record = collection_record(opened) | {
        "folders": [str(root) for root in opened.store.roots()],
        "regions": opened.store.settings.pyramid.n_regions,
        "dim": opened.store.settings.encoder.dim,
        "preprocessing": opened.store.settings.encoder.preprocessing,
        "bytes": opened.store.n_bytes(),
        "tags": opened.store.tags(),
        "set_aside": opened.store.n_aside(),
        "taken_out": opened.store.n_taken_out(),
        "exclude": all_exclusions(opened.store),
        "inside": all_gone_into(opened.store),
        "every": all_intervals(opened.store),
        "failures": [{"image": f.path, "reason": f.reason} for f in failures],
    }
    if lacking := points_text(opened):
        record["points"] = lacking
    if holds := _held(opened):
        record["index_holds"] = holds
    if opened.store.settings.outdated:
        record["outdated"] = opened.store.settings.outdated
    try:
        if outgrown := opened.why_outgrown():
            record["outgrown"] = f"{outgrown}; mend it with: {opened.use_index_command()}"
    except EngineError as error:
        record["unusable"] = str(error)
    if as_json:
        _output.print_line(json.dumps(record, indent=2))
        return
    for key, value in record.items():
        if key in ("exclude", "inside"):
            for folder, said in value.items():
                _output.print_line(_output.printable(f"{key:14} {', '.join(said)} (in {folder})"))
        elif key == "every":
            for folder, said in value.items():
                times = (f"{seconds:g} s" + f" (of {of})" * bool(of) for of, seconds in said.items())
                _output.print_line(_output.printable(f"{key:14} {', '.join(times)} (in {folder})"))
        elif key != "failures":
            _output.print_line(f"{key:14} {', '.join(map(str, value)) if isinstance(value, list | dict) else value}")
    _output.print_line(f"{'failures':14} {len(failures)}")
    for failure in failures:
        _output.print_line(f"  {_output.printable(failure.path)}: {failure.reason}")


def _held(opened: "Collection") -> str:
    """What the database of the engine holds, or why that cannot be said; empty where there is none."""
    try:
        held = opened.held()
    except PatchseekError as error:
        return str(error)
    return "" if held is None else str(held)


@click.command("remove")
@click.argument("patterns", nargs=-1, required=True)
@collection_option
def remove_command(patterns: tuple[str, ...], collection: Path | None) -> None:
    """Take pictures out of a collection by path, folder or pattern. The files themselves are not touched.

    They stay out until `patchseek index` is told --with-removed, or is given the very file.
    """
    from . import _output

    removed = open_collection(collection).remove(*patterns)
    for path in removed:
        _output.print_line(_output.printable(path))
    back = "patchseek index FOLDER --with-removed"
    say(f"{counted(len(removed), 'picture')} taken out, also of later runs of index; back in with: {back}")


@click.command("verify")
@collection_option
@click.option("--repair", is_flag=True, help="Drop what is damaged, so that the next `index` encodes it again.")
def verify_command(collection: Path | None, repair: bool) -> None:
    """Check every byte of a collection against what was committed, and a database against what was sent to it."""
    from ._output import print_line, printable
    from ._progress import progress

    opened = open_collection(collection)
    with progress() as on_progress:
        problems = opened.verify(on_progress)
    for problem in problems:
        print_line(printable(problem))
    if problems and repair:
        with progress() as on_progress:
            n = opened.repair(on_progress)
        say(f"repaired: {counted(n, 'picture')} to be encoded again; run: patchseek index FOLDER" if n else "repaired")
    elif problems:
        raise StoreError(f"{opened.path}: {counted(len(problems), 'problem')}; run: patchseek verify --repair")
    else:
        if holds := _held(opened):
            print_line(f"{opened.index}: {holds}")
        print_line(f"{opened.path}: sound, {counted(len(opened), 'picture')}")


@click.command("repair")
@collection_option
def repair_command(collection: Path | None) -> None:
    """Mend a collection that is damaged: its catalogue is made anew from what lies beside its shards.

    What was moved, removed or tagged after it was indexed has to be said again; run `patchseek index` after it. The
    catalogue of before is kept as catalogue.damaged. Where the catalogue is sound, this is `verify --repair`.
    """
    from ..collection import FOLDER, Collection, find_collection
    from ..store import DAMAGED, catalogue_problem, rebuild
    from ._output import print_line, printable
    from ._progress import progress

    home = find_collection(locate(collection))
    if not (home / "shards").is_dir() and (home / FOLDER / "shards").is_dir():  # its catalogue is gone
        home = home / FOLDER
    if problem := catalogue_problem(home):
        print_line(printable(problem))
        with progress() as on_progress:
            done = rebuild(home, on_progress)
        print_line(f"made anew: {counted(done.n_pictures, 'picture')} in {counted(done.n_shards, 'shard')}")
        carried = ", ".join(f"{n} of {table}" for table, n in done.carried.items()) or "nothing"
        print_line(f"carried over: {carried}; what was moved, removed or tagged since it was indexed is not")
        if done.n_lost:
            print_line(f"lost: {counted(done.n_lost, 'shard')} of which nothing tells what they hold")
        say(f"the catalogue of before is kept: {home / DAMAGED}; now run: patchseek index FOLDER")
    opened = Collection.open(home)
    with progress() as on_progress:
        n = opened.repair(on_progress)
    print_line(f"{home}: {counted(len(opened), 'picture')}" + (f", {n} to be encoded again" if n else ""))


@click.command("compact")
@collection_option
def compact_command(collection: Path | None) -> None:
    """Free the space of pictures that were removed, replaced, or set aside 30 days ago or earlier."""
    from ._output import print_line
    from ._progress import progress

    opened = open_collection(collection)
    with progress() as on_progress:
        n_bytes = opened.compact(on_progress)
    print_line(f"{opened.path}: {n_bytes / 1e6:.1f} MB freed, {counted(len(opened), 'picture')} kept")


@click.command("tag")
@click.argument("name", required=False)
@click.argument("places", nargs=-1)
@click.option("--remove", is_flag=True, help="Take the tag off.")
@collection_option
def tag_command(name: str | None, places: tuple[str, ...], remove: bool, collection: Path | None) -> None:
    """Put the tag NAME on the pictures in PLACES: folders, pictures or patterns. Without a name, list all tags.

    `patchseek search --tag NAME` looks only there.
    """
    from ._output import print_line, printable

    opened = open_collection(collection)
    if name is None:
        for known, n in opened.store.tags().items():
            print_line(f"{printable(known)}: {n}")
        return
    if not places:
        raise click.UsageError("say which pictures: folders, files or patterns, '*' for all")
    n = opened.tag(name, *places, remove=remove)
    print_line(f"{printable(name)}: {'taken off' if remove else 'put on'} {counted(n, 'picture')}")
