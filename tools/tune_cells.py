"""Choose what an encoder's cells are worth, from pictures alone: no labels are needed, and nothing is trained.

    python tools/tune_cells.py SET --encoder NAME [--weights FILE] [--device NAME]
        [--pictures 200] [--keep]

Random pieces of SET's own pictures, turned, slanted, resized, recompressed and set on other ground, are looked for in
their pictures and in those most like these. Where in its picture a piece lies is known, so that two things are chosen:

floor, agreement   the cosine from which cells count as alike, and the weight of agreement beside likeness: of the boxes
                   of a pyramid and of boxes near the true one, that which scores best shall overlap the true one most;
                   of the floors that are as good as the best, the highest
weights            of likeness, agreement, fit and colour: Fisher's direction between what the best box of the right
                   picture says and what those of strangers say, and the usual weights, half of each

A stranger that shows the very thing, as copies and photographs of one place do, is passed over: the piece as it lies in
its picture fits its details much better than it does those of random pictures. --keep: have searches with this encoder
take what was chosen, by cells.json in the models folder; the confidence of existing collections stays as it was
measured. On two cores some minutes with the embedded encoder; with a ViT-L, a GPU is of use.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from cell_choice import FEWEST, Looks, Seen, choose
from cell_pieces import take_piece

from patchseek.boxes import Boxes, clip, iou
from patchseek.encoders import Encoder, open_encoder
from patchseek.errors import PatchseekError
from patchseek.images import EXTENSIONS, Picture, read
from patchseek.patches import crop, cut
from patchseek.regions import Pyramid
from patchseek.rerank import keep, need
from patchseek.rerank._agreement import partners
from patchseek.rerank._colours import colour_likeness
from patchseek.rerank._geometry import fit
from patchseek.search import SMALL, Query, encode_query

PYRAMID = Pyramid()
N_NEAR = 32
"""Boxes beside the true one."""
N_ALIKE, N_RANDOM, N_BOXES = 6, 2, 3
"""Strangers of a piece, the most alike ones and some at random, and their boxes that are looked at, the most alike."""


def see(pictures: Sequence[Picture], encoder: Encoder, random: np.random.Generator) -> Iterator[Seen]:
    """Of each picture a piece, looked for in it and in others. Strangers are not told from copies yet."""
    features = [encoder.encode(cut(picture, PYRAMID, encoder.feed)) for picture in pictures]
    for i, picture in enumerate(pictures):
        piece = take_piece(picture, pictures[int(random.integers(len(pictures)))], random)
        query, lying = encode_query(piece.seen, encoder), encode_query(picture, encoder, piece.box)
        regions = PYRAMID.boxes_of(picture.width, picture.height)
        own = look(query, lying, picture, np.concatenate([regions, near(piece.box, random)]), encoder, piece.box)
        likeness = np.array([(each @ query.feature).max() for each in features])
        likeness[i] = -np.inf
        others = np.delete(np.arange(len(pictures)), i)
        chosen = [*np.argsort(-likeness)[:N_ALIKE].tolist(), *random.choice(others, N_RANDOM, replace=False).tolist()]
        strangers = []
        for j in chosen:
            boxes = PYRAMID.boxes_of(pictures[j].width, pictures[j].height)
            first = np.argsort(-(features[j] @ query.feature))[:N_BOXES]
            strangers.append(look(query, lying, pictures[j], boxes[first], encoder))
        yield Seen(own, strangers[:N_ALIKE], strangers[N_ALIKE:])


def look(
    query: Query,
    lying: Query,
    picture: Picture,
    boxes: Boxes,
    encoder: Encoder,
    truth: Sequence[float] | None = None,
) -> Looks:
    """What boxes of a picture look like beside a piece as it is looked for, and as it lies in its own picture."""
    assert encoder.cells, "asked before"
    features, cells = encoder.cells.encode_cells(crop(picture, boxes, encoder.feed))
    own, small = query.cells[0], crop(picture, boxes, SMALL)
    return Looks(
        likeness=features @ query.feature,
        cosines=partners(own.coarse[0], cells.coarse),
        fit=fit(own.fine[0], cells.fine),
        colour=colour_likeness(query.small[0], small),
        overlap=np.zeros(len(boxes)) if truth is None else iou(boxes, [truth])[:, 0],
        same=fit(lying.cells[0].fine[0], cells.fine),
    )


def near(box: Sequence[float], random: np.random.Generator) -> Boxes:
    """Boxes beside this one, and itself."""
    x0, y0, x1, y1 = box
    sides = np.array([x1 - x0, y1 - y0])
    middles = np.array([x0 + x1, y0 + y1]) / 2 + random.normal(0, 0.15, (N_NEAR, 2)) * sides
    halves = sides / 2 * np.exp(random.normal(0, 0.3, (N_NEAR, 2)))
    return clip(np.concatenate([[box], np.hstack([middles - halves, middles + halves])]))


def pictures_of(folder: Path, n: int, side: int, random: np.random.Generator) -> list[Picture]:
    """n random pictures of a folder, as far as they can be read. Raises PatchseekError where there are too few."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS)
    found: list[Picture] = []
    for i in random.permutation(len(paths)).tolist():
        try:
            found.append(read(paths[i], need=side))
        except PatchseekError as error:
            sys.stderr.write(f"{error}\n")
        if len(found) == n:
            break
    if len(found) < FEWEST:
        raise PatchseekError(
            f"{folder}: {len(found)} pictures can be read, and {FEWEST} are the fewest that say anything"
        )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Look, choose, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="SET")
    parser.add_argument("--encoder", default="embedded")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        encoder = open_encoder(asked.encoder, weights=asked.weights, device=asked.device)
        random, name = np.random.default_rng(asked.seed), encoder.identity.name
        if encoder.cells is None:
            raise PatchseekError(f"{name} shows no cells: there is nothing to choose")
        pictures = pictures_of(asked.folder, asked.pictures, need(encoder), random)
        chosen = choose(list(see(pictures, encoder, random)))
        sys.stdout.write(json.dumps({name: chosen.settings, "chosen by": chosen.reasons}, indent=2) + "\n")
        if asked.keep:
            sys.stdout.write(f"kept in {keep(name, **chosen.settings)}\n")
    except PatchseekError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
