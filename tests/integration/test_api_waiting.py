"""GET of a waiting task says why it is not running, from what Redis knows."""

from __future__ import annotations

from typing import Any

import pytest
from falcon.testing import TestClient

from taskq.api import waiting as api_waiting
from taskq.api.waiting import Looks
from taskq.catalog import publish
from taskq.config import Defaults
from taskq.limits import Limit, Limits
from taskq.queue import gate, standing
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.limits import put_in_force
from taskq.queue.queue import Queue
from taskq.queue.scripts import Script
from taskq.registry import Registry
from taskq.task import Priority, Status
from taskq.typeoptions import Options
from taskq.units import Rate
from tests.integration.steps import (
    DETAIL,
    LEASE_S,
    SETTLES,
    claim,
    enqueued,
    joined,
    lapse,
    moved,
    new,
    record,
    snapshot,
    started,
)


def waiting(api: TestClient, task_id: str) -> dict[str, Any]:
    answer = api.simulate_get(f"/tasks/{task_id}").json
    assert answer["status"] in ("pending", "scheduled")
    found: dict[str, Any] = answer["waiting"]
    return found


def test_a_task_behind_others_says_how_many_start_before_it(api: TestClient, queue: Queue) -> None:
    worker = joined(queue)
    running = started(queue, worker)
    ids = [enqueued(queue) for _ in range(5)]

    assert [waiting(api, task_id)["position"] for task_id in ids] == [0, 1, 2, 3, 4]
    found = waiting(api, ids[3])
    assert found["reason"] == "behind_others"
    assert found["detail"].startswith("3 tasks start before it; the only worker is busy since 20")
    assert record(queue, running.id)["started_at"].endswith(found["since"][-4:-1])


def test_positions_follow_the_order_in_which_tasks_of_all_priorities_start(api: TestClient, queue: Queue) -> None:
    ids = [
        enqueued(queue, priority=priority) for _ in range(4) for priority in (Priority.LOW, Priority.HIGH, Priority.NORMAL)
    ]
    positions = {task_id: waiting(api, task_id)["position"] for task_id in ids}

    order = [claim(queue, joined(queue)).id for _ in ids]

    assert [positions[task_id] for task_id in order] == list(range(len(ids)))


@pytest.mark.parametrize("priority", Priority)
def test_a_task_with_others_of_a_higher_priority_says_so(api: TestClient, queue: Queue, priority: Priority) -> None:
    for other in Priority:
        for _ in range(3):
            enqueued(queue, priority=other)

    found = standing.standing(Inspector(queue.link, prefix=queue.keys.prefix), one_more(queue, priority))

    assert found.higher == {Priority.HIGH: 0, Priority.NORMAL: 3, Priority.LOW: 6}[priority]
    assert found.ahead == {Priority.HIGH: 3, Priority.NORMAL: 6, Priority.LOW: 9}[priority]


def one_more(queue: Queue, priority: Priority) -> Any:
    task_id = enqueued(queue, priority=priority)
    return Inspector(queue.link, prefix=queue.keys.prefix).get(task_id)


def test_the_next_task_waits_for_workers_that_are_all_busy(api: TestClient, queue: Queue) -> None:
    for _ in range(2):
        started(queue, joined(queue))
    task_id = enqueued(queue)

    found = waiting(api, task_id)

    assert (found["reason"], found["position"]) == ("workers_busy", 0)
    assert found["detail"].startswith("it is the next one; all 2 workers are busy since ")


def test_a_free_worker_means_that_it_is_about_to_start(api: TestClient, queue: Queue) -> None:
    started(queue, joined(queue))
    joined(queue)
    task_id = enqueued(queue)

    assert waiting(api, task_id)["reason"] == "starting"


def test_a_task_that_a_worker_was_just_handed_is_about_to_start(api: TestClient, queue: Queue) -> None:
    task_id = enqueued(queue)
    assert moved(queue, joined(queue)) == task_id

    found = waiting(api, task_id)

    assert found == {"reason": "starting", "detail": "a worker has just been handed it"}


