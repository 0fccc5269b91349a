"""Detections of supervision, which patchseek needs for nothing else. The only file that imports it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .errors import MissingLibrary

NAME = "object"
"""Of the one class there is."""


def detections(
    boxes: Sequence[tuple[int, int, int, int]], confidence: float | None, columns: Mapping[str, Sequence[Any]]
) -> Any:
    """Boxes x y w h in pixels of one picture as supervision.Detections, all of class 0.

    confidence: of each of them, None where nobody knows. columns: one value a box; they become arrays of `data`.
    Raises MissingLibrary without supervision.
    """
    try:
        from supervision import Detections
    except ImportError as error:
        raise MissingLibrary("supervision") from error
    n = len(boxes)
    xywh = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(
        xyxy=np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
        confidence=None if confidence is None else np.full(n, confidence, np.float32),
        class_id=np.zeros(n, int),
        data={name: np.array(values) for name, values in {**columns, "class_name": [NAME] * n}.items()},
    )
