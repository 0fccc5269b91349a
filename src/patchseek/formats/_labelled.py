"""Annotated rows, whatever file they came from: a picture with labels, each a name and the box of one visible copy."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..errors import DatasetError
from ..patterns import plain
from ._boxes import Box


@dataclass(frozen=True)
class Label:
    """One visible copy of an object."""

    instance: str
    box: Box | None = None
    # None where it is not known; as somebody wrote it, in pixels or shares
    facts: Mapping[str, float] = field(default_factory=dict)
    key: str = ""
    # what its file calls this very box, where that is one of a kind


@dataclass(frozen=True)
class Row:
    """One entry of a list of pictures."""

    where: str
    # the file and the place in it, for errors
    id: str
    image: str
    # as written
    labels: tuple[Label, ...] = ()
    ignore: tuple[str, ...] = ()
    # names of objects for whose queries the picture is neither right nor wrong
    groups: Mapping[str, str] = field(default_factory=dict)
    # of a query: kind of grouping -> group of its object


def object_name(text: str) -> str:
    """A name as it is compared: without the blanks around it, letters composed (NFC). Capitals stay what they are."""
    return plain(text.strip())


@contextmanager
def noted(problems: list[str]) -> Iterator[None]:
    """What is wrong inside becomes a line, and what follows goes on."""
    try:
        yield
    except DatasetError as error:
        problems.append(str(error))
