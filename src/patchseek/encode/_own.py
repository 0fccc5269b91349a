"""Whether an encoder is the one that a collection was made with, where their identities cannot tell.

Earlier versions looked at the first file of a model alone. Then some pictures are encoded again: what they have in the
collection is what the encoder must make of them.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..encoders import Encoder
from ..errors import ImageError, StoreError
from ..regions import Pyramid
from ..store import REGIONS, Failure, Image, NewEntry, Settings, Store, Writer
from ._extractors import Extractor, Regions
from ._load import Loaded, encode_tasks, load_original

_N_PICTURES = 4
_LEAST = 0.998
"""Mean cosine that their features must have with those of before. Engines and precisions agree better than that."""

_log = logging.getLogger(__name__)


def require_own(store: Store, encoder: Encoder, pyramid: Pyramid) -> None:
    """Raise StoreMismatch unless the collection is made with this encoder and pyramid.

    Where only the files beside the encoder's first one were not looked at, and some pictures have the same features
    today, the collection is told of these files.
    """
    asked = Settings(encoder.identity, pyramid)
    if store.settings.knew_less_than(asked) and agrees(store, encoder):
        whole = replace(store.settings, encoder=encoder.identity)
        try:
            with Writer(store) as writer:
                writer.renew(whole)
        except StoreError:  # another program writes, or nobody may: then it is looked at again the next time
            store.settings = whole
        _log.info(
            "%s: made when only the first file of its encoder was looked at; it gives the same features", store.path
        )
    store.require(asked)


def agrees(store: Store, encoder: Encoder) -> bool:
    """Whether the encoder gives a few pictures of the collection the features that they have there.

    False, too, where no picture is left as it was indexed.
    """
    snapshot = store.snapshot()

    def load(image: Image, extractors: Sequence[Extractor]) -> Loaded | Failure:
        try:
            picture, extracts = load_original(image, extractors)
        except ImageError as error:
            return Failure(image.path, image.state, error.reason)
        new = NewEntry(str(image.id), image.state, image.sha256, picture.width, picture.height)
        return Loaded(new, extracts)

    cosines = []
    regions = Regions(encoder, store.settings.pyramid)
    for loaded in encode_tasks(store.sample(_N_PICTURES), load, [regions], 1, lambda _: None):
        known = snapshot.features(np.flatnonzero(snapshot.ids == int(loaded.picture.path)))[0]
        new = loaded.extracts[REGIONS]
        lengths = np.linalg.norm(known, axis=1) * np.linalg.norm(new, axis=1)
        cosines += ((known * new).sum(axis=1) / np.maximum(lengths, 1e-12)).tolist()
    return bool(cosines) and float(np.mean(cosines)) >= _LEAST
