"""Milvus itself: connections to a server, or the file of Lite. The only file that imports pymilvus."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import EngineError, MissingExtra
from ._database import StaleEngine
from ._milvus_recipe import TOKEN, MilvusRecipe

_PROMPT = {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 1000,
}
# a server that was away is tried again soon: by default that takes up to two minutes, and new connections wait along


@contextmanager
def one_line(uri: str) -> Iterator[None]:
    """Whatever Milvus or the connection raises becomes one EngineError, which an update may mend."""
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except (MilvusException, grpc.RpcError, OSError) as error:
        reason = " ".join(str(getattr(error, "message", "") or error).split())[:300]
        raise StaleEngine(f"Milvus at {uri}: {reason}; nothing is lost, the next try goes on from here") from error


def connect(uri: str, *, anew: bool = False) -> Any:
    """A client. anew: of Milvus Lite, with its file opened again."""
    before = set(sys.modules)
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise MissingExtra("pymilvus", "milvus") from error
    # they print tracebacks of the errors that we report; a program that had imported them already has its own way
    for name in ("pymilvus", "milvus_lite", "grpc"):
        if name not in before:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    with one_line(uri):
        if anew:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(uri)
        try:
            return MilvusClient(uri, token=os.environ.get(TOKEN, ""), timeout=10, grpc_options=_PROMPT)
        except ValueError as error:  # an address that is none
            raise EngineError(f"Milvus at {uri}: {error}") from error


def make_collection(client: Any, name: str, dim: int, properties: dict[str, str]) -> None:
    """A collection of Milvus for features of dim numbers."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("image", DataType.INT64)
    schema.add_field("region", DataType.INT64)
    schema.add_field("shard", DataType.VARCHAR, max_length=32)
    schema.add_field("feature", DataType.FLOAT_VECTOR, dim=dim)
    client.create_collection(name, schema=schema, properties=properties, consistency_level="Strong")


def ping(recipe: MilvusRecipe, seconds: int) -> None:
    """Raise EngineError unless a server answers within some seconds, or the folder for a file of Lite is there."""
    if not recipe.is_server:
        if not Path(recipe.uri).parent.is_dir():
            raise EngineError(f"Milvus at {recipe.uri}: its folder is gone")
        return
    try:
        import grpc
    except ImportError as error:
        raise MissingExtra("pymilvus", "milvus") from error
    try:
        place, own = urlsplit(recipe.uri), list(_PROMPT.items())
        if place.scheme == "https":
            address = f"{place.hostname}:{place.port or 443}"
            channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(), own)
        else:
            channel = grpc.insecure_channel(f"{place.hostname}:{place.port or 19530}", own)
        with channel:
            grpc.channel_ready_future(channel).result(timeout=seconds)
    except (grpc.FutureTimeoutError, ValueError) as error:
        raise EngineError(f"Milvus at {recipe.uri}: no answer within {seconds} s") from error
