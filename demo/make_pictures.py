"""Make the sample pictures of the demo: real objects in about sixty scenes, with a box around each.

The photographs are those inside the scikit-image wheel, so nothing is downloaded. Seven objects are cut out along
hand-drawn outlines and placed, turned, lit and blurred, before walls, floors and tables made of the other photographs.
The motorcycle is searched with the left and shown with the right picture of a stereo pair: a real change of viewpoint.

    python demo/make_pictures.py DIR

DIR/pictures holds the collection, DIR/queries the photographs to search with, query.json and gallery.json the boxes
(x y w h in pixels). Every run with the same libraries gives the same bytes. Knows nothing of patchseek.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from skimage import data

Point = tuple[float, float]
Box = tuple[int, int, int, int]
Random = np.random.Generator

SEED = 20260
N_ALONE, N_DISTRACTORS = 4, 25
# scenes with one object, for each object; scenes without any. Besides, every object is in two scenes with two objects.

# fmt: off
OUTLINES: dict[str, tuple[str, list[Point]]] = {
    "cup": ("coffee", [
        (179, 73), (145, 90), (122, 110), (100, 137), (85, 171), (78, 200), (77, 225), (81, 258), (91, 292), (110, 321),
        (135, 348), (168, 369), (210, 382), (260, 389), (310, 389), (360, 381), (402, 366), (435, 340), (456, 312),
        (470, 279), (478, 246), (478, 221), (470, 187), (456, 156), (437, 129), (417, 109), (424, 77), (418, 68),
        (408, 67), (397, 73), (391, 63), (370, 45), (343, 29), (310, 20), (281, 18), (247, 22), (218, 34), (193, 52)]),
    "cat": ("chelsea", [
        (70, 16), (105, 4), (160, 1), (240, 1), (290, 3), (322, 12), (341, 32), (353, 70), (362, 110), (359, 150),
        (346, 185), (330, 212), (318, 245), (298, 268), (262, 279), (215, 278), (172, 266), (132, 246), (92, 220),
        (58, 185), (42, 150), (36, 110), (36, 70), (48, 36)]),
    "shuttle": ("astronaut", [
        (405, 0), (400, 9), (397, 20), (395, 32), (394, 50), (390, 46), (387, 42), (384, 46), (382, 55), (380, 65),
        (379, 95), (378, 112), (377, 125), (377, 183), (368, 194), (358, 204), (354, 214), (353, 227), (380, 232),
        (370, 252), (367, 264), (369, 270), (386, 254), (394, 261), (415, 262), (426, 262), (426, 237), (438, 237),
        (437, 250), (434, 260), (459, 263), (454, 250), (454, 80), (453, 62), (450, 50), (446, 42), (442, 41),
        (439, 46), (437, 52), (436, 35), (434, 22), (430, 10), (424, 0)]),
    "helmet": ("astronaut", [
        (283, 511), (279, 495), (278, 470), (281, 445), (288, 420), (298, 400), (311, 383), (326, 369), (346, 356),
        (366, 349), (382, 346), (400, 345), (420, 346), (440, 351), (460, 361), (475, 373), (486, 389), (492, 408),
        (495, 430), (496, 450), (503, 455), (501, 463), (506, 475), (508, 490), (504, 506), (500, 511)]),
    "rocket": ("rocket", [
        (322, 127), (330, 140), (333, 155), (332, 178), (331, 400), (313, 400), (312, 178), (311, 155), (315, 138)]),
}
ELLIPSES: dict[str, tuple[str, Box]] = {
    "patch": ("astronaut", (134, 348, 207, 422)), "coin": ("coins", (189, 170, 236, 216)),
    "wheel": ("colorwheel", (10, 10, 361, 360)), "eye": ("retina", (8, 8, 697, 697)),
    "coin2": ("coins", (305, 16, 364, 71)), "coin3": ("coins", (81, 175, 123, 216)),
    "coin4": ("coins", (315, 156, 378, 217)),
}
OBJECTS = ("cup", "cat", "shuttle", "patch", "motorcycle", "coin", "helmet")
STANDING = ("cup", "motorcycle", "shuttle", "helmet", "rocket")  # where there is a floor; the others are anywhere
CLUTTER = ("rocket", "wheel", "eye", "coin2", "coin3", "coin4")
POSTERS: dict[str, Box] = {  # parts of photographs without any of the objects
    "camera": (0, 0, 512, 512), "rocket": (0, 0, 640, 427), "page": (0, 0, 384, 191), "text": (0, 0, 448, 172),
    "hubble_deep_field": (100, 100, 700, 500), "immunohistochemistry": (0, 0, 512, 400), "moon": (0, 0, 512, 512),
    "left": (600, 40, 741, 250), "astronaut": (0, 0, 95, 150),
    "coins": (0, 0, 384, 160),
}
SURFACES: dict[str, tuple[Box, tuple[str, ...]]] = {  # the part to use, and the colours for a grey photograph
    "brick": ((0, 0, 512, 512), ("#b4583a", "#b58a62", "#8d8f93", "#5f7f95")),
    "gravel": ((0, 0, 512, 512), ("#94897c", "#8b8f97", "#a07a58")),
    "grass": ((0, 0, 512, 512), ("#5f8a3a", "#8a8f3c", "#a08a50")),
    "moon": ((0, 0, 512, 512), ("#b9a68a", "#7e9bb0", "#a9b59a", "#c8b0a8")),
    "clock": ((0, 0, 400, 110), ("#8fb0c8", "#d0bc90", "#8fb890", "#c89088")),
    "text": ((0, 0, 448, 172), ("#b9c3cc", "#c9b79a")), "page": ((30, 0, 370, 180), ("#cfc3a6",)),
    "coffee": ((486, 0, 600, 400), ()), "immunohistochemistry": ((0, 0, 512, 512), ()),
    "hubble_deep_field": ((0, 0, 1000, 872), ()),
}
WALLS = ("brick", "moon", "clock", "brick", "clock", "hubble_deep_field")
FLOORS = ("gravel", "grass", "coffee", "brick", "moon")
# fmt: on


@dataclass(frozen=True)
class CutOut:
    picture: Image.Image
    # RGBA, cropped to the object
    query: str
    # the photograph to search with
    box: Box
    # the object in that photograph, x y w h in pixels


def photographs() -> dict[str, Image.Image]:
    """All photographs by name, RGB: only such as the wheel of scikit-image carries."""
    names = {name for name, _ in [*OUTLINES.values(), *ELLIPSES.values()]} | {*POSTERS, *SURFACES} - {"left"}
    photos = {name: getattr(data, name)() for name in sorted(names)}
    photos["left"], photos["right"], _ = data.stereo_motorcycle()
    pictures = {name: Image.fromarray(pixels).convert("RGB") for name, pixels in photos.items()}
    return pictures | {"retina": pictures["retina"].reduce(2)}


def bounds(mask: Image.Image) -> Box:
    """x0 y0 x1 y1 around the pixels of a mask that are more than half covered."""
    box = mask.point([0] * 128 + [255] * 128).getbbox()
    assert box is not None
    return box


def xywh(box: Box) -> Box:
    return box[0], box[1], box[2] - box[0], box[3] - box[1]


def cut(photo: Image.Image, mask: Image.Image) -> Image.Image:
    """The masked part of a photograph, RGBA, softly edged."""
    soft = photo.convert("RGBA")
    soft.putalpha(mask.filter(ImageFilter.GaussianBlur(0.7)))
    return soft.crop(bounds(mask))


def motorcycle(photos: dict[str, Image.Image]) -> CutOut:
    """Cut by depth: what is nearer than the floor of its row, moved from the left into the right view."""
    depth = data.stereo_motorcycle()[2]
    floor = np.maximum(31, 20 + (np.arange(len(depth)) - 275) * 0.175)[:, None]
    left = np.isfinite(depth) & (depth > floor)
    y, x = np.nonzero(left)
    right = np.zeros_like(left)
    right[y, np.rint(x - depth[y, x]).astype(int)] = True
    masks = [Image.fromarray(np.uint8(255) * mask).filter(ImageFilter.MaxFilter(5)) for mask in (left, right)]
    masks = [mask.filter(ImageFilter.MinFilter(5)) for mask in masks]
    return CutOut(cut(photos["right"], masks[1]), "left", xywh(bounds(masks[0])))


def cut_outs(photos: dict[str, Image.Image]) -> dict[str, CutOut]:
    """All objects and all clutter by name."""
    cuts = {"motorcycle": motorcycle(photos)}
    for name, (photo, shape) in {**OUTLINES, **ELLIPSES}.items():
        large = Image.new("L", (photos[photo].width * 4, photos[photo].height * 4))
        pen = ImageDraw.Draw(large)
        (pen.ellipse if name in ELLIPSES else pen.polygon)((np.array(shape) * 4).ravel().tolist(), fill=255)
        mask = large.resize(photos[photo].size, Image.Resampling.BOX)
        cuts[name] = CutOut(cut(photos[photo], mask), photo, xywh(bounds(mask)))
    return cuts


def surface(name: str, size: tuple[int, int], photos: dict[str, Image.Image], random: Random) -> Image.Image:
    """A random part of a photograph, coloured if it is grey, that fills width x height."""
    part, colours = SURFACES[name]
    photo = photos[name].crop(part)
    if name in ("grass", "gravel"):  # fine enough to be continued by its mirror image
        photo = Image.fromarray(np.pad(np.asarray(photo), ((0, 256), (0, 256), (0, 0)), "symmetric"))
    if name == "coffee":  # planks along the longer side
        photo = photo.transpose(Image.Transpose.ROTATE_90)
    if name not in ("page", "text") and random.random() < 0.5:
        photo = ImageOps.mirror(photo)
    scale = random.uniform(0.75, 1) * min(photo.width / size[0], photo.height / size[1])
    width, height = size[0] * scale, size[1] * scale
    x, y = random.uniform(0, photo.width - width), random.uniform(0, photo.height - height)
    photo = photo.resize(size, Image.Resampling.BICUBIC, (x, y, x + width, y + height))
    if colours:
        grey = photo.convert("L")
        grey = ImageOps.autocontrast(grey, 0.5) if name in ("brick", "grass", "gravel") else grey
        photo = ImageOps.colorize(grey, "#1c1a18", "#f4eee4", colours[random.integers(len(colours))])
    return photo


def shade(scene: Image.Image, mask: Image.Image, x: int, y: int, reach: int) -> None:
    """Darken the scene around a mask at x y, softly and a little lower."""
    soft = ImageOps.expand(mask, 3 * reach).filter(ImageFilter.GaussianBlur(reach)).point([v // 2 for v in range(256)])
    scene.paste((12, 10, 8), (x - 3 * reach + reach // 2, y - 3 * reach + reach), soft)


def background(photos: dict[str, Image.Image], n_posters: int, random: Random) -> tuple[Image.Image, int]:
    """A scene without objects, and the row where its floor begins (0 where it is one surface)."""
    size = w, h = int(random.integers(800, 1025)), int(random.integers(600, 769))
    floor = int(h * random.uniform(0.5, 0.75)) if random.random() < 0.7 else 0
    names = WALLS if floor else tuple(SURFACES)
    scene = surface(names[random.integers(len(names))], size, photos, random)
    if floor:
        h -= floor
        ground = surface(FLOORS[random.integers(len(FLOORS))], (2 * w, 2 * h), photos, random)
        farther = (2, w / h, 0, 0, 4, 0, 0, 1 / h)  # all of its width at the top, the middle half at the bottom
        ground = ground.transform((w, h), Image.Transform.PERSPECTIVE, farther, Image.Resampling.BILINEAR)
        shade(scene, Image.new("L", (w, h), 255), 0, floor - 14, 9)
        scene.paste(ground, (0, floor))
    for name in random.permutation(sorted(POSTERS))[:n_posters]:
        poster = photos[name].crop(POSTERS[name])
        poster.thumbnail((random.uniform(0.25, 0.45) * w, 0.42 * size[1]), Image.Resampling.LANCZOS)
        frame = ("#f4f1ea", "#22201e", "#7a5230")[random.integers(3)]
        poster = ImageOps.expand(poster, int(random.integers(6, 15)), frame)
        x, y = (int(random.uniform(10, max(10, room))) for room in (w - poster.width, (floor or h) - poster.height))
        shade(scene, Image.new("L", poster.size, 255), x, y, 6)
        scene.paste(poster, (x, y))
    return scene, floor


def seen(thing: Image.Image, side: float, random: Random) -> Image.Image:
    """A cut-out seen again, RGBA: its longer side about `side` pixels, turned, from another angle, in another light."""
    w, h = (max(8, round(v * side / max(thing.size))) for v in thing.size)
    turn, margin = np.radians(random.uniform(-11, 11)), 0.2 * side
    corners = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)]) * (w / 2 + margin, h / 2 + margin)
    corners *= random.uniform(0.94, 1.06, (4, 2))
    corners = corners @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]] + (w / 2, h / 2)
    size = round(w + 2 * margin), round(h + 2 * margin)
    thing = thing.resize((w, h), Image.Resampling.LANCZOS)
    thing = thing.transform(size, Image.Transform.QUAD, tuple(corners.ravel()), Image.Resampling.BICUBIC)
    thing = thing.crop(bounds(thing.getchannel("A")))
    light = np.asarray(thing.convert("RGB")) * random.uniform(0.75, 1.2) * random.uniform(0.93, 1.07, 3)
    lit = Image.fromarray(light.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(random.uniform(0, 1.3)))
    lit.putalpha(thing.getchannel("A"))
    return lit


def place(scene: Image.Image, thing: Image.Image, lowest: int, taken: list[Box], random: Random) -> Box | None:
    """Paste a thing where nothing else is, ending below row `lowest`; its x0 y0 x1 y1, None where it finds no room."""
    w, h = thing.size
    top, bottom = max(8, lowest - h), scene.height - h - 8
    for _ in range(60 if bottom > top else 0):
        x, y = int(random.integers(8, scene.width - w - 8)), int(random.integers(top, bottom))
        if all(x > c or x + w < a or y > d or y + h < b for a, b, c, d in taken):
            shade(scene, thing.getchannel("A"), x, y, max(3, w // 40))
            scene.paste(thing, (x, y), thing)
            return x, y, x + w, y + h
    return None


def make_scene(
    names: Sequence[str], number: int, photos: dict[str, Image.Image], cuts: dict[str, CutOut]
) -> tuple[Image.Image, list[Box]]:
    """Scene `number` with these objects and, in the same order, their boxes x y w h."""
    random = np.random.default_rng([SEED, number])
    scene, floor = background(photos, int(random.integers(0, 3)), random)
    taken: list[Box] = []
    for name in [*names, *random.permutation(CLUTTER)[: random.integers(0, 3)]]:
        thing, lowest = cuts[name].picture, floor + 25 if name in STANDING else 0
        side = random.uniform(0.15, 0.45 if len(names) < 2 else 0.36) * scene.width
        side = min(side, 3 * max(thing.size))
        while (box := place(scene, seen(thing, side, random), lowest, taken, random)) is None:
            side *= 0.9
        taken.append(box)
    pixels = np.asarray(scene, np.float32)
    left, right = random.uniform(0.8, 1.1, 2)
    pixels = pixels * np.linspace(left, right, scene.width, dtype=np.float32)[:, None]
    pixels += 3 * random.standard_normal((scene.height, scene.width, 1), np.float32)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), [xywh(box) for box in taken[: len(names)]]


def contents() -> list[tuple[str, ...]]:
    """The objects of every scene, shuffled, so that numbers tell nothing."""
    pairs = [(name, OBJECTS[(i + 3) % len(OBJECTS)]) for i, name in enumerate(OBJECTS)]
    scenes = [*pairs, *[(name,) for name in OBJECTS] * N_ALONE, *[()] * N_DISTRACTORS]
    return [scenes[i] for i in np.random.default_rng(SEED).permutation(len(scenes))]


def make_pictures(directory: Path) -> int:
    """Write the sample set into a directory; the number of pictures in the collection."""
    photos = photographs()
    cuts = cut_outs(photos)
    for part in ("pictures", "queries"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    queries, gallery = [], []
    for name in OBJECTS:
        photo, file = photos[cuts[name].query], f"queries/{name}.jpg"
        photo.save(directory / file, quality=92)
        queries.append({"id": f"q-{name}", "image": file, "instance": name, "bbox": cuts[name].box})
    for number, names in enumerate(contents(), 1):
        scene, boxes = make_scene(names, number, photos, cuts)
        file = f"pictures/scene-{number:02}.jpg"
        scene.save(directory / file, quality=88)
        gallery.append({"id": f"g-{number:02}", "image": file, "instance": names or None, "bbox": boxes or None})
    for file, entries in (("query.json", queries), ("gallery.json", gallery)):
        (directory / file).write_text("[\n" + ",\n".join(map(json.dumps, entries)) + "\n]\n", encoding="utf-8")
    return len(gallery)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the sample pictures of the demo.")
    parser.add_argument("directory", type=Path, metavar="DIR", help="where pictures, queries and boxes go")
    chosen = parser.parse_args().directory
    sys.stderr.write(f"{make_pictures(chosen)} pictures in {chosen / 'pictures'}\n")