def test_a_queue_without_a_live_worker_has_none_to_take_it(api: TestClient, queue: Queue) -> None:
    lapse(queue, joined(queue))
    enqueued(queue)
    task_id = enqueued(queue)

    assert waiting(api, task_id) == {
        "reason": "no_worker",
        "position": 1,
        "detail": "no live worker serves the queue default",
    }


def test_a_type_that_none_of_the_workers_has_told_of_is_named(api: TestClient, queue: Queue) -> None:
    registry = Registry()
    registry.add("known", lambda payload: payload, Options())
    published = publish(registry, Defaults())
    queue.join("w", LEASE_S, b'{"catalog": "%s"}' % published.digest.encode(), published)
    known, unknown = enqueued(queue, type_="known"), enqueued(queue, type_="other")

    assert waiting(api, known)["reason"] == "starting"
    assert waiting(api, unknown)["reason"] == "no_worker_for_type"


def test_a_paused_queue_is_the_reason_and_positions_go_on(api: TestClient, queue: Queue) -> None:
    joined(queue)
    ids = [enqueued(queue) for _ in range(3)]
    gate.pause(queue, "deploy")
    ids.append(enqueued(queue))

    found = waiting(api, ids[3])

    assert (found["reason"], found["position"], found["detail"]) == (
        "queue_paused",
        3,
        "the queue default is paused: deploy",
    )
    assert found["since"] == api.simulate_get("/queues/default").json["paused"]["since"]


def test_a_task_with_a_moment_of_its_own_waits_for_it(api: TestClient, queue: Queue) -> None:
    task_id = enqueued(queue, delay_s=60)

    run_at = api.simulate_get(f"/tasks/{task_id}").json["run_at"]

    assert waiting(api, task_id) == {"reason": "run_at", "detail": f"it is due at {run_at}"}


