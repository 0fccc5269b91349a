"""Whether a command of the documentation is one, without running it: its program, options, targets and files exist."""

import argparse
import importlib.util
import io
import os
import re
import runpy
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import pairwise
from pathlib import Path

import click
import pytest

from patchseek.cli import cli
from patchseek.cli._mcp import mcp_command

from .documented import ROOT, Command
from .documented_shell import INNER, NotUnderstood, Simple, filled, is_placeholder, simple_commands

Reason = str | None


def why_wrong(command: Command, *, scripts: bool = False) -> Reason:
    """What is wrong with a command, with its file and line, or None. scripts: have those that it runs parse it, too."""
    try:
        for text in [*INNER.findall(command.text), command.text]:
            for simple in simple_commands(text):
                if simple.words and (reason := _judge(simple, command.within, scripts)):
                    return f"{command.where}: {command.text}\n    {reason}"
    except NotUnderstood as error:
        return f"{command.where}: not understood: {error}"
    return None


def programs(text: str) -> set[str]:
    """The programs that a line begins."""
    return {simple.words[0] for simple in simple_commands(text) if simple.words}


def _judge(simple: Simple, within: bool, scripts: bool) -> Reason:
    program, *words = simple.words
    if program in CHECKS:
        return CHECKS[program](words, within)
    if program == "python" or program.endswith((".py", ".sh")):
        return _python(words if program == "python" else [program, *words], scripts)
    return None if program in ("eval", "source", "export", "openssl", "curl", "mv") else f"{program} is not known here"


# ---- patchseek


def why_no_command(words: list[str], within: bool, command: click.Command = cli, name: str = "patchseek") -> Reason:
    """What click has against these words. A mere mention may lack arguments, and has placeholders for numbers."""
    has_placeholders = any(map(is_placeholder, words))
    rest, context = filled(words), None
    try:
        while True:
            with (
                pytest.MonkeyPatch.context() as patch,
                redirect_stdout(io.StringIO()),
            ):  # whether files are there, running it shows
                patch.setattr(click.Path, "convert", lambda self, value, *_: self.coerce_path_result(value))
                context = command.make_context(name, rest, parent=context)
            rest = [*context._protected_args, *context.args]
            if not isinstance(command, click.Group) or not rest:
                return None
            name, found, rest = command.resolve_command(context, rest)
            assert name is not None and found is not None
            command = found
    except click.exceptions.Exit:
        return None  # --help
    except click.exceptions.NoArgsIsHelpError:
        return None if within else "a command is missing"
    except click.NoSuchOption as error:
        return error.format_message()
    except (click.MissingParameter, click.BadOptionUsage) as error:
        return None if within else error.format_message()
    except click.BadParameter as error:
        return None if has_placeholders else error.format_message()
    except click.UsageError as error:
        return error.format_message()


def arguments(words: list[str]) -> list[str]:
    """What stands behind the names of the command and those it is of: `meter` of `query show meter`."""
    command: click.Command = cli
    while words and isinstance(command, click.Group) and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return words


def options_of(command: click.Command) -> set[str]:
    """All options of a command and of those that are of it."""
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    own = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
    return own.union(*map(options_of, inner))


# ---- what belongs to a checkout


def _make(words: list[str], _: bool) -> Reason:
    targets = re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    lacking = [word for word in words if word not in targets and "=" not in word]
    return f"the Makefile has no {', '.join(lacking)}" if lacking else None


def _pip(words: list[str], _: bool) -> Reason:
    """tests/test_install_lines.py has pip itself judge them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {extra for word in words for extra in re.findall(r"\w+", "".join(re.findall(r"^\.\[(.*)\]$", word)))}
    lacking = named - settings["optional-dependencies"].keys()
    return f"there is no extra {', '.join(sorted(lacking))}" if lacking else None


def _docker(words: list[str], _: bool) -> Reason:
    """The files that it is given, and what it runs in a container, as far as that is patchseek."""
    if words[:1] != ["compose"]:
        return None
    files = [after for word, after in pairwise(words) if word == "-f"] or ["compose.yaml"]
    lacking = [name for name in files if not (ROOT / name).is_file() and name not in WRITTEN]
    if lacking:
        return f"there is no {', '.join(lacking)}"
    inner = words[words.index("patchseek") + 1 :] if "patchseek" in words else None
    return why_no_command(inner, within=False) if inner else None


WRITTEN = {"compose-watch.yaml": "docs/watching.md has the reader write it"}
"""Files that a page has its reader make."""


def _python(words: list[str], scripts: bool) -> Reason:
    module = words[1] if words[0] == "-m" else ""
    if module and module.partition(".")[0] not in ("tools", "tests"):
        return None if importlib.util.find_spec(module) else f"there is no module {module}"
    if module:
        words = [module.replace(".", "/") + ".py", *words[2:]]
    path = ROOT / words[0]
    if not path.is_file():
        return f"there is no {words[0]}"
    return why_no_options(path, words[1:], module) if scripts and path.suffix == ".py" else None


CHECKS: dict[str, Callable[[list[str], bool], Reason]] = {
    "patchseek": why_no_command,
    "patchseek-mcp": lambda words, within: why_no_command(words, within, mcp_command, "patchseek-mcp"),
    "make": _make,
    "pip": _pip,
    "docker": _docker,
    "ray": lambda words, _: None if words[:1] == ["start"] else "of ray only start is known here",
}


# ---- scripts


class Parsed(BaseException):
    """A script has parsed its command line, which is all that it is begun for."""


def why_no_options(script: Path, words: list[str], module: str = "") -> Reason:
    """What a script's own argparse has against these words; one that does without may be given none.

    module: its name, where it is begun by that.
    """
    if not re.search(r"\bparse_(?:args|with_data)\(", script.read_text(encoding="utf-8")):
        return f"{script.name} takes no options" if [word for word in words if word.startswith("-")] else None
    said = io.StringIO()
    with _begun(script, words), redirect_stderr(said):
        try:
            if module:
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(str(script), run_name="__main__")
        except Parsed:
            return None
        except SystemExit:
            words_of_it = said.getvalue().strip().split("\n")[-1]
            is_placeholder_for = any(map(is_placeholder, words)) and "invalid" in words_of_it
            return None if is_placeholder_for or "required: " in words_of_it else words_of_it
    return f"{script.name} never parses its command line"


@contextmanager
def _begun(script: Path, words: list[str]) -> Iterator[None]:
    """As `python SCRIPT ...` begins, but that it ends as soon as it has parsed its command line."""

    def parse_and_end(self: argparse.ArgumentParser, *args: object) -> None:
        parse(self, *args)  # type: ignore[arg-type]
        raise Parsed

    parse = argparse.ArgumentParser.parse_args
    before, environment = sys.modules.copy(), dict(os.environ)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a module is begun anew, for one
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_and_end)
        patch.setattr(sys, "argv", [str(script), *filled(words)])
        patch.syspath_prepend(str(script.parent))
        patch.syspath_prepend(str(ROOT))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(environment)
            for name in sys.modules.keys() - before.keys():  # a module of the name may lie beside another script
                if (
                    "." not in name
                    and Path(getattr(sys.modules[name], "__file__", None) or "/").parent == script.parent
                ):
                    del sys.modules[name]
