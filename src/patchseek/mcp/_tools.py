"""What can be asked of a collection, as JSON objects and pictures. Knows no protocol."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from .._addresses import is_url, masked
from ..collection import Collection
from ..confidence import DOUBTFUL
from ..draw import draw_boxes
from ..errors import ImageChanged, QueryError
from ..images import Picture
from ..originals import open_original
from ..queries import asked_box
from ..records import collection_record, match_record, query_record
from ..search import Match
from ._folders import Folders

MOST = 100
"""Pictures that a search answers with at most: whoever asks reads them all."""
SIDE = 1024
"""Longest side in pixels of a picture that is shown."""
_KEPT = 3200
# hits that can still be shown


class Tools:
    """The tools over one collection, for several threads. Raises QueryError where its pictures may not be read."""

    def __init__(self, collection: Collection, folders: Folders) -> None:
        self.collection, self.folders = collection, folders
        self._check_roots()
        self._found: OrderedDict[str, Match] = OrderedDict()
        self._n_searches = 0
        self._lock = threading.Lock()

    def search_object(self, image: str | int, box: Sequence[float] | None, top: int) -> dict[str, Any]:
        """The query and its results, each with the name of a hit. Raises PatchseekError."""
        if not 1 <= top <= MOST:
            raise QueryError(f"top: from 1 to {MOST}, found {top}")
        self._check_roots()  # another one may have come since
        picture = self._read(image)
        inner = asked_box(picture, box)
        matches = self.collection.search(picture, box=box, top=top)
        with self._lock:
            self._n_searches += 1
            hits = [f"search{self._n_searches}-hit{rank}" for rank in range(1, len(matches) + 1)]
            self._found.update(zip(hits, matches, strict=True))
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        results = [
            {"hit": hit, **match_record(rank, match), "file": _place(match)}
            for rank, (hit, match) in enumerate(zip(hits, matches, strict=True), 1)
        ]
        query = query_record(f"image_id {image}" if isinstance(image, int) else image, picture, inner)
        answer: dict[str, Any] = told({"query": query, "results": results, "doubtful_below": DOUBTFUL})
        return answer

    def show(self, hit: str) -> tuple[bytes, str]:
        """The picture of a hit with its boxes as JPEG, and a line about it. Raises PatchseekError."""
        with self._lock:
            match = self._found.get(hit)
        if match is None:
            raise QueryError(f"{hit!r}: no such hit is kept; hits are named in the answers of search_object")
        image = match.image
        if match.changed:
            raise ImageChanged(image.path)
        self.folders.require(image.file)
        small = PillowImage.fromarray(open_original(image, need=SIDE * 2 // 3).pixels)
        small.thumbnail((SIDE, SIDE), PillowImage.Resampling.LANCZOS, reducing_gap=2.0)
        stream, places = BytesIO(), match.places
        drawn = draw_boxes(np.array(small), [p.box for p in places], outlines=[p.outline for p in places])
        PillowImage.fromarray(drawn).save(stream, "JPEG", quality=88)
        sure = "" if match.confidence is None else f", {100 * match.confidence:.0f} % sure"
        box = ",".join(map(str, match.pixels))
        line = f"{image.path}: box x,y,w,h {box} of {image.width} x {image.height} pixels{sure}"
        return stream.getvalue(), told(line)

    def collection_info(self) -> dict[str, Any]:
        """What is searched, and where pictures may be."""
        store = self.collection.store
        record = collection_record(self.collection) | {
            "failures": len(store.failures()),
            "keeps_points": store.settings.points is not None,
            "tags": list(store.tags()),
            "folders": [str(folder) for folder in self.folders.named],
        }
        answer: dict[str, Any] = told(record)
        return answer

    def _check_roots(self) -> None:
        """Raise QueryError where the collection's own pictures lie elsewhere: a search opens the best of them."""
        for root in self.collection.store.roots():
            if isinstance(root, Path) and not self.folders.hold(root):
                raise QueryError(f"the collection holds pictures of {root}; to have them read: --allow-dir {root}")

    def _read(self, image: str | int) -> Picture:
        if not isinstance(image, int):
            return self.collection.read(self.folders.find(image))
        found = self.collection.store.images([image])[0]
        if found is not None:
            self.folders.require(found.file)
        return self.collection.read(image)


def _place(match: Match) -> str | None:
    """Where its file is; None for a picture that came from elsewhere."""
    return None if is_url(match.image.path) else match.image.stored.name


def told(value: Any) -> Any:
    """What is answered, as JSON can hold it: no passwords of addresses, and bytes of names that are no text escaped."""
    if isinstance(value, str):
        return masked(value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: told(each) for key, each in value.items()}
    return [told(each) for each in value] if isinstance(value, list) else value
