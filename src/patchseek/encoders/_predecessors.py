"""Embedded encoders of earlier releases, by their weights: which of them one of today can stand in for.

Knows hashes alone. The figures are printed by benchmarks/agreement.py.
"""

from dataclasses import replace

from ._protocol import EncoderIdentity

AGREEING = {
    "157de57615cebcd16cb1b59e70ac74f8038ff74c2c9baf810769dc8f301d1616": (
        "18ee00a0f3f52e3d120949d5de9e9ec56890faf98cceab6212c590f93f8f5765"
    ),
}
"""Weights whose features those that ship agree with, as far as they agreed with themselves from one CPU to another."""

UNLIKE = {
    "96b22cb446f28de0480c209662ce38f6b740f5c377096e234081f67060475695": (
        "made with the 8-bit encoder of an earlier release, whose features differ from one processor to another; "
        "it can still be searched, less well, but not added to: make it anew with `patchseek index --fast`"
    ),
}
"""Weights that none which ship can stand in for, and what is to be said of a collection made with them."""


def today(identity: EncoderIdentity) -> EncoderIdentity:
    """The identity of the encoder that ships in the place of this one; the same where it agrees with no other."""
    return replace(identity, weights=AGREEING.get(identity.weights, identity.weights))
