"""Damage done to a collection's catalogue, and what has to be true of the collection whatever was done."""

from pathlib import Path

import numpy as np

from patchseek import Collection, read
from patchseek.errors import PatchseekError
from patchseek.patches import cut
from patchseek.store import catalogue_problem, hash_file, rebuild


def cut_off(file: Path, random: np.random.Generator) -> None:
    """Let a file end early, anywhere."""
    content = file.read_bytes()
    file.write_bytes(content[: random.integers(0, len(content))])


def flip(file: Path, random: np.random.Generator) -> None:
    """Turn one bit of a file, where it says something: most of a small catalogue is zeros."""
    content = bytearray(file.read_bytes())
    place = int(random.choice(np.flatnonzero(np.frombuffer(bytes(content), np.uint8))))
    content[place] ^= 1 << int(random.integers(0, 8))
    file.write_bytes(content)


def survive(home: Path, encoder, n_pictures: int) -> str:
    """Mend what is damaged, if it is seen, and look at all pictures: "unseen", or "made anew".

    Raises AssertionError where a picture is lost or has another one's features, and what is no error of ours.
    """
    problem = catalogue_problem(home)
    if problem is not None:
        assert "\n" not in problem
        assert rebuild(home).n_pictures == n_pictures
        assert catalogue_problem(home) is None
    try:
        n_right = count_right(Collection.open(home, encoder=encoder), encoder)
    except PatchseekError:
        assert problem is None, "a catalogue made anew is sound"
        rebuild(home)
        n_right = count_right(Collection.open(home, encoder=encoder), encoder)
    assert n_right == n_pictures or problem is None
    return "unseen" if problem is None else "made anew"


def count_right(collection: Collection, encoder) -> int:
    """How many pictures can be opened. Raises AssertionError where one has features that are not its own."""
    snapshot, n = collection.store.snapshot(), 0
    positions = np.flatnonzero(snapshot.live)
    images = collection.store.images(snapshot.ids[positions].tolist())
    for position, image in zip(positions.tolist(), images, strict=True):
        if image is None or not image.file.is_file() or hash_file(image.file) != image.sha256:
            continue  # a name that was changed finds nothing, nor does a file that has changed since
        own = encoder.encode(cut(read(image.file), collection.store.settings.pyramid, encoder.feed))
        assert np.allclose(snapshot.features(np.array([position]))[0], own, atol=2e-3), image.path
        n += 1
    return n
