"""The server of the Model Context Protocol, asked by the SDK's own client over standard input and output."""

import asyncio
import base64
import io
import json
import os
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from mcp import Client, StdioServerParameters
from PIL import Image

import patchseek as ps
from patchseek.cli._mcp import mcp_command
from patchseek.mcp import Folders, Tools
from patchseek.mcp._tools import told

from .conftest import blot

pytestmark = pytest.mark.extra("mcp")

PROGRAM = "from patchseek.cli._mcp import main; main()"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """pictures/ with six of them and their collection, a photograph that shows a part of 3.png, and one elsewhere."""
    home = tmp_path_factory.mktemp("home")
    for name in ("pictures", "photos", "elsewhere"):
        (home / name).mkdir()
    for i in range(6):
        blot(i, 320, 240).save(home / "pictures" / f"{i}.png")
    photo = Image.new("RGB", (400, 300), "white")
    photo.paste(blot(3, 320, 240).crop((160, 120, 320, 240)), (100, 50))
    photo.save(home / "photos" / "photo.png")
    photo.save(home / "elsewhere" / "secret.png")
    (home / "photos" / "link.png").symlink_to(home / "elsewhere" / "secret.png")
    (home / "photos" / "notes.txt").write_text("no picture")
    ps.Collection.open(home / "pictures" / ".patchseek", points=False, create=True).add(home / "pictures")
    return home


def started(home: Path, *arguments: str) -> StdioServerParameters:
    """How a client starts the server; whatever comes out of it is kept in home/stdout as well."""
    environment = {name: os.environ[name] for name in ("PYTHONPATH", "PATCHSEEK_CORES") if name in os.environ}
    program = [sys.executable, "-W", "error", "-c", PROGRAM, *arguments]
    return StdioServerParameters(
        command="sh", args=["-c", '"$@" | tee stdout', "sh", *program], env=environment, cwd=home
    )


def words(result) -> str:
    """What went wrong, as the client reads it."""
    assert result.is_error
    return result.content[0].text


def test_a_client_searches_looks_and_is_kept_to_the_folders(home):
    async def ask() -> None:
        async with Client(started(home, "pictures", "--allow-dir", "photos")) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert tools.keys() == {"search_object", "show", "collection_info"}
            assert tools["search_object"].input_schema["required"] == ["image"]

            info = (await client.call_tool("collection_info", {})).structured_content
            assert (info["images"], info["encoder"], info["failures"]) == (6, "embedded", 0)
            assert info["folders"] == [str(home / "pictures"), str(home / "photos")]

            asked = {"image": "photo.png", "box": [100, 50, 160, 120], "top": 2}
            done = await client.call_tool("search_object", asked)
            answer = done.structured_content
            assert json.loads(done.content[0].text) == answer, "for clients that read text alone"
            assert answer["query"]["box"] == [100, 50, 160, 120]
            best, second = answer["results"]
            assert (best["image"], best["file"]) == ("3.png", str(home / "pictures" / "3.png"))
            assert best["box"] == pytest.approx([160, 120, 160, 120], abs=3)

            picture, line = (await client.call_tool("show", {"hit": best["hit"]})).content
            assert (picture.type, picture.mime_type) == ("image", "image/jpeg")
            assert line.text.startswith("3.png: box x,y,w,h ")
            shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.data))), int)
            assert shown.shape == (240, 320, 3)
            differs = np.abs(shown - np.asarray(blot(3, 320, 240), int)).max(axis=2) > 120
            assert differs[:, 158:166].sum() > 60, "the left side of the box"
            assert not differs[:100].any(), "nothing is drawn above it"

            by_id = await client.call_tool("search_object", {"image": second["image_id"], "top": 1})
            assert by_id.structured_content["results"][0]["image_id"] == second["image_id"]

            secret, link = home / "elsewhere" / "secret.png", home / "photos" / "link.png"
            for outside in (secret, home / "elsewhere" / "nothing.png", link, "../elsewhere/secret.png", "/etc/passwd"):
                told = words(await client.call_tool("search_object", {"image": str(outside)}))
                assert told.endswith(
                    f"{outside}: not below the folders that may be read: {home / 'pictures'}, {home / 'photos'}"
                )
            for asked, said in (
                ({"image": "notes.txt"}, "notes.txt: "),
                ({"image": "gone.png"}, "gone.png: no such file or directory"),
                ({"image": "a\0b"}, "a picture is named by its path"),
                ({"image": 99}, "the collection has no picture with id 99"),
                ({"image": "photo.png", "box": [0, 0, 900, 10]}, "reaches outside the picture of 400 x 300 pixels"),
                ({"image": "photo.png", "box": [0, 0]}, "a box is four finite numbers"),
                ({"image": "photo.png", "top": 0}, "top: from 1 to 100, found 0"),
                ({}, "image"),
            ):
                assert said in words(await client.call_tool("search_object", asked))
            assert "no such hit is kept" in words(await client.call_tool("show", {"hit": "search9-hit1"}))

            blot(77, 320, 240).save(home / "pictures" / "3.png")
            assert "changed since it was indexed" in words(await client.call_tool("show", {"hit": best["hit"]}))

    asyncio.run(ask())
    lines = (home / "stdout").read_text().splitlines()
    assert {json.loads(line)["jsonrpc"] for line in lines} == {"2.0"}, "nothing but the protocol on stdout"


