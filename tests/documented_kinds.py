"""Whether what is nothing to run is what it says: JSON, TOML, XML, a unit of systemd, nginx, calls in sentences."""

import ast
import configparser
import inspect
import json
import re
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from patchseek import Collection, Matches
from patchseek.answers import SearchOptions
from patchseek.datasets import open_dataset
from patchseek.judgements import Judgements
from patchseek.mcp import Tools
from patchseek.saved import Saved
from patchseek.server.client import Client

from .documented import Block
from .documented_check import why_no_command


def why_unreadable(block: Block) -> str | None:
    """What is wrong with a block that is nothing to run, with its file and line."""
    try:
        match block.kind:
            case "json":
                whole = block.text if block.text.startswith("{") else f"{{{block.text}}}"
                json.loads(re.sub(r", \.\.\.(?=\})", "", whole))
            case "toml":
                tomllib.loads(block.text)
            case "xml":
                ElementTree.fromstring(block.text)
            case "ini":
                return _why_no_unit(block)
            case "nginx":
                assert block.text.count("{") == block.text.count("}"), "braces"
                lines = [line.partition(" #")[0].strip() for line in block.text.split("\n") if line.strip()]
                assert all(line[-1] in ";{}" for line in lines), "a line without its end"
            case "python":
                compile(block.text, block.file, "exec")
            case kind:
                assert kind in ("shell", "yaml", "text"), f"{kind} is not known here"
    except (ValueError, SyntaxError, AssertionError) as error:
        return f"{block.where}: {type(error).__name__}: {error}"
    return None


def _why_no_unit(block: Block) -> str | None:
    """The same of a unit of systemd, whose command is one of ours."""
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block.text)
    program, *words = unit["Service"]["ExecStart"].split()
    assert Path(program).name == "patchseek"
    wrong = why_no_command(words, within=False)
    return wrong and f"{block.where}: {wrong}"


OWNERS = (Collection, Client, Matches, Tools)
"""Whose methods sentences call, by whatever name."""
FUNCTIONS = {"open_dataset": open_dataset, "Judgements": Judgements, "Saved": Saved}


def is_call(said: str) -> bool:
    """Whether a span calls something in Python: `c.search(..., frames=True)`."""
    return bool(re.fullmatch(r"[\w.]+\(.*\)", said)) and not said.startswith("test_")


def why_no_call(said: str) -> str | None:
    """What is wrong with a call in a sentence, whose arguments may be mere names for what is to be put there."""
    call = ast.parse(said, mode="eval").body
    assert isinstance(call, ast.Call)
    owner, _, name = ast.unparse(call.func).rpartition(".")
    named = [each for each in OWNERS if each.__name__ == owner] or OWNERS
    found = [FUNCTIONS[name]] if name in FUNCTIONS else [getattr(each, name) for each in named if hasattr(each, name)]
    if not found:
        return f"{name} is no function of ours"
    n = sum(ast.unparse(each) != "..." for each in call.args)
    keys = [key.arg for key in call.keywords if key.arg]
    return None if any(_takes(each, n, keys) for each in found) else f"{name} takes no such arguments"


def _takes(function: Callable[..., object], n: int, keys: list[str]) -> bool:
    """Whether it has so many arguments by place, beside itself, and those by name; further ones are a search's."""
    kinds = {name: each.kind for name, each in inspect.signature(function).parameters.items() if name != "self"}
    by_place = [name for name, kind in kinds.items() if kind in (kind.POSITIONAL_ONLY, kind.POSITIONAL_OR_KEYWORD)]
    further = {field.name for field in fields(SearchOptions)} if "options" in kinds else set()
    return n <= len(by_place) and set(keys) <= (kinds.keys() | further) - set(by_place[:n])
