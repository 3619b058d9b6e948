"""A primary, two replicas and a sentinel that watches them, on loopback ports of their own, for as long as a block lasts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import redis

from taskq.queue.embedded import find_binary

SERVICE = "jobs"
DOWN_AFTER_MS = 500
READY_LIMIT_S = 30.0


class Watch:
    """Servers that replicate, of which one is the primary. `url` finds it through the sentinel."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="tqs-", dir="/tmp"))
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        *self.servers, self.sentinel = _free_ports(4)
        self.url = f"redis+sentinel://127.0.0.1:{self.sentinel}/{SERVICE}/0"

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        first, *others = self.servers
        self.start(first)
        for port in others:
            self.start(port, f"--replicaof 127.0.0.1 {first}")
        self.until(lambda: self._reached_all(first, others), "what the primary takes reaches both replicas")
        text = f"port {self.sentinel}\nbind 127.0.0.1\ndir {self._directory}\n"
        text += f"sentinel monitor {SERVICE} 127.0.0.1 {first} 1\n"
        text += f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\nsentinel failover-timeout {SERVICE} 5000\n"
        file = self._directory / "sentinel.conf"
        file.write_text(text)
        self._run(self.sentinel, str(file), "--sentinel")
        self.until(lambda: self._watched()["num-slaves"] == 2, "the sentinel knows both replicas")

    def __exit__(self, *_: object) -> None:
        for port in list(self._processes):
            self.kill(port)
        shutil.rmtree(self._directory, ignore_errors=True)

    def primary(self) -> int:
        """The port that the sentinel names."""
        return int(self._watched()["port"])

    def start(self, port: int, more: str = "") -> None:
        """Start a server."""
        directory = self._directory / str(port)
        directory.mkdir(exist_ok=True)
        options = f"--port {port} --bind 127.0.0.1 --dir {directory} --appendonly yes --repl-diskless-sync-delay 0"
        options += " --min-replicas-to-write 1 --maxmemory-policy noeviction"
        self._run(port, *options.split(), *more.split())

    def kill(self, port: int) -> None:
        """SIGKILL."""
        process = self._processes.pop(port)
        process.kill()
        process.wait()

    def ask(self, port: int, command: str, *args: Any) -> Any:
        """What one server answers."""
        with redis.Redis(port=port, socket_timeout=READY_LIMIT_S) as client:
            return getattr(client, command)(*args)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition; servers that do not answer yet do not meet it."""
        deadline = time.monotonic() + READY_LIMIT_S
        while True:
            try:
                if condition():
                    return
            except (redis.RedisError, KeyError):
                pass
            assert time.monotonic() < deadline, f"waited in vain: {what}"
            time.sleep(0.02)

    def _reached_all(self, first: int, others: list[int]) -> bool:
        """Whether a write reaches each replica. A connected one may still load what was before, and lose what comes now."""
        value = os.urandom(8)
        self.ask(first, "set", "probe", value)
        return all(self.ask(port, "get", "probe") == value for port in others)

    def _watched(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(self.sentinel, "sentinel_master", SERVICE)
        return found

    def _run(self, port: int, *arguments: str) -> None:
        binary = os.environ.get("TASKQ_TEST_SERVER") or str(find_binary())
        with (self._directory / f"{port}.log").open("ab") as log:
            self._processes[port] = subprocess.Popen([binary, *arguments], stdout=log, stderr=log)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    try:
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
