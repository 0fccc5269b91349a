"""What `index` does with saved queries: they are asked of what is new, and what they find is said."""

from typing import TYPE_CHECKING, Any

from ..errors import PatchseekError
from ._log import say
from ._saved import facts_of, say_failed, summary_of

if TYPE_CHECKING:
    from ..collection import Collection


def ask_of_new(opened: "Collection") -> dict[str, Any] | None:
    """Ask the saved queries of pictures that came since, and say what is new; the facts of it, or None where none is.

    Where they cannot be asked, that is said, and the facts have it as "error": the pictures are indexed all the same.
    """
    from ..saved import Saved
    from ._output import printable
    from ._progress import progress

    saved = Saved(opened)
    if not saved.all():
        return None
    try:
        with progress() as on_progress:
            told = list(saved.run(only_new=True, on_progress=on_progress))
    except PatchseekError as error:
        say(f"saved queries could not be asked: {printable(str(error))}", error=str(error))
        return {"failed": len(saved.all()), "error": str(error)}
    facts = facts_of(told)
    for each in told:
        for problem in each.problems:
            say_failed(each.query.name, problem)
        if each.new:
            say(f"{printable(each.query.name)}: {len(each.new)} new", query=each.query.name, new_finds=len(each.new))
    say(summary_of(told), **facts)
    return facts | {"new": [{"query": each.query.name, **find.record} for each in told for find in each.new]}
