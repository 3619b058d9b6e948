"""The rooms of the code and the arrows between them, read from the imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import taskq

ROOT = Path(taskq.__file__).parent

ARROWS: dict[str, frozenset[str]] = {
    "cli": frozenset({"supervisor", "client", "queue"}),
    "supervisor": frozenset({"worker", "maintenance", "api", "queue"}),
    "worker": frozenset({"queue"}),
    "maintenance": frozenset({"queue"}),
    "api": frozenset({"queue"}),
    "client": frozenset({"queue"}),
    "testing": frozenset({"cli", "supervisor", "worker", "client", "queue"}),
    "queue": frozenset(),
    "flat": frozenset(),
    "package": frozenset({"worker", "client"}),  # Context for those who write tasks, Queue for those who submit them
}
"""The rooms that each part of the code may import; the flat modules are open to all of them."""

ONLY_IN = {
    "redis": "queue",
    "hiredis": "queue",
    "falcon": "api",
    "waitress": "api",
    "prometheus_client": "api",
    "opentelemetry": "flat",
    "subprocess": "supervisor",
    "multiprocessing": "supervisor",
}
EXCEPTIONS = {
    ("maintenance", "multiprocessing.connection"),
    ("maintenance", "multiprocessing.reduction.recv_handle"),
    ("testing", "subprocess"),  # a service for a test is a process that the test starts
}
STARTERS = {"fork", "forkpty", "system", "popen", "posix_spawn", "posix_spawnp"}
MAY_START = {("taskq.worker.isolation", "fork")}
"""Beside the supervisor: a worker gives an attempt a process of its own."""

STARTER_PREFIXES = ("spawn", "exec")


class Import(NamedTuple):
    """`target` is what is imported, as dotted name."""

    line: int
    target: str


def room_of(module: str) -> str:
    """The room of a module of taskq; the flat modules are one room."""
    parts = module.split(".")
    if len(parts) == 1:
        return "package"
    if parts[1] in ("cli", "__main__"):
        return "cli"
    return parts[1] if parts[1] in ARROWS and (ROOT / parts[1]).is_dir() else "flat"


def imports_of(source: str, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """Every import of a module, wherever it stands; `from a import b` may import a.b, so both count."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                above = parts[: len(parts) - node.level + is_package]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                yield Import(node.lineno, f"{base}.{alias.name}")


def started_by_hand(source: str, module: str) -> Iterator[int]:
    """The lines that start or replace a process through os, unless the module may."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name) or node.value.id != "os":
            continue
        starts = node.attr in STARTERS or node.attr.startswith(STARTER_PREFIXES)
        if starts and (module, node.attr) not in MAY_START:
            yield node.lineno


def faults(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What a module imports or does against the rules, as sentences."""
    room = room_of(module)
    found = []
    for line, target in imports_of(source, module, is_package=is_package):
        top = target.partition(".")[0]
        if top == "taskq":
            other = room_of(target)
            if other not in (room, "flat", "package") and other not in ARROWS[room]:
                found.append(f"{module}:{line}: {room} must not import {target}")
        elif ONLY_IN.get(top, room) != room and not excepted(room, target):
            found.append(f"{module}:{line}: only {ONLY_IN[top]} may import {top}")
    if room != "supervisor":
        found += [f"{module}:{line}: only supervisor may start processes" for line in started_by_hand(source, module)]
    return found


def excepted(room: str, target: str) -> bool:
    return any(room == who and f"{target}.".startswith(f"{what}.") for who, what in EXCEPTIONS)


def modules() -> dict[str, Path]:
    names = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


@pytest.mark.parametrize("module", modules())
def test_every_import_follows_the_arrows(module: str) -> None:
    path = modules()[module]

    assert faults(path.read_text(), module, is_package=path.name == "__init__.py") == []


def test_every_directory_of_the_package_is_a_room_with_arrows() -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    assert rooms == ARROWS.keys() - {"flat", "package"}


WRONG = {
    "a flat module knows a room": ("taskq.task", "from taskq.queue.keys import Keys"),
    "a flat module knows a room by its package": ("taskq.retry", "from taskq import worker"),
    "a flat module knows the command line": ("taskq.registry", "import taskq.cli"),
    "the queue knows a worker": ("taskq.queue.queue", "from taskq.worker.control import State"),
    "the API knows the worker": ("taskq.api.tasks", "import taskq.worker.executor as executor"),
    "the worker knows the API": ("taskq.worker.worker", "from taskq.api.app import create_app"),
    "the worker knows the API, relatively": ("taskq.worker.worker", "from ..api import app"),
    "the API knows the supervisor": ("taskq.api.server", "from taskq.supervisor.slots import Board"),
    "maintenance knows the worker": ("taskq.maintenance.burial", "from taskq.worker import control"),
    "maintenance knows the API": ("taskq.maintenance.burial", "from taskq import api"),
    "maintenance knows the supervisor": ("taskq.maintenance.maintenance", "def f():\n    import taskq.supervisor.seats"),
    "the command line skips the supervisor": ("taskq.cli.service", "from taskq.worker.worker import Worker"),
    "a worker speaks to Redis": ("taskq.worker.worker", "import redis.exceptions"),
    "the API speaks to Redis": ("taskq.api.health", "from redis import Redis"),
    "a flat module speaks to Redis": ("taskq.log", "import os, redis"),
    "a worker speaks HTTP": ("taskq.worker.worker", "from falcon import HTTP_200"),
    "the supervisor serves": ("taskq.supervisor.child", "import waitress"),
    "the queue starts a process": ("taskq.queue.embedded", "import subprocess"),
    "maintenance starts a process": ("taskq.maintenance.maintenance", "from multiprocessing import Process"),
    "a worker has a pipe": ("taskq.worker.worker", "from multiprocessing.connection import Connection"),
    "a worker forks": ("taskq.worker.worker", "import os\nos.fork()"),
    "a worker becomes another program": ("taskq.worker.worker", "import os\nos.execvp('ls', ['ls'])"),
}


@pytest.mark.parametrize(("module", "source"), WRONG.values(), ids=WRONG)
def test_a_wrong_arrow_is_caught(module: str, source: str) -> None:
    assert len(faults(source, module)) == 1


RIGHT = {
    "the supervisor plans the server": ("taskq.supervisor.child", "from taskq.queue.embedded import EmbeddedPlan"),
    "the supervisor builds every child": ("taskq.supervisor.child", "from taskq import api, worker, maintenance"),
    "the supervisor starts": ("taskq.supervisor.child", "import multiprocessing, subprocess, os\nos.fork()"),
    "maintenance names the type of its pipe": ("taskq.maintenance.m", "from multiprocessing.connection import Connection"),
    "a room knows itself and the flat modules": ("taskq.api.app", "from taskq import errors, log\nfrom . import wire"),
    "the API tells the version": ("taskq.api.health", "from taskq import __version__"),
    "the queue speaks to Redis": ("taskq.queue.connection", "import redis\nfrom redis.retry import Retry"),
}


@pytest.mark.parametrize(("module", "source"), RIGHT.values(), ids=RIGHT)
def test_a_right_arrow_is_left_alone(module: str, source: str) -> None:
    assert faults(source, module) == []


def test_a_relative_import_in_a_package_starts_at_the_package() -> None:
    inside = list(imports_of("from .wire import Channel", "taskq.api", is_package=True))
    above = list(imports_of("from .. import log", "taskq.api.app"))

    assert [found.target for found in [*inside, *above]] == ["taskq.api.wire.Channel", "taskq.log"]
