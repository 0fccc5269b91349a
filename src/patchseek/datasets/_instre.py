"""INSTRE (Wang and Jiang, 2015) in the protocol of Iscen et al. (CVPR 2017): 1,250 queries, 27,293 gallery pictures.

    DIR/INSTRE-S1/01a_canada_book/001.jpg     100 objects (11,011 pictures), in pairs 01a and 01b
    DIR/INSTRE-S2/.../001.jpg                 100 objects (12,059)
    DIR/INSTRE-M/01/001.jpg                   50 pairs of objects of S1 (5,473)
    .../001.txt                               beside each picture, a line `x y w h` in pixels for each copy
    DIR/gnd_instre.mat                        see `_gnd`: names relative to DIR, "ok" and "bbx" for each query

In INSTRE-M the first line is the box of object a, the second that of b. 250 classes (S1, S2, M) with 5 queries each;
query pictures are not in the gallery. A query is its box, that of an INSTRE-M query encloses both objects, and so does
its box in other pictures of INSTRE-M. The published figures are areas under the precision-recall line
(`metrics.revisited_average_precision`).

Sources: the data set's page, and public readers of gnd_instre.mat; the file itself was not at hand. Those readers
disagree whether bbx is x0 y0 x1 y1 or x y w h, so that the reading that fits the .txt files of the query pictures
better is taken, over all queries; without such files it is x0 y0 x1 y1, unless that is impossible for one of them.
"""

from collections.abc import Callable
from functools import cache
from math import inf
from pathlib import Path, PurePosixPath

import numpy as np

from ..boxes import iou
from ..errors import DatasetError
from ..formats import Annotations, Box, clip, enclose, parse_box
from ._assemble import assemble, locate
from ._dataset import Dataset, GalleryPicture, Query, Truth
from ._fitted import upright_size
from ._gnd import Gnd, find_gnd, read_gnd

SINGLE, PAIRS = "INSTRE-S1", "INSTRE-M"
# the parts of the data set whose boxes have to do with each other


def read_instre(root: Path, *, allow_missing: bool = False) -> Dataset:
    """The benchmark INSTRE; root holds the ground truth and the three folders, or an INSTRE_release with them."""
    bases = (root, root / "INSTRE_release")
    path = find_gnd(bases, "gnd_instre")
    annotations = Annotations(path.parent)
    gnd = read_gnd(annotations, path)
    notes: list[str] = []

    @cache
    def boxes_in(name: str) -> tuple[Box, ...]:
        picture = locate(name, bases)
        beside = picture.with_suffix(".txt")
        if not beside.is_file():
            return ()
        boxes, empty = annotations.boxes(beside)
        notes.extend(empty)
        return clip(boxes, upright_size(picture), f"{beside}", notes)

    own = _query_boxes(gnd, boxes_in)
    queries: list[Query] = []
    truth: dict[str, Truth] = {}
    for n, (name, judgement) in enumerate(zip(gnd.qimlist, gnd.judgements, strict=True)):
        if "ok" not in judgement.lists:
            raise DatasetError(f"{gnd.path}: gnd {n + 1}: no list ok")
        picture = locate(name, bases)
        box = clip(own[n], upright_size(picture) if own[n] else None, f"{gnd.path}: gnd {n + 1}: bbx", notes)
        queries.append(Query(name, picture, str(PurePosixPath(name).parent), box))
        found = (gnd.imlist[i] for i in judgement.lists["ok"])
        truth[name] = Truth({key: _boxes_of(name, key, boxes_in(key)) or None for key in found})
    gallery = [GalleryPicture(name, locate(name, bases)) for name in gnd.imlist]
    return assemble(
        "instre", root, queries, gallery, truth,
        data_hash=annotations.data_hash, allow_missing=allow_missing, notes=notes,
    )  # fmt: skip


def _query_boxes(gnd: Gnd, boxes_in: Callable[[str], tuple[Box, ...]]) -> list[tuple[Box, ...]]:
    """The box of each query, () where none is given, in the reading that fits the .txt files better."""
    given = [judgement.bbx for judgement in gnd.judgements if judgement.bbx]
    as_corners, as_sizes = 0.0, 0.0 if all(x1 > x0 and y1 > y0 for x0, y0, x1, y1 in given) else inf
    for name, judgement in zip(gnd.qimlist, gnd.judgements, strict=True):
        if judgement.bbx and (seen := boxes_in(name)):
            true = [(x, y, x + w, y + h) for x, y, w, h in (*seen, enclose(seen))]
            x, y, w, h = judgement.bbx
            as_corners += float(np.max(iou(judgement.bbx, true)))
            as_sizes += float(np.max(iou((x, y, x + w, y + h), true)))
    boxes: list[tuple[Box, ...]] = []
    for n, judgement in enumerate(gnd.judgements, 1):
        where = f"{gnd.path}: gnd {n}: bbx"
        if judgement.bbx is None:
            boxes.append(())
        elif as_sizes > as_corners:
            boxes.append((parse_box(judgement.bbx, where),))
        else:
            x0, y0, x1, y1 = judgement.bbx
            boxes.append((parse_box((x0, y0, x1 - x0, y1 - y0), where),))
    return boxes


def _boxes_of(query: str, picture: str, boxes: tuple[Box, ...]) -> tuple[Box, ...]:
    """The boxes of a query's object among all boxes of a gallery picture."""
    asked, seen = PurePosixPath(query), PurePosixPath(picture)
    if seen.parts[0] != PAIRS or len(boxes) != 2:
        return boxes
    if asked.parts[0] == PAIRS:
        return (enclose(boxes),)
    letter = asked.parent.name[2:3]
    return boxes["ab".index(letter) :][:1] if asked.parts[0] == SINGLE and letter in ("a", "b") else boxes
