"""A server of one test's own, for what must not happen to the shared one: kills, little memory, other roles."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redis

from taskq.queue.embedded import find_binary

START_LIMIT_S = 10.0


class OwnServer:
    """A server process on a unix socket; what it holds is gone when it ends."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = f"unix://{directory}/s"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["--port", "0", "--unixsocket", f"{self.directory}/s", "--dir", str(self.directory)]
        options += ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
        binary = os.environ.get("TASKQ_TEST_SERVER") or str(find_binary())
        self._process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_LIMIT_S
        with contextlib.closing(self.client()) as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError:
                    assert time.monotonic() < deadline, "the server did not start"
                    time.sleep(0.01)
                else:
                    return

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> redis.Redis:
        """A plain client, for what only the administrator of a server does."""
        return redis.Redis(unix_socket_path=f"{self.directory}/s")

    def set(self, **settings: str) -> None:
        """CONFIG SET; an underscore stands for a hyphen."""
        with contextlib.closing(self.client()) as client:
            for name, value in settings.items():
                client.config_set(name.replace("_", "-"), value)


@contextlib.contextmanager
def own_server() -> Iterator[OwnServer]:
    """A running server that ends with the block."""
    directory = Path(tempfile.mkdtemp(prefix="tqo-", dir="/tmp"))
    server = OwnServer(directory)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)
