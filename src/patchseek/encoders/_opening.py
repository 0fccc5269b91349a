"""How an encoder is to be opened, whatever its library. Values alone."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import EncoderError


@dataclass(frozen=True)
class Opening:
    """What `open_encoder` was asked for, of one device."""

    weights: Path | None = None
    # their file, a folder or an index of several; None: models folder, hub, network
    engine: str = "auto"
    # auto, openvino, torch or onnxruntime, as far as the encoder has it
    precision: str = "auto"
    # auto, f32, bf16, f16 or int8
    device: str = "auto"
    # auto, cuda, mps or cpu, or one by its number, as cuda:1
    batch: int | None = None
    # patches in a call; None: as the engine likes it
    calibration: Path | None = None
    # a folder of pictures, for int8

    def __post_init__(self) -> None:
        if self.batch is not None and self.batch < 1:
            raise EncoderError(f"a batch is of at least one patch, found {self.batch}")

    @property
    def is_of_the_cpu(self) -> bool:
        """Whether nothing is asked for that an encoder which holds its weights and runs on the CPU cannot do."""
        return self.weights is None and self.calibration is None and self.device in ("auto", "cpu")
