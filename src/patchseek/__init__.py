"""patchseek finds an exact object in a collection of pictures and shows where it is, without any training.

import patchseek as ps

c = ps.Collection.open("~/Pictures/.patchseek", create=True)
c.add("~/Pictures")
for match in c.search("query.jpg", box=(40, 60, 200, 180)):
    print(match.score, match.image.path, match.pixels)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .answers import SearchOptions
    from .collection import Collection
    from .encode import AddReport
    from .encoders import Encoder, EncoderIdentity, open_encoder
    from .errors import (
        BoxError,
        DatasetError,
        DiskFull,
        EncoderError,
        EngineError,
        ImageError,
        MissingExtra,
        MissingLibrary,
        PatchseekError,
        QueryError,
        StoreDamaged,
        StoreError,
        StoreLocked,
        StoreMismatch,
    )
    from .images import Picture, read
    from .matches import Matches
    from .regions import Pyramid
    from .search import Match
    from .store import Failure, Image

__version__ = "0.1.0"

__all__ = [
    "AddReport",
    "BoxError",
    "Collection",
    "DatasetError",
    "DiskFull",
    "Encoder",
    "EncoderError",
    "EncoderIdentity",
    "EngineError",
    "Failure",
    "Image",
    "ImageError",
    "Match",
    "Matches",
    "MissingExtra",
    "MissingLibrary",
    "PatchseekError",
    "Picture",
    "Pyramid",
    "QueryError",
    "SearchOptions",
    "StoreDamaged",
    "StoreError",
    "StoreLocked",
    "StoreMismatch",
    "__version__",
    "open_encoder",
    "read",
]

_HOMES = {
    "answers": ("SearchOptions",),
    "collection": ("Collection",),
    "encode": ("AddReport",),
    "encoders": ("Encoder", "EncoderIdentity", "open_encoder"),
    "images": ("Picture", "read"),
    "matches": ("Matches",),
    "regions": ("Pyramid",),
    "search": ("Match",),
    "store": ("Failure", "Image"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name at its first use, so that `import patchseek` and `patchseek --help` cost nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME_OF.get(name, 'errors')}", __name__), name)
