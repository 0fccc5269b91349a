"""The rival of points.py: plain SIFT with a homography against every picture. Needs OpenCV.

Lowe's ratio test at 0.75, RANSAC at 5 pixels, a picture's score the number of partners that its homography brings
together; the box around where it puts the query.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from points_pictures import Picture, upright

RATIO, TOLERANCE, LEAST = 0.75, 5.0, 4
MOST_SIDE, MOST_POINTS = 1024, 2000
"""Of a picture."""
SMALL = 128
"""Shorter side of a query, in pixels, below which it is doubled first: SIFT finds next to nothing there else."""


class Sift:
    """Pictures whose points are kept, and the best of them for a query."""

    def __init__(self, paths: Sequence[Path]) -> None:
        try:
            import cv2
        except ImportError as error:
            raise SystemExit(
                "the rival needs OpenCV: pip install --group bench (or leave it out: --parts without sift)"
            ) from error
        self.cv2: Any = cv2
        self.finder, self.matcher = cv2.SIFT_create(nfeatures=MOST_POINTS), cv2.BFMatcher()
        self.pictures = []
        for path in paths:
            picture = upright(path)
            picture.thumbnail((MOST_SIDE, MOST_SIDE))
            self.pictures.append((path, picture.size, *self._points(picture)))

    def _points(self, picture: Picture) -> tuple[Any, Any]:
        """Places (n, 2) in pixels, descriptors (n, 128) or None."""
        found, descriptors = self.finder.detectAndCompute(np.asarray(picture.convert("L")), None)
        return np.array([point.pt for point in found], np.float32).reshape(-1, 2), descriptors

    def ask(self, query: Picture) -> tuple[Path, tuple[float, float, float, float]]:
        """The best picture, and x y w h in shares of its sides; the first picture and nothing where none agrees."""
        size = query.size
        if min(size) < SMALL:
            query = query.resize((2 * query.width, 2 * query.height), Image.Resampling.BICUBIC)
        places, descriptors = self._points(query)
        places = places * np.array(size) / query.size if len(places) else places
        best: tuple[int, Path, tuple[float, float, float, float]] = (0, self.pictures[0][0], (0.0, 0.0, 0.0, 0.0))
        for path, sides, own, theirs in self.pictures:
            if descriptors is None or theirs is None or len(own) < 2:
                continue
            count, box = self._fit(places, descriptors, own, theirs, size, sides)
            if count > best[0]:
                best = (count, path, box)
        return best[1:]

    def _fit(self, places: Any, descriptors: Any, own: Any, theirs: Any, size: Any, sides: Any) -> tuple[int, Any]:
        """How many partners agree, and the box."""
        pairs = self.matcher.knnMatch(descriptors, theirs, k=2)
        kept = [(a.queryIdx, a.trainIdx) for a, b in pairs if a.distance < RATIO * b.distance]
        if len(kept) < LEAST:
            return 0, None
        i, j = np.array(kept).T
        warp, agree = self.cv2.findHomography(places[i], own[j], self.cv2.RANSAC, TOLERANCE)
        if warp is None:
            return 0, None
        (w, h), (width, height) = size, sides
        frame = np.array([[[0, 0]], [[w, 0]], [[w, h]], [[0, h]]], np.float32)
        corners = self.cv2.perspectiveTransform(frame, warp).reshape(4, 2) / (width, height)
        low, high = np.clip(corners.min(axis=0), 0, 1), np.clip(corners.max(axis=0), 0, 1)
        return int(agree.sum()), (*low.tolist(), *(high - low).tolist())
