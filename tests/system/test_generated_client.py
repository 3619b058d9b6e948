"""A client that a public generator makes of the document of a running service: it checks as typed code, and works."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen
from uuid import UUID, uuid4

import pytest

from tests.system.conftest import ROOT, Service, StartService

TYPED = """
from datetime import datetime
from uuid import UUID

from generated import Client
from generated.api.tasks import create_operation, create_task, get_task, list_tasks
from generated.models import ActionBody, ActionBodyAction, Conditions, NewTask, Problem, Status, Task
from generated.types import Unset


def ended(client: Client, task: Task) -> str | None:
    found = get_task.sync(task.id, client=client, wait="5s")
    if isinstance(found, Problem):
        return found.code
    if found is None or found.status is not Status.COMPLETED or isinstance(found.finished_at, Unset):
        return None
    moment: datetime = found.finished_at
    return f"{found.result} at {moment:%H:%M}"


def submit(client: Client) -> UUID | None:
    made = create_task.sync(client=client, body=NewTask(type_="echo", payload={"a": 1}, delay="5m", tags=["x"]))
    return made.id if isinstance(made, Task) else None


def drop_failed(client: Client) -> None:
    which = Conditions(type_="echo")
    create_operation.sync(client=client, body=ActionBody(action=ActionBodyAction.DELETE, filter_=which))
    tasks = list_tasks.sync(client=client, limit=5)
    if isinstance(tasks, list):
        print(tasks[0].progress)
"""
WRONG = "from generated.models import NewTask\nNewTask(type_=5)\n"
LIMIT_S = 120


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """A service, and the directory with the package `generated`, made of its document without any network."""
    directory = tmp_path_factory.mktemp("client")
    with Service() as service:
        service.start().wait_ready()
        with urlopen(f"{service.url}/openapi.json") as answer:
            (directory / "openapi.json").write_bytes(answer.read())
        (directory / "config.yaml").write_text("post_hooks: []\n")
        done = run(
            directory,
            *("openapi_python_client", "generate", "--path", "openapi.json", "--config", "config.yaml"),
            *("--meta", "none", "--output-path", "generated"),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        # the one thing that the generator does not know; JSON does all that lines do
        told = [
            line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("WARNING", "ERROR", "Unsupported"))
        ]
        assert told == ["WARNING parsing POST /tasks/batch within tasks.", "Unsupported content type application/x-ndjson"]
        yield service, directory


@pytest.fixture
def client(generated: tuple[Service, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The package, and a client of the service: `client.api("tasks.create_task").sync(client=client.it, ...)`."""
    service, directory = generated
    monkeypatch.syspath_prepend(str(directory))
    package: Any = importlib.import_module("generated")
    it = package.Client(base_url=service.url, raise_on_unexpected_status=True, timeout=60)
    with it as opened:
        yield SimpleNamespace(
            it=opened,
            models=importlib.import_module("generated.models"),
            api=lambda name: importlib.import_module(f"generated.api.{name}"),
        )


