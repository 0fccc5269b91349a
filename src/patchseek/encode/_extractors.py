"""What is made of a picture, each by an extractor of its own, from as few decodings as they need. Knows no files.

An extractor's decodings are its own: what else is made of the picture changes nothing of what it makes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..encoders import Encoder, Features, check_answer, flaw
from ..errors import ImageError, StoreMismatch
from ..images import Picture
from ..patches import Patches, cut, decodings, joined, need_of
from ..points import PointsIdentity, encode, find_points, identify, open_network
from ..regions import Pyramid
from ..store import ANEW, POINTS, REGIONS, Codes, Half, Settings

POINTS_NEED = 896
"""What pictures are decoded for to look for points, see `images.read`: as for 224 pixels a patch, in one decoding."""

Extracts = Mapping[str, NDArray[Any]]
"""What the extractors made of one picture, by their kinds."""


class Extractor(Protocol):
    """Makes of each picture what a collection keeps of it under one kind. Is called by several threads at once."""

    @property
    def kind(self) -> str:
        """What shards call it, such as "regions"."""
        ...

    @property
    def needs(self) -> Sequence[int | None]:
        """The decodings that it takes something from, each as `images.read` is told: ascending, None after all."""
        ...

    def cut(self, picture: Picture, i: int) -> NDArray[Any]:
        """What it takes from the decoding for needs[i], (n, ...); n may differ from picture to picture."""
        ...


@runtime_checkable
class Batched(Extractor, Protocol):
    """An extractor that only cuts pieces in loader threads; they are encoded in batches that span pictures."""

    @property
    def batch(self) -> int:
        """Pieces in a batch."""
        ...

    @property
    def streams(self) -> int:
        """Batches worth having under way at once."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the numbers that a piece becomes."""
        ...

    def encode(self, pieces: Patches) -> NDArray[Any]:
        """Numbers (B, *shape) of pieces (B, ...)."""
        ...

    def whole(self, encoded: NDArray[Any]) -> NDArray[Any]:
        """What is kept of a picture, from the numbers (n, *shape) of its pieces."""
        ...

    def flaw(self, values: NDArray[Any]) -> str | None:
        """Why what it made of a picture is not to be kept, in words; None where nothing is wrong with it."""
        ...


class Regions:
    """The features (R, D) of a picture's regions: of each one's patch, or from one pass of a dense encoder."""

    kind = REGIONS

    def __init__(self, encoder: Encoder, pyramid: Pyramid) -> None:
        self._encoder, self._pyramid = encoder, pyramid
        self._dense = encoder.regions
        self._parts = decodings(pyramid if self._dense is None else Pyramid((0,)))
        self.needs = tuple(need_of(part, encoder.feed) for part in self._parts)
        dim = encoder.identity.dim
        self.shape: tuple[int, ...] = (dim,) if self._dense is None else (pyramid.n_regions, dim)

    @property
    def batch(self) -> int:
        """As the encoder says at the moment."""
        return self._encoder.batch

    @property
    def streams(self) -> int:
        """As the encoder says at the moment."""
        return self._encoder.streams

    def cut(self, picture: Picture, i: int) -> Patches:
        """The patches (n, S, S, 3) of one decoding; for a dense encoder (1, S, S, 3), the picture."""
        return cut(picture, self._parts[i], self._encoder.feed)

    def encode(self, pieces: Patches) -> Features:
        """Features (B, D) of patches, or (B, R, D) of whole pictures. Raises EncoderError for other answers."""
        answer = (
            self._encoder.encode(pieces)
            if self._dense is None
            else self._dense.encode_regions(pieces, self._pyramid.boxes)
        )
        return check_answer(answer, (len(pieces), *self.shape), self._encoder.identity.name)

    def whole(self, encoded: Features) -> Features:
        """The features (R, D) of all regions."""
        return encoded.reshape(self._pyramid.n_regions, -1)

    def flaw(self, values: Features) -> str | None:
        """See encoders.flaw."""
        problem = flaw(values)
        return None if problem is None else f"the encoder {self._encoder.identity.name} answers with {problem}"


class KeptPoints:
    """The points of a picture, the strongest first, as codes (n, W) uint8. Its network runs in loader threads."""

    kind, needs = POINTS, (POINTS_NEED,)

    def __init__(self, identity: PointsIdentity) -> None:
        self._identity, self._network = identity, open_network()

    def cut(self, picture: Picture, _: int) -> Codes:
        """At most identity.n_most, of the whole picture."""
        return encode(find_points(picture, self._identity.n_most, self._identity.side, self._network))


def open_points(identity: PointsIdentity) -> Extractor:
    """What finds such points. Raises StoreMismatch where those of this patchseek are others, EncoderError."""
    if identity != identify(identity.n_most, identity.side):
        raise StoreMismatch(f"the points of {identity.name} that are kept are not those found today; {ANEW}")
    return KeptPoints(identity)


def extractors_of(settings: Settings, encoder: Encoder) -> list[Extractor]:
    """What makes of a picture what a collection of these settings keeps of it. Raises as open_points."""
    regions = Regions(encoder, settings.pyramid)
    return [regions] if settings.points is None else [regions, open_points(settings.points)]


def features_of_regions(picture: Picture, settings: Settings, encoder: Encoder) -> Features:
    """The features (R, D) of a picture's regions as a collection of these settings keeps them, in float32."""
    regions = Regions(encoder, settings.pyramid)
    _, extracts = extract(lambda _: picture, [regions], "a picture")
    pieces = extracts[REGIONS]
    parts = [regions.encode(pieces[start : start + regions.batch]) for start in range(0, len(pieces), regions.batch)]
    return np.concatenate(parts).reshape(settings.shape)


def features_of(extracts: Sequence[Extracts], settings: Settings) -> Half:
    """The features (n, R, D) float16 of n pictures, as a shard keeps them."""
    return np.array([each[REGIONS] for each in extracts], np.float16).reshape(len(extracts), *settings.shape)


def points_of(extracts: Sequence[Extracts], settings: Settings) -> list[Codes] | None:
    """The points (n_i, W) uint8 of n pictures, as a shard keeps them; None in a collection without."""
    return None if settings.points is None else [each[POINTS] for each in extracts]


def extract(
    decode: Callable[[int | None], Picture], extractors: Iterable[Extractor], name: str
) -> tuple[Picture, Extracts]:
    """What each extractor cuts from a picture, and the last of its decodings; decode: gives one for a need.

    The smallest comes first, and where it has all pixels it is the only one: no more than one is held. Raises
    ImageError, which calls the picture by this name.
    """
    steps = [(need, extractor, i) for extractor in extractors for i, need in enumerate(extractor.needs)]
    steps.sort(key=lambda step: (step[0] is None, step[0] or 0))
    pieces: dict[str, list[NDArray[Any]]] = {}
    picture: Picture | None = None
    decoded: int | None = None
    for need, extractor, i in steps:
        if picture is None or (picture.is_shrunk and need != decoded):
            picture = None  # gives its room to the next
            picture, decoded = decode(need), need
        try:
            pieces.setdefault(extractor.kind, []).append(extractor.cut(picture, i))
        except MemoryError as error:
            raise ImageError(name, "too little memory to cut it", passing=True) from error
    assert picture is not None  # something is made of it
    return picture, {kind: lots[0] if len(lots) == 1 else joined(lots) for kind, lots in pieces.items()}
