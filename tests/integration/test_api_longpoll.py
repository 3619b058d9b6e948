"""Requests that wait for the end of a task, over real connections."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.context import ForkProcess
from typing import Any

import pytest
from falcon.testing import TestClient

from taskq.api.app import create_app
from taskq.api.context import ApiContext, ApiSettings
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from tests.integration.servers import linked, own_server
from tests.integration.steps import claim, enqueued, joined, record, started, until

Address = tuple[str, int]
StartApi = Callable[..., tuple[Address, ForkProcess]]

TIMEOUT_S = 60
FEW = ApiSettings(threads=2)
"""Of which one may wait."""
CLIENTS = 1000


@contextmanager
def request(
    address: Address, method: str, path: str, headers: Mapping[str, str] | None = None, body: Any = None
) -> Iterator[http.client.HTTPConnection]:
    """A connection over which one request was sent."""
    with closing(http.client.HTTPConnection(*address, timeout=TIMEOUT_S)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body), dict(headers or {}))
        yield connection


def answered(connection: http.client.HTTPConnection) -> tuple[http.client.HTTPResponse, Any]:
    answer = connection.getresponse()
    return answer, json.loads(answer.read())


def blocked(queue: Queue) -> int:
    return int(queue.link.redis.info("clients")["blocked_clients"])


@contextmanager
def waiting(address: Address, queue: Queue, task_id: str, **headers: str) -> Iterator[http.client.HTTPConnection]:
    """A request for the end of a task that occupies a place."""
    before = blocked(queue)
    with request(address, "GET", f"/tasks/{task_id}?wait=30", headers) as connection:
        until(lambda: blocked(queue) > before, "it waits")
        yield connection


def test_a_get_is_answered_by_the_end_of_the_task(start_api: StartApi, queue: Queue) -> None:
    address, _ = start_api()
    worker = joined(queue)
    attempt = started(queue, worker)
    with waiting(address, queue, attempt.id) as connection:
        queue.complete(worker, attempt, b'"done"')

        answer, task = answered(connection)

    assert (answer.status, task["status"], task["result"]) == (200, "completed", "done")


@pytest.mark.parametrize("settle", ["complete", "cancel"])
def test_a_post_that_prefers_to_wait_is_answered_by_the_end_of_its_task(
    start_api: StartApi, queue: Queue, settle: str
) -> None:
    address, _ = start_api()
    worker = joined(queue)
    before = blocked(queue)
    with request(address, "POST", "/tasks", {"Prefer": "wait=30"}, {"type": "echo"}) as connection:
        until(lambda: blocked(queue) > before, "it waits")
        attempt = claim(queue, worker)
        if settle == "complete":
            queue.complete(worker, attempt, b'"done"')
        else:
            queue.cancel(attempt.id)

        answer, task = answered(connection)

    assert (answer.status, task["id"]) == (200, attempt.id)
    assert task["status"] == {"complete": "completed", "cancel": "cancelled"}[settle]
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert answer.headers["Location"] == f"/tasks/{attempt.id}"


def test_a_post_whose_task_does_not_end_in_time_is_answered_as_created(start_api: StartApi, queue: Queue) -> None:
    address, _ = start_api()
    with request(address, "POST", "/tasks", {"Prefer": "wait=1"}, {"type": "echo"}) as connection:
        answer, task = answered(connection)

    assert (answer.status, task["status"]) == (201, "pending")
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert answer.headers["Location"] == f"/tasks/{task['id']}"


def test_a_repeated_post_waits_for_the_task_of_the_first(start_api: StartApi, queue: Queue) -> None:
    address, _ = start_api()
    worker = joined(queue)
    headers = {"Idempotency-Key": "k", "Prefer": "wait=30"}
    with request(address, "POST", "/tasks", {"Idempotency-Key": "k"}, {"type": "echo"}) as connection:
        first = answered(connection)[1]
    queue.complete(worker, claim(queue, worker), b"1")

    with request(address, "POST", "/tasks", headers, {"type": "echo"}) as connection:
        answer, task = answered(connection)

    assert (answer.status, task["id"], task["status"]) == (200, first["id"], "completed")
    assert answer.headers["Idempotency-Replayed"] == "true"


def test_who_finds_no_place_is_told_the_current_state(start_api: StartApi, queue: Queue) -> None:
    address, _ = start_api(FEW)
    task_id = enqueued(queue)
    with waiting(address, queue, task_id) as first:
        with request(address, "GET", f"/tasks/{task_id}", {"Prefer": "wait=30"}) as second:
            answer, task = answered(second)
        assert (answer.status, task["status"]) == (200, "pending")
        assert "Preference-Applied" not in answer.headers
        assert answer.headers["Connection"] == "close"

        queue.cancel(task_id)

        assert answered(first)[1]["status"] == "cancelled"


def test_a_client_that_hangs_up_frees_its_place(start_api: StartApi, queue: Queue) -> None:
    address, _ = start_api(FEW)
    task_id = enqueued(queue)
    with waiting(address, queue, task_id):
        pass

    def finds_a_place() -> bool:
        with request(address, "GET", f"/tasks/{task_id}", {"Prefer": "wait=1"}) as connection:
            return "Preference-Applied" in answered(connection)[0].headers

    until(finds_a_place, "the place of the one that is gone is free")
    with waiting(address, queue, task_id) as next_one:
        queue.cancel(task_id)

        assert answered(next_one)[1]["status"] == "cancelled"


def test_a_client_that_has_only_finished_sending_is_answered(start_api: StartApi, queue: Queue) -> None:
    address, _ = start_api(FEW)
    task_id = enqueued(queue)
    with socket.create_connection(address, TIMEOUT_S) as sock:
        sock.sendall(f"GET /tasks/{task_id}?wait=30 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        sock.shutdown(socket.SHUT_WR)

        text = b"".join(iter(lambda: sock.recv(65536), b""))

    assert b'"status":"pending"' in text


def test_the_end_of_the_server_gives_who_waits_the_current_state(start_api: StartApi, queue: Queue) -> None:
    address, process = start_api()
    task_id = enqueued(queue)
    with waiting(address, queue, task_id) as connection:
        process.terminate()

        answer, task = answered(connection)

    assert (answer.status, task["status"]) == (200, "pending")


def test_a_task_that_is_deleted_while_it_is_waited_for_is_not_found(start_api: StartApi, queue: Queue) -> None:
    address, _ = start_api()
    task_id = enqueued(queue)
    with waiting(address, queue, task_id) as connection:
        queue.delete(task_id)

        answer, problem = answered(connection)

    assert (answer.status, problem["code"]) == (404, "task_not_found")


def test_without_redis_a_get_that_waits_is_unavailable_and_a_post_is_created(prefix: str) -> None:
    with own_server() as server, linked(server.url, patience_s=0.2) as link, ThreadPoolExecutor() as pool:
        queue = Queue(link, prefix=prefix)
        task_id = enqueued(queue)
        client = TestClient(create_app(ApiContext(inspector=Inspector(link, prefix=prefix))))
        get = pool.submit(client.simulate_get, f"/tasks/{task_id}?wait=30")
        post = pool.submit(client.simulate_post, "/tasks?wait=30", json={"type": "echo"})
        until(lambda: blocked(queue) == 2, "both wait")

        server.kill()

        assert get.result(TIMEOUT_S).status_code == 503
        assert (post.result(TIMEOUT_S).status_code, post.result().json["status"]) == (201, "pending")


def test_a_thousand_waiting_clients_do_not_stop_others(start_api: StartApi, queue: Queue) -> None:
    address, _ = start_api()
    task_id = enqueued(queue)
    with ExitStack() as stack:
        clients = [stack.enter_context(request(address, "GET", f"/tasks/{task_id}?wait=30")) for _ in range(CLIENTS)]
        with request(address, "POST", "/tasks", body={"type": "echo"}) as other:
            assert answered(other)[0].status == 201
        with request(address, "GET", "/health") as last:  # the POST may have overtaken them, this one has not
            assert answered(last)[0].status == 200
        assert "awaited" in record(queue, task_id)

        queue.cancel(task_id)

        statuses = [answered(client)[1]["status"] for client in clients]
    assert statuses.count("pending") >= CLIENTS - ApiSettings().threads
    assert set(statuses) == {"cancelled", "pending"}