def run(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    # a proxy that answers nothing: whatever asks the network fails
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=directory,
        env={**os.environ, **nowhere, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_the_client_and_code_that_uses_it_pass_a_type_checker(generated: tuple[Service, Path]) -> None:
    _, directory = generated
    (directory / "typed.py").write_text(TYPED)
    (directory / "wrong.py").write_text(WRONG)

    right = run(directory, "mypy", "--config-file=", "--strict", "--allow-any-generics", "typed.py")
    wrong = run(directory, "mypy", "--config-file=", "wrong.py")

    assert right.returncode == 0, right.stdout
    assert 'Argument "type_" to "NewTask" has incompatible type "int"' in wrong.stdout


def test_a_task_is_submitted_waited_for_and_read(client: SimpleNamespace) -> None:
    new = client.models.NewTask(type_="echo", payload="Hello", priority=client.models.NewTaskPriorityType0.HIGH, tags=["a"])

    made = client.api("tasks.create_task").sync_detailed(client=client.it, body=new, idempotency_key=f"k-{uuid4()}")
    shown = client.api("tasks.get_task").sync(made.parsed.id, client=client.it, wait="30s")

    assert (made.status_code, type(made.parsed), made.parsed.priority) == (201, client.models.Task, "high")
    assert isinstance(shown.id, UUID)
    assert (shown.status, shown.result, shown.tags) == (client.models.Status.COMPLETED, "echo: Hello", ["a"])
    assert shown.finished_at.timestamp() == pytest.approx(time.time(), abs=300)
    listed = client.api("tasks.list_tasks").sync(client=client.it, status=client.models.ListTasksStatus.COMPLETED, tag="a")
    assert [task.id for task in listed] == [made.parsed.id]
    assert client.api("tasks.delete_task").sync_detailed(made.parsed.id, client=client.it).status_code == 204


def test_what_is_refused_is_a_problem_with_its_code(client: SimpleNamespace) -> None:
    models = client.models
    wrong = models.NewTask(type_="ehco", tags=["a b"])

    unknown = client.api("tasks.create_task").sync_detailed(client=client.it, body=wrong)
    missing = client.api("tasks.get_task").sync_detailed(uuid4(), client=client.it)

    assert (unknown.status_code, type(unknown.parsed), unknown.parsed.code) == (422, models.Problem, "unknown_type")
    assert "echo" in unknown.parsed.known_types
    assert [fault.pointer for fault in unknown.parsed.errors] == ["/type", "/tags/0"]
    assert (missing.status_code, type(missing.parsed), missing.parsed.code) == (404, models.Problem, "task_not_found")
    assert missing.parsed.request_id == missing.headers["x-request-id"]


def test_batches_actions_and_the_inventory_are_typed(client: SimpleNamespace) -> None:
    models, new = client.models, client.models.NewTask(type_="echo", queue="default", delay=600, tags=["later"])
    batch = models.Batch(tasks=[new, models.NewTask(type_="sum", delay=-1)])

    entries = client.api("tasks.create_tasks").sync(client=client.it, body=batch)
    whole = client.api("tasks.create_tasks").sync(client=client.it, body=models.AtomicBatch(tasks=[new], atomic=True))
    action = models.ActionBody(action=models.ActionBodyAction.CANCEL, filter_=models.Conditions(tag="later"), dry_run=True)
    trial = client.api("tasks.create_operation").sync(client=client.it, body=action)

    assert [type(entry) for entry in (*entries, *whole)] == [models.Stored, models.Refused, models.Stored]
    assert (type(trial), trial.matched, trial.exact) == (models.Trial, 2, True)
    queues = client.api("queues.list_queues").sync(client=client.it)
    assert queues[0].counts["scheduled"] == 2
    assert {found.type_ for found in client.api("types.list_types").sync(client=client.it)} >= {"echo", "sum"}
    assert client.api("service.health").sync(client=client.it).status == "ok"


def test_with_tokens_the_document_asks_for_one(start_service: StartService, generated: tuple[Service, Path]) -> None:
    _, directory = generated
    tokens = directory / "tokens"
    made = run(directory, "taskq", "token", "new", "ci", "--role", "submit", "--file", str(tokens))
    assert made.returncode == 0, made.stderr
    service = start_service({"api": {"tokens_file": str(tokens), "open": ["docs"]}})

    document = service.get("/openapi.json").body

    paths = document["paths"]
    assert paths["/tasks"]["get"]["security"] == [{"token": []}]
    assert paths["/openapi.json"]["get"]["security"] == paths["/health"]["get"]["security"] == []
    refused = service.post("/queues/default/pause", headers={"Authorization": f"Bearer {made.stdout.strip()}"})
    assert (refused.status, refused.body["code"], service.get("/tasks").status) == (403, "forbidden", 401)
