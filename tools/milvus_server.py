"""Run a Milvus server until standard input ends or it is told to stop (SIGTERM).

    .venv-milvus/bin/python tools/milvus_server.py FOLDER

It is the standalone server of the PyPI package `milvus`, in an environment of its own: `make .venv-milvus/.ready`.
It listens on a free port of this machine, keeps everything in FOLDER, and prints one line with its address when ready.
"""

import os
import signal
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        server.start()
        print(f"http://127.0.0.1:{port}", flush=True)
        sys.stdin.read()
    finally:  # a server left behind would keep every later one of this machine from starting
        server.stop()
        os._exit(0)  # its threads would wait for ever


if __name__ == "__main__":
    main(Path(sys.argv[1]))
