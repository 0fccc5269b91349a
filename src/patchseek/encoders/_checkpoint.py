"""Weights as people save them: judged by what is in a file, not by its name. Nothing in a file is ever run.

A file is of safetensors or of torch.save, under any name, or one of several that an index lists. The weights of a model
may lie in it beside others (state_dict, model_ema) and under the name of what held the model (module., model.,
backbone.): the part is taken that the model's own names fit best.
"""

import argparse
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from .._platform import temporary_folder
from ..errors import EncoderError
from ._torch import torch
from ._weight_files import files_of, is_safetensors

T = TypeVar("T")
Weights = dict[str, Any]
"""Tensors by name."""

_DEPTH = 4  # of parts in parts
_AVERAGED, _MEANS = {"ema", "teacher"}, {"k", "momentum", "target"}
# words in the names of copies: of averaged ones that are meant to be used, and of those that only served training

log = logging.getLogger(__name__)


def load_weights(
    path: Path, load: Callable[[Path], T], expected: Callable[[], Weights], chosen: Sequence[str] = ()
) -> T:
    """load(file) of the weights at a path: of the file that is there, else of a plain one made of the part that fits.

    load: raises EncoderError for what does not fit. expected: the model's own weights, which say what fits; asked for
    where it does not at once. chosen: keys under which `load` looks by itself, the first that is there. Raises
    EncoderError.
    """
    files, problem = files_of(path), None
    if len(files) == 1 and is_safetensors(files[0]) == (files[0].suffix == ".safetensors"):
        try:
            return load(files[0])
        except EncoderError as error:
            problem = error
    checkpoint = read_checkpoint(files[0]) if len(files) == 1 else _joined(files)
    parts = dict(_parts(checkpoint, chosen))
    if not parts:
        raise EncoderError(f"{path}: cannot be read as weights: there are no tensors under names in it") from problem
    try:
        wanted = {name: tuple(tensor.shape) for name, tensor in expected().items()}
    except Exception as error:  # of a library; a model that cannot be made at all
        raise problem or EncoderError(f"{path}: {' '.join(str(error).split())[:200]}") from error
    fitting = {name: sum(wanted.get(key) == tuple(t.shape) for key, t in part.items()) for name, part in parts.items()}
    best = max(parts, key=lambda name: fitting[name])
    tried = next((f"{key}/" for key in chosen if f"{key}/" in parts), "")
    if problem is not None and (best == tried or not fitting[best]):
        raise problem
    log.info("%s: its part %r is taken", path, best)
    with _plain_file(parts[best]) as plain:
        try:
            return load(plain)
        except EncoderError as error:
            raise EncoderError(str(error).replace(str(plain), str(path))) from error


def read_checkpoint(path: Path) -> Any:
    """What a file of safetensors or torch.save holds. Raises EncoderError for what is neither, or is more than data."""
    import safetensors.torch

    try:
        if is_safetensors(path):
            return safetensors.torch.load_file(path)
        allowed = torch.serialization.safe_globals([argparse.Namespace])  # plain values, which many programs save
        with allowed, path.open("rb") as file:  # of a path, torch judges by its name
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of either library, many kinds
        raise EncoderError(f"{path}: cannot be read as weights: {_reason(path, error)}") from error


def _reason(path: Path, error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if "TorchScript" in text:
        return "it is a TorchScript program, which is not run; save its state_dict() alone"
    names = sorted(set(re.findall(r"GLOBAL ([\w.]+)", text)))
    if not names:
        return text[:200]
    try:
        names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # then the first one has to do
        log.debug("%s: its globals cannot be listed", path)
    return (
        f"it holds more than tensors ({', '.join(names)[:200]}), and loading that could run any code; where you trust "
        f"it, save its weights alone: torch.save(torch.load({path.name!r}, weights_only=False)['state_dict'], 'new.pt')"
    )


def _joined(files: list[Path]) -> Weights:
    """The tensors of several files."""
    joined: Weights = {}
    for file in files:
        part = read_checkpoint(file)
        if not isinstance(part, Mapping):
            raise EncoderError(f"{file}: cannot be read as weights: there are no tensors under names in it")
        joined |= part
    return joined


def _parts(checkpoint: Any, first: Sequence[str] = (), name: str = "", depth: int = 0) -> Iterator[tuple[str, Weights]]:
    """Every part of a checkpoint that has tensors, by where it is, likely ones first; a part may hold the next."""
    if not isinstance(checkpoint, Mapping) or depth > _DEPTH or not all(isinstance(key, str) for key in checkpoint):
        return
    inner = {key: value for key, value in checkpoint.items() if isinstance(value, Mapping)}
    chosen = [key for key in first if key in inner][:1]
    for key in chosen:
        yield from _parts(inner[key], first, f"{name}{key}/", depth + 1)
    tensors = {key: value for key, value in checkpoint.items() if isinstance(value, torch.Tensor)}
    if tensors:
        yield name, tensors
        yield from _under_prefixes(tensors, name, depth)
    for key in sorted(inner.keys() - set(chosen), key=_likely):
        yield from _parts(inner[key], first, f"{name}{key}/", depth + 1)


def _under_prefixes(tensors: Weights, name: str, depth: int) -> Iterator[tuple[str, Weights]]:
    """The tensors whose names begin with one word, such as `model.`, without it; and so on."""
    groups: dict[str, Weights] = {}
    for key, tensor in tensors.items():
        word, dot, rest = key.partition(".")
        if dot:
            groups.setdefault(word, {})[rest] = tensor
    for word in sorted(groups, key=_likely):
        yield f"{name}{word}.", groups[word]
        if depth < _DEPTH:
            yield from _under_prefixes(groups[word], f"{name}{word}.", depth + 1)


def _likely(key: str) -> tuple[bool, bool, str]:
    """An order: of several copies of one model, the averaged one is meant to be used, unless it is called otherwise."""
    words = set(re.split(r"[_.]", key))
    return not _AVERAGED & words, bool(_MEANS & words), key


@contextmanager
def _plain_file(weights: Weights) -> Iterator[Path]:
    """A file of safetensors with nothing but these, for as long as it is read."""
    import safetensors.torch

    with temporary_folder() as folder:
        path = Path(folder) / "weights.safetensors"
        copies = {name: tensor.detach().clone().contiguous() for name, tensor in weights.items()}  # none shared
        try:
            safetensors.torch.save_file(copies, path)
        except Exception as error:  # a full disk, or tensors of a kind that it does not know
            reason = " ".join(str(error).split())[:200]
            raise EncoderError(f"weights cannot be written to a plain file in {folder} ({reason})") from error
        del copies
        yield path
