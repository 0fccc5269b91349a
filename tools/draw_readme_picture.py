"""Draw the picture of the README from the demo's collection. Run `make demo` first.

    python tools/draw_readme_picture.py

Shown are scenes made only of photographs that scikit-image's documentation calls public domain, CC0 or free of known
restrictions; demo/README.md says which are not.
"""

from pathlib import Path

import numpy as np

import patchseek as ps
from patchseek.boxes import from_pixels
from patchseek.draw import Tile, contact_sheet, save

ROOT = Path(__file__).parents[1]
SHOWN = {  # query: (x y w h, scenes that may be shown)
    "cat": ((36, 1, 326, 278), (50, 51)),
    "shuttle": ((353, 0, 106, 270), (19,)),
}


def main() -> None:
    """Search, keep the scenes that may be shown, write docs/results.png."""
    collection = ps.Collection.open(ROOT / "demo" / "pictures")
    sheets = []
    for name, (xywh, scenes) in SHOWN.items():
        picture = ps.read(ROOT / "demo" / "queries" / f"{name}.jpg")
        wanted = {f"scene-{scene:02}.jpg" for scene in scenes}
        matches = [m for m in collection.search(picture, box=xywh) if m.image.path in wanted]
        tiles = [
            Tile(ps.read(m.image.file).pixels, m.image.path, [m.box], confidence=m.confidence, outlines=[m.outline])
            for m in matches
        ]
        query = Tile(picture.pixels, "draw a box", [from_pixels(xywh, picture.width, picture.height)])
        sheets.append(contact_sheet(query, tiles, tile=300))
    height = max(sheet.shape[0] for sheet in sheets)
    padded = [np.pad(s, ((0, height - s.shape[0]), (0, 0), (0, 0)), constant_values=255) for s in sheets]
    save(np.concatenate(padded, axis=1), ROOT / "docs" / "results.png")


if __name__ == "__main__":
    main()
