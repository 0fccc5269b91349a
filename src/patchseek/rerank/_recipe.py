"""How much refinement tries, and what it makes of what it sees. Numbers alone."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How much is tried. benchmarks/localisation.py prints the figures of this one and of others."""

    n_proposed: int = 3
    # rectangles of a neighbourhood's map that are encoded as patches
    sure: float = 0.2
    # fit of details from which a first box is so good that its neighbourhood is not looked at
    looked_around: float = 0.8
    # share of the pictures, those likeliest to hold the object, whose neighbourhoods are looked at at most; all where
    # nothing tells who is likely
    before: float = 0.2
    # weight of the score that a picture came with, where those likeliest to hold the object are chosen
    turns: int = 2
    # how often patches are moved to where the details of the best say, in the better half of the pictures
    blind_steps: tuple[float, ...] = (0.3, 0.15, 0.08)
    # where an encoder has no cells: shares of a side by which boxes are shifted and stretched, turn by turn
    floor: float = 0.4
    # cosine from which cells count as alike; anything has a cell of 0.3 somewhere near
    agreement: float = 4.8
    # weight of agreement beside likeness, where boxes of one picture are compared
    weights: tuple[float, float, float, float] = (0.22, 0.22, 0.46, 0.1)
    # of likeness, agreement, fit and colour, where pictures are compared by their best boxes
    n_seeds: int = 10
    # neighbourhoods of a picture looked at when all copies are wanted
    max_copies: int = 12
    # of which so many are kept at most
    rough_share: float = 0.4
    # and only what scores this share of the best, before boxes are moved
    copy_share: float = 0.6
    # and after that
