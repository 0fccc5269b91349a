"""The tools over standard input and output, by the protocol's own SDK, the optional extra `mcp`.

The only file that imports it. While it serves, it leads what anybody else prints to standard error.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import MissingExtra, PatchseekError
from ._tools import MOST, Tools, told

if TYPE_CHECKING:
    from mcp.server import MCPServer

_WHAT_FOR = """Finds an exact object in a collection of pictures and says where it is: the very thing in a picture, \
not things of its kind. Search with search_object, look at a hit with show."""
_SEARCH = f"""Rank the collection's pictures by how surely they hold the object that is in a box of a picture.

image: the path of a picture in one of the folders that collection_info names, or the image_id (a number) of one of the
collection. box: x, y, width, height of the object in pixels of the upright picture, or all four as shares of at most 1;
without it, what stands on even ground, else the whole picture. top: how many pictures, 1 to {MOST}. Each result has its
box in pixels, a confidence from 0 to 1 (below doubtful_below, the object is probably not there; null: the collection is
too small to say), and a hit, by which show draws it."""
_SHOW = "The picture of a hit of search_object with the box or outline of the object drawn on it."
_INFO = "What the collection is: how many pictures, its encoder, its tags, and the folders whose pictures may be read."


def require_sdk() -> None:
    """Raise MissingExtra without the SDK."""
    try:
        import mcp.server  # noqa: F401
    except ImportError as error:
        raise MissingExtra("mcp", "mcp") from error


def serve(tools: Tools) -> None:
    """Answer on standard output what is asked on standard input, until that ends. Raises MissingExtra."""
    require_sdk()
    _server(tools).run("stdio")


def _server(tools: Tools) -> "MCPServer":
    from mcp.server import MCPServer
    from mcp.server.mcpserver import Image
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.types import ToolAnnotations

    def in_words(ask: Callable[..., Any], *asked: Any) -> Any:
        try:
            return ask(*asked)
        except PatchseekError as error:
            raise ToolError(told(str(error))) from error

    def search_object(image: str | int, box: list[float] | None = None, top: int = 10) -> dict[str, Any]:
        return in_words(tools.search_object, image, box, top)  # type: ignore[no-any-return]

    def show(hit: str) -> list[Any]:
        picture, line = in_words(tools.show, hit)
        return [Image(data=picture, format="jpeg"), line]

    def collection_info() -> dict[str, Any]:
        return in_words(tools.collection_info)  # type: ignore[no-any-return]

    server = MCPServer("patchseek", version=__version__, instructions=_WHAT_FOR, log_level="WARNING")
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    server.add_tool(search_object, description=_SEARCH, annotations=reads)
    server.add_tool(show, description=_SHOW, annotations=reads, structured_output=False)
    server.add_tool(collection_info, description=_INFO, annotations=reads)
    return server
