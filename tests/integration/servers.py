"""A server of one test's own, for what must not happen to the shared one: kills, little memory, other roles."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import redis

from taskq.queue.connection import Link
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

    def pause(self) -> None:
        """Let it answer nothing until `go_on`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

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


@contextlib.contextmanager
def linked(url: str, **options: Any) -> Iterator[Link]:
    """A link that is closed with the block."""
    link = Link(url, **options)
    try:
        yield link
    finally:
        link.close()


class OddServer:
    """Speaks the protocol and answers every command with one error, or hangs up (`reply` None). For replies that a real
    server gives only in situations that one machine cannot bring about."""

    def __init__(self) -> None:
        self.reply: str | None = None
        self.commands: list[str] = []
        self._directory = tempfile.mkdtemp(prefix="tqf-", dir="/tmp")
        self.path = f"{self._directory}/s"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> OddServer:
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as commands:
                while self._answer(connection, commands):
                    pass

    def _answer(self, connection: socket.socket, commands: BinaryIO) -> bool:
        head = commands.readline()
        if not head:
            return False
        words = []
        for _ in range(int(head[1:])):
            words.append(commands.read(int(commands.readline()[1:])).decode())
            commands.readline()
        if words[0] == "CLIENT":  # the greeting of redis-py
            connection.sendall(b"+OK\r\n")
            return True
        self.commands.append(words[0])
        if self.reply is None:
            return False
        connection.sendall(f"-{self.reply}\r\n".encode())
        return True
