"""What names pictures: lists and IIIF manifests, here or at a URL, and folders of stores. Reads names, no picture."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO, RawIOBase
from pathlib import Path

from .._addresses import is_url, is_web, masked, name_part
from .._home import expanded
from .._platform import as_spelled
from ..errors import PatchseekError
from ..patterns import Exclusions, Given, seen_from
from ..sources import (
    ARCHIVES,
    Root,
    folder_of_list,
    is_picture,
    list_kind,
    open_web,
    passed_over_as,
    read_list,
)
from ..sources.stores import list_folder, open_file, require_open
from ..store import FileState
from ._scan import is_there


@dataclass(frozen=True)
class Listed:
    """What a list names, or a folder of a store holds."""

    root: Root
    # the list, a file or its URL
    places: list[str]
    # absolute paths and URLs, in the list's order
    passed_over: Counter[str]
    exclusions: dict[str, str]
    # what was left out; see patterns.Exclusions.lines
    unmatched: dict[str, str | None]
    unreadable: dict[str, str] = field(default_factory=dict)
    # lists that it names and that could not be had, and why
    states: Mapping[str, FileState] = field(default_factory=dict)
    # of the places, where the store has told
    all_there: frozenset[str] | None = None
    # all that lies below a URL, pictures or not; None of a list

    def is_there(self, root: Root, path: str) -> bool:
        """Whether a picture of a root is where it was, see _scan.is_there: of a store, what it has listed says so."""
        return path in self.all_there if self.all_there is not None and root == self.root else is_there(root, path)

    def state(self, place: str) -> FileState:
        """What tells whether a place is as it was.

        Zeros for an address, which has to be asked for, and for what is not there: whoever reads it says why. Nothing
        that was read or fetched has these.
        """
        try:
            return self.states.get(place) or (FileState(0, 0) if is_url(place) else FileState.of(Path(place).stat()))
        except OSError:
            return FileState(0, 0)


def name_listed(place: str, raw: RawIOBase | BytesIO, left_out: Exclusions) -> Listed:
    """The pictures that a list names, but for those that are left out; see sources.read_list.

    Raises PatchseekError where there is none, or a bad line.
    """
    folder = folder_of_list(place)
    named = read_list(place, raw)
    places = named.places
    seen = {seen_from(folder, where): where for where in places} if left_out.lines else {}
    if left_out.lines:
        places = [seen[path] for path in left_out.kept(list(seen))]
    if not places:
        raise PatchseekError(f"{masked(place)}: names no pictures")
    if strange := next((where for where in places if _leads_out(place, where)), None):
        raise PatchseekError(f"{masked(place)}: names {masked(strange)}, which a list from elsewhere may not")
    root: Root = place if is_url(place) else Path(place)
    return Listed(root, places, named.passed_over, left_out.lines, left_out.unmatched(seen), named.unreadable)


def _leads_out(place: str, where: str) -> bool:
    """Whether a list at a URL names what is on this machine, or one on the web what is not."""
    if is_web(place):
        return not is_web(where)
    is_here = not is_url(where) or where.lower().startswith("file:")
    return is_url(place) and is_here and not place.lower().startswith("file:")


def find_listed(source: str | Path, exclude: Given, *, hidden: bool = False) -> Listed:
    """The same of a list of this machine, or at a URL; of a picture at a web address, itself; of any other URL, what
    lies below it in a store. Raises PatchseekError.
    """
    place = place_of(source)
    left_out = Exclusions(exclude, folder_of_list(place))
    if is_web(place):
        if list_kind(place) is None:
            if not is_picture(name_part(place)):  # an archive, a document, a film
                raise PatchseekError(f"{masked(place)}: is not read from the web; fetch it first")
            return Listed(place, [place], Counter(), {}, {})
        return name_listed(place, BytesIO(open_web().get(place, max_age=0.0)), left_out)
    if is_url(place):
        require_open(place)
    if is_url(place) and list_kind(place) is None:
        if name_part(place).lower().endswith(ARCHIVES):
            raise PatchseekError(f"{masked(place)}: a tar at a URL is read on a Ray cluster alone; add: --ray local")
        return find_in_store(place, Exclusions(exclude, place), hidden=hidden)
    return name_listed(place, open_file(place), left_out)


def place_of(source: str | Path) -> str:
    """A source as it is known: a URL, of a folder without the slash at its end, or an absolute path."""
    place = str(source)
    if not is_url(place):
        return str(as_spelled(expanded(source)))
    return place if is_web(place) else place.rstrip("/")


def find_in_store(url: str, left_out: Exclusions, *, hidden: bool = False) -> Listed:
    """The pictures that lie below a URL of a store. Raises PatchseekError where there is none."""
    found = list_folder(url)
    passed = {relative: passed_over_as(relative, hidden=hidden, is_link=False) for relative in found}
    kept = [found[relative] for relative in left_out.kept(list(found)) if passed[relative] is None]
    if not kept:
        raise PatchseekError(f"{masked(url)}: no pictures found below this URL")
    passed_over = Counter(reason for reason in passed.values() if reason is not None)
    states = {own: FileState(*dated) for own, dated in kept}
    everything = frozenset(own for own, _ in found.values())
    return Listed(url, list(states), passed_over, left_out.lines, left_out.unmatched(found), {}, states, everything)
