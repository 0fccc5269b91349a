"""What a run tells of itself."""

from collections import Counter
from dataclasses import dataclass, field, fields

from ..store import Failure
from ._plan import Missing
from ._tasks import Same


@dataclass
class AddReport:
    """What became of a folder's pictures. A page of a TIFF is a picture."""

    added: int = 0
    unchanged: int = 0
    changed: int = 0
    # encoded anew, since the bytes of their file are others
    moved: int = 0
    # found under another path, by their bytes
    returned: int = 0
    # taken back from those set aside, nothing encoded
    removed: int = 0
    # no longer found, since their files are gone or left out: set aside, or dropped with prune
    missing: int = 0
    # files that are gone and whose pictures stay in, since so many are: see missing_from
    missing_from: list[Missing] = field(default_factory=list)
    waiting: int = 0
    # files that were left as they are, since they may still grow
    failed: list[Failure] = field(default_factory=list)
    # those of this run and those known before and unchanged since
    damaged: dict[str, str] = field(default_factory=dict)
    # of pictures that were read in part, or roughly, what is missing
    passed_over: Counter[str] = field(default_factory=Counter)
    # files that are no picture's by suffix (".cr2", "no suffix"), and what was left out: "links", "excluded", ...
    unmatched: dict[str, str | None] = field(default_factory=dict)
    # exclusions that nothing matched, each with what may have been meant
    seconds: float = 0.0
    confidence_seconds: float = 0.0
    # that it took after these to measure confidence anew; see Collection.refresh_background

    def __iadd__(self, other: "AddReport") -> "AddReport":
        """Count what another run did as well."""
        for name in (each.name for each in fields(self)):
            mine, theirs = getattr(self, name), getattr(other, name)
            is_lookup = isinstance(mine, dict) and not isinstance(mine, Counter)
            setattr(self, name, mine | theirs if is_lookup else mine + theirs)
        return self

    def count(self, same: Same) -> None:
        """Count the pictures of a file whose bytes the collection had."""
        n = len(same.images)
        if same.images[0].is_aside:
            self.returned += n
        elif same.moved:
            self.moved += n
        else:
            self.unchanged += n
