"""What is wrong on a page is found and named by file and line: pages made up for it, each with one fault."""

import pytest
import uvicorn

from patchseek import Collection
from patchseek.server import ServerSettings, create_app

from .conftest import TinyEncoder, blot
from .documented import Block, Command, blocks, commands
from .documented_check import why_wrong
from .documented_exceptions import unused
from .documented_kinds import is_call, why_no_call, why_unreadable
from .documented_run import ADDRESS, Failed, World, as_documented
from .documented_shell import NotUnderstood, simple_commands
from .live import listening

SERVE = uvicorn.Server.run
PAGE = """# A page

Text with `patchseek search
photo.jpg --open` and ``no `patchseek index x` ``.

    patchseek index \\
        ~/Pictures   # a comment
    make demo

- a list

  which goes on

      with what is no block of ours

1. and `patchseek info`

```python
a = 1
```

    {"a": 1}
"""


def test_blocks_and_commands_are_found_with_their_lines():
    assert [(each.line, each.kind, each.text.split("\n")[0]) for each in blocks(PAGE, "a.md")] == [
        (6, "shell", "patchseek index \\"),
        (19, "python", "a = 1"),
        (22, "json", '{"a": 1}'),
    ]
    assert [(each.where, each.text, each.within) for each in commands(PAGE, "a.md")] == [
        ("a.md:3", "patchseek search photo.jpg --open", True),
        ("a.md:6", "patchseek index ~/Pictures   # a comment", False),
        ("a.md:8", "make demo", False),
        ("a.md:16", "patchseek info", True),
    ]
    with pytest.raises(ValueError, match=r"^a\.md:2: a fence without an end$"):
        blocks("text\n```python\na = 1\n", "a.md")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("patchseek search photo.jpg --boxes 1,2,3,4", "No such option '--boxes'."),
        ("patchseek find photo.jpg", "No such command 'find'."),
        ("patchseek search photo.jpg --depth many", "'many' is not"),
        ("patchseek index", "Missing argument 'SOURCE...'."),
        ("patchseek-mcp ~/Pictures --allow ~/Downloads", "No such option '--allow'."),
        ("echo $(date) > file", "date is not known here"),
        ("PATCHSEEK_TOKEN=$(patchseek token) docker compose up", "No such command 'token'."),
        ("make demos", "the Makefile has no demos"),
        ('pip install ".[timm,pilots]"', "there is no extra pilots"),
        ("python -m tools.demos", "there is no tools/demos.py"),
        ("python benchmarks/none.py", "there is no benchmarks/none.py"),
        ("python benchmarks/start.py --nothing", "unrecognized arguments: --nothing"),
        ("python main.py --tiles 3", "unrecognized arguments: --tiles"),
        ("scripts/run_none.sh", "there is no scripts/run_none.sh"),
        ("docker compose -f compose-none.yaml up", "there is no compose-none.yaml"),
        ("docker compose exec ray-head patchseek index /pictures --rays auto", "No such option '--rays'."),
        ("patchseek info < file", "not understood: <"),
    ],
)
def test_a_line_that_cannot_be_typed_is_named_with_its_place(line, reason):
    said = why_wrong(Command("a.md", 7, line), scripts=True)
    assert said is not None and said.startswith("a.md:7: ") and reason in said


@pytest.mark.parametrize(
    "line", ["patchseek index", "patchseek index SOURCE --ray ADDRESS", "patchseek plan --images N"]
)
def test_a_mention_may_be_a_part_of_a_command_but_of_one_that_there_is(line):
    assert why_wrong(Command("a.md", 7, line, within=True)) is None
    assert "No such option" in (why_wrong(Command("a.md", 7, f"{line} --nothing", within=True)) or "")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("json", '{"a": 1,}'),
        ("json", '"a": 1 "b": 2'),
        ("toml", "a = b"),
        ("xml", "<a><b></a>"),
        ("ini", "[Service]\nExecStart=/opt/bin/patchseek watch /srv --output"),
        ("nginx", "server {\n    listen 443\n}"),
        ("python", "def a(:"),
        ("ruby", "puts 1"),
    ],
)
def test_a_block_that_is_not_what_it_says_is_named_with_its_place(kind, text):
    assert (why_unreadable(Block("a.md", 7, kind, text)) or "").startswith("a.md:7: ")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("c.find(picture)", "find is no function of ours"),
        ("Client.add(picture)", "add is no function of ours"),
        ("c.search(picture, frame=True)", "search takes no such arguments"),
        ("Client.judgements(query_key, image_id, verdict, box, who, when)", "judgements takes no such arguments"),
    ],
)
def test_a_call_of_nothing_is_told(said, reason):
    assert is_call(said) and why_no_call(said) == reason


