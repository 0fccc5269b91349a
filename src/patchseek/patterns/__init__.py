"""Names and patterns of pictures in .gitignore's manner. Knows no catalogue.

    neu          everything called so, and all below it         /neu, ./neu     the one at the top alone
    neu/         folders alone                                  raw/*.tif       in the folder raw itself
    **/neu/**    all below any folder of that name              raw/**/*.tif    at any depth below it
    *.tif [ab]?  as in a shell, within one name                 !keep.tif       an exception from what stands before it

In two things names go before patterns. Where something bears the very name that was given, it alone is meant: a picture
`image[1].jpg`, a folder `!old`. And a text that was given is no line of a file: blanks at its ends and a leading # are
part of it. Composed and decomposed letters (NFC and NFD) are equal everywhere, large and small ones are not.
"""

from ._exclusions import Exclusions, Given
from ._gitignore import Pattern
from ._names import (
    OneOrSeveral,
    absolute,
    escaped,
    inside,
    is_utf8,
    moved_below,
    plain,
    seen_from,
    several,
    spellings,
    tidy,
)
from ._nearest import nearest

__all__ = [
    "Exclusions",
    "Given",
    "OneOrSeveral",
    "Pattern",
    "absolute",
    "escaped",
    "inside",
    "is_utf8",
    "moved_below",
    "nearest",
    "plain",
    "seen_from",
    "several",
    "spellings",
    "tidy",
]
