"""A benchmark's queries as a ranking sees them: all are searched for at once, and pictures are opened by their names.

Engines let the order of the gallery decide who is first of equals; here a hash of the name does, see `_ties`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from .._ties import in_order
from ..boxes import Boxes
from ..datasets import Dataset, Place
from ..encoders import Features
from ..images import Picture, read
from ..indexes import Hits, Index
from ..lays import Lay
from ..rank import Candidate, best_lays
from ..search import Query
from ..store import Snapshot
from ._gallery import Gallery

NEAR = 2e-6
"""Scores of a results file are rounded to 6 places: what lies no further apart may tie there."""


@dataclass(frozen=True)
class Asked:
    """A View of a gallery for one query."""

    gallery: Gallery
    hits: Hits
    # of each of its lays, a row
    lays: Sequence[Lay]
    files: Mapping[str, Path | Place]
    # name -> where the picture is, of those that may be opened

    @property
    def snapshot(self) -> Snapshot:
        """See View."""
        return self.gallery.snapshot

    def find(self, query: Query, n: int) -> list[Candidate[str]]:  # noqa: ARG002  both were known when it was asked
        """See View: all that was found, under each name that a picture has. Scores are rounded to 6 places: so a
        results file has them."""
        gallery = self.gallery
        found: list[Candidate[str]] = []
        for hit in best_lays(self.hits, self.lays):
            size = gallery.sizes[hit.position]
            x0, y0, x1, y1 = gallery.store.settings.pyramid.boxes_of(*size)[hit.region].tolist()
            rounded = replace(hit, likeness=round(hit.likeness, 6))
            found += [rounded.candidate(name, size, (x0, y0, x1, y1)) for name in gallery.ids[hit.position]]
        order = in_order([each.picture for each in found], [each.score for each in found])
        return [found[i] for i in order]

    def regions_of(self, candidate: Candidate[str]) -> Boxes:
        """See View."""
        return self.gallery.store.settings.pyramid.boxes_of(*candidate.size)[: self.snapshot.n_regions]

    def open(self, candidate: Candidate[str], need: int) -> Picture:
        """See View. Raises ImageError, DatasetError: a figure over a part of a benchmark would not be comparable."""
        there = self.files[candidate.picture]
        return read(there if isinstance(there, Path) else there.content(), need=need, name=str(there))


def ask(
    dataset: Dataset, gallery: Gallery, engine: Index, queries: Sequence[Query], n: int, n_opened: int = 0
) -> list[Asked]:
    """Search for every query: views that find the best n pictures, and can open the first n_opened of these.

    Pictures in tars can be opened as well, if they are among the first. Raises DatasetError for a damaged tar.
    """
    lays, features = zip(*(query.features for query in queries), strict=True)
    hits = _search(engine, np.concatenate(features), n, gallery.snapshot.n_live)
    starts = np.cumsum([0, *map(len, lays)])
    rows = [slice(*ends) for ends in pairwise(starts.tolist())]
    files: dict[str, Path | Place] = {picture.id: picture.image for picture in dataset.gallery}
    asked = [
        Asked(gallery, Hits(hits.positions[own], hits.regions[own], hits.scores[own]), each, files)
        for own, each in zip(rows, lays, strict=True)
    ]
    if gallery.shards and n_opened:
        names = {
            each.picture for one, query in zip(asked, queries, strict=True) for each in one.find(query, n)[:n_opened]
        }
        for shard in gallery.shards:
            files |= shard.places(names)
    return asked


def _search(engine: Index, queries: Features, n: int, n_live: int) -> Hits:
    """The best n pictures of each query (Q, D), and those that tie with the last."""
    k = min(n, n_live)
    n = min(k + 1, n_live)
    while True:
        hits = engine.search(queries, n)
        if n == n_live or not (hits.scores[:, n - 1] > hits.scores[:, k - 1] - NEAR).any():
            return hits
        n = min(2 * n, n_live)
