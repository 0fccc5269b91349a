"""Results files that somebody edited or another program wrote: a wrong entry is a line that says where it stands."""

import json

import pytest

from patchseek import evaluate as ev
from patchseek.errors import PatchseekError

ENCODER = {"name": "tiny", "size": 8, "dim": 13, "weights": "0", "preprocessing": "squash"}
SOUND = {
    "format": 1,
    "dataset": {"name": "set", "data_hash": "0"},
    "settings": {},
    "encoder": ENCODER,
    "engine": "exact",
    "versions": {},
    "copies": {"q0": ["g1"]},
    "results": {"q0": [["g0", 0.5, [0, 0, 8, 8]], ["g1", 0, None]], "q1": []},
}


def read(path, content):
    path.write_text(json.dumps(content))
    return ev.read_results(path)


def test_what_is_of_the_form_is_read_as_it_is(tmp_path):
    assert read(tmp_path / "r.json", SOUND) == SOUND
    del (earlier := dict(SOUND))["copies"]
    assert read(tmp_path / "r.json", earlier) == earlier


@pytest.mark.parametrize("part", ["dataset", "settings", "encoder", "engine", "versions"])
def test_a_file_without_one_of_its_parts_is_refused(tmp_path, part):
    for content in ({key: value for key, value in SOUND.items() if key != part}, SOUND | {part: [1]}):
        with pytest.raises(PatchseekError, match=rf"r\.json: not a results file of patchseek.*{part}"):
            read(tmp_path / "r.json", content)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ([7, 0.5, None], "a picture's id is a text, found 7"),
        ([None, 0.5, None], "a picture's id is a text, found null"),
        (["g0", True, None], "the score is not a number, found true"),
        (["g0", 10**400, None], "the score is not a number, found 1000"),
        (["g0", float("nan"), None], "the score is not a number, found NaN"),
        (["g0", "0.5", None], 'the score is not a number, found "0.5"'),
        (["g0", 0.5, "abcd"], "a box is four numbers x y w h or null"),
        (["g0", 0.5, []], "a box is four numbers x y w h or null"),
        (["g0", 0.5], r"\[picture, score, box or null\] is expected"),
        ({"id": "g0", "score": 1, "box": None}, r"\[picture, score, box or null\] is expected"),
    ],
)
def test_an_entry_that_is_no_ranked_picture_is_told_by_query_and_number(tmp_path, entry, said):
    content = SOUND | {"results": {"q0": [["g0", 1, None], entry]}}
    with pytest.raises(PatchseekError, match=rf"r\.json: query 'q0', entry 2: {said}"):
        read(tmp_path / "r.json", content)


@pytest.mark.parametrize("copies", [["g1"], {"q0": "g1"}, {"q0": [7]}])
def test_copies_that_are_no_lists_of_pictures_are_refused(tmp_path, copies):
    with pytest.raises(PatchseekError, match=r"r\.json: copies must be query -> list of pictures"):
        read(tmp_path / "r.json", SOUND | {"copies": copies})
