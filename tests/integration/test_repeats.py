"""A repeatable enqueue, and the Idempotency-Key that leads a repeat to it."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from falcon.testing import Result, TestClient

from taskq.api.app import create_app
from taskq.api.context import ApiContext
from taskq.queue.inspect import Inspector
from taskq.queue.keys import idempotency_key
from taskq.queue.queue import Queue
from taskq.queue.repeats import KEPT_S, Claim, claim
from taskq.task import Status
from taskq.tokens import Role, Token, Tokens
from tests.contract import ContractClient
from tests.integration.steps import enqueued, joined, new, snapshot, started

TASK = {"type": "echo", "payload": {"a": 1, "b": [2]}}
KEY = "order 4711/e"


def post(api: TestClient, key: str | None = KEY, **members: Any) -> Result:
    return api.simulate_post("/tasks", json={**TASK, **members}, headers={"Idempotency-Key": key} if key else {})


def ids(api: TestClient) -> list[str]:
    return [task["id"] for task in api.simulate_get("/tasks").json]


# -- the queue


@pytest.mark.parametrize("fields", [{}, {"delay_s": 60}])
def test_a_repeatable_enqueue_is_answered_alike_when_its_task_is_gone(queue: Queue, fields: dict[str, Any]) -> None:
    first = queue.enqueue(task := new(repeat_s=60, **fields))
    queue.delete(task.id)
    before = snapshot(queue)

    again = queue.enqueue(task)

    assert again == first
    assert snapshot(queue) == before


def test_a_repeatable_enqueue_is_answered_alike_when_its_task_has_moved_on(queue: Queue) -> None:
    first = queue.enqueue(task := new(repeat_s=60, delay_s=0.001))
    while not queue.promote()[0]:
        pass

    assert queue.enqueue(task) == first


def test_what_makes_an_enqueue_repeatable_expires(queue: Queue) -> None:
    queue.enqueue(task := new(repeat_s=60))

    left: Any = queue.link.redis.pttl(queue.keys.accepted_prefix + task.id)
    assert 50_000 < left <= 60_000


def test_a_key_belongs_to_the_first_claim(inspector: Inspector) -> None:
    wanted = Claim("id-1", "mail", same=True)

    first = claim(inspector.link, inspector.prefix, KEY, wanted, "print")
    again = claim(inspector.link, inspector.prefix, KEY, Claim("id-2", "other", same=True), "print")
    other = claim(inspector.link, inspector.prefix, KEY, Claim("id-3", "mail", same=True), "another")

    assert claim(inspector.link, inspector.prefix, KEY, wanted, "print") == wanted  # as after a lost reply
    assert first == again == wanted
    assert other == wanted._replace(same=False)
    left: Any = inspector.link.redis.pttl(idempotency_key(inspector.prefix, KEY))
    assert KEPT_S * 1000 - 10_000 < left <= KEPT_S * 1000


# -- the header


def test_a_repeated_post_is_answered_as_the_first_and_makes_no_second_task(api: TestClient) -> None:
    first = post(api, delay=60, expires_in="2m", unique_key="u")
    again = post(api, delay=60, expires_in="2m", unique_key="u")

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert ids(api) == [first.json["id"]]


def test_the_order_of_members_and_spaces_make_no_other_request(api: TestClient) -> None:
    first = post(api)
    body = b'{ "payload": {"b": [2], "a": 1},\n "type": "echo" }'

    again = api.simulate_post("/tasks", body=body, headers={"Idempotency-Key": KEY, "Content-Type": "application/json"})

    assert (again.status_code, again.json) == (200, first.json)


@pytest.mark.parametrize("members", [{"payload": 2}, {"priority": "high"}, {"queue": "other"}, {"comment": "ignored"}])
def test_another_body_under_the_same_key_is_refused(api: TestClient, members: dict[str, Any]) -> None:
    first = post(api)

    answer = post(api, **members)

    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert answer.json["error"] == (
        "Idempotency-Key: expected a key of its own for each request; this one was used for a request with another body"
    )
    assert answer.json["errors"][0]["header"] == "Idempotency-Key"
    assert ids(api) == [first.json["id"]]


def test_another_key_makes_another_task(api: TestClient) -> None:
    assert len({post(api, key).json["id"] for key in ("a", "b", None, None)}) == 4


def end(queue: Queue) -> None:
    worker = joined(queue)
    attempt = queue.claim(worker)
    assert attempt is not None
    queue.complete(worker, attempt, b"1")


def trim(queue: Queue) -> None:
    end(queue)
    queue.trim(Status.COMPLETED, 0)


def delete(queue: Queue) -> None:
    attempt = queue.claim(joined(queue))
    assert attempt is not None
    queue.delete(attempt.id)


@pytest.mark.parametrize("change", [end, trim, delete], ids=lambda change: change.__name__)
def test_the_first_answer_is_repeated_whatever_became_of_the_task(
    api: TestClient, queue: Queue, change: Callable[[Queue], None]
) -> None:
    first = post(api, unique_key="u")
    change(queue)
    before = snapshot(queue)

    again = post(api, unique_key="u")

    assert (again.status_code, again.content) == (200, first.content)
    assert snapshot(queue) == before


def test_a_repeat_finishes_what_the_first_request_only_began(api: TestClient, inspector: Inspector) -> None:
    first = post(api)
    # as if the process had died between the two steps
    queue = inspector.queue("default")
    queue.delete(first.json["id"])
    queue.link.redis.delete(queue.keys.accepted_prefix + first.json["id"])

    again = post(api)

    assert again.json["id"] == first.json["id"]
    assert ids(api) == [first.json["id"]]


def test_a_refused_request_leaves_its_key_free(api: TestClient) -> None:
    assert post(api, priority="urgent").status_code == 422

    assert post(api).status_code == 201


def test_a_request_refused_for_its_unique_key_may_be_repeated_later(api: TestClient, queue: Queue) -> None:
    holder = enqueued(queue, unique_key="u")
    assert post(api, unique_key="u").status_code == 409
    queue.cancel(holder)

    answer = post(api, unique_key="u")

    assert answer.status_code == 200
    assert ids(api).count(answer.json["id"]) == 1


@pytest.mark.parametrize("key", ["x" * 128, '"8e03978e-40d5"', "a b", "~!@#$%^&*()"])
def test_any_printable_text_is_a_key(api: TestClient, key: str) -> None:
    assert [post(api, key).status_code, post(api, key).status_code] == [201, 200]


@pytest.mark.parametrize("key", ["", "x" * 129, "a\tb", "ключ".encode().decode("latin-1"), "a\x7f"])
def test_any_other_text_is_refused(api: TestClient, key: str) -> None:
    answer = api.simulate_post("/tasks", json=TASK, headers={"Idempotency-Key": key})

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_header")
    assert answer.json["error"].startswith("invalid Idempotency-Key: expected 1 to 128 printable ASCII characters, got ")
    assert ids(api) == []


def test_repeats_at_the_same_time_make_one_task(api: TestClient) -> None:
    answers: list[Result] = []
    threads = [threading.Thread(target=lambda: answers.append(post(api))) for _ in range(16)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({answer.content for answer in answers}) == 1
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    assert len(ids(api)) == 1


def test_every_token_has_keys_of_its_own(inspector: Inspector) -> None:
    names = ("a", "b")
    tokens = Tokens(tuple(Token(name, Role.ADMIN, hashlib.sha256(name.encode()).digest()) for name in names))
    app = create_app(ApiContext(inspector=inspector, tokens=tokens))
    clients = [ContractClient(app, headers={"Authorization": f"Bearer {name}"}) for name in names]

    first, other = [post(client) for client in clients]
    again = [post(client) for client in clients]
    batches = [
        client.simulate_post("/tasks/batch", json={"tasks": [TASK], "atomic": True}, headers={"Idempotency-Key": "batch"})
        for client in clients
    ]

    assert (first.status_code, other.status_code) == (201, 201)
    assert first.json["id"] != other.json["id"]
    assert [answer.json["id"] for answer in again] == [first.json["id"], other.json["id"]]
    assert [answer.status_code for answer in (*again, *batches)] == [200, 200, 201, 201]
    assert post(clients[0], payload="another").status_code == 422


def test_a_running_task_is_not_disturbed_by_a_repeat(api: TestClient, queue: Queue) -> None:
    post(api)
    worker = joined(queue)
    attempt = queue.claim(worker)
    assert attempt is not None

    post(api)

    assert queue.claim(joined(queue)) is None
    assert queue.complete(worker, attempt, b"1")[0] == "ok"
    assert started(queue, worker).id != attempt.id


def test_every_id_of_a_key_is_a_uuid(api: TestClient) -> None:
    assert uuid.UUID(post(api).json["id"]).version == 4
