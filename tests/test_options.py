"""What a search may be told is written once, in SearchOptions; the command line has all of that, by the same names."""

from dataclasses import fields

import pytest

from patchseek.answers import SearchOptions
from patchseek.cli import cli
from patchseek.cli._search import _options

USUAL = SearchOptions()
FIELDS = [field.name for field in fields(USUAL)]


@pytest.fixture(scope="module")
def said():
    """What `patchseek search photo.jpg` says of its parameters, by their names."""
    return cli.get_command(None, "search").make_context("search", ["photo.jpg"]).params


@pytest.mark.parametrize("name", FIELDS)
def test_the_command_line_has_every_option_and_means_the_same_where_nothing_is_said(name, said):
    assert (int(said[name]) if name == "top" else said[name]) == getattr(USUAL, name)


def test_what_is_said_there_is_handed_on_by_name(said):
    assert SearchOptions(**_options(said)) == USUAL
    other = {**said, "refine": 5, "turned": False, "tags": ("red",), "min_confidence": 0.5}
    assert SearchOptions(**_options(other)) == SearchOptions(refine=5, turned=False, tags=("red",), min_confidence=0.5)
