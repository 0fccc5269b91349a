"""What `make site` does beside MkDocs: pages that lie outside docs/, links that work in the repository, the commands.

Every page is written to be read as a file of the repository, too. So a link is taken as leading from the file that it
stands in, and then

- to a page or picture of the site, it becomes the site's link to that, and a page's path as its text the page's title;
- to another file or folder of the repository, it becomes the file's name, since the site has only pages;
- anywhere else, it is left as it is, and MkDocs fails for it.

Comments, which say where figures come from (tools/figures.py), are left out. What a browser would fetch from elsewhere
fails the build. Functions whose names begin with `on_` are called by MkDocs, which is imported inside them.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FRONT = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files at the top of the repository, and the pages that are made of them."""
COMMANDS = "command-line.md"
"""The page that is made of the commands' own help."""
CODE = r"^```.*?^```|^(?: {4}[^\n]*\n)+|``.*?``|`[^`]*`"
LINK = re.compile(rf"(?P<code>{CODE})|(?P<sign>!?)\[(?P<text>[^][]*)\]\((?P<to>[^()\s]+)\)", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(rf"(?P<code>{CODE})|<!--.*?-->", re.DOTALL | re.MULTILINE)
FETCHED = re.compile(
    r"<(?!a\b)[a-z]+\b[^>]*?\b(?:src|srcset|href|data)=[\"']?((?:https?:)?//[^\s\"'>]+)"
    r"|(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\s\"')]+)"
)
INNER = re.compile(r" {2,3}\S")
SAID_OF = re.compile(r"(?<=\S)\n(?=[a-z_]+(?:(?:,| and) [a-z_]+)*: |Raises )")
ITEM = re.compile(r"(?:\d+\.|[-*]) ")


def page_of(file: str) -> str | None:
    """The place on the site, as MkDocs writes it, of a file of the repository; None of one that is not on it."""
    return FRONT.get(file) or (file.removeprefix("docs/") if file.startswith("docs/") else None)


def file_of(page: str) -> str:
    """The file of the repository that a page of the site is made of."""
    return next((file for file, made in FRONT.items() if made == page), f"docs/{page}")


def title_of(file: str) -> str:
    """The heading that a page begins with."""
    return (ROOT / file).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def lead_on(text: str, file: str) -> str:
    """The text of a file of the repository, with its links as the site's page of it needs them."""
    home, here = posixpath.dirname(file), posixpath.dirname(page_of(file) or "")

    def mend(found: re.Match[str]) -> str:
        to = found["to"] or ""
        if found["code"] or re.match(r"[a-z]+:|#", to):
            return found[0]
        path, mark, place = to.partition("#")
        target = posixpath.normpath(posixpath.join(home, path))
        if not (ROOT / target).exists():
            return found[0]
        page = page_of(target)
        if page is None:
            plain = found["text"].strip("`")
            return f"`{target}`" if plain in (target, path) else f"{found['text']} (`{target}`)"
        text = title_of(target) if found["text"] in (to, path) and page.endswith(".md") else found["text"]
        return f"{found['sign']}[{text}]({posixpath.relpath(page, here or '.')}{mark}{place})"

    return LINK.sub(mend, text)


def without_comments(text: str) -> str:
    """A text without what only its writers read; code is left as it is."""
    return COMMENT.sub(lambda found: found["code"] or "", text)


def part_lists(text: str) -> str:
    """A text whose lists are for MkDocs what they are for GitHub.

    An empty line parts them from the sentence before, and what stands in an item below an empty line is indented by 4.
    """
    lines: list[str] = []
    fenced = deeper = False
    for line in text.split("\n"):
        before = lines[-1] if lines else ""
        begins = ITEM.match(line) and before and not fenced
        if begins and (deeper or not (before.startswith(" ") or ITEM.match(before))):
            lines.append("")
        deeper = not fenced and bool(INNER.match(line)) and (deeper or not before)
        fenced ^= line.startswith("```")
        lines.append(f"    {line.lstrip()}" if deeper else line)
    return "\n".join(lines)


def line_by_line(text: str) -> str:
    """A docstring whose sentences about a parameter, or about what is raised, each begin a line."""
    return SAID_OF.sub("  \n", text)


def comment_under(lines: list[str], line: int) -> str:
    """What the comment says that begins on the line after `line`, counted from 1; nothing where there is none.

    The fields of the library's dataclasses are described so.
    """
    said = []
    for below in lines[line:]:
        if not below.lstrip().startswith("# "):
            break
        said.append(below.strip().removeprefix("# "))
    return " ".join(said)


def foreign(text: str) -> list[str]:
    """What a page or style sheet would have a reader's browser fetch from elsewhere; mere links are no such thing."""
    return [found[1] or found[2] for found in FETCHED.finditer(text)]


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie elsewhere than in docs/."""
    from mkdocs.structure.files import File
    from site_commands import commands_page

    for file, page in FRONT.items():
        files.append(File.generated(config, page, content=(ROOT / file).read_text(encoding="utf-8")))
    files.append(File.generated(config, COMMANDS, content=commands_page()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make a text of the repository one of the site."""
    if page.file.src_uri == COMMANDS:
        return markdown
    return part_lists(lead_on(without_comments(markdown), file_of(page.file.src_uri)))


def on_post_build(config: Any) -> None:
    """Fail where a page of the site, or a style sheet, is not complete by itself."""
    from mkdocs.exceptions import PluginError

    site = Path(config.site_dir)
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        if found := foreign(path.read_text(encoding="utf-8")):
            raise PluginError(f"{path.relative_to(site)} would be fetched in part from elsewhere: {', '.join(found)}")
