"""The service under test, through the class of the system tests, and a server of our own for it."""

from __future__ import annotations

import http.client
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import redis

from taskq.queue.embedded import find_binary

from .seen import DIRECTORY

TESTS = Path(__file__).resolve().parents[1]
HANDLERS = f"{Path(__file__).parent.name}.handlers"
READY_LIMIT_S = 20.0


def _system_tests() -> ModuleType:
    """The conftest of the system tests: it is no module of a package, so it is loaded from its file."""
    name = "taskq_system_tests"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, TESTS / "system" / "conftest.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


class Host:
    """One machine's worth of taskq: a supervisor and its children, always on the same port. `seen` takes its evidence."""

    def __init__(
        self, seen: Path, config: Mapping[str, Any], *, failpoints: str = "", hits: Path | None = None, name: str = "host"
    ) -> None:
        self.name = name
        self.port = free_port()
        self._seen = seen
        self._config = {**config, "api": {"listen": f"127.0.0.1:{self.port}"}}
        self._config["tasks"] = {"import": [HANDLERS], "builtin": False, **config.get("tasks", {})}
        path = os.pathsep.join(filter(None, (str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH"))))
        self._env = {DIRECTORY: str(seen), "PYTHONPATH": path}
        if failpoints:
            self._env |= {"TASKQ_FAILPOINTS": failpoints, "TASKQ_FAILPOINTS_LOG": str(hits)}
        self._service: Any = _system_tests().Service()

    def start(self) -> None:
        """Start it, also again, and wait until the API answers."""
        self._service.start(self._config, env=self._env)
        deadline = time.monotonic() + READY_LIMIT_S
        while not (self._healthy() and self.pids("worker")):
            if not alive(self.pid) or time.monotonic() > deadline:
                raise RuntimeError(f"the service did not start: {self._service.output()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL for the supervisor, and nothing else; wait until all its children have ended too."""
        self._service.kill()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return int(self._service.terminate())

    def close(self) -> None:
        """End what is left and keep the logs as evidence."""
        for stream in ("stdout", "stderr"):
            for path in sorted(self._service.directory.glob(f"{stream}-*")):
                shutil.copy(path, self._seen / f"{self.name}.{path.name}")
        self._service.close()

    @property
    def pid(self) -> int:
        """The supervisor."""
        return int(self._service.pid)

    def pids(self, title: str) -> list[int]:
        """The living children with this title: worker, api or maintenance."""
        return [process.pid for process in self._service.children(title)]

    def broker(self) -> int:
        """The pid of the embedded server that runs now; 0 while none does."""
        found = (process.pid for process in self._service.children() if _runs(process, "valkey-server"))
        return next(found, 0)

    def url(self) -> str:
        """The URL of the embedded server."""
        return f"unix://{self._service.directory}/.taskq/valkey.sock"

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=READY_LIMIT_S)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()


class Server:
    """A Redis or Valkey with an append-only file, which can be killed and started again with its data."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="tqc-", dir="/tmp"))
        self.url = f"unix://{self.directory}/s"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it has read its data."""
        binary = os.environ.get("TASKQ_TEST_SERVER") or shutil.which("redis-server") or str(find_binary())
        options = ["--port", "0", "--unixsocket", f"{self.directory}/s", "--dir", str(self.directory), "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen([binary, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_LIMIT_S
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError:
                    assert time.monotonic() < deadline, f"the server did not start: see {self.directory / 'log'}"
                    time.sleep(0.005)
                else:
                    return

    def client(self) -> redis.Redis:
        """A plain client, for looking on and for what only an administrator does."""
        return redis.Redis.from_url(self.url)

    @property
    def pid(self) -> int:
        """The server's pid."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it for good."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def alive(pid: int) -> bool:
    """True while the process has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _runs(process: psutil.Process, program: str) -> bool:
    try:
        return any(program in word for word in process.cmdline()[:1])
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
