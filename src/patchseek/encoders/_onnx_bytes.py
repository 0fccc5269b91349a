"""An ONNX file, as bytes, told to answer with more or to take images of another size. Knows the format, no engine.

A file is one message of protocol buffers (https://protobuf.dev/programming-guides/encoding/), of which two that stand
one behind the other are merged: so what is added to the graph is written behind the file. onnx.proto names the fields.
"""

_GRAPH, _OUTPUT, _NAME = 7, 12, 1  # ModelProto.graph, GraphProto.output, ValueInfoProto.name
_DIM, _VALUE = 1, 1  # TensorShapeProto.dim, its dim_value


def with_outputs(model: bytes, names: tuple[str, ...]) -> bytes:
    """The model, which also answers with these tensors of its inside, after its own outputs."""
    added = b"".join(_message(_OUTPUT, _message(_NAME, name.encode())) for name in names)
    return model + _message(_GRAPH, added) if names else model


def of_side(model: bytes, side: int, other: int) -> bytes:
    """The model, whose one input of side x side pixels is of other x other. Both from 128 to 16,383.

    Raises ValueError where it has no such input, or where more than one place could be meant.
    """
    square, wanted = (2 * _message(_DIM, bytes([_VALUE << 3]) + _varint(each)) for each in (side, other))
    if model.count(square) != 1 or len(square) != len(wanted):
        raise ValueError(f"no one input of {side} x {side} pixels")
    return model.replace(square, wanted)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
