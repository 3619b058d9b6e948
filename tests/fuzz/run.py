"""A service to try, and one run of schemathesis against it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.fuzz.hooks import SEEN
from tests.system.conftest import ROOT, Service

Seen = Counter[tuple[str, str, str, str]]
"""How often there was an answer: method, path of the document, status, code word."""

SLOWEST_S = 45
"""How long one answer may take: a wait of 30 s on a busy machine."""

CONFIG = {
    "schedules": {"nightly": {"cron": "30 2 * * *", "type": "echo", "payload": "Hello"}},
    "pools": {"default": {"workers": 2}},
    "logging": {"level": "info"},
}


@contextmanager
def served() -> Iterator[tuple[Service, str]]:
    """A running service with tokens, and one of the role admin."""
    with Service() as service:
        tokens = service.directory / "tokens"
        command = [sys.executable, "-m", "taskq", "token", "new", "fuzz", "--role", "admin", "--file", str(tokens)]
        token = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
        service.start({**CONFIG, "api": {"tokens_file": str(tokens), "open": ["docs"]}}).wait_ready()
        yield service, token


def attack(service: Service, token: str, seed: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One run with these further arguments of `schemathesis run`; its exit code is not 0 if anything was found."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json", "--no-color"]
    command += ["--checks", "all", "--mode", "all", "--seed", str(seed), "--continue-on-failure", "--warnings", "off"]
    command += ["--request-timeout", str(SLOWEST_S), "--max-response-time", str(SLOWEST_S)]
    command += ["--header", f"Authorization: Bearer {token}", *arguments]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
        "PYTHONPATH": str(ROOT),
        SEEN: str(seen_file(service)),
    }
    return subprocess.run(command, cwd=service.directory, env=environment, capture_output=True, text=True, check=False)


def seen_file(service: Service) -> Path:
    """Where the answers of all runs are noted."""
    return service.directory / "seen"


def seen(service: Service) -> Seen:
    """What was answered in all runs."""
    found: Seen = Counter()
    for line in seen_file(service).read_text().splitlines():
        method, path, status, code = line.split(" ")
        found[method, path, status, code] += 1
    return found


def handled(service: Service) -> int:
    """Requests that the service says to have answered."""
    return len(service.lines("request.handled"))


def broken(service: Service) -> Sequence[str]:
    """What the service itself knows to have gone wrong: an answer above 500 other than for a wrong version or coding of
    HTTP, an exception that nobody expected, a process that ended."""
    return [
        str(line)
        for line in service.lines()
        if line["event"] in ("request.failed", "api.exited", "worker.exited", "maintenance.exited")
        or (line["event"] == "request.handled" and line["status"] >= 500 and line["status"] not in (501, 505))
    ]
