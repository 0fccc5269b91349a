"""Whatever README, CONTRIBUTING and docs have a reader type is run, page by page, or at least is what it says to be."""

import re
import runpy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path

import pytest

from patchseek import Collection
from patchseek.cli import cli
from patchseek.server import ServerSettings, create_app

from .documented import ROOT, Block, Command, blocks, commands, pages, read, spans
from .documented_check import arguments, options_of, programs, why_no_command, why_wrong
from .documented_exceptions import (
    BEFORE,
    ELSEWHERE,
    FOREIGN,
    MEANWHILE,
    NAMES,
    NOT_OURS,
    NOT_RUN,
    RUN_BY,
    TEXTS,
    excepted,
    unused,
)
from .documented_kinds import is_call, why_no_call, why_unreadable
from .documented_run import ADDRESS, Failed, World, as_documented
from .documented_shell import is_placeholder
from .documented_world import METER, PHOTO, make_home
from .live import listening

PAGES = {page: read(page) for page in pages()}
COMMANDS = [command for page, text in PAGES.items() for command in commands(text, page)]
BLOCKS = [block for page, text in PAGES.items() for block in blocks(text, page)]
SCRIPTS = [each for each in COMMANDS if re.match(r"python |\w+/[\w/]+\.|main\.py", each.text)]
NEEDS = {"docs/mcp.md": "mcp", "docs/milvus.md": "milvus", "docs/notebooks.md": "dev", "docs/postgres.md": "dev"}
"""Pages that need more than the core."""


def is_run(command: Command) -> bool:
    """Whether the test of its page runs a command. A mention is run if it is whole: nothing is left to fill in."""
    begun = programs(command.text)
    if command.file in RUN_BY or begun & ELSEWHERE.keys() or any(each.endswith((".py", ".sh")) for each in begun):
        return False
    if excepted(command, NOT_RUN):
        return False
    return not command.within or "_PATCHSEEK_COMPLETE" in command.text or is_whole(command)


def is_whole(command: Command) -> bool:
    """`patchseek search photo.jpg --open` is, neither `patchseek search --json` nor `patchseek watch FOLDER` is."""
    program, *words = command.text.split()
    has_object = any(not word.startswith("-") for word in arguments(words)) or words[-1] == "--help"
    if not program.startswith("patchseek") or not has_object or any(map(is_placeholder, words)):
        return False
    return why_wrong(replace(command, within=False)) is None


def is_bare(command: Command) -> bool:
    """Whether a mention is a whole command without any argument."""
    program, *words = command.text.split()
    return program == "patchseek" and not arguments(words) and why_wrong(replace(command, within=False)) is None


# ---- each is what it says to be


def test_every_command_is_one_and_has_the_options_that_are_named():
    assert len(COMMANDS) > 250
    assert "\n".join(filter(None, map(why_wrong, COMMANDS))) == ""


@pytest.mark.extra("dev")
def test_every_script_takes_the_options_that_are_named():
    """In what they import, too: some measure what only extras bring."""
    assert len(SCRIPTS) > 20
    assert "\n".join(filter(None, (why_wrong(each, scripts=True) for each in SCRIPTS))) == ""


def test_every_option_in_a_sentence_is_one_of_a_command_or_of_a_script():
    known = options_of(cli) | FOREIGN | {"--help", "--version"}
    known |= {f"--{field.name}" for field in fields(runpy.run_path(str(ROOT / "main.py"))["Arguments"])}
    for path in [*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "tools").glob("*.py")]:
        known |= set(re.findall(r'"(--[a-z][\w-]*)"', path.read_text(encoding="utf-8")))
    named = [
        (f"{page}:{line}", option)
        for page, text in PAGES.items()
        for line, said in spans(text, page)
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", said)
    ]
    assert len(named) > 300
    assert [f"{where}: {option}" for where, option in named if option not in known] == []


def test_every_call_in_a_sentence_is_of_a_function_with_these_arguments():
    calls = [
        (f"{page}:{line}", said) for page, text in PAGES.items() for line, said in spans(text, page) if is_call(said)
    ]
    assert len(calls) > 20
    wrong = [f"{where}: {said}: {why_no_call(said)}" for where, said in calls if said not in NOT_OURS]
    assert [each for each in wrong if not each.endswith(": None")] == []


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.where}-{block.kind}")
def test_every_block_can_be_read(block):
    assert why_unreadable(block) is None
    assert block.kind != "text" or excepted(block, TEXTS), f"{block.where}: neither to be typed nor in TEXTS"


