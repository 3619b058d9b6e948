"""A socket that the service manager listens on: it is used, outlives a restart, and is refused where it is not fit."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskq.errors import ExitCode
from tests.system.conftest import ROOT

# What systemd does: the socket is descriptor 3 and the variables name this very process.
LAUNCH = (
    "import os, sys; fd = int(sys.argv[1]); os.dup2(fd, 3); os.set_inheritable(3, True); "
    "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
    "os.execv(sys.executable, [sys.executable, '-m', 'taskq', 'run', '--workers', '0'])"
)


def launch(sock: socket.socket, directory: Path) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TASKQ_", "REDIS_", "SERVER_"))}
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(sock.fileno())],
        cwd=directory,
        env={**kept, "PYTHONPATH": str(ROOT), "TASKQ_REDIS__DATA_DIR": "d", "TASKQ_API__LISTEN": "127.0.0.1:1"},
        pass_fds=[sock.fileno()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="tq-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_a_passed_socket_serves_the_api_and_keeps_connections_through_a_restart(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as sock:
        waiting = http.client.HTTPConnection("127.0.0.1", sock.getsockname()[1], timeout=30)
        waiting.request("GET", "/health/live")  # before there is any service
        for _ in range(2):
            process = launch(sock, directory)
            try:
                assert waiting.getresponse().status == 200
                waiting.close()
            finally:
                process.send_signal(signal.SIGTERM)
                _, errors = process.communicate(timeout=45)
            assert process.returncode == 0, errors
            waiting.connect()
            waiting.request("GET", "/health/live")  # between two services
        waiting.close()


def test_a_passed_socket_that_others_can_reach_needs_protection(directory: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as sock:
        process = launch(sock, directory)
        _, errors = process.communicate(timeout=45)

    assert process.returncode == ExitCode.BAD_CONFIG
    assert b"set api.tokens_file or api.allow_unauthenticated" in errors
