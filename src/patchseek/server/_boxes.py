"""Boxes in the fields of forms and addresses: four numbers x,y,w,h as text."""

from ..errors import BoxError

Box = tuple[float, float, float, float]


def parse_box(text: str) -> Box | None:
    """Four numbers, None for an empty text. Raises BoxError."""
    if not text.strip():
        return None
    try:
        x, y, w, h = (float(number) for number in text.split(","))
    except ValueError as error:
        raise BoxError(f"{text[:100]!r}: a box is four numbers x,y,w,h") from error
    return x, y, w, h
