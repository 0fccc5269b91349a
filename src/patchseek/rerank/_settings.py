"""What an encoder's cells are worth, as somebody chose it: settings by its name, in one file of the models folder.

The usual ones were chosen with labels, for the embedded encoder. `tools/tune_cells.py` chooses some for any encoder.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._platform import replace as put_in_place
from ..encoders import models_folder, require_home
from ..errors import EncoderError
from ._recipe import Recipe

FILE = "cells.json"
"""{name: {"floor": 0.4, "agreement": 4.8, "weights": [0.22, 0.22, 0.46, 0.1]}}; see Recipe for what they are."""


def recipe_of(name: str) -> Recipe:
    """The recipe for the encoder of this name: the usual one, with its own settings where the models folder shows some.

    Options behind a question mark are part of a name. Raises EncoderError, naming the file, where it holds anything
    else than FILE says.
    """
    settings = _read().get(name)
    return Recipe() if settings is None else replace(Recipe(), **settings)


def keep(name: str, floor: float, agreement: float, weights: tuple[float, ...]) -> Path:
    """Have searches with this encoder take these settings; where they are kept."""
    path, settings = models_folder() / FILE, {"floor": floor, "agreement": agreement, "weights": weights}
    require_home(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f"{FILE}.{os.getpid()}.new")
    written.write_text(json.dumps(_read() | {name: _checked(settings, path)}, indent=2) + "\n", encoding="utf-8")
    put_in_place(written, path)
    return path


def _read() -> dict[str, dict[str, Any]]:
    path = models_folder() / FILE
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except OSError:  # none there, or none for this user
        return {}
    except (ValueError, RecursionError) as error:
        raise EncoderError(f"{path}: cannot be read as settings of encoders: {error}") from error
    if not isinstance(known, dict):
        raise EncoderError(f"{path}: settings of encoders are an object of them by name, found {type(known).__name__}")
    return {name: _checked(settings, path) for name, settings in known.items()}


def _checked(settings: Any, path: Path) -> dict[str, Any]:
    """Settings as Recipe has them."""
    try:
        floor, agreement = float(settings["floor"]), float(settings["agreement"])
        weights = tuple(map(float, settings["weights"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise EncoderError(f"{path}: settings are floor, agreement and weights, found {settings!r:.100}") from error
    sound = not isinstance(settings["weights"], str) and 0 <= floor < 1 and 0 <= agreement < 1e6 and len(weights) == 4
    if not (sound and all(0 <= weight < 1e6 for weight in weights) and any(weights[:3])):
        raise EncoderError(
            f"{path}: the floor is in [0, 1), agreement and the four weights at least 0, found {settings!r:.100}"
        )
    return {"floor": floor, "agreement": agreement, "weights": weights}
