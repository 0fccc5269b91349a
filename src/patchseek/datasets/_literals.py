"""The lists, dicts, texts, numbers and arrays written in a pickle, read as data: the pickle is never run.

A pickle is a program for a small machine. `pickletools` splits it into steps without carrying any of them out; here the
few steps that put plain values together are carried out, and any other is an error. No name is looked up, nothing is
imported, nothing is called. How NumPy writes arrays is in `_pickled_arrays`.
"""

import pickletools
from typing import Any

from ..errors import DatasetError
from ._pickled_arrays import Refused, called, give_state, named

PASSED_OVER = {"PROTO", "FRAME"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_MARK = object()


def read_literals(data: bytes, source: object) -> Any:
    """The value of a pickle of plain lists, tuples (as lists), dicts, texts, numbers and arrays of these (as lists).

    source: what errors name. Raises DatasetError for a pickle of anything else, such as objects.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for step, argument, _ in pickletools.genops(data):
            if step.name == "STOP":
                return stack.pop()
            if not _carry_out(step.name, argument, stack, memo):
                raise Refused(f"it holds a step {step.name}")
    except Refused as error:
        raise DatasetError(
            f"{source}: its pickle holds more than lists, dicts, texts, numbers and arrays of them: {error}; nothing "
            "of it was run. If you trust whoever made it, write it again as .json, of lists, texts and numbers alone"
        ) from error
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DatasetError(f"{source}: not a pickle, or a damaged one ({error})") from error
    raise DatasetError(f"{source}: not a pickle, or a damaged one (it has no end)")


def _carry_out(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> bool:
    """Carry out one step on the stack; False where it is none of the harmless ones."""
    if name in VALUES:
        stack.append(argument)
    elif name in CONSTANTS:
        stack.append(CONSTANTS[name])
    elif name == "MARK":
        stack.append(_MARK)
    elif name in ("EMPTY_LIST", "EMPTY_TUPLE"):
        stack.append([])
    elif name == "EMPTY_DICT":
        stack.append({})
    elif name in ("LIST", "TUPLE"):
        stack.append(_since_mark(stack))
    elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        n = int(name[-1])
        stack[-n:] = [stack[-n:]]
    elif name == "DICT":
        stack.append(_pairs(_since_mark(stack)))
    elif name == "APPEND":
        stack[-2].append(stack.pop())
    elif name == "APPENDS":
        values = _since_mark(stack)
        stack[-1].extend(values)
    elif name == "SETITEM":
        value, key = stack.pop(), stack.pop()
        stack[-1].update(_pairs([key, value]))
    elif name == "SETITEMS":
        values = _since_mark(stack)
        stack[-1].update(_pairs(values))
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        memo[int(argument)] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[int(argument)])
    else:
        return name in PASSED_OVER or _carry_out_of_array(name, argument, stack)
    return True


def _carry_out_of_array(name: str, argument: Any, stack: list[Any]) -> bool:
    """The same of the steps that NumPy's arrays are written with. Raises Refused."""
    if name == "GLOBAL":
        stack.append(named(*argument.rsplit(" ", 1)))
    elif name == "STACK_GLOBAL":
        stack[-2:] = [named(*stack[-2:])]
    elif name == "REDUCE":
        stack[-2:] = [called(*stack[-2:])]
    elif name == "BUILD":
        state = stack.pop()
        give_state(stack[-1], state)
    else:
        return False
    return True


def _since_mark(stack: list[Any]) -> list[Any]:
    """Take what lies above the topmost mark, and the mark."""
    at = len(stack) - 1
    while at >= 0 and stack[at] is not _MARK:
        at -= 1
    if at < 0:
        raise ValueError("a list without a beginning")
    values = stack[at + 1 :]
    del stack[at:]
    return values


def _pairs(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(values[::2], values[1::2], strict=True))
