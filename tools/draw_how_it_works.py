"""Draw the pictures of docs/how-it-works.md, and keep the figures that it quotes.

    python -m tools.draw_how_it_works

One search is followed from start to end (cup_search.py): a cup, in the scenes of the demo, which are made and indexed
in build/how first. All that is drawn is what that search did: patches, likenesses, points, boxes, strangers. Writes
docs/how/*.jpg and, beside the figures of benchmarks, results/CLASS/how-it-works.json. Shown are scenes made only of
photographs that scikit-image's documentation calls public domain, CC0 or free of known restrictions; demo/README.md
says which are not.
"""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
from benchmarks.turns import machine, write

import patchseek as ps
from patchseek.confidence import find_strangers
from patchseek.draw import ANSWER, QUERY, RIGHT, WHITE, Pair, Tile, pair_sheet
from patchseek.patches import crop, cut
from patchseek.rerank._neighbourhoods import propose, surround
from tools.canvas import GREY, Sheet
from tools.cup_search import ROOT, Story, begin, figures, pick, spreads

OUT = ROOT / "docs" / "how"
MAY_BE_SHOWN = ("scene-02.jpg", "scene-06.jpg", "scene-37.jpg", "scene-52.jpg")
"""Scenes with a cup, and the likest without one, in which no other photograph was used."""
WIDE = 1200


