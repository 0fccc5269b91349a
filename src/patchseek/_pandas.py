"""A table of pandas, which patchseek needs for nothing else. The only file that imports it."""

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import MissingLibrary


def data_frame(columns: Mapping[str, Sequence[Any]]) -> Any:
    """Columns of equal length as a pandas.DataFrame. Raises MissingLibrary without pandas."""
    try:
        import pandas
    except ImportError as error:
        raise MissingLibrary("pandas") from error
    return pandas.DataFrame(dict(columns))
