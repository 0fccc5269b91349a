"""Frozen vision models that turn patches into features. Here are names; each library has its private file.

What all of them are stands in `_protocol`, how one is to be opened in `_opening`.
"""

from pathlib import Path

from ._answers import check_answer as check_answer
from ._answers import flaw as flaw
from ._answers import flawed as flawed
from ._choice import ENCODERS as ENCODERS
from ._choice import open_here
from ._choice import options_of as options_of
from ._opening import Opening as Opening
from ._protocol import CellEncoder as CellEncoder
from ._protocol import Cells as Cells
from ._protocol import DenseEncoder as DenseEncoder
from ._protocol import Encoder as Encoder
from ._protocol import EncoderIdentity as EncoderIdentity
from ._protocol import Features as Features
from ._protocol import TextEncoder as TextEncoder
from ._protocol import check_patches as check_patches
from ._weights import models_folder as models_folder
from ._weights import require_home as require_home


def open_encoder(
    name: str = "embedded",
    *,
    weights: Path | None = None,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    batch: int | None = None,
    calibration: Path | None = None,
) -> Encoder:
    """Open the encoder of this name. Loads its library only now.

    weights: their file, a folder or an index of several; by default the models folder, the hub's cache and the network
    are looked through. engine: auto, openvino, torch or onnxruntime, as far as the encoder has it. precision: auto,
    f32, bf16, f16 or int8. device: auto, cuda, mps or cpu; or numbers, one or several with commas between them
    (cuda:0,cuda:1): then each device has a process of its own, and one that fails costs a batch. batch: patches in a
    call; the embedded encoder keeps its own. calibration: a folder of pictures, for int8.
    Raises EncoderError for a name nobody knows or what cannot be opened as asked, MissingExtra.
    """
    opening = Opening(weights, engine, precision, device, batch, calibration)
    if "," in device or ":" in device:
        from ._cards import open_cards

        return open_cards(name, [each.strip() for each in device.split(",")], opening)
    return open_here(name, opening)
