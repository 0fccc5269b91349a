"""Where pictures come from: folders, webdataset tars, lists in CSV or Parquet; on this machine or at a URL.

Lists names; reads no picture. Tars and lists are gone through as their pictures are needed, folders at once, since only
the whole of a folder tells what was moved.

    SOURCE                          root in the catalogue    path of a picture in it
    /data/pictures                  the folder               a/b.jpg
    s3://bucket/pictures            the URL                  s3://bucket/pictures/a/b.jpg
    /data/x-{000..099}.tar, *.tar   the folder               x-000.tar!b.jpg
    /data/box.zip                   the folder               box.zip!b.jpg
    s3://bucket/x.tar               the URL of the tar       s3://bucket/x.tar/b.jpg
    /data/train.parquet             the folder               train.parquet#row=17, where it has a column of pictures
    /data/list.csv, list.parquet    the list                 /data/a/b.jpg, or the URL
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from .._addresses import is_url, masked, name_part
from .._home import expanded
from ..encode import (
    Scan,
    Walked,
    find_in_store,
    find_pictures,
    find_place,
    is_file,
    name_listed,
    visit,
)
from ..errors import PatchseekError
from ..patterns import Exclusions, Given
from ..sources import (
    LISTS,
    REPEATED,
    Root,
    folder_of_list,
    is_archive,
    is_list,
    member_path,
    open_archive,
    stored,
)
from ..sources.stores import open_file
from ..store import Writer
from ._entries import Entry, ListedRoot
from ._tars import find_tars, open_tar

_PACKED = re.compile(r"\.(?:tar\.\w+|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)


def open_sources(
    source: str,
    *,
    exclude: Given | None = None,
    remembered: Callable[[Root], Given] = lambda _: (),
    hidden: bool = False,
    follow_symlinks: bool = False,
    inside: Sequence[str] | None = None,
    every: float | None = None,
    may_be_empty: bool = False,
) -> Iterator[ListedRoot]:
    """The roots that a source stands for: one, or one a tar. Raises PatchseekError, before the first, for a bad one.

    exclude: what to leave out of each; None for what is remembered of a root. inside, every: see encode.visit.
    may_be_empty: leave it to the visit to look into a folder or archive.
    """

    def left_out(root: Root) -> Given:
        return remembered(root) if exclude is None else exclude

    look = partial(visit, exclude=exclude, hidden=hidden, follow_symlinks=follow_symlinks, inside=inside, every=every)
    name = name_part(source)
    suffix = name.rpartition(".")[2].lower() if is_url(source) or not Path(source).is_dir() else ""
    is_packed = suffix and is_archive(name) and not (is_url(source) or is_list(expanded(source)))
    if every is not None and (is_packed or suffix == "tar" or (is_url(source) and suffix not in LISTS)):
        raise PatchseekError(f"{masked(source)}: every is for films, and for folders and lists of some")
    if suffix == "tar" or is_packed:
        tars = find_tars(source)
        for tar, n_named in tars.items():
            if not is_url(tar):
                yield _local_tar(Path(tar), look, is_alone=len(tars) == 1, n_named=n_named)
                continue
            yield open_tar(
                tar,
                Exclusions(left_out(tar), tar),
                hidden=hidden,
                follow_symlinks=follow_symlinks,
                is_alone=len(tars) == 1,
                n_named=n_named,
            )
    elif suffix in LISTS:
        place = source if is_url(source) else str(expanded(source).resolve())
        root = place if is_url(place) else Path(place)
        yield _open_list(place, root, Exclusions(left_out(root), folder_of_list(place)), every)
    elif suffix and (packed := _PACKED.search(name)):
        raise PatchseekError(
            f"{masked(source)}: {packed[0]} is a packed tar, in which no picture has a place of its own: "
            "unpack it to a plain .tar"
        )
    elif is_url(source):
        url = source.rstrip("/")
        yield _open_url(url, Exclusions(left_out(url), url), hidden)
    elif is_file(Path(source)):
        raise PatchseekError(
            f"{source}: a source is a folder, a .tar, .{', .'.join(LISTS[:-1])} or .{LISTS[-1]} file, or a URL of these"
        )
    else:
        folder = Path(source).resolve()
        found = None
        if not may_be_empty:
            given = left_out(folder)
            found = find_pictures(folder, given, hidden=hidden, follow_symlinks=follow_symlinks, inside=inside or ())
        files = {} if found is None else found.files
        entries = [Entry(path, f"{folder}/{path}", state) for path, state in files.items()]
        yield ListedRoot(folder, entries, True, len(entries), visit=partial(look, folder=folder))


def _local_tar(tar: Path, look: Callable[..., Walked], *, is_alone: bool, n_named: int) -> ListedRoot:
    """An archive of this machine. One of several that cannot be read is a failure beside the others, no error."""
    if is_alone:
        open_archive(tar)

    def visit_it(writer: Writer, *, prune: bool) -> Walked:
        try:
            open_archive(tar)
            walked = look(writer, folder=tar, prune=prune)
        except PatchseekError as error:
            if is_alone:
                raise
            place, reason = find_place(writer.store, tar), str(error).removeprefix(f"{tar}: ")
            return Walked(place, Scan(unreadable={member_path(tar.name): reason}))
        if n_named > 1:
            walked.found.passed_over[REPEATED] += n_named - 1
        return walked

    return ListedRoot(tar, (), False, visit=visit_it)


def _open_url(url: str, left_out: Exclusions, hidden: bool) -> ListedRoot:
    found = find_in_store(url, left_out, hidden=hidden)
    entries = [Entry(where, where, found.state(where)) for where in found.places]
    said = found.exclusions, found.unmatched
    return ListedRoot(url, entries, True, len(entries), {}, *said, found.passed_over, found.is_there)


def _open_list(place: str, root: Root, left_out: Exclusions, every: float | None) -> ListedRoot:
    """A list. It is read once to the end beforehand, so that a bad line costs nothing."""
    listed = name_listed(place, open_file(place), left_out)
    entries = (Entry(where, stored(Path("/"), where).url or where, listed.state(where)) for where in listed.places)
    said = listed.exclusions, listed.unmatched
    return ListedRoot(
        root, entries, False, len(listed.places), listed.unreadable, *said, listed.passed_over, every=every
    )