def test_a_failed_attempt_waits_for_the_next_one(api: TestClient, queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.retry(worker, attempt, 30, "boom", DETAIL)

    found = waiting(api, attempt.id)

    run_at = api.simulate_get(f"/tasks/{attempt.id}").json["run_at"]
    assert found == {"reason": "backoff", "detail": f"the last attempt failed; retry 1 of 3 is due at {run_at}"}


@pytest.mark.parametrize("state", ["processing", "completed", "failed", "cancelled"])
def test_a_task_that_does_not_wait_says_nothing(api: TestClient, queue: Queue, state: str) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    if state == "cancelled":
        queue.cancel(attempt.id)
    elif state != "processing":
        SETTLES[{"completed": "complete", "failed": "fail"}[state]](queue, worker, attempt)

    answer = api.simulate_get(f"/tasks/{attempt.id}").json

    assert (answer["status"], "waiting" in answer) == (state, False)


def test_a_listing_says_nothing_about_waiting(api: TestClient, queue: Queue) -> None:
    enqueued(queue)

    (listed,) = api.simulate_get("/tasks").json

    assert "waiting" not in listed


def test_a_task_deep_in_a_long_list_is_not_looked_for_for_ever(
    api: TestClient, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "LOOK", 50)
    joined(queue)
    queue.enqueue_many([new() for _ in range(100)])
    deep = enqueued(queue)

    found = waiting(api, deep)

    assert (found["reason"], found["position"], found["detail"]) == (
        "behind_others",
        50,
        "at least 50 tasks start before it",
    )


def test_a_look_takes_a_few_trips_and_changes_nothing(
    queue: Queue, inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.enqueue_many([new(priority=priority) for _ in range(100) for priority in Priority])
    for _ in range(20):
        joined(queue)
        claim(queue, joined(queue))
    last = inspector.get(enqueued(queue, priority=Priority.LOW))
    assert last is not None
    before = snapshot(queue)
    trips: list[object] = []
    run = Link.run
    monkeypatch.setattr(Link, "run", lambda link, action: trips.append(action) or run(link, action))  # type: ignore[func-returns-value]

    found = standing.standing(inspector, last)

    assert len(trips) <= 7
    assert (found.ahead, found.workers, found.idle) == (280, 40, 20)
    assert snapshot(queue) == before
    assert last.status is Status.PENDING


def test_a_task_whose_type_is_at_its_concurrency_limit_says_so(api: TestClient, queue: Queue) -> None:
    put_in_force(queue, Limits("one", {"mail": Limit(1)}))
    running = started(queue, joined(queue), type_="mail")
    ids = [enqueued(queue, type_="mail") for _ in range(2)]
    idle = joined(queue)
    before = waiting(api, ids[0])
    assert queue.claim(idle) is None

    found = [waiting(api, task_id) for task_id in ids]

    assert before["reason"] == "concurrency_limit"
    assert [view["reason"] for view in found] == ["concurrency_limit"] * 2
    assert [view["position"] for view in found] == [0, 1]
    assert found[0]["detail"] == "1 of at most 1 tasks of the type mail are running"
    assert found[1]["detail"].endswith("; 1 task of this type starts before it")
    assert record(queue, running.id)["started_at"].endswith(found[0]["since"][-4:-1])


def test_a_task_whose_type_is_at_its_rate_says_when_the_next_one_can_start(api: TestClient, queue: Queue) -> None:
    put_in_force(queue, Limits("one", {"mail": Limit(0, Rate(1, 3600))}))
    worker = joined(queue)
    first = started(queue, worker, type_="mail")
    queue.complete(worker, first, b"1")
    task_id = enqueued(queue, type_="mail")
    assert queue.claim(worker) is None

    found = waiting(api, task_id)

    assert (found["reason"], found["position"]) == ("rate_limit", 0)
    assert found["detail"].startswith("the type mail may start 1/1h; the next one can at 20")
    assert record(queue, first.id)["started_at"].endswith(found["since"][-4:-1])


def no_trip_of_its_own(*_: Any) -> None:
    pytest.fail("the place of the task is asked for by itself")


def test_a_task_that_was_seen_to_wait_is_read_with_its_place_in_one_trip(
    api: TestClient, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueued(queue)
    first, second = enqueued(queue), enqueued(queue, priority=Priority.HIGH)
    assert [waiting(api, first)["position"], waiting(api, second)["position"]] == [2, 0]
    monkeypatch.setattr(Link, "script", no_trip_of_its_own)

    assert [waiting(api, first)["position"], waiting(api, second)["position"]] == [2, 0]


def test_a_task_that_was_seen_to_wait_is_shown_as_it_is_now(api: TestClient, queue: Queue) -> None:
    before, task_id, other = enqueued(queue), enqueued(queue), enqueued(queue)
    assert (waiting(api, task_id)["position"], waiting(api, other)["position"]) == (1, 2)

    queue.link.run(lambda client: client.script_flush())
    assert waiting(api, task_id)["position"] == 1
    queue.delete(before)
    assert waiting(api, task_id)["position"] == 0
    queue.cancel(task_id)
    shown = api.simulate_get(f"/tasks/{task_id}").json
    assert shown["status"] == "cancelled"
    assert "waiting" not in shown
    queue.requeue(task_id)
    assert waiting(api, task_id)["position"] == 1
    queue.delete(task_id)
    assert api.simulate_get(f"/tasks/{task_id}").status_code == 404
    assert waiting(api, other)["position"] == 0


def test_of_few_tasks_it_is_known_where_to_look(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_waiting, "MOST_PLACES", 2)
    looks = Looks(Inspector(queue.link, prefix=queue.keys.prefix))
    forgotten, *known = ids = [enqueued(queue) for _ in range(3)]
    for task_id in ids:
        looks.at(task_id)
    asked: list[str] = []
    run = queue.link.script

    def script(script: Script, *words: Any) -> Any:
        asked.append(script.name)
        return run(script, *words)

    monkeypatch.setattr(queue.link, "script", script)

    for task_id in known:
        looks.at(task_id)
    assert asked == []
    looks.at(forgotten)

    assert asked == ["standing"]
