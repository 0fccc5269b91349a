"""What an archive holds, as values."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Member:
    """A picture in an archive."""

    name: str
    # as the archive has it
    start: int
    # its first byte there; of a zip, where its own header begins
    size: int
    # bytes, unpacked


@dataclass
class Listing:
    """What an archive holds."""

    pictures: list[Member] = field(default_factory=list)
    # in the archive's order
    unreadable: dict[str, str] = field(default_factory=dict)
    # members that are pictures by their name and cannot be read, and why
    links: list[str] = field(default_factory=list)
    # symbolic links that are not followed
    passed_over: Counter[str] = field(default_factory=Counter)
    # see encode.Scan
    damage: str | None = None
    # why the archive ends early; what stands before is listed
