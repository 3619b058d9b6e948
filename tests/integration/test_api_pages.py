"""GET /tasks: filters, order and pages."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from falcon.testing import Result, TestClient

from taskq.api.views import millisecond
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.task import NewTask


def enqueue(queue: Queue, type_: str = "echo", **fields: Any) -> str:
    """Store a task a little later than the one before it, so that their order is certain."""
    task_id = str(uuid.uuid4())
    stored = queue.enqueue(NewTask(id=task_id, type=type_, queue=queue.name, **fields))
    while time.time() * 1000 < stored.created_at_ms + 2:
        time.sleep(0.001)
    return task_id


def ids(answer: Result) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [task["id"] for task in answer.json]


def pages(api: TestClient, query: str) -> Iterator[Result]:
    """Every page, found as a client does: by following the link."""
    path = f"/tasks?{query}"
    while True:
        answer = api.simulate_get(path)
        yield answer
        if "link" not in answer.headers:
            return
        path, _, relation = answer.headers["link"].removeprefix("<").partition(">; ")
        assert relation == 'rel="next"'
        assert f"cursor={answer.headers['x-next-cursor']}" in path


def test_no_task_is_an_empty_array(api: TestClient) -> None:
    answer = api.simulate_get("/tasks")

    assert (answer.status_code, answer.json) == (200, [])
    assert "link" not in answer.headers
    assert "x-next-cursor" not in answer.headers


def test_tasks_are_listed_as_each_of_them_is_shown_the_newest_first(api: TestClient, queue: Queue) -> None:
    first, second = enqueue(queue, payload=b'{"a":1.0}'), enqueue(queue, tags=("x",))

    answer = api.simulate_get("/tasks")

    shown = [api.simulate_get(f"/tasks/{task_id}").json for task_id in (second, first)]
    assert [{**listed, "waiting": one["waiting"]} for listed, one in zip(answer.json, shown, strict=True)] == shown
    assert ids(api.simulate_get("/tasks?order=asc")) == [first, second]
    assert ids(api.simulate_get("/tasks?order=desc")) == [second, first]


def test_fifty_tasks_are_listed_where_no_limit_is_named(api: TestClient, queue: Queue) -> None:
    queue.enqueue_many([NewTask(id=str(uuid.uuid4()), type="echo") for _ in range(51)])

    answer = api.simulate_get("/tasks")

    assert len(answer.json) == 50
    assert "x-next-cursor" in answer.headers
    assert len(api.simulate_get("/tasks?limit=500").json) == 51
    assert "link" not in api.simulate_get("/tasks?limit=51").headers


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_following_the_links_shows_every_task_once_in_order(api: TestClient, inspector: Inspector, order: str) -> None:
    made = [enqueue(inspector.queue(name)) for name in ("b", "a", "c", "a", "b", "a", "c")]

    seen = [ids(page) for page in pages(api, f"limit=3&order={order}")]

    assert [len(page) for page in seen] == [3, 3, 1]
    assert [task_id for page in seen for task_id in page] == (made if order == "asc" else made[::-1])


def test_a_task_that_comes_or_goes_between_two_pages_shifts_nothing(api: TestClient, queue: Queue) -> None:
    made = [enqueue(queue) for _ in range(6)]
    follow = pages(api, "limit=2")
    assert ids(next(follow)) == [made[5], made[4]]

    enqueue(queue)
    queue.delete(made[4])
    queue.delete(made[2])

    assert ids(next(follow)) == [made[3], made[1]]
    assert ids(next(follow)) == [made[0]]


def test_each_filter_keeps_what_was_asked_for(api: TestClient, inspector: Inspector) -> None:
    default, mail = inspector.queue("default"), inspector.queue("mail")
    plain = enqueue(default)
    tagged = enqueue(default, "sum", tags=("a", "b"))
    later = enqueue(mail, delay_s=60)
    cancelled = enqueue(mail, "sum")
    mail.cancel(cancelled)

    def listed(query: str) -> list[str]:
        return ids(api.simulate_get(f"/tasks?order=asc&{query}"))

    assert listed("status=pending") == [plain, tagged]
    assert listed("status=scheduled") == [later]
    assert listed("status=failed") == []
    assert listed("type=sum") == [tagged, cancelled]
    assert listed("tag=b") == [tagged]
    assert listed("tag=c") == []
    assert listed("queue=mail") == [later, cancelled]
    assert listed("queue=mail&type=sum&status=cancelled") == [cancelled]
    assert listed("") == [plain, tagged, later, cancelled]


def test_a_queue_that_nobody_used_holds_nothing_and_is_not_remembered(api: TestClient, inspector: Inspector) -> None:
    assert api.simulate_get("/tasks?queue=nobody").json == []

    assert "nobody" not in inspector._queues
    assert inspector.queue_names() == []


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_period_holds_its_first_moment_and_not_its_last(
    api: TestClient, queue: Queue, inspector: Inspector, order: str
) -> None:
    made = [enqueue(queue) for _ in range(5)]
    moments = []
    for task_id in made:
        task = inspector.get(task_id)
        assert task is not None
        moments.append(millisecond(task.created_at_ms))

    inside = f"order={order}&created_after={moments[1]}&created_before={moments[4]}"

    seen = [ids(page) for page in pages(api, f"{inside}&limit=2")]
    expected = made[1:4] if order == "asc" else made[3:0:-1]
    assert [task_id for page in seen for task_id in page] == expected
    assert [len(page) for page in seen] == [2, 1]


def test_a_filter_and_its_cursor_go_on_in_the_next_link(api: TestClient, queue: Queue) -> None:
    wanted = []
    for _ in range(5):
        wanted.append(enqueue(queue, "sum", tags=("x",)))
        enqueue(queue)

    seen = [ids(page) for page in pages(api, "type=sum&tag=x&limit=2")]

    assert [task_id for page in seen for task_id in page] == wanted[::-1]


def test_tasks_are_counted_when_asked_for(api: TestClient, queue: Queue) -> None:
    ids_ = [enqueue(queue, type_) for type_ in ("sum", "echo", "sum")]
    queue.cancel(ids_[0])

    answer = api.simulate_get("/tasks?count=true&type=sum&limit=1")

    assert (answer.headers["x-total-count"], answer.headers["x-total-count-exact"]) == ("2", "true")
    assert api.simulate_get("/tasks?count=true&status=cancelled").headers["x-total-count"] == "1"
    assert api.simulate_get("/tasks?count=true&queue=nobody").headers["x-total-count"] == "0"
    assert "x-total-count" not in api.simulate_get("/tasks?count=false").headers
    assert api.simulate_get("/tasks?count=yes").status_code == 422


def test_wrong_parameters_are_named(api: TestClient) -> None:
    answer = api.simulate_get("/tasks?limit=501&status=done&cursor=!")

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_query")
    assert [fault["parameter"] for fault in answer.json["errors"]] == ["limit", "cursor", "status"]


def test_head_tells_that_there_is_more(api: TestClient, queue: Queue) -> None:
    for _ in range(2):
        enqueue(queue)

    answer = api.simulate_head("/tasks?limit=1")

    assert (answer.status_code, answer.content) == (200, b"")
    assert "x-next-cursor" in answer.headers
