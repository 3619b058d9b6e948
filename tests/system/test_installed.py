"""Handlers in a package of their own, built and installed by pip beside taskq, and found by their entry point."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.servers import own_server
from tests.system.conftest import ROOT, wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService

SOURCE = Path(__file__).parent / "installed"
KEY = "0c7a3a52-1b3c-4c57-9f3e-5c2d4a8f6b10"

TAKEN: list[tuple[str, Any, Any]] = [
    ("acme.keywords", {"path": "a"}, ["a", 800, "fit", None, None]),
    (
        "acme.keywords",
        {"path": "a", "width": 1, "mode": "fill", "note": "x", "sizes": {"s": {"width": 2}}},
        ["a", 1, "fill", "x", {"s": {"width": 2, "height": 1}}],
    ),
    ("acme.values", {"when": "2026-02-01T10:53:32Z", "key": KEY, "data": "SGk="}, [True, 4, "Hi", "RED"]),
    ("acme.struct", {"path": "a", "size": {"width": 3}}, ["Picture", "a", 3, 1, [], 1]),
    ("acme.dataclass", {"number": 1, "lines": [{"article": "x"}]}, ["Order", 1, [["x", 1]], None]),
    ("acme.typeddict", {"to": "me"}, ["me", None]),
    ("acme.anything", [1, {"a": None}], [1, {"a": None}]),
    ("acme.numbers", [1, 2, 3], 6),
    ("acme.wrapped", {"count": 4}, ["traced", 8]),
    ("acme.static", {}, 1),
    ("acme.bound", {"article": "milk"}, "milk of here"),
    ("acme.partial", {}, "bread of there"),
]

REFUSED: list[tuple[str, Any, list[str]]] = [
    ("acme.keywords", {"width": 0, "mode": "stretch", "note": 5}, ["path", "width", "mode", "note"]),
    ("acme.keywords", {"path": "a", "deep": 1, "sizes": {"s": {"width": 0}, "t": {}}},
     ["sizes/s/width", "sizes/t/width", "deep"]),
    ("acme.values", {"when": "today", "key": "x", "data": "?", "colour": "green"}, ["when", "key", "data", "colour"]),
    ("acme.struct", {"size": {"width": "w", "height": 0}, "tags": [1]}, ["path", "size/width", "size/height", "tags/0"]),
    ("acme.dataclass", {"lines": [{"article": "x"}, {"count": 0}]}, ["number", "lines/1/article", "lines/1/count"]),
    ("acme.typeddict", {"subject": 1}, ["subject", "to"]),
    ("acme.numbers", [1, -1, "x"], ["1", "2"]),
    ("acme.wrapped", {"count": "x", "by": None}, ["count", "by"]),
    ("acme.static", {"count": 1.5}, ["count"]),
    ("acme.bound", {}, ["article"]),
]  # fmt: skip


def installed(source: Path, site: Path) -> Path:
    """The directory into which pip has installed the package of this source."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--no-deps"]
    done = subprocess.run([*command, "--target", str(site), str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("acme")
    shutil.copytree(SOURCE, directory / "source")
    return installed(directory / "source", directory / "site")


@pytest.fixture
def redis_url() -> Iterator[str]:
    with own_server() as server:
        yield server.url


def start(start_service: StartService, redis_url: str, *, site: Path | None = None, workers: int = 1) -> Service:
    """A machine that has the package, or only an API that has not."""
    path = str(ROOT) if site is None else f"{ROOT}:{site}"
    config = {"redis": {"url": redis_url}, "pools": {"default": {"workers": workers}}}
    return start_service(config, env={"PYTHONPATH": path})


def pointers(service: Service, type_: str, payload: Any) -> list[str]:
    """Where the service finds the payload at fault, without the beginning that all pointers have."""
    answer = service.post("/tasks", {"type": type_, "payload": payload})
    assert answer.status == 422, answer.body
    return [fault["pointer"].removeprefix("/payload/") for fault in answer.body["errors"]]


def test_two_machines_with_a_package_serve_its_types_and_one_without_it_checks_them(
    start_service: StartService, redis_url: str, site: Path
) -> None:
    machines = [start(start_service, redis_url, site=site) for _ in range(2)]
    front = start(start_service, redis_url, workers=0)
    wait_until(
        lambda: front.get("/types/acme.struct").body.get("queues") == [{"queue": "default", "workers": 2}], 10, "both"
    )

    for service in (machines[0], front):
        assert [(type_, pointers(service, type_, payload)) for type_, payload, _ in REFUSED] == [
            (type_, places) for type_, _, places in REFUSED
        ]
    batch = [{"type": type_, "payload": payload} for type_, payload, _ in TAKEN]
    entries = front.post("/tasks/batch", {"tasks": batch}).body
    stopped = front.post("/tasks", {"type": "acme.asleep"}).body

    ended = [front.wait_task(entry["task"]["id"]) for entry in entries]
    assert [(task["type"], task.get("result")) for task in ended] == [(type_, result) for type_, _, result in TAKEN]
    assert front.wait_task(stopped["id"])["error_detail"]["kind"] == "timeout"


def test_a_payload_that_a_newer_package_does_not_take_fails_without_a_retry(
    start_service: StartService, redis_url: str, site: Path, tmp_path: Path
) -> None:
    front = start(start_service, redis_url, workers=0)
    old = start(start_service, redis_url, site=site)
    wait_until(lambda: front.get("/types/acme.keywords").body.get("queues"), 10, "the old package is served")
    front.post("/queues/default/pause")
    task = front.post("/tasks", {"type": "acme.keywords", "payload": {"path": "a", "width": 1}}).body
    other = front.post("/tasks", {"type": "acme.wrapped", "payload": {"count": 2}}).body
    assert old.terminate() == 0

    shutil.copytree(SOURCE, tmp_path / "source")
    code = tmp_path / "source" / "acme" / "tasks.py"
    changed = {"Meta(ge=1)] = 800": "Meta(ge=10)] = 800", "by: int = 2": "by: int = 3"}
    for before, after in changed.items():
        assert before in code.read_text()
        code.write_text(code.read_text().replace(before, after))
    start(start_service, redis_url, site=installed(tmp_path / "source", tmp_path / "site"))
    front.post("/queues/default/resume")

    ended = front.wait_task(task["id"])
    assert (ended["status"], ended["retries"], ended["attempt"], ended["max_retry"]) == ("failed", 0, 1, 3)
    assert ended["error_detail"]["kind"] == "invalid_payload"
    assert ended["error"] == "invalid payload: Expected `int` >= 10 at /width"
    assert front.wait_task(other["id"])["result"] == ["traced", 6]
    least = front.get("/types/acme.keywords").body["schema"]["properties"]["width"][
        "minimum"
    ]  # and what was known before goes
    assert least == 10
    assert pointers(front, "acme.keywords", {"path": "a", "width": 9}) == ["width"]
