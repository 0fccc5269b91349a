"""The part that every shard has: the features of its pictures' regions, one `.npy` of (n, R, D) float16."""

from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ..encoders import flawed
from ..errors import StoreDamaged
from ._files import Part, require_size

Half = NDArray[np.float16]
"""(n, R, D) float16: the features of n pictures."""
Shape = tuple[int, int, int]
"""n, R, D."""

REGIONS = "regions"
"""The kind of part that features are."""


def save_features(file: IO[bytes], features: Half) -> None:
    """Write features (n, R, D) as a part's file."""
    np.save(file, np.ascontiguousarray(features, np.float16), allow_pickle=False)


def map_features(folder: Path, part: Part, shape: Shape) -> Half:
    """The features of a shard (n, R, D) float16, mapped read-only. Raises StoreDamaged when shape or size is off."""
    path = folder / part.file
    try:
        require_size(folder, part)
        features = np.lib.format.open_memmap(path, mode="r")  # unlike np.load it takes nothing for a zip
    except (FileNotFoundError, StoreDamaged):
        raise
    except Exception as error:  # of a damaged header, numpy raises whatever the parser of Python does
        why = " ".join(str(error).split())[:150]
        raise StoreDamaged(f"{path}: cannot be read ({why}); run: patchseek verify --repair") from error
    is_last = features.offset + features.nbytes == part.n_bytes  # else they would be read from another place
    if features.shape != shape or features.dtype != np.float16 or not (is_last and features.flags.c_contiguous):
        raise StoreDamaged(f"{path}: holds {features.shape} {features.dtype}; run: patchseek verify --repair")
    return features


def flawed_slots(folder: Path, part: Part, shape: Shape) -> NDArray[np.bool_]:
    """Which pictures (n,) of a whole shard have features that are no numbers, or zero; see encoders.flawed."""
    return np.asarray(flawed(map_features(folder, part, shape)).any(axis=1))
