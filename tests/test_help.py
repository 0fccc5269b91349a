"""How a newcomer finds out: help, completion of the shell, and numbers that read as sentences."""

import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from patchseek._words import counted
from patchseek.cli import cli

from .documented import Command
from .documented_check import why_wrong


@pytest.mark.parametrize(
    "names", [(), ("search",), ("encoders",), ("encoders", "fetch"), ("dataset", "ilias", "prepare")]
)
def test_help_says_what_the_option_says(names):
    said = CliRunner().invoke(cli, ["help", *names], prog_name="patchseek")
    assert said.exit_code == 0
    assert said.stdout == CliRunner().invoke(cli, [*names, "--help"], prog_name="patchseek").stdout
    assert said.stdout.startswith(f"Usage: {' '.join(['patchseek', *names])} ")


@pytest.mark.parametrize("names", [(), ("index",), ("search",)])
def test_the_examples_of_a_help_are_commands_with_such_options(names):
    said = CliRunner().invoke(cli, [*names, "--help"], prog_name="patchseek").stdout
    examples = re.findall(r"^  (patchseek .+)$", said.partition("Options:")[0], re.MULTILINE)
    assert len(examples) >= 3
    assert [why_wrong(Command("--help", 1, each)) for each in examples] == [None] * len(examples)


@pytest.mark.parametrize("names", [("nonsense",), ("search", "nonsense"), ("encoders", "nonsense")])
def test_help_of_nothing_is_a_wrong_use(names):
    said = CliRunner().invoke(cli, ["help", *names])
    assert said.exit_code == 2
    assert "No such command 'nonsense'" in said.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_as_the_docs_say(shell):
    """bash asks itself for its version."""
    code = "import sys; sys.argv[0] = 'patchseek'; from patchseek.cli import main; main()"
    asked = {**os.environ, "_PATCHSEEK_COMPLETE": f"{shell}_complete", "COMP_WORDS": "patchseek se", "COMP_CWORD": "1"}
    asked |= {"COMP_WORDS": "patchseek", "COMP_CWORD": "se"} if shell == "fish" else {}
    done = subprocess.run([sys.executable, "-c", code], env=asked, capture_output=True, text=True)
    assert [name for name in ("search", "serve", "score") if name in done.stdout] == ["search", "serve"]


def test_of_one_thing_there_is_one():
    assert [counted(n, "picture") for n in (0, 1, 1200)] == ["0 pictures", "1 picture", "1,200 pictures"]
    assert [counted(n, "copy", "copies") for n in (1, 2)] == ["1 copy", "2 copies"]
    said = CliRunner().invoke(cli, ["plan", "--images", "1"]).stdout
    assert said.startswith("1 picture, 30 patches of 1280 numbers, 1 copy on 1 machine\n")


def test_nothing_fetched_is_not_all_as_it_was(tmp_path):
    said = CliRunner().invoke(cli, ["encoders", "verify", "--folder", str(tmp_path)])
    assert (said.exit_code, said.stdout) == (
        0,
        f"{tmp_path}: nothing has been fetched; `patchseek encoders fetch NAME` does\n",
    )
