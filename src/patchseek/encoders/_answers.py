"""What an encoder must never answer with: another shape than asked for, and features that are no numbers.

What has a feature of NaN, infinity or zeros alone is never found: it is like nothing, not even itself. Knows arrays.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError

_EXPONENT = 0x7C00  # of float16: all its bits are set in infinities and NaN alone
_SIGN = 0x8000


def flawed(features: NDArray[Any]) -> NDArray[np.bool_]:
    """Which features (..., D) are none, (...): as the float16 that collections keep, not finite or nothing but zeros.

    Looks at bits, which takes a third of the time that asking each number does.
    """
    half = _as_half(features)
    largest, signed = half.view(np.uint16).max(axis=-1, initial=0), half.view(np.int16).max(axis=-1, initial=0)
    is_endless = (signed >= _EXPONENT) | (largest >= _SIGN + _EXPONENT)
    return np.asarray(is_endless | ((signed <= 0) & ((largest == 0) | (largest == _SIGN))), np.bool_)


def flaw(features: NDArray[Any]) -> str | None:
    """What is wrong with some of the features (n, D) of one picture, such as "NaN in 2 of 30 features"; None: nothing.

    Of a single one it says what alone.
    """
    flaws = flawed(features)
    if not flaws.any():
        return None
    bad = features[flaws]
    if np.isnan(bad).any():
        what = "NaN"
    elif np.isinf(bad).any():
        what = "infinity"
    else:
        what = "numbers beyond float16" if np.isinf(_as_half(bad)).any() else "nothing but zeros"
    return what if len(flaws) == 1 else f"{what} in {len(bad)} of {len(flaws)} features"


def check_answer(answer: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
    """What the encoder of this name answers, as float32. Raises EncoderError unless it is numbers of this shape."""
    found = np.asarray(answer)
    if found.shape != shape or found.dtype.kind not in "fiu":
        raise EncoderError(f"the encoder {name} answers with {found.shape} {found.dtype}, asked for {shape} numbers")
    with np.errstate(over="ignore"):
        return found.astype(np.float32, copy=False)


def _as_half(features: NDArray[Any]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return np.asarray(features).astype(np.float16, copy=False)
