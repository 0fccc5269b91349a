"""Webdataset tars as sources: a picture is a file and a range of its bytes. Reads headers; workers read pictures."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

from .._addresses import is_url, masked, name_part
from .._home import expanded
from ..errors import PatchseekError
from ..patterns import Exclusions, is_utf8
from ..sources import EXCLUDED, REPEATED, Listing, check_tar, list_tar, tidy
from ..sources.stores import expand, open_file, state_of
from ..store import FileState
from ._entries import Entry, ListedRoot


def open_tar(
    place: str,
    left_out: Exclusions,
    *,
    hidden: bool = False,
    follow_symlinks: bool = False,
    is_alone: bool = True,
    n_named: int = 1,
) -> ListedRoot:
    """A tar at a URL. Its pictures change when the tar does: their times are the tar's.

    is_alone: whether nothing else is a source; then one that does not begin as a tar is an error, PatchseekError. One
    that is damaged further on, or is one of several, is a failure beside the pictures that there are. n_named: how
    often the source names it.
    """
    _, changed = state_of(place)
    source = ListedRoot(place, (), False)
    if n_named > 1:
        source.passed_over[REPEATED] = n_named - 1
    if is_alone:
        with open_file(place) as raw:
            check_tar(raw, masked(place))

    @cache
    def listed() -> Listing:
        try:
            with open_file(place) as raw:
                return list_tar(raw, masked(place), hidden=hidden, follow_symlinks=follow_symlinks)
        except PatchseekError as error:
            if is_alone:
                raise
            source.unreadable[place] = str(error).removeprefix(f"{masked(place)}: ")
            return Listing()

    def entries() -> Iterator[Entry]:
        listing = listed()
        for unread, why in listing.unreadable.items():
            source.unreadable[f"{place}/{unread}"] = why
        if listing.damage is not None:
            source.unreadable[place] = f"cannot be read as a tar to its end ({listing.damage})"
        source.passed_over += listing.passed_over
        wanted = set(left_out.kept([tidy(member.name) for member in listing.pictures]))
        for member in listing.pictures:
            if tidy(member.name) not in wanted:
                source.passed_over[EXCLUDED] += 1
                continue
            state = FileState(member.size, changed)
            yield Entry(f"{place}/{member.name}", place, state, member.start, member.size)

    if left_out.lines:  # all is gone through at once: which names there are decides
        source.exclusions = left_out.lines
        names = [tidy(member.name) for member in listed().pictures]
        left_out.kept(names)
        source.unmatched = left_out.unmatched(names)
    source.entries = entries()
    return source


def find_tars(pattern: str) -> dict[str, int]:
    """The tars that x-{000..099}.tar or *.tar stands for, all of which exist, and how often each is named.

    One that is there under several names, by links, is one tar. Raises PatchseekError.
    """
    if is_url(pattern):
        return dict.fromkeys(_named(pattern), 1)
    found: Counter[str] = Counter()
    for place in _named(str(expanded(pattern).absolute())):
        if not is_utf8(place):
            raise PatchseekError(f"{place!a}: the name is not valid UTF-8; rename it")
        found[str(Path(place).resolve())] += 1
    return dict(found)


def _named(pattern: str) -> list[str]:
    """The places that a pattern stands for."""
    if not is_url(pattern) and Path(pattern).is_file():  # by that very name
        return [pattern]
    pieces = re.split(r"\{(\d+)\.\.(\d+)\}", pattern)  # text, first, last, text, ...
    ranges = [
        [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
        for first, last in zip(pieces[1::3], pieces[2::3], strict=True)
    ]
    names = []
    for chosen in product(*ranges):
        words = [word for pair in zip(pieces[::3], (*chosen, ""), strict=True) for word in pair]
        names.append("".join(words))
    tars = [tar for name in names for tar in (expand(name) if "*" in name_part(name) else [name])]
    if not tars:
        raise PatchseekError(f"{masked(pattern)}: no such tar")
    for tar in tars:
        state_of(tar)
    return tars
