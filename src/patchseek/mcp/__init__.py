"""A collection for programs that speak the Model Context Protocol, over standard input and output.

    _folders -> _tools -> _sdk

What may be read is decided once, in `_folders`; what is answered, in `_tools`; `_sdk` alone knows the protocol.
"""

from ._folders import Folders
from ._sdk import require_sdk, serve
from ._tools import Tools

__all__ = ["Folders", "Tools", "require_sdk", "serve"]