@pytest.mark.extra("timm")
def test_every_yaml_is_that_and_what_its_containers_run_is_a_command():
    import yaml

    texts = {f"{block.file}:{block.line}": block.text for block in BLOCKS if block.kind == "yaml"}
    texts |= {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("compose*.yaml")}
    assert len(texts) >= 3
    for where, text in texts.items():
        for service in yaml.safe_load(text)["services"].values():
            if "command" in service and not {"image", "entrypoint"} & service.keys():  # else another program's
                assert why_no_command([str(word) for word in service["command"]], within=False) is None, where


# ---- each is run


@contextmanager
def world(home: Path, page: str) -> Iterator[World]:
    """A home as a page has it, with a server where the page asks one."""
    make_home(home)
    with ExitStack() as stack:
        made = World(home)
        if page == "docs/postgres.md":
            from .postgres import Server

            made.moves["postgresql://user@host/pictures"] = stack.enter_context(Server()).url
        with as_documented(home):
            for line in BEFORE.get(page, []):
                made.run(Command(page, 0, line))
            made.execute(Block(page, 1, "python", NAMES.get(page, "")))
        if ADDRESS in PAGES[page]:
            collection = Collection.open(home / "Pictures")
            port = stack.enter_context(listening(create_app(collection, ServerSettings())))
            made.moves[ADDRESS] = f"http://127.0.0.1:{port}"
        stack.enter_context(as_documented(home))
        yield made


def runs(page: str) -> list[Block | Command]:
    """What of a page is run, in its order."""
    python = [each for each in BLOCKS if each.file == page and each.kind == "python" and not excepted(each, NOT_RUN)]
    typed = [each for each in COMMANDS if each.file == page and is_run(each)]
    return sorted([*python, *typed], key=lambda each: each.line)


@pytest.mark.posix
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.extra(NEEDS[page])] if page in NEEDS else [])
        for page in PAGES
        if runs(page)
    ],
)
def test_all_that_a_page_has_its_reader_type_works(page, tmp_path):
    wrong = []
    with world(tmp_path / "home", page) as made:
        for each in runs(page):
            try:
                for begin, happens in MEANWHILE.items():
                    if excepted(each, [begin]):
                        happens(made.home)
                made.execute(each) if isinstance(each, Block) else made.run(each)
            except Failed as error:
                wrong.append(str(error))
    assert "\n".join(wrong) == ""


@pytest.mark.posix
def test_every_command_that_is_mentioned_bare_works(tmp_path):
    """`patchseek info`, in a home that has a collection and a saved query; what lacks an argument is no command yet."""
    bare = {command.text for command in COMMANDS if command.within and is_bare(command)}
    assert {"patchseek info", "patchseek verify", "patchseek encoders"} <= bare
    with world(tmp_path / "home", "docs/saved.md") as made:
        for line in ["patchseek index ~/Pictures", "patchseek query add meter meter.jpg", *sorted(bare)]:
            made.run(Command("mentioned", 0, line))


def test_what_the_pages_search_for_is_in_that_home(tmp_path):
    make_home(tmp_path / "home")
    collection = Collection.open(tmp_path / "collection", create=True)
    collection.add(tmp_path / "home" / "Pictures")
    for name, box, shown in (("photo.jpg", PHOTO, {"4.png", "5.png"}), ("meter.jpg", METER, {"0.png", "2.png"})):
        (best,) = collection.search(tmp_path / "home" / name, box=box, top=1)
        assert best.image.path in shown


# ---- nothing is left out without a reason


@pytest.mark.extra("urls")
def test_pages_that_other_tests_run_are_run_by_them_line_by_line():
    from . import test_sources_page, test_workflows

    for page, module in RUN_BY.items():
        typed = [each.text for each in COMMANDS if each.file == page and not each.within]
        if module == "test_sources_page":
            assert set(typed) <= set(test_sources_page.COMMANDS), page
            continue
        name = page.removeprefix("docs/workflows/").replace("docs/", "../")
        assert typed == test_workflows.lines(name), page
        assert f'run("{name}")' in Path(test_workflows.__file__).read_text(encoding="utf-8"), page


@pytest.mark.extra("dev")
def test_every_example_is_run():
    from .test_notebooks import NOTEBOOK

    assert list((ROOT / "examples").iterdir()) == [NOTEBOOK]


def test_every_exception_is_still_needed():
    assert unused([*NOT_RUN, *TEXTS, *MEANWHILE], [*COMMANDS, *BLOCKS]) == []
    assert {*RUN_BY, *BEFORE, *NAMES, *NEEDS} <= PAGES.keys()
    assert ELSEWHERE.keys() <= set().union(*(programs(command.text) for command in COMMANDS))
    said = " ".join(said for page, text in PAGES.items() for _, said in spans(text, page))
    assert [each for each in (*FOREIGN, *NOT_OURS) if each not in said] == []
