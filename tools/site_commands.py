"""The page "Command line" of the site, made of the commands' own help, so that it says what the program says.

    python tools/site_commands.py

prints it. Commands stand in the order in which `patchseek --help` lists them.
"""

import inspect
import re
from collections.abc import Iterator

import click

import patchseek.cli
from patchseek.cli._mcp import mcp_command

OPENING = """# Command line

What `patchseek COMMAND --help` prints, command by command; `-h` is short for `--help`, and `patchseek help COMMAND` is
the same.
"""
SPECIAL = re.compile(r"(`[^`]*`)|([\\*_<>\[\]#|])")


def commands_page() -> str:
    """The page as Markdown."""
    contexts = [*walk(patchseek.cli.cli, "patchseek", None), *walk(mcp_command, "patchseek-mcp", None)]
    exits = re.search(r"Exit codes:.*", inspect.getdoc(patchseek.cli) or "", re.DOTALL)
    return "\n".join([OPENING, f"{exits[0] if exits else ''}\n", *(part for one in contexts for part in section(one))])


def walk(command: click.Command, name: str, parent: click.Context | None) -> Iterator[click.Context]:
    """A command and all below it, as called by its whole name; hidden ones are left out."""
    context = click.Context(command, parent=parent, info_name=name, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found and not found.hidden:
                yield from walk(found, below, context)


def section(context: click.Context) -> Iterator[str]:
    """What a command's section says: how it is called, what it does, its options but --help."""
    command = context.command
    yield f"## {context.command_path}\n"
    yield f"    {' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n"
    yield from map(paragraph, inspect.cleandoc(command.help or "").split("\f")[0].split("\n\n"))
    for option in command.params:
        if isinstance(option, click.Option) and (record := option.get_help_record(context)):
            names, text = record
            yield f"- `{names}`: {escaped(text)}"
    yield ""


def paragraph(text: str) -> str:
    """A paragraph of a help text; one that click is told to leave as it is (\\b) becomes code."""
    if text.startswith("\b"):
        return "".join(f"    {line}\n" for line in text.split("\n")[1:])
    return f"{escaped(text)}\n"


def escaped(text: str) -> str:
    """A text that Markdown shows as it is, but for what it has in backticks."""
    return SPECIAL.sub(lambda found: found[1] or f"\\{found[2]}", text)


if __name__ == "__main__":
    print(commands_page())
