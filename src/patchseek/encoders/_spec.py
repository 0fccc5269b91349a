"""The name of an encoder and its options, as one string. Knows no library and opens no file."""

from dataclasses import dataclass, fields

from ..errors import EncoderError
from ..patches import FITS

SHORT_NAMES = {
    "siglip": "timm:vit_large_patch16_siglip_384.webli",
    "siglip2": "timm:vit_large_patch16_siglip_384.v2_webli",
    "dinov2": "timm:vit_large_patch14_dinov2.lvd142m",
    "dinov3": "timm:vit_large_patch16_dinov3.lvd1689m",
    "clip": "timm:vit_large_patch14_clip_336.openai",
    "pe": "timm:vit_pe_core_large_patch14_336.fb",
}
"""The models that have a name of one word."""

POOLS = ("head", "cls", "mean", "gem")
"""How answers become one vector: the network's own way, its class token, the mean or generalized mean of its cells."""
MODES = ("crops", "dense")
"""A forward pass for each patch, or one for the picture, its cells pooled by region."""
INTERPOLATIONS = ("bicubic", "bilinear", "lanczos")


@dataclass(frozen=True)
class Spec:
    """LIBRARY:MODEL?fit=pad&size=448: which network, and how it is fed. `str` gives the name, without defaults."""

    library: str
    # timm, openclip or onnx
    model: str
    # what the library calls it; for onnx, a path
    fit: str = "squash"
    # one of FITS
    interpolation: str | None = None
    # one of INTERPOLATIONS; None: the model's own
    mode: str = "crops"
    # one of MODES
    pool: str = "head"
    # one of POOLS
    size: int | None = None
    # S, pixels a side; None: the model's own

    def __post_init__(self) -> None:
        choices = {"fit": FITS, "interpolation": (None, *INTERPOLATIONS), "mode": MODES, "pool": POOLS}
        for option, allowed in choices.items():
            if getattr(self, option) not in allowed:
                words = ", ".join(word for word in allowed if word)
                raise EncoderError(f"{option} must be one of {words}, found {getattr(self, option)!r}")
        if self.size is not None and not 8 <= self.size <= 4096:
            raise EncoderError(f"size must be 8 to 4096 pixels, found {self.size}")
        if self.mode == "dense" and self.fit != "squash":
            raise EncoderError(f"mode=dense takes the whole picture: fit must be squash, found {self.fit!r}")
        if self.mode == "dense" and self.pool == "cls":
            raise EncoderError("mode=dense has no class token for each region: choose pool=head, mean or gem")

    def __str__(self) -> str:
        chosen = {option: getattr(self, option) for option in OPTIONS if getattr(self, option) != _DEFAULTS[option]}
        query = "&".join(f"{option}={chosen[option]}" for option in sorted(chosen))
        return f"{self.library}:{self.model}" + (f"?{query}" if query else "")


_DEFAULTS = {field.name: field.default for field in fields(Spec)}
OPTIONS = tuple(field.name for field in fields(Spec))[2:]
"""What may stand behind the question mark."""
FEED_OPTIONS = ("fit", "interpolation", "size")
"""Those of a library whose models have one way of answering."""


def parse_spec(name: str, options: tuple[str, ...] = OPTIONS) -> Spec:
    """The spec of a name such as `timm:vit_tiny_patch16_224?fit=pad` or `siglip?size=512`.

    options: those that this library knows. Raises EncoderError for anything else, saying what is allowed.
    """
    head, _, query = name.partition("?")
    library, colon, model = SHORT_NAMES.get(head, head).partition(":")
    if not (library and colon and model):
        raise EncoderError(f"an encoder's name is LIBRARY:MODEL, such as timm:vit_tiny_patch16_224, found {name!r}")
    values: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        option, _, value = part.partition("=")
        if option not in options:
            raise EncoderError(f"{name}: no option {option!r}; known: {', '.join(sorted(options))}")
        if option in values:
            raise EncoderError(f"{name}: {option} is given twice")
        values[option] = value
    size = values.pop("size", None)
    if size is not None and not size.isdecimal():
        raise EncoderError(f"{name}: size must be a number of pixels, found {size!r}")
    return Spec(library, model, size=int(size) if size else None, **values)
