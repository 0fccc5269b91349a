"""Run a Milvus server until standard input ends: `.venv-milvus/bin/python tools/milvus_server.py FOLDER`.

It is the standalone server of the PyPI package `milvus`, in an environment of its own: `make .venv-milvus/.ready`.
It listens on a free port of this machine, keeps everything in FOLDER, and prints one line with its address when ready.
"""

import os
import socket
import sys
from pathlib import Path

from milvus import MilvusServer


def main(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    server = MilvusServer()
    server.set_base_dir(str(folder))
    server.listen_port = port
    server.start()
    print(f"http://127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop()
    os._exit(0)  # its threads would wait for ever


if __name__ == "__main__":
    main(Path(sys.argv[1]))
