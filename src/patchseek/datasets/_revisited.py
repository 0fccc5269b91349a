"""Revisited Oxford and Paris (Radenovic et al., CVPR 2018): 70 queries each, 4,993 and 6,322 pictures, three setups.

    DIR/gnd_roxford5k.pkl or .mat or .json      see `_gnd`; for Paris gnd_rparis6k
    DIR/jpg/NAME.jpg                            queries and gallery; names stand without .jpg in the ground truth

easy: positives easy, ignored junk and hard. medium: positives easy and hard, ignored junk. hard: positives hard,
ignored junk and easy. A query without positives in a setup keeps its place and is left out of the mean. bbx is
x0 y0 x1 y1 of the landmark in the query's picture; where it is in the gallery's pictures is not known. The published
figures are areas under the precision-recall line (`metrics.revisited_average_precision`), and an object is a query.
"""

from pathlib import Path

from ..errors import DatasetError
from ..formats import Annotations, Box, clip, parse_box
from ._assemble import assemble, locate
from ._dataset import Dataset, GalleryPicture, Query, Truth
from ._fitted import upright_size
from ._gnd import find_gnd, read_gnd

NAMES = ("roxford5k", "rparis6k")
SETUPS = {
    "easy": (("easy",), ("junk", "hard")),
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}
"""Setup -> the lists whose pictures are positives, and those whose pictures are ignored."""


def read_revisited(root: Path, name: str, setup: str = "medium", *, allow_missing: bool = False) -> Dataset:
    """The benchmark roxford5k or rparis6k in a setup; root holds the ground truth, or the folder of that name does."""
    if setup not in SETUPS:
        raise DatasetError(f"{name} has the setups {', '.join(SETUPS)}, found {setup!r}")
    path = find_gnd((root, root / name), f"gnd_{name}")
    base = path.parent
    annotations = Annotations(base)
    gnd = read_gnd(annotations, path)
    queries: list[Query] = []
    truth: dict[str, Truth] = {}
    notes: list[str] = []
    right, left_out = SETUPS[setup]
    for n, (key, judgement) in enumerate(zip(gnd.qimlist, gnd.judgements, strict=True), 1):
        if absent := {"easy", "hard", "junk"} - judgement.lists.keys():
            raise DatasetError(
                f"{gnd.path}: gnd {n}: no list {min(absent)}; is this the original, not the revisited one?"
            )
        boxes: tuple[Box, ...] = ()
        picture = _picture(base, key)
        if judgement.bbx:
            x0, y0, x1, y1 = judgement.bbx
            where = f"{gnd.path}: gnd {n}"
            boxes = clip([parse_box((x0, y0, x1 - x0, y1 - y0), where)], upright_size(picture), where, notes)
        queries.append(Query(key, picture, key, boxes))
        ignored = frozenset(gnd.imlist[i] for part in left_out for i in judgement.lists[part])
        positives = dict.fromkeys(gnd.imlist[i] for part in right for i in judgement.lists[part])
        truth[key] = Truth({p: None for p in positives if p not in ignored}, ignored)
    gallery = [GalleryPicture(key, _picture(base, key)) for key in gnd.imlist]
    return assemble(
        f"{name}-{setup}", root, queries, gallery, truth,
        data_hash=annotations.data_hash, allow_missing=allow_missing, notes=notes,
    )  # fmt: skip


def _picture(base: Path, key: str) -> Path:
    name = key if key.lower().endswith((".jpg", ".jpeg", ".png")) else f"{key}.jpg"
    return locate(name, (base / "jpg", base))
