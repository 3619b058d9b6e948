"""Every code that the document promises is one that somebody can get: each is brought about, for each operation."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.context import ForkProcess
from typing import Any, cast

import pytest

from taskq.api.app import create_app
from taskq.api.context import ApiContext, ApiSettings
from taskq.api.errors import STATUS
from taskq.catalog import publish
from taskq.config import Defaults
from taskq.errors import QueueError, QueueRefused, QueueUnavailable
from taskq.maintenance.operations import Operator
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.operations import Operations
from taskq.queue.queue import Queue
from taskq.queue.schedules import Schedules
from taskq.registry import Registry
from taskq.tokens import Role, Token, Tokens
from taskq.typeoptions import Options
from tests.contract import Contract, ContractClient, Pair
from tests.integration.raw import Address, exchange
from tests.integration.servers import linked, own_server
from tests.integration.steps import DETAIL, LEASE_S, claim, enqueued, schedule

StartApi = Callable[..., tuple[Address, ForkProcess]]

NOBODY = "5335d502-a2c7-4abd-9496-c64692b43869"
ADMIN = {"Authorization": "Bearer admin"}
TOKENS = Tokens(tuple(Token(str(role), role, hashlib.sha256(str(role).encode()).digest()) for role in Role))

ELSEWHERE: dict[str, str] = {
    "internal_error": "nobody knows how: any exception that is not expected, see tests/unit/test_api_errors.py",
    "request_timeout": "takes 20 s and is told before the path counts, see tests/integration/test_api_wire.py",
}
"""Code words that are not brought about for each operation."""

RACES: set[Pair] = {("POST", "/schedules/{name}/run", 404, "task_not_found")}
"""What takes somebody who deletes the task between two commands."""

BODIES: Mapping[str, Any] = {
    "/tasks": {"type": "echo"},
    "/tasks/batch": {"tasks": [{"type": "echo"}]},
    "/tasks/actions": {"action": "delete", "ids": [NOBODY]},
}


class Stage:
    """Tasks in every state, a worker that serves `echo`, a schedule and an operation."""

    def __init__(self, queue: Queue, inspector: Inspector) -> None:
        self.queue, self.inspector = queue, inspector
        self.worker = f"w-{uuid.uuid4().hex[:8]}"
        catalog = published()
        info = {"host": "here", "catalog": catalog.digest}
        queue.join(self.worker, LEASE_S, json.dumps(info).encode(), catalog)
        Schedules(inspector).publish([schedule("nightly")], forget=False)

    def pending(self, **fields: Any) -> str:
        return enqueued(self.queue, **fields)

    def running(self) -> str:
        task_id = enqueued(self.queue, priority="high")
        assert claim(self.queue, self.worker).id == task_id
        return task_id

    def failed(self, **fields: Any) -> str:
        task_id = enqueued(self.queue, priority="high", **fields)
        attempt = claim(self.queue, self.worker)
        assert attempt.id == task_id
        self.queue.fail(self.worker, attempt, "boom", DETAIL)
        return task_id


class Broken:
    """A connection to Redis with which nothing can be done."""

    def __init__(self, error: QueueError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error


def published() -> Any:
    found = Registry()

    def echo(payload: Any = None) -> Any:
        return payload

    found.add("echo", echo, Options())
    return publish(found, Defaults())


@pytest.fixture
def stage(queue: Queue, inspector: Inspector) -> Stage:
    return Stage(queue, inspector)


def client(inspector: Inspector, **context: Any) -> ContractClient:
    """An application with tokens, called as an administrator unless a call says otherwise."""
    return ContractClient(create_app(ApiContext(inspector=inspector, tokens=TOKENS, **context)), headers=ADMIN)


def operations(contract: Contract) -> Iterator[tuple[str, str]]:
    """Every method and path of the document."""
    for path, methods in contract.document["paths"].items():
        for method in methods:
            yield method.upper(), path


def filled(path: str, task_id: str = NOBODY, name: str = "nobody", worker: str = "nobody") -> str:
    return (
        path.replace("{task_id}", task_id)
        .replace("{operation_id}", task_id)
        .replace("{name}", name)
        .replace("{worker_id}", worker)
    )


def call(api: ContractClient, method: str, path: str, body: Any = None, **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {} if body is None else {"json": body}
    return api.simulate_request(method, path, headers=sent, **given)


def existing(stage: Stage, path: str, operation_id: str) -> str:
    """A path of the document that names what is there."""
    name = {"/queues": "default", "/types": "echo", "/schedules": "nightly", "/docs": "docs.js"}
    task_id = operation_id if "operation_id" in path else stage.pending()
    return filled(path, task_id, name.get(path[: path.find("/", 1)], ""), stage.worker)


def what_goes_well(api: ContractClient, stage: Stage) -> None:
    operation = call(api, "POST", "/tasks/actions", BODIES["/tasks/actions"]).json["id"]
    for method, path in operations(api.contract):
        if method == "GET":
            answer = call(api, "GET", existing(stage, path, operation))
            assert answer.status_code == 200, path
    for path in ("/tasks", f"/tasks/{stage.failed()}"):
        tag = call(api, "GET", path).headers["etag"]
        assert call(api, "GET", path, If_None_Match=tag).status_code == 304
    for body in ({"type": "echo"}, {"type": "echo"}):
        call(api, "POST", "/tasks", body, Idempotency_Key="one")
    call(api, "POST", "/tasks/batch", {"tasks": [{"type": "echo"}, 5]})
    call(api, "POST", "/tasks/batch", {"tasks": [{"type": "echo"}], "atomic": True})
    call(api, "POST", "/tasks/actions", {**BODIES["/tasks/actions"], "dry_run": True})
    call(api, "POST", f"/tasks/{stage.running()}/cancel")
    call(api, "POST", f"/tasks/{stage.pending()}/cancel", {"reason": "x"})
    call(api, "POST", f"/tasks/{stage.failed()}/requeue", {"delay": 600})
    call(api, "DELETE", f"/tasks/{stage.pending()}")
    call(api, "POST", f"/operations/{operation}/stop")
    operator = Operator(Operations(stage.inspector))
    while operator.operate():
        pass
    call(api, "POST", f"/operations/{operation}/stop")
    for path in ("/queues/default/pause", "/queues/default/resume", "/queues/default/purge"):
        call(api, "POST", path)
    for verb in ("run", "pause", "resume"):
        call(api, "POST", f"/schedules/nightly/{verb}")


def what_is_wrong_with_a_request(api: ContractClient, stage: Stage) -> None:
    taken, parked = stage.pending(unique_key="mine"), stage.failed(unique_key="later")
    call(api, "POST", "/tasks", {"type": "echo", "unique_key": "later", "delay": 600})
    wrong: Mapping[str, Any] = {
        **{path: {"reason": 5, "delay": "x", "action": "x"} for _, path in operations(api.contract)},
        "/tasks": {"type": "echo", "priority": "x"},
        "/tasks/batch": {"tasks": []},
    }
    for method, path in operations(api.contract):
        described = api.contract.document["paths"][path][method.lower()]
        there = existing(stage, path, NOBODY)
        call(api, method, filled(path))
        if "requestBody" in described:
            call(api, method, there, [])
            call(api, method, there, wrong[path])
            api.simulate_request(method, there, body="x", headers={"Content-Type": "text/plain"})
        for parameter in described["parameters"]:
            if parameter.get("in") == "query":
                call(api, method, f"{there}?{parameter['name']}=", BODIES.get(path))
    bodies = [{}, {"type": "x"}, {"type": "echo", "queue": "x"}, {"type": "echo", "unique_key": "mine"}]
    for body in bodies:
        call(api, "POST", "/tasks", body)
    call(api, "POST", "/tasks/batch", {"tasks": bodies, "atomic": True})
    for path in BODIES:
        call(api, "POST", path, BODIES[path], Idempotency_Key="k" * 200)
        for body in (BODIES[path], {**BODIES[path], "more": 1, "tasks": [{"type": "echo", "payload": 2}]}):
            call(api, "POST", path, body, Idempotency_Key=path)
    call(api, "POST", f"/tasks/{stage.failed()}/cancel")
    call(api, "POST", f"/tasks/{taken}/requeue")
    call(api, "POST", f"/tasks/{parked}/requeue")


def who_may_not(api: ContractClient) -> None:
    for method, path in operations(api.contract):
        body = BODIES.get(path, {}) if method == "POST" else None
        call(api, method, filled(path), body, Authorization="Bearer nobody")
        call(api, method, filled(path), body, Authorization="Bearer read")
        call(api, method, filled(path), body, Sec_Fetch_Site="cross-site")


def what_redis_does(stage: Stage, prefix: str) -> set[Pair]:
    seen: set[Pair] = set()
    for error in (QueueRefused("no"), QueueUnavailable("away")):
        api = client(Inspector(cast("Link", Broken(error)), prefix=prefix))
        every_operation(api, stage)
        seen |= api.contract.seen
    with own_server() as server, linked(server.url) as link:
        full = Stage(Queue(link, prefix=prefix, name="default"), Inspector(link, prefix=prefix))
        api, failed = client(full.inspector), full.failed()
        server.set(maxmemory="1")
        every_operation(api, full)
        call(api, "POST", f"/tasks/{failed}/requeue")
        return seen | api.contract.seen


def every_operation(api: ContractClient, stage: Stage) -> None:
    for method, path in operations(api.contract):
        there = filled(path, name="nightly" if path.startswith("/schedules") else "default", worker=stage.worker)
        call(api, method, there, BODIES.get(path) if method == "POST" else None)


def what_a_drain_does(stage: Stage) -> set[Pair]:
    api = client(stage.inspector, draining=lambda: True)
    for path in (*BODIES, "/schedules/nightly/run"):
        call(api, "POST", path, BODIES.get(path))
    call(api, "GET", "/health/ready")
    return api.contract.seen


WIRE = {
    "bad_request": b"%s %s HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "body_too_large": b"%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
    "uri_too_long": b"%s %s?" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "header_too_large": b"%s %s HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    "expectation_failed": b"%s %s HTTP/1.1\r\nHost: a\r\nExpect: cake\r\n\r\n",
    "misdirected": b"%s %s HTTP/1.1\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n",
    "not_implemented": b"%s %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "version_not_supported": b"%s %s HTTP/3.0\r\nHost: a\r\n\r\n",
}


def what_is_wrong_on_the_wire(address: Address, contract: Contract) -> None:
    for method, path in list(operations(contract)):
        for code, request in WIRE.items():
            answer = exchange(address, request % (method.encode(), filled(path).encode()))
            assert answer.status == STATUS[code], (method, path, code)
            contract.check(method, filled(path), answer.status, answer.headers, json.dumps(answer.body).encode())


def test_every_code_that_is_promised_can_be_had(stage: Stage, start_api: StartApi, prefix: str) -> None:
    api = client(stage.inspector)

    what_goes_well(api, stage)
    what_is_wrong_with_a_request(api, stage)
    who_may_not(api)
    what_is_wrong_on_the_wire(start_api(ApiSettings(hosts=()))[0], api.contract)
    seen = api.contract.seen | what_redis_does(stage, prefix) | what_a_drain_does(stage)

    promised = {pair for pair in api.contract.promised() if pair[3] not in ELSEWHERE}
    assert len(promised) > 400
    assert promised - seen == RACES, "promised, and nobody can get it"
