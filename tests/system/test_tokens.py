"""Tokens of a whole service: from the command that makes one, through a reload, to the log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.system.conftest import ROOT, wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service

CONFIG = {"api": {"tokens_file": "tokens", "allow_unauthenticated": True}, "pools": {"default": {"workers": 1}}}


def taskq(service: Service, *arguments: str) -> str:
    """What a command prints that runs beside the service."""
    command = [sys.executable, "-m", "taskq", *arguments]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=service.directory, env=environ, capture_output=True, text=True, check=True
    ).stdout.strip()


def status(service: Service, token: str, method: str = "GET") -> int:
    body = {"type": "echo", "payload": "x"} if method == "POST" else None
    return service.request(method, "/tasks", body, {"Authorization": f"Bearer {token}"}).status


def test_tokens_decide_who_gets_in_and_a_reload_takes_the_file_over_unless_it_is_bad(service: Service) -> None:
    first = taskq(service, "token", "new", "ci", "--role", "submit", "--file", "tokens")
    service.start(CONFIG).wait_ready()
    assert service.get("/tasks").status == HTTPStatus.UNAUTHORIZED  # allow_unauthenticated opens nothing beside tokens
    assert status(service, first, "POST") == HTTPStatus.CREATED

    second = taskq(service, "token", "new", "boss", "--role", "admin", "--config", "taskq.yaml")
    assert status(service, second) == HTTPStatus.UNAUTHORIZED
    taskq(service, "token", "remove", "ci", "--file", "tokens")
    os.kill(service.pid, signal.SIGHUP)
    service.wait_line("supervisor.reloaded")
    wait_until(lambda: (status(service, first), status(service, second)) == (401, 200), 10, "the new tokens are in force")

    (service.directory / "tokens").chmod(0o666)
    os.kill(service.pid, signal.SIGHUP)
    assert "only its owner can write" in service.wait_line("supervisor.refused")["message"]
    assert status(service, second) == HTTPStatus.OK

    assert service.lines("request.handled", caller="ci", method="POST", status=201)
    assert service.lines("request.handled", caller="boss")
    assert first not in service.output()
    assert second not in service.output()


def test_an_address_that_others_reach_stays_protected_when_a_reload_drops_the_tokens(service: Service) -> None:
    taskq(service, "token", "new", "ci", "--role", "read", "--file", "tokens")
    service.start({"api": {"listen": "0.0.0.0:0", "tokens_file": "tokens"}})
    service.wait_line("supervisor.started")

    service.configure({"api": {"listen": "127.0.0.1:0"}})
    os.kill(service.pid, signal.SIGHUP)

    assert (
        "expected a file of tokens while the API listens on 0.0.0.0:0" in service.wait_line("supervisor.refused")["message"]
    )


def test_a_name_that_a_strangers_page_could_have_is_refused_until_there_are_tokens(service: Service) -> None:
    def status_at(host: str, token: str = "") -> int:
        return service.request("GET", "/tasks", None, {"Host": host, "Authorization": f"Bearer {token}"}).status

    service.start({"pools": {"default": {"workers": 1}}}).wait_ready()
    assert [status_at(host) for host in ("evil.example", "taskq:8080", "localhost")] == [421, 200, 200]

    token = taskq(service, "token", "new", "ci", "--role", "read", "--file", "tokens")
    service.configure({"api": {"tokens_file": "tokens"}, "pools": {"default": {"workers": 1}}})
    os.kill(service.pid, signal.SIGHUP)
    wait_until(lambda: status_at("evil.example") == HTTPStatus.UNAUTHORIZED, 10, "the tokens are in force")
    assert status_at("evil.example", token) == HTTPStatus.OK

    service.configure({"api": {"tokens_file": "tokens", "hosts": ["tasks.example"]}, "pools": {"default": {"workers": 1}}})
    os.kill(service.pid, signal.SIGHUP)
    wait_until(lambda: status_at("evil.example", token) == HTTPStatus.MISDIRECTED_REQUEST, 10, "the names are in force")
    assert [status_at(host, token) for host in ("Tasks.Example:80", "taskq", "127.0.0.1")] == [200, 421, 200]
