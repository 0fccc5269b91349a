"""Which library opens an encoder of a name, in this process and on one device. Each is imported when asked for."""

from ..errors import EncoderError
from ._opening import Opening
from ._protocol import Encoder

ENCODERS: dict[str, str] = {
    "embedded": "EfficientNet-Lite0, GeM-pooled, 224 px, 1280 numbers; ships with patchseek, needs no network",
    "embedded-fast": "the same in 8 bits, with smaller patches; what `index --fast` takes",
    "siglip": "SigLIP ViT-L/16, 384 px, 1024 numbers",
    "siglip2": "SigLIP 2 ViT-L/16, 384 px, 1024 numbers",
    "dinov2": "DINOv2 ViT-L/14, 518 px, 1024 numbers",
    "dinov3": "DINOv3 ViT-L/16, 256 px, 1024 numbers",
    "clip": "OpenAI CLIP ViT-L/14, 336 px, 1024 numbers",
    "pe": "Perception Encoder core ViT-L/14, 336 px, 1024 numbers",
    "timm:MODEL": "any image model of timm, e.g. timm:vit_small_patch14_dinov2.lvd142m?size=224",
    "openclip:MODEL/PRETRAINED": "any model of OpenCLIP, e.g. openclip:ViT-B-16/openai",
    "onnx:FILE": "an image model of your own",
}
"""The names that `open_encoder` knows, with a line about each.

Options may follow a name: ?fit=pad&interpolation=bilinear&mode=dense&pool=gem&size=448, as far as the library has them.
"""


_EMBEDDED = ("embedded", "embedded-fast")


def open_here(name: str, opening: Opening) -> Encoder:
    """The encoder of this name, see encoders.open_encoder, in this process and on one device."""
    head, _, options = name.partition("?")
    if head in _EMBEDDED:
        from ._embedded import open_embedded

        if options:
            raise EncoderError(f"{head} takes no options, as it has one size and one way of answering: {options!r}")
        if not opening.is_of_the_cpu:
            raise EncoderError("the embedded encoder has its own weights and runs on the CPU: leave out the options")
        return open_embedded(opening.engine, opening.precision, name=name)
    from ._spec import SHORT_NAMES, parse_spec

    library = SHORT_NAMES.get(head, name).partition(":")[0]
    if library == "timm":
        from ._timm import open_timm

        return open_timm(parse_spec(name), opening)
    if library == "openclip":
        from ._openclip import OPTIONS, OpenClipEncoder

        return OpenClipEncoder(parse_spec(name, OPTIONS), opening)
    if library == "onnx":
        from ._onnx import OPTIONS, OnnxEncoder

        if not opening.is_of_the_cpu:
            raise EncoderError("an ONNX file holds its weights and runs on the CPU: leave out the options")
        return OnnxEncoder(parse_spec(name, OPTIONS), opening)
    raise EncoderError(f"no encoder is called {name!r}; known: {', '.join(ENCODERS)}")


def options_of(name: str) -> tuple[str, ...]:
    """The options that the encoder of this name takes behind a question mark; all of them for a name nobody knows."""
    from ._spec import FEED_OPTIONS, OPTIONS

    head = name.partition("?")[0]
    if head in _EMBEDDED:
        return ()
    return FEED_OPTIONS if head.partition(":")[0] in ("openclip", "onnx") else OPTIONS
