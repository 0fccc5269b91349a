"""For the site's page of the Python API: what comments say of the fields above them, and docstrings line by line.

An extension of Griffe, which reads the library's source for mkdocstrings; the library is not imported.
"""

from typing import Any

import griffe
from site_hooks import comment_under, line_by_line


class FieldComments(griffe.Extension):
    """Makes docstrings of what the source says in its own manner."""

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """The comment below a field becomes its docstring, where it has none."""
        if attr.docstring is None and attr.endlineno and isinstance(attr.parent, griffe.Class):
            said = comment_under(attr.lines_collection[attr.filepath], attr.endlineno)
            attr.docstring = griffe.Docstring(said, parent=attr) if said else None

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """See line_by_line."""
        if func.docstring:
            func.docstring.value = line_by_line(func.docstring.value)