def start(*arguments: object) -> None:
    """The command, up to where it would serve."""
    mcp_command.main([str(each) for each in arguments], standalone_mode=False)


def test_what_may_not_be_read_is_said_before_anything_is_served(home, tmp_path):
    with pytest.raises(ps.StoreError, match="no collection here"):
        start(tmp_path)
    with pytest.raises(ps.PatchseekError, match="not a folder; --allow-dir takes folders that exist"):
        start(home / "pictures", "--allow-dir", home / "nowhere")
    (home / "pictures" / ".patchseek").rename(home / "moved")
    try:
        with pytest.raises(ps.PatchseekError, match="no folder is named whose pictures may be read"):
            start(home / "moved")
        with pytest.raises(ps.PatchseekError, match=r"pictures of .*; to have them read: --allow-dir "):
            start(home / "moved", "--allow-dir", home / "photos")
    finally:
        (home / "moved").rename(home / "pictures" / ".patchseek")


def test_without_the_sdk_one_line_says_what_to_install(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    with pytest.raises(ps.MissingExtra, match=r"^mcp is not installed; .*: pip install '.*mcp.*'$"):
        start(home / "pictures")


def test_the_lines_for_clients_start_the_command():
    root = Path(__file__).parents[1]
    scripts = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["patchseek-mcp"] == "patchseek.cli._mcp:main"
    blocks = re.findall(r"```(json|toml)\n(.*?)```", (root / "docs" / "mcp.md").read_text(), re.DOTALL)
    assert [kind for kind, _ in blocks] == ["json", "json", "toml"]
    for kind, text in blocks:
        (servers,) = (json.loads if kind == "json" else tomllib.loads)(text).values()
        assert servers["patchseek"]["command"] == "patchseek-mcp"
        context = mcp_command.make_context("patchseek-mcp", list(servers["patchseek"]["args"]))
        assert context.params["collection"] == Path("/home/me/Pictures")


def test_only_the_latest_hits_are_kept(home, monkeypatch):
    monkeypatch.setattr("patchseek.mcp._tools._KEPT", 4)
    tools = Tools(ps.Collection.open(home / "pictures", create=False), Folders([home / "pictures", home / "photos"]))
    first, second = (tools.search_object("photo.png", (100, 50, 160, 120), 3)["results"] for _ in range(2))
    with pytest.raises(ps.QueryError, match="no such hit is kept"):
        tools.show(first[0]["hit"])
    assert tools.show(first[2]["hit"])[1].startswith(first[2]["image"])
    assert tools.show(second[1]["hit"])[1].startswith(second[1]["image"])


def test_names_and_addresses_are_told_as_json_can_hold_them():
    assert told({"a": ["caf\udce9.jpg", 1], "b": "https://me:pass@host/a.jpg?token=abc"}) == {
        "a": ["caf\\udce9.jpg", 1],
        "b": "https://me:***@host/a.jpg?token=***",
    }