def draw_pyramid(story: Story) -> None:
    """A scene under the four grids, and below them the squares that the encoder is given."""
    picture, pyramid = ps.read(pick(story.by_patches).picture.file), ps.Pyramid()
    patches = cut(picture, pyramid, story.collection.encoder.feed)
    side, gap = 280, 16
    high = round(side * picture.height / picture.width)
    sheet = Sheet(WIDE, high + side + 84)
    for level in pyramid.levels:
        n, x, top = level + 1, gap + level * (side + gap), high + 76
        sheet.say(x + side / 2, 17, f"level {level}: {n} x {n}", 20, anchor="mm")
        spot = sheet.show(picture.pixels, x, 34, side)
        for box in pyramid.boxes[pyramid.level_of == level]:
            sheet.box(spot, box, ANSWER, 2, dark=False)
        sheet.say(x + side / 2, high + 55, "1 patch" if n == 1 else f"{n * n} patches", 20, anchor="mm")
        cell = (side + 8) / n
        for i, patch in enumerate(patches[pyramid.level_of == level]):
            sheet.show(patch, x + i % n * cell, top + i // n * cell, cell - 8, cell - 8)
    sheet.save(OUT / "pyramid.jpg")


def draw_likeness(story: Story) -> None:
    """The query, and what each of the 30 patches of a scene has in common with it."""
    found, pyramid = pick(story.by_patches), ps.Pyramid()
    picture, likeness = ps.read(found.picture.file), story.likeness(found)
    low, high = float(likeness.min()), float(likeness.max())
    sheet, left, side = Sheet(WIDE, 556), 330, 420
    sheet.say(16, 36, "the query", 20)
    sheet.box(sheet.show(story.asked.pixels, 16, 66, 270), story.box, QUERY)
    patch = crop(story.asked, [story.box], story.collection.encoder.feed)[0]
    sheet.say(16, 286, "its patch", 20)
    sheet.show(patch, 16, 316, 180)
    sheet.arrow(286, 276, left - 10)
    for level in pyramid.levels:
        spot = sheet.show(picture.pixels, left + level % 2 * (side + 14), 10 + level // 2 * 272, side)
        for i in np.flatnonzero(pyramid.level_of == level):
            share = (float(likeness[i]) - low) / (high - low)
            sheet.warm(spot, pyramid.boxes[i], share, f"{likeness[i]:.2f}")
        if level == pyramid.level_of[found.region]:
            sheet.box(spot, pyramid.boxes[found.region], ANSWER, 5)
    sheet.save(OUT / "likeness.jpg")


def draw_ranking(story: Story) -> None:
    """Some of the ranked scenes with their best patches; the last of them holds no cup."""
    ranked = [(i, each) for i, each in enumerate(story.by_patches, 1) if each.picture.path in MAY_BE_SHOWN]
    sheet, side = Sheet(WIDE, 276), 286
    for column, (i, each) in enumerate(ranked):
        picture = ps.read(each.picture.file)
        spot = sheet.show(picture.pixels, 10 + column * (side + 12), 8, side)
        sheet.box(spot, each.box, ANSWER)
        sheet.say(spot[0] + side / 2, 252, f"rank {i}: {each.likeness:.2f}", 20, anchor="mm")
    sheet.save(OUT / "ranking.jpg")


def draw_points(story: Story) -> None:
    """The query beside the scene, lines from points of one to the same points of the other, and where that puts it."""
    found = pick(story.by_points)
    assert found.partners
    x0, y0, x1, y1 = np.round(np.tile([story.asked.width, story.asked.height], 2) * story.box).astype(int)
    scene = Tile(ps.read(found.picture.file).pixels, boxes=[found.box], outlines=[found.outline])
    pair = Pair(story.asked.pixels[y0:y1, x0:x1], scene, found.partners.spread(40))
    drawn, gap = pair_sheet(None, [pair], columns=1, tile=640), 640 // 15
    sheet = Sheet(WIDE, 480)
    sheet.show(drawn[gap : gap + 480, gap : gap + WIDE], 0, 0, WIDE)
    sheet.save(OUT / "points.jpg")


def draw_neighbourhood(story: Story) -> dict[str, float]:
    """The scene's best patch and its neighbourhood, the map of that, and the rectangles most like the query."""
    found, encoder = pick(story.by_patches), story.collection.encoder
    assert encoder.cells
    picture = ps.read(found.picture.file)
    window = surround(np.array([found.box]))
    seen = crop(picture, window, replace(encoder.feed, size=encoder.cells.window))
    cells = encoder.cells.encode_map(seen)[0]
    boxes, likeness = propose(cells, encoder.cells.power, story.query.feature, 3)
    each = cells @ story.query.feature / np.linalg.norm(cells, axis=2)
    sheet, side, top = Sheet(WIDE, 372), 324, 38
    sheet.say(10, 19, "twice as wide and high as the patch", anchor="lm")
    spot = sheet.show(picture.pixels, 10, top, 512)
    sheet.box(spot, found.box, ANSWER)
    sheet.box(spot, window[0], WHITE)
    sheet.say(538, 19, f"its map: {len(each)} x {len(each)} cells", anchor="lm")
    spot = sheet.show(seen[0], 538, top, side, side)
    for (row, column), value in np.ndenumerate(each):
        cell = np.array([column, row, column + 1, row + 1]) / len(each)
        sheet.warm(spot, cell, (value - each.min()) / np.ptp(each), opacity=0.7)
    sheet.say(876, 19, "the most alike rectangles", anchor="lm")
    spot = sheet.show(seen[0], 876, top, side - 10, side)
    for box, value in list(zip(boxes, likeness, strict=True))[::-1]:
        sheet.box(spot, box, ANSWER if value == likeness[0] else WHITE)
    sheet.save(OUT / "neighbourhood.jpg")
    low, sides = np.tile(window[0, :2], 2), np.tile(window[0, 2:] - window[0, :2], 2)
    x0, y0, x1, y1 = (low + boxes[0] * sides).tolist()
    best = replace(found, box=(x0, y0, x1, y1))
    return {"cells a side": len(cells), "likeness": round(float(likeness[0]), 4), "IoU": round(story.overlap(best), 4)}


def draw_boxes(story: Story) -> None:
    """The scene's box from stage to stage, beside the true one."""
    stages = {"patch": story.by_patches, "points": story.by_points, "refined": story.refined}
    sheet, side = Sheet(WIDE, 284), 388
    for column, (name, ranked) in enumerate(stages.items()):
        found = pick(ranked)
        spot = sheet.show(ps.read(found.picture.file).pixels, 6 + column * (side + 12), 36, side)
        sheet.box(spot, story.true_box(found) or (), RIGHT)
        sheet.box(spot, found.box, ANSWER)
        sheet.say(spot[0] + side / 2, 18, f"{name}: IoU {story.overlap(found):.2f}", anchor="mm")
    sheet.save(OUT / "boxes.jpg")


def draw_confidence(story: Story) -> dict[str, float]:
    """What strangers reach, the share of them that is expected below, and where this search's finds lie."""
    collection, background = story.collection, story.collection.background
    assert background
    strangers = find_strangers(story.view.index, story.view.snapshot, collection.store, collection.encoder)
    sheet, low, high, left, right, top, floor = Sheet(WIDE, 430), -2.0, 6.0, 90, 1170, 60, 300

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    for share in (0.0, 0.5, 1.0):
        y = floor - share * (floor - top)
        sheet.line([(left, y), (right, y)], (225, 228, 232))
        sheet.say(left - 10, y, f"{share:g}", colour=GREY, anchor="rm")
    values = np.linspace(low, high, 200)
    sheet.line([(across(v), floor - NormalDist().cdf(v) * (floor - top)) for v in values], GREY, 4)
    sheet.say(left, 24, "confidence", anchor="lm")
    for value in range(int(low), int(high) + 1):
        sheet.say(across(value), floor + 96, f"{value}", colour=GREY, anchor="mm")
    sheet.say((left + right) / 2, floor + 118, "spreads above the median stranger", anchor="mm")
    holding = [spreads(background, each) for each in story.refined if story.true_box(each)]
    first = next(each for each in story.refined if not story.true_box(each))
    rows = [
        ("strangers", [spreads(background, each) for _, each in strangers], GREY),
        ("scenes with it", holding, ANSWER),
        ("the first without", [spreads(background, first)], QUERY),
    ]
    for i, (name, reached, colour) in enumerate(rows):
        for value in reached:
            sheet.dot(across(value), floor + 22 + 26 * i, colour)
        sheet.dot(left + 420 + 230 * i, 24, colour)
        sheet.say(left + 434 + 230 * i, 24, name, anchor="lm")
    sheet.save(OUT / "confidence.jpg")
    return {
        "strangers": len(strangers),
        "least spreads of a scene with it": round(min(holding), 4),
        "of the first without": round(background.confidence(first.evidence) or 0.0, 4),
    }


def main() -> None:
    """Search, draw, keep."""
    story = begin()
    draw_pyramid(story)
    draw_likeness(story)
    draw_ranking(story)
    draw_points(story)
    draw_boxes(story)
    drawn = {"neighbourhood": draw_neighbourhood(story), "confidence": draw_confidence(story)}
    kept = {**figures(story), **drawn, "machine": machine()}
    write("how-it-works", kept)


if __name__ == "__main__":
    main()
