"""Numbers in sentences."""


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number and what there are so many of: 1 picture, 1,200 pictures. many: by default with an s."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
