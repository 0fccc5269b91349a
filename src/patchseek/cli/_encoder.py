"""The options that choose an encoder, as one value. Opens it only when a command asks."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..encoders import Encoder

_PATH = click.Path(path_type=Path)
_FLAGS = {"fit": "--fit", "pool": "--pool", "size": "--image-size"}


@dataclass(frozen=True)
class EncoderChoice:
    """What was said about the encoder; None where nothing was."""

    encoder: str | None = None
    weights: Path | None = None
    fit: str | None = None
    pool: str | None = None
    image_size: int | None = None
    engine: str | None = None
    precision: str | None = None
    calibration: Path | None = None
    device: str | None = None

    @property
    def name(self) -> str | None:
        """The encoder's name with its options behind it; None where neither was given."""
        options = {"fit": self.fit, "pool": self.pool, "size": self.image_size}
        given = [f"{key}={value}" for key, value in options.items() if value is not None]
        if not given:
            return self.encoder
        if self.encoder is None:
            raise click.UsageError("--fit, --pool and --image-size need --encoder")
        from ..encoders import options_of

        for key, value in options.items():
            if value is not None and key not in options_of(self.encoder):
                raise click.UsageError(f"{_FLAGS[key]}: the encoder {self.encoder} has no such choice; leave it out")
        return self.encoder + ("&" if "?" in self.encoder else "?") + "&".join(given)

    def or_else(self, encoder: str) -> "EncoderChoice":
        """The same with this encoder. Raises click.UsageError where another was chosen."""
        if self.encoder not in (None, encoder):
            raise click.UsageError(f"--fast is a way of the embedded encoder, not of {self.encoder}")
        return replace(self, encoder=encoder)

    def open(self) -> "Encoder":
        """The encoder chosen, the embedded one by default."""
        from ..encoders import open_encoder

        return open_encoder(
            self.name or "embedded",
            weights=self.weights,
            engine=self.engine or "auto",
            precision=self.precision or "auto",
            calibration=self.calibration,
            device=self.device or "auto",
        )

    @property
    def is_special(self) -> bool:
        """Whether it runs in another way than by default."""
        return bool(self.engine or self.precision or self.calibration or self.device)

    def name_or_open(self) -> "str | Encoder | None":
        """The name, which a collection may compare with its own; the encoder itself where it runs in a special way."""
        return self.open() if self.is_special else self.name


_OPTIONS = (
    click.option("--encoder", help="Which model; see `patchseek encoders`.  [default: the collection's, or embedded]"),
    click.option("--weights", type=_PATH, help="The encoder's file, folder or index of files, if not found by itself."),
    click.option(
        "--fit", type=click.Choice(["squash", "center-crop", "pad"]), help="How patches become square.  [squash]"
    ),
    click.option("--pool", type=click.Choice(["head", "cls", "mean", "gem"]), help="The feature of a patch.  [head]"),
    click.option("--image-size", type=click.IntRange(8, 4096), help="Pixels a side of a patch.  [the model's own]"),
    click.option("--engine", type=click.Choice(["auto", "openvino", "torch", "onnxruntime"]), help="What computes."),
    click.option("--precision", type=click.Choice(["auto", "f32", "bf16", "f16", "int8"]), help="In which numbers."),
    click.option("--calibration", type=_PATH, help="A folder of pictures that int8 measures its ranges on."),
    click.option(
        "--device", help="Where: cpu, cuda, cuda:1, or several GPUs, cuda:0,cuda:1.  [a GPU where there is one]"
    ),
)


def encoder_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options, and one argument `choice` in their place."""

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> Any:
        said = {field.name: arguments.pop(field.name) for field in fields(EncoderChoice)}
        return command(choice=EncoderChoice(**said), **arguments)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
