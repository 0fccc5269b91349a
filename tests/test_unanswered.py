"""Queries that no picture answers: what counts as the same name, what is said of the others, and who counts them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from unicodedata import normalize

import pytest
from click.testing import CliRunner
from PIL import Image

from patchseek import evaluate as ev
from patchseek.cli._benchmarks import evaluate_command, score_command
from patchseek.cli._encoder import EncoderChoice
from patchseek.datasets import open_dataset
from patchseek.errors import DatasetError
from patchseek.report import draw_results, write_report

from .conftest import TinyEncoder, blot

pytestmark = pytest.mark.usefixtures("own_cache")

ROOT = Path(__file__).parent.parent


def make_set(folder: Path, asked: list[str], held: list[list[str]], **more: object) -> Path:
    """A query q1, q2, ... for each name asked; a gallery picture g1, g2, ... for each list of names held."""
    folder.mkdir(parents=True)
    queries = [{"id": f"q{n}", "image": f"q{n}.png", "instance": name} for n, name in enumerate(asked, 1)]
    gallery = [{"id": f"g{n}", "image": f"g{n}.png", "instance": names or None} for n, names in enumerate(held, 1)]
    for n, row in enumerate([*queries, *gallery]):
        blot(n).save(folder / str(row["image"]))
    gallery[-1] |= more
    (folder / "query.json").write_text(json.dumps(queries))
    (folder / "gallery.json").write_text(json.dumps(gallery))
    return folder


def make_table(folder: Path, asked: list[str], held: list[list[str]]) -> Path:
    """The same as a CSV file."""
    make_set(folder, asked, held)
    for name in ("query.json", "gallery.json"):
        (folder / name).unlink()
    lines = [f'q{n}.png,"{name}",,,,,query' for n, name in enumerate(asked, 1)]
    lines += [f'g{n}.png,"{name}",,,,,gallery' for n, names in enumerate(held, 1) for name in names]
    (folder / "own.csv").write_text("\n".join(["image,instance,x,y,w,h,role", *lines]), encoding="utf-8")
    return folder / "own.csv"


# ---- the same name


@pytest.mark.parametrize("make", [make_set, make_table])
@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("cup ", "cup"),
        ("cup", "\tcup\n"),
        ("cup", "cup\N{NO-BREAK SPACE}"),
        (normalize("NFD", "hrníček č. 3"), normalize("NFC", "hrníček č. 3")),
        (normalize("NFC", "Ångström"), "\N{ANGSTROM SIGN}ngstr" + normalize("NFD", "ö") + "m"),
        (" " + normalize("NFD", "é"), "é"),
    ],
)
def test_blanks_around_a_name_and_how_its_letters_are_composed_part_nobody(tmp_path, make, asked, held):
    data = open_dataset(make(tmp_path / "s", [asked], [[held], ["jug"]]))
    assert len(data.positives(data.queries[0])) == 1
    assert data.queries[0].instance == normalize("NFC", held.strip())
    assert data.notes == ()


def test_what_is_ignored_is_compared_so_too(tmp_path):
    data = open_dataset(make_set(tmp_path / "s", ["cup"], [["cup"], ["jug"]], ignore=["cup "]))
    assert data.ignored("q1") == {"g2"}


def test_a_name_of_blanks_is_none(tmp_path):
    with pytest.raises(DatasetError, match=r"query\.json: row 1 \('q1'\): an object's name is a text, found '  '"):
        open_dataset(make_set(tmp_path / "a", ["  "], [["cup"]]))
    with pytest.raises(DatasetError, match=r"line 2: no instance"):
        open_dataset(make_table(tmp_path / "b", ["  "], [["cup"]]))


# ---- other names


NEAR = [
    ("Cup", ["cup"], "cup"),
    ("red  cup", ["red cup"], "red cup"),
    ("red-cup", ["red cup", "blue jug"], "red cup"),
    ("cups", ["cup", "jug"], "cup"),
    ("cafe au lait", ["café au lait"], "café au lait"),
    ("\N{FULLWIDTH LATIN SMALL LETTER C}up", ["cup"], "cup"),
    ("STRASSE", ["straße"], "straße"),
]


@pytest.mark.parametrize("make", [make_set, make_table])
@pytest.mark.parametrize(("asked", "held", "meant"), NEAR)
def test_a_name_much_like_another_is_another_and_that_is_said(tmp_path, make, asked, held, meant):
    data = open_dataset(make(tmp_path / "s", ["vase", asked], [["vase"], held]))
    key = data.queries[1].id
    assert data.positives(key) == {}
    assert data.notes[0] == (
        f"no picture holds the object of 1 of 2 queries, which count in no figure: "
        f"{key!r} ({asked!r}; did you mean {meant!r}?)"
    )


def test_a_name_like_no_other_is_named_without_a_guess(tmp_path):
    data = open_dataset(make_set(tmp_path / "s", ["vase", "clock"], [["vase"], ["cup"]]))
    assert data.notes[0].endswith(": 'q2' ('clock')")


def test_only_the_first_few_are_named(tmp_path):
    data = open_dataset(make_set(tmp_path / "s", ["vase", "Cup", "CUP", "cUp", "cuP", "clock"], [["vase"], ["cup"]]))
    assert data.notes[0].startswith("no picture holds the object of 5 of 6 queries, which count in no figure: 'q2' (")
    assert data.notes[0].endswith(" and 2 more")
    assert "'q5'" not in data.notes[0]


def test_a_query_whose_pictures_are_all_left_out_is_not_told_of_another_name(tmp_path):
    folder = make_set(tmp_path / "s", ["vase", "cup"], [["vase"], ["jug"]], ignore=["cup"])
    assert open_dataset(folder).notes[0].endswith("'q2' ('cup' is only in pictures that are left out for it)")
    folder = make_set(tmp_path / "own", ["vase", "cup"], [["vase"], ["cup"]], image="q2.png")
    assert open_dataset(folder).notes[0].endswith("'q2' ('cup' is only in pictures that are left out for it)")


def test_a_name_of_the_gallery_that_is_easily_mistaken_for_one_asked_for_is_said(tmp_path):
    data = open_dataset(make_set(tmp_path / "s", ["cup"], [["cup"], ["Cup"], ["cups"]]))
    assert data.positives("q1") == {"g1": None}
    assert data.notes == ("'Cup' in the gallery is not 'cup', which queries ask for",)


@pytest.mark.parametrize("make", [make_set, make_table])
def test_a_set_in_which_no_query_has_an_answer_is_an_error(tmp_path, make):
    with pytest.raises(DatasetError, match="no query has a picture that holds its object: ") as error:
        open_dataset(make(tmp_path / "s", ["Cup", "clock"], [["cup"]]))
    assert "('Cup'; did you mean 'cup'?)" in str(error.value)
    assert "\n" not in str(error.value)


# ---- who counts them


@pytest.fixture
def mixed(tmp_path):
    """Two of four queries have an answer."""
    return make_set(tmp_path / "mixed", ["cup", "jug", "Cup", "clock"], [["cup"], ["jug"], []])


COUNT = "2 of 4 queries count; 2 have no picture that holds their object"


def test_figures_results_and_report_count_the_queries_of_the_mean(mixed, tiny, tmp_path):
    data = open_dataset(mixed)
    assert [query.id for query in data.counted] == ["q1", "q2"]
    assert str(data) == f"mixed: 2 queries of 2 objects, 3 gallery pictures, 1 of them distractors ({COUNT})"
    settings = ev.EvalSettings(level=1)
    gallery = ev.encode_gallery(data, tiny, settings.pyramid, tmp_path / "cache")
    engine = ev.open_engine(gallery, settings)
    results = ev.run_benchmark(data, gallery, ev.encode_queries(data, tiny), engine, settings)
    assert (results["dataset"]["n_queries"], results["dataset"]["unanswered"]) == (2, ["q3", "q4"])
    assert len(ev.rankings(results, data)) == 2
    results["dataset"]["n_queries"] = 4  # as results were once written
    scored = ev.score(results, data)
    assert (scored["dataset"]["n_queries"], scored["dataset"]["unanswered"]) == (2, ["q3", "q4"])
    by_hand = [
        1 / ([name for name, *_ in results["results"][q]].index(right) + 1) for q, right in (("q1", "g1"), ("q2", "g2"))
    ]
    assert scored["metrics"]["mAP"] == pytest.approx(sum(by_hand) / 2)
    text = write_report(tmp_path / "out", data, {"L1": results}, {"L1": scored})
    assert text.startswith(f"# {data}\n")
    assert COUNT in text
    assert f"\n- {data.notes[0]}\n" in text
    assert "4 queries of" not in text
    assert draw_results(results, data, tmp_path / "sheets").read_text().count("<img") == 4


def test_a_set_whose_queries_all_count_says_nothing_of_it(tmp_path):
    data = open_dataset(make_set(tmp_path / "s", ["cup"], [["cup"], []]))
    assert str(data) == "s: 1 query of 1 object, 2 gallery pictures, 1 of them distractors"


def test_eval_and_score_say_it_on_stderr(mixed, tmp_path, monkeypatch):
    monkeypatch.setattr(EncoderChoice, "open", lambda _: TinyEncoder())
    monkeypatch.chdir(tmp_path)
    note = "note: no picture holds the object of 2 of 4 queries, which count in no figure: 'q3' ('Cup'; did you mean"
    done = CliRunner().invoke(evaluate_command, [str(mixed), "--level", "0"], catch_exceptions=False)
    assert f"{COUNT})\n{note}" in done.stderr
    assert COUNT in done.stdout
    assert COUNT in (tmp_path / "eval" / "report.md").read_text()
    (results,) = (tmp_path / "eval").glob("results-*.json")
    done = CliRunner().invoke(score_command, [str(results), str(mixed)], catch_exceptions=False)
    assert done.stderr.startswith(note)
    assert json.loads(done.stdout)["dataset"]["n_queries"] == 2


def test_main_says_it_on_stderr_before_it_encodes(tmp_path):
    make_set(tmp_path / "ilias", ["cup", "Cup"], [["cup"], []])
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PATCHSEEK_MODELS": str(tmp_path / "models")}
    command = [sys.executable, str(ROOT / "main.py"), "--model_name", "siglip"]  # whose weights are not there
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "1 of 2 queries count; 1 has no picture that holds their object" in done.stdout
    assert done.stderr.startswith("note: no picture holds the object of 1 of 2 queries")


def test_many_notes_are_cut_short_for_people(tmp_path):
    core = tmp_path / "official" / "ilias_core" / "cup"
    for key, n in (("query/Q000_00", 1), ("pos/P000_00", 9)):
        path = core / f"{key}.jpg"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (64, 48)).save(path)
        path.with_name(f"{path.stem}_bbox.txt").write_text("60 40 9 9\n" * n)
    data = open_dataset(f"ilias:{tmp_path / 'official'}")
    assert len(data.notes) == 10
    assert data.first_notes == (*data.notes[:5], "and 5 more notes")