@pytest.mark.parametrize("line", ["a <<EOF", "a 2>&1", "a $(b $(c))", "a `b`", "a || b"])
def test_what_a_shell_knows_beyond_the_pages_is_refused(line):
    with pytest.raises(NotUnderstood):
        simple_commands(line)


# ---- run


@pytest.fixture
def world(tmp_path):
    (tmp_path / "Pictures").mkdir()
    blot(1).save(tmp_path / "Pictures" / "1.png")
    with as_documented(tmp_path):
        yield World(tmp_path)


@pytest.mark.posix
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("patchseek index ~/Nowhere", "Nowhere: not a folder"),
        ("patchseek verify -c ~/Pictures", "no collection here"),
        ("patchseek query list --all", "No such option"),
        ("curl --fail http://127.0.0.1:8765/healthz", "curl --fail is not known here"),
        ('eval "$(openssl rand -hex 0)"', "nothing to eval"),
        ("sha256sum --check SHA256SUMS", "nothing here runs sha256sum"),
        ("patchseek serve ~/Pictures &", "nothing here runs in the background"),
        ("patchseek encoders | patchseek help", "or hands on what another printed"),
    ],
)
def test_a_command_that_fails_is_named_with_its_place(world, line, reason):
    with pytest.raises(Failed, match=r"^a\.md:7: ") as failed:
        world.run(Command("a.md", 7, line))
    assert reason in str(failed.value)


@pytest.mark.posix
def test_an_exit_code_other_than_the_one_said_fails(world):
    world.run(Command("a.md", 7, "patchseek index ~/Nowhere"), code=1)
    with pytest.raises(Failed):
        world.run(Command("a.md", 7, "patchseek --version"), code=1)


@pytest.mark.posix
def test_an_error_of_python_is_named_with_the_line_that_raised_it(world):
    world.execute(Block("a.md", 3, "python", "def half(n):\n    return n // 2\n"))
    world.execute(Block("a.md", 9, "python", "assert half(4) == 2"))
    with pytest.raises(Failed, match=r"^a\.md:12: ZeroDivisionError"):
        world.execute(Block("a.md", 10, "python", "n = half(1)\n\n1 / n\n"))
    with pytest.raises(Failed, match=r"^a\.md:21: FileNotFoundError"):
        world.execute(Block("a.md", 20, "python", "import asyncio\nopen('nowhere')"))
    with pytest.raises(Failed, match=r"^a\.md:30: KeyError: 'gone'"):
        world.execute(Block("a.md", 30, "python", "raise ExceptionGroup('tasks', [KeyError('gone')])"))


@pytest.mark.posix
def test_what_the_server_refuses_fails_and_what_it_answers_is_known_to_the_next_line(world, tmp_path):
    blot(1).save(tmp_path / "photo.jpg")
    collection = Collection.open(tmp_path / "collection", encoder=TinyEncoder(), points=False, create=True)
    collection.add(tmp_path / "Pictures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn.Server, "run", SERVE)
        with listening(create_app(collection, ServerSettings())) as port:
            world.moves[ADDRESS] = f"http://127.0.0.1:{port}"
            with pytest.raises(Failed, match=r"^a\.md:7: (?s:.*)404"):
                world.run(Command("a.md", 7, f"curl {ADDRESS}/api/nothing"))
            judged = (
                f"curl -X PUT -H 'content-type: application/json' {ADDRESS}/api/judgements "
                """-d '{"query_key": "5f0c...", "image_id": 1, "box": [0, 0, 9, 9], "verdict": "yes"}'"""
            )
            with pytest.raises(Failed, match=r"^a\.md:8: (?s:.*)4\d\d"):
                world.run(Command("a.md", 8, judged))
            world.run(Command("a.md", 9, f"curl -F image=@photo.jpg -F top=1 {ADDRESS}/api/search"))
            world.run(Command("a.md", 10, judged))


def test_an_exception_that_names_nothing_is_told():
    there = [Command("a.md", 7, "patchseek info -c x")]
    assert unused([("a.md", "patchseek info"), ("a.md", "patchseek verify"), ("b.md", "patchseek")], there) == [
        ("a.md", "patchseek verify"),
        ("b.md", "patchseek"),
    ]
