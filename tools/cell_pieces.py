"""Random pieces of pictures as somebody else would photograph them. Knows pixels alone; for tune_cells.

A piece is cut out turned and slanted, and stands on other ground as far as an object leaves the corners of its box
free. A part of it may be hidden. Its size, light, sharpness and compression are its own.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from patchseek.images import Picture, from_image

AREA = 0.03, 0.5
"""Shares of the picture, of which logarithms are equally likely."""
ASPECT = 0.6, 1.7
TURN, SLANT = 12.0, 0.1
"""Degrees (standard deviation), and shares of a side by which each corner is moved at most."""
SIDE = 120, 500
"""Pixels of the longer side."""
HIDDEN = 0.3
"""How often a part is hidden."""


@dataclass(frozen=True, eq=False)
class Piece:
    """What is looked for, and where in its picture it is."""

    seen: Picture
    box: tuple[float, float, float, float]
    # x0 y0 x1 y1 in [0, 1]


def take_piece(picture: Picture, ground: Picture, random: np.random.Generator) -> Piece:
    """A piece of a picture on ground of another one."""
    width, height = picture.image.size
    box = _place(width, height, random)
    corners = np.array([[box[0], box[1]], [box[0], box[3]], [box[2], box[3]], [box[2], box[1]]])  # as QUAD takes them
    corners = corners * (width, height)
    middle, sides = corners.mean(axis=0), corners[2] - corners[0]
    angle = np.radians(random.normal(0, TURN))
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = (corners - middle) @ turned.T + middle + random.uniform(-SLANT, SLANT, (4, 2)) * sides
    scale = np.exp(random.uniform(*np.log(SIDE))) / sides.max()
    size = max(8, round(sides[0] * scale)), max(8, round(sides[1] * scale))
    shrunk = picture.image.reduce(max(1, int(1 / scale)))
    quad = (corners * np.divide(shrunk.size, (width, height))).ravel().tolist()
    piece = shrunk.transform(size, Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
    other = ground.image.resize(size)
    piece = Image.composite(piece, other, _shape(size, random))
    return Piece(from_image(_photographed(piece, random)), box)


def _place(width: int, height: int, random: np.random.Generator) -> tuple[float, float, float, float]:
    """A box (x0 y0 x1 y1) of a random size, shape and place."""
    area, aspect = np.exp(random.uniform(*np.log(AREA))), np.exp(random.uniform(*np.log(ASPECT)))
    sides = np.sqrt(area * aspect * height / width), np.sqrt(area / aspect * width / height)
    w, h = (min(float(side), 0.95) for side in sides)
    x, y = random.uniform(0, 1 - w), random.uniform(0, 1 - h)
    return float(x), float(y), float(x + w), float(y + h)


def _shape(size: tuple[int, int], random: np.random.Generator) -> Image.Image:
    """What of a piece is the object: between an ellipse and a rectangle, maybe less a part in front of it."""
    y, x = (np.mgrid[: size[1], : size[0]] + 0.5) / np.reshape(size[::-1], (2, 1, 1)) * 2 - 1
    power = random.uniform(2, 8)
    mask = Image.fromarray(np.asarray(255 * (abs(x) ** power + abs(y) ** power <= 1), np.uint8))
    if random.random() < HIDDEN:
        w, h = random.uniform(0.2, 0.5, 2) * size
        left, top = random.uniform(0, 1, 2) * (size[0] - w, size[1] - h)
        ImageDraw.Draw(mask).rectangle((left, top, left + w, top + h), 0)
    return mask.filter(ImageFilter.GaussianBlur(1))


def _photographed(piece: Image.Image, random: np.random.Generator) -> Image.Image:
    """In other light, maybe blurred, and compressed."""
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        piece = change(piece).enhance(float(np.exp(random.normal(0, 0.2))))
    cast: NDArray[np.float64] = np.exp(random.normal(0, 0.06, 3))
    piece = Image.fromarray(np.clip(np.asarray(piece) * cast, 0, 255).astype(np.uint8))
    piece = piece.filter(ImageFilter.GaussianBlur(float(random.exponential(0.5))))
    content = io.BytesIO()
    piece.save(content, "JPEG", quality=int(random.integers(30, 95)))
    return Image.open(content)
