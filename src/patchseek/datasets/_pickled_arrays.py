"""Arrays of numbers and texts as NumPy writes them into a pickle, put together from what is written, as data.

A pickle of an array says: call this function of NumPy, then give what it made this state. The few functions that are
said are known here by their names, and stand for nothing but the values that they would make; none is imported, none is
called. Arrays come out as lists, an array of one number without axes as a list of it.
"""

import re
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

_CORES = ("numpy.core", "numpy._core")  # before NumPy 2 and since
_RECONSTRUCT, _SCALAR, _FROM_BUFFER = "_reconstruct", "scalar", "_frombuffer"
_ENCODE, _BYTES = "_codecs.encode", "bytes"
_DTYPE, _NDARRAY = "numpy.dtype", "numpy.ndarray"
_KNOWN: dict[str, str] = {
    **{f"{core}.multiarray.{name}": name for core in _CORES for name in (_RECONSTRUCT, _SCALAR)},
    **{f"{core}.numeric.{_FROM_BUFFER}": _FROM_BUFFER for core in _CORES},
    **{name: name for name in (_DTYPE, _NDARRAY, _ENCODE)},
    **{f"{module}.bytes": _BYTES for module in ("builtins", "__builtin__")},  # how an empty one is written
}
_KIND = re.compile("b1|[iu][1248]|f[248]|[US][0-9]{1,6}")  # logical values, numbers, texts; no objects, no records


class Refused(Exception):
    """What a pickle would do that is not done, or holds that is not read, in a clause."""


@dataclass(frozen=True)
class Name:
    """A function or class that a pickle names, one of _KNOWN."""

    name: str


@dataclass
class Kind:
    """The type of an array's elements."""

    code: str
    # "f8", "U20"
    order: str = "<"


class Array(list[Any]):
    """The elements of an array, none until its state is given."""


def named(module: object, name: object) -> Name:
    """What a pickle names. Raises Refused for all but _KNOWN."""
    text = f"{module}.{name}"
    if text not in _KNOWN:
        raise Refused(f"it would call {text[:60]!r}")
    return Name(_KNOWN[text])


def called(function: Any, given: list[Any]) -> Any:
    """What a function would make of its arguments. Raises Refused, and ValueError and the like for damaged ones."""
    name = function.name if isinstance(function, Name) else None
    if name == _RECONSTRUCT and given[0] == Name(_NDARRAY):
        return Array()
    if name == _DTYPE:
        return Kind(_checked(given[0]))
    if name == _SCALAR:
        return _elements(given[0], given[1]).tolist()[0]
    if name == _FROM_BUFFER:
        buffer, kind, shape, order, *axes = given
        array = _elements(kind, buffer).reshape(_sane(shape, len(buffer)), order="C" if order == "K" else order)
        return Array(_as_list(array.transpose(axes[0]) if order == "K" else array))
    if name == _ENCODE:
        return given[0].encode({"latin1": "latin-1"}[given[1]])
    if name == _BYTES and not given:
        return b""
    raise Refused("it would call what it made itself")


def give_state(made: Any, state: Any) -> None:
    """Give what `called` has made the state that is written for it. Raises like that."""
    if isinstance(made, Kind):
        order, *parts = state[1:5]
        if any(part is not None for part in parts):
            raise Refused("it holds an array of records")
        made.order = order if order in ("<", ">") else "<"
    elif isinstance(made, Array):
        shape, kind, is_fortran, data = state[-4:]
        if isinstance(data, list):
            raise Refused("it holds an array of objects")
        array = _elements(kind, data).reshape(_sane(shape, len(data)), order="F" if is_fortran else "C")
        made[:] = _as_list(array)
    else:
        raise Refused("it would change what it made itself")


def _checked(code: object) -> str:
    if not isinstance(code, str) or not _KIND.fullmatch(code):
        raise Refused(f"it holds an array of {'objects' if str(code).startswith('O') else repr(code)[:40]}")
    return code


def _elements(kind: Any, data: bytes | str) -> Any:
    """The elements (n,) that bytes are; Python 2 wrote bytes as text."""
    if not isinstance(kind, Kind):
        raise ValueError("an array of nothing known")
    content = data.encode("latin-1") if isinstance(data, str) else data
    elements = np.frombuffer(content, np.dtype(kind.order + kind.code))
    return np.char.decode(elements, "latin-1") if kind.code[0] == "S" else elements


def _sane(shape: list[Any], n_bytes: int) -> tuple[int, ...]:
    """A shape; of an array without elements (0,), as its other axes could be as long as they like."""
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"an array of the shape {shape}")
    return tuple(shape) if prod(shape) or n_bytes else (0,)


def _as_list(array: Any) -> list[Any]:
    listed = array.tolist()
    return listed if isinstance(listed, list) else [listed]
