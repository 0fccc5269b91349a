"""The search that docs/how-it-works.md follows: a cup, in the 60 scenes of the demo. Searches, and draws nothing."""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import patchseek as ps
from patchseek.boxes import from_pixels, iou
from patchseek.confidence import Background
from patchseek.lays import TURNED
from patchseek.rank import Candidate, Refinement, SecondLook, StoreView, look_closer, rank
from patchseek.search import encode_query

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "build" / "how"
THING, SHOWN = "cup", "scene-52.jpg"
Found = Candidate[ps.Image]


@dataclass(frozen=True)
class Story:
    """The search, stage by stage."""

    collection: ps.Collection
    asked: ps.Picture
    box: list[float]
    # x0 y0 x1 y1 in [0, 1] of the asked picture
    truth: dict[str, Any]
    # what each scene holds, by its name

    @cached_property
    def view(self) -> StoreView:
        """The pictures as the ranking sees them."""
        snapshot, engine = self.collection.engine.open(None)
        return StoreView(engine, snapshot, self.collection.store)

    @cached_property
    def query(self) -> Any:
        """What is looked for, as `Collection.search` makes it of a picture and a box."""
        return encode_query(self.asked, self.collection.encoder, self.box, points=True, lays=TURNED)

    @cached_property
    def by_patches(self) -> list[Found]:
        """All scenes by their best patches."""
        return rank(self.query, self.view, [], len(self.collection))

    @cached_property
    def by_points(self) -> list[Found]:
        """The same after the second look."""
        return look_closer(self.query, self.view, [SecondLook(500)], self.by_patches)

    @cached_property
    def refined(self) -> list[Found]:
        """The same with the first 20 opened."""
        return look_closer(self.query, self.view, [Refinement(20, self.collection.encoder)], self.by_points)

    def likeness(self, found: Found) -> Any:
        """Inner products (30,) of the query with a scene's patches, as they are stored."""
        return (self.view.snapshot.features(np.array([found.position])) @ self.query.feature)[0]

    def true_box(self, found: Found) -> list[float] | None:
        """Where the thing was put; None where it was not."""
        holds = self.truth[found.picture.path]
        boxes = [b for name, b in zip(holds["instance"] or [], holds["bbox"] or [], strict=True) if name == THING]
        return list(from_pixels(boxes[0], *found.size)) if boxes else None

    def overlap(self, found: Found) -> float:
        """IoU of a scene's box with the true one."""
        return float(iou([found.box], [self.true_box(found)])[0, 0])


def begin() -> Story:
    """The scenes, made and indexed where they are not, and the question."""
    if not (SAMPLE / "gallery.json").is_file():
        subprocess.run([sys.executable, ROOT / "demo" / "make_pictures.py", SAMPLE], check=True)
    collection = ps.Collection.open(SAMPLE / "pictures" / ".patchseek", create=True)
    collection.add(SAMPLE / "pictures")
    truth = {Path(entry["image"]).name: entry for entry in json.loads((SAMPLE / "gallery.json").read_text())}
    asked = next(entry for entry in json.loads((SAMPLE / "query.json").read_text()) if entry["instance"] == THING)
    picture = ps.read(SAMPLE / asked["image"])
    return Story(collection, picture, list(from_pixels(asked["bbox"], picture.width, picture.height)), truth)


def pick(found: list[Found], path: str = SHOWN) -> Found:
    """One scene of a ranking."""
    return next(each for each in found if each.picture.path == path)


def rank_of(ranked: list[Found], path: str = SHOWN) -> int:
    """The place of a scene in a ranking, from 1."""
    return 1 + [each.picture.path for each in ranked].index(path)


def spreads(background: Background, found: Found) -> float:
    """How many spreads a find's evidence lies above the strangers' median, as `confidence` averages it."""
    kinds = background.kinds
    return float(np.mean([(v - kinds[k][0]) / kinds[k][1] for k, v in found.evidence.items() if k in kinds]))


def figures(story: Story) -> dict[str, Any]:
    """What the page quotes of the search."""
    stages = {"patches": story.by_patches, "points": story.by_points, "refined": story.refined}
    by_patches, by_points, refined = map(pick, stages.values())
    alone = look_closer(story.query, story.view, [Refinement(20, story.collection.encoder)], story.by_patches)
    holds = [story.true_box(each) is not None for each in story.by_patches]
    assert by_points.partners
    return {
        "scenes": len(holds),
        "scenes with it": sum(holds),
        "first without it, by patches": 1 + holds.index(False),
        "rank": {name: rank_of(ranked) for name, ranked in stages.items()},
        "IoU": {name: round(story.overlap(pick(ranked)), 4) for name, ranked in stages.items()},
        "IoU, refined without points": round(story.overlap(pick(alone)), 4),
        "likeness": {"best": round(by_patches.likeness, 4), "whole": round(float(story.likeness(by_patches)[0]), 4)},
        "points kept": len(story.view.snapshot.points(np.array([by_points.position]))[0]),
        "points that agree": len(by_points.partners.places),
        "gain": round(by_points.evidence["points"], 4),
        "score": {"points": round(by_points.score, 4), "refined": round(refined.score, 4)},
    }
