"""POST /tasks/batch: an answer for each task, in order; or all of them or none."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from falcon.testing import Result, TestClient

from taskq.api.batch import MOST_ERRORS, MOST_TASKS
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.task import Status
from tests.integration.batches import LINES, PATH, echo, post, post_lines, statuses, stored
from tests.integration.steps import enqueued, entries, members, snapshot

# -- each for itself


def test_each_task_is_answered_in_order_as_if_it_had_been_posted_alone(api: TestClient, queue: Queue) -> None:
    tasks = [
        echo(payload={"n": 1}, priority="high", tags=["a"]),
        echo(delay="1h", expires_in="2h", timeout=5, max_retry=0, unique_key="u"),
        {"type": "other"},
    ]

    answer = post(api, tasks)

    assert answer.status_code == 200
    assert statuses(answer) == [201, 201, 201]
    shown = [entry["task"] for entry in answer.json]
    gets = [api.simulate_get(f"/tasks/{task['id']}").json for task in shown]
    assert shown == [{name: value for name, value in get.items() if name != "waiting"} for get in gets]
    assert [task["status"] for task in shown] == ["pending", "scheduled", "pending"]
    assert entries(queue, queue.keys.high) == [shown[0]["id"]]
    assert members(queue, queue.keys.scheduled) == [shown[1]["id"]]


def test_a_task_that_is_refused_says_why_and_keeps_no_other_out(api: TestClient, queue: Queue) -> None:
    holder = enqueued(queue, unique_key="u")
    tasks = [
        echo(),
        echo(priority="urgent", tags="x"),
        {"payload": 1},
        "echo",
        echo(unique_key="u"),
        echo(unique_key="v"),
        echo(unique_key="v"),
        {"type": 5},
        echo(),
    ]

    answer = post(api, tasks)

    assert answer.status_code == 200
    assert statuses(answer) == [201, 422, 400, 400, 409, 201, 409, 400, 201]
    assert answer.json[1] == {
        "status": 422,
        "error": "invalid priority: expected one of high, normal, low, got 'urgent'",
        "code": "invalid_members",
        "title": "Unprocessable Entity",
        "errors": [
            {"pointer": "/priority", "detail": "expected one of high, normal, low, got 'urgent'"},
            {"pointer": "/tags", "detail": "expected a list, got 'x'"},
        ],
    }
    assert answer.json[2]["error"] == "type is required"
    assert answer.json[3]["errors"] == [{"pointer": "", "detail": "expected a JSON object"}]
    assert (answer.json[4]["code"], answer.json[4]["task_id"]) == ("unique_key_taken", holder)
    assert answer.json[6]["task_id"] == answer.json[5]["task"]["id"]
    assert len(entries(queue, queue.keys.pending)) == 4


def test_the_tasks_of_a_batch_keep_their_order_in_each_queue(api: TestClient, inspector: Inspector) -> None:
    answer = post(api, [echo(queue="ab"[n % 2], payload=n) for n in range(10)])

    ids = [entry["task"]["id"] for entry in answer.json]
    for at, name in enumerate("ab"):
        queue = inspector.queue(name)
        assert entries(queue, queue.keys.pending) == ids[at::2]


def test_a_thousand_tasks_are_taken_and_one_more_is_not(api: TestClient, inspector: Inspector) -> None:
    answer = post(api, [echo()] * (MOST_TASKS + 1))

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_members")
    assert answer.json["errors"] == [{"pointer": "/tasks", "detail": "expected 1 to 1000 tasks, got 1001"}]
    assert stored(inspector) == []
    assert len(set(map(str, post(api, [echo()] * MOST_TASKS).json))) == MOST_TASKS
    assert len(stored(inspector)) == MOST_TASKS


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ({}, "/tasks", "expected 1 to 1000 tasks, got 0"),
        ({"tasks": []}, "/tasks", "expected 1 to 1000 tasks, got 0"),
        ({"tasks": {"type": "echo"}}, "/tasks", "expected a list, got a mapping"),
        ({"tasks": [{"type": "echo"}], "atomic": "yes"}, "/atomic", "expected true or false, got 'yes'"),
    ],
)
def test_a_body_that_is_no_batch_is_refused(api: TestClient, body: object, pointer: str, detail: str) -> None:
    answer = api.simulate_post(PATH, json=body)

    assert answer.status_code == 422
    assert answer.json["errors"] == [{"pointer": pointer, "detail": detail}]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"tasks": [{"type": "echo", "type": "x"}]}', b'{"tasks": [NaN]}'])
def test_a_body_that_is_no_json_is_refused_as_everywhere(api: TestClient, body: bytes) -> None:
    answer = api.simulate_post(PATH, body=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json["error"]) == (400, "invalid request body")


def test_a_batch_has_no_other_method(api: TestClient) -> None:
    assert api.simulate_get(PATH).status_code == 405
    assert api.simulate_delete(PATH).status_code == 405


# -- lines


def test_lines_are_tasks(api: TestClient) -> None:
    answer = post_lines(api, '{"type": "echo", "payload": "ä"}', "", '{"type": "echo"}\r', "  ")

    assert statuses(answer) == [201, 201]
    assert answer.json[0]["task"]["payload"] == "ä"


@pytest.mark.parametrize(
    "body",
    ["{0}\n{0}\n", "{0}\n{0}", "{0}\r\n{0}\r\n", "\n{0}\n \t\r\n\n{0}\n\n"],
    ids=["ended", "not ended", "crlf", "blank lines"],
)
def test_lines_may_end_in_every_usual_way(api: TestClient, body: str) -> None:
    line = '{"type": "echo", "payload": "a\u2028b"}'

    answer = api.simulate_post(PATH, body=body.format(line), headers={"Content-Type": "application/x-ndjson"})

    assert [entry["task"]["payload"] for entry in answer.json] == ["a\u2028b"] * 2


def test_a_byte_order_mark_is_a_fault_of_the_first_line_alone(api: TestClient) -> None:
    body = b'\xef\xbb\xbf{"type": "echo"}\n{"type": "echo"}'

    answer = api.simulate_post(PATH, body=body, headers={"Content-Type": "application/x-ndjson"})

    assert [entry["status"] for entry in answer.json] == [400, 201]
    assert answer.json[0]["errors"][0]["detail"] == "expected JSON without a byte order mark"


def test_a_line_that_is_no_json_is_refused_alone(api: TestClient) -> None:
    answer = post_lines(
        api, '{"type": "echo"}', '{"type": "echo"', "[1]", '{"type": "echo", "type": "x"}', '{"type": "echo"}'
    )

    assert statuses(answer) == [201, 400, 400, 400, 201]
    assert answer.json[1]["errors"][0]["detail"] == "Expecting ',' delimiter at line 1 column 16"


def test_a_line_in_another_encoding_is_refused_alone(api: TestClient) -> None:
    body = b'{"type": "echo", "payload": "\xff"}\n{"type": "echo"}'

    answer = api.simulate_post(PATH, body=body, headers=LINES)

    assert statuses(answer) == [400, 201]


def test_json_can_be_atomic_by_the_query_too(api: TestClient, inspector: Inspector) -> None:
    def posted(query: str, **members: Any) -> Result:
        return api.simulate_post(f"/tasks/batch?{query}", json={"tasks": [echo()], **members})

    assert [posted("atomic=true").status_code, posted("atomic=true", atomic=True).status_code] == [201, 201]
    assert [posted("atomic=false").status_code, posted("atomic=true", atomic=None).status_code] == [200, 201]
    torn = posted("atomic=true", atomic=False)
    assert torn.json["errors"] == [{"pointer": "/atomic", "detail": "expected true, as in the query, got false"}]
    empty = posted("atomic=", atomic=True)
    assert (empty.status_code, empty.json["errors"][0]["parameter"]) == (422, "atomic")
    assert len(stored(inspector)) == 4


def test_lines_can_be_atomic_by_the_query(api: TestClient, inspector: Inspector) -> None:
    refused = post_lines(api, '{"type": "echo"}', "[1]", query="atomic=true")
    taken = post_lines(api, '{"type": "echo"}', '{"type": "echo"}', query="atomic=true")
    each = post_lines(api, '{"type": "echo"}', "[1]", query="atomic=false")
    wrong = post_lines(api, '{"type": "echo"}', query="atomic=maybe")

    assert (refused.status_code, taken.status_code, each.status_code, wrong.status_code) == (422, 201, 200, 422)
    assert refused.json["errors"] == [{"pointer": "/tasks/1", "detail": "expected a JSON object"}]
    assert wrong.json["error"] == "invalid atomic: expected true or false, got 'maybe'"
    assert len(stored(inspector)) == 3


@pytest.mark.parametrize("count", [0, MOST_TASKS + 1])
def test_too_few_and_too_many_lines_are_refused(api: TestClient, count: int) -> None:
    answer = post_lines(api, *['{"type": "echo"}'] * count)

    assert (answer.status_code, answer.json["errors"][0]["detail"]) == (422, f"expected 1 to 1000 tasks, got {count}")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/ndjson", 200),
        ("application/jsonl", 200),
        ("Application/X-NDJSON; charset=UTF-8", 200),
        ("application/x-ndjson; charset=latin-1", 415),
        ("text/plain", 415),
    ],
)
def test_lines_are_known_by_their_media_type(api: TestClient, content_type: str, status: int) -> None:
    answer = api.simulate_post(PATH, body='{"type": "echo"}\n{"type": "echo"}', headers={"Content-Type": content_type})

    assert answer.status_code == status
    if content_type == "text/plain":
        assert answer.json["error"] == "expected Content-Type: application/json or application/x-ndjson, got 'text/plain'"


def test_lines_that_are_compressed_are_refused(api: TestClient) -> None:
    answer = api.simulate_post(PATH, body="x", headers={**LINES, "Content-Encoding": "gzip"})

    assert answer.status_code == 415


# -- all or none


def test_an_atomic_batch_is_stored_as_one(api: TestClient, inspector: Inspector) -> None:
    answer = post(api, [echo(unique_key="u"), echo(unique_key="v"), echo()], atomic=True)

    assert answer.status_code == 201
    assert statuses(answer) == [201, 201, 201]
    assert sorted(stored(inspector)) == sorted(entry["task"]["id"] for entry in answer.json)


@pytest.mark.parametrize(
    ("bad", "pointer", "detail"),
    [
        (echo(priority="urgent"), "/tasks/1/priority", "expected one of high, normal, low, got 'urgent'"),
        ({}, "/tasks/1/type", "expected a string"),
        (5, "/tasks/1", "expected a JSON object"),
        (echo(unique_key="taken"), "/tasks/1/unique_key", "expected a key that no unfinished task has, got 'taken'"),
        (
            echo(unique_key="mine"),
            "/tasks/1/unique_key",
            "expected a key that no other task of the batch has, got that of /tasks/0",
        ),
        (
            echo(queue="other"),
            "/tasks",
            "expected all tasks of an atomic batch in one queue, got default, other; send one for each queue",
        ),
    ],
)
def test_one_bad_task_keeps_an_atomic_batch_out(
    api: TestClient, queue: Queue, bad: object, pointer: str, detail: str
) -> None:
    enqueued(queue, unique_key="taken")
    before = snapshot(queue)

    answer = post(api, [echo(unique_key="mine"), bad, echo()], atomic=True)

    assert (answer.status_code, answer.json["code"]) == (422, "batch_refused")
    assert answer.json["errors"] == [{"pointer": pointer, "detail": detail}]
    assert snapshot(queue) == before


def test_all_faults_of_an_atomic_batch_are_named_at_once(api: TestClient) -> None:
    answer = post(api, [echo(delay=-1, tags=[""]), echo(), echo(queue=5)], atomic=True)

    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/tasks/0/delay", "/tasks/0/tags/0", "/tasks/2/queue"]
    assert answer.json["error"].startswith(
        "2 of 3 tasks are refused, so none was stored; the first: invalid delay: expected"
    )


def test_a_great_number_of_faults_is_cut(api: TestClient) -> None:
    answer = post(api, [echo(queue=5)] * 1000, atomic=True)

    assert len(answer.json["errors"]) == MOST_ERRORS
    assert answer.json["error"].startswith("1000 of 1000 tasks are refused")


# -- told to others


def test_a_batch_is_logged_in_one_line(api: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "taskq")

    post(api, [echo(payload="secret"), echo(queue="b"), echo(queue=5)], {"X-Request-ID": "r1"})

    lines = [vars(record) for record in caplog.records if vars(record)["event"] == "batch.enqueued"]
    assert [(line["tasks"], line["refused"], line["queues"], line["request_id"]) for line in lines] == [
        (2, 1, ["b", "default"], "r1")
    ]
    assert "secret" not in str([vars(record) for record in caplog.records])


def test_each_task_of_a_batch_is_logged_for_those_who_look_closely(
    api: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "taskq")

    answer = post(api, [echo(), echo()])

    lines = [vars(record) for record in caplog.records if vars(record)["event"] == "task.enqueued"]
    assert [line["task_id"] for line in lines] == [entry["task"]["id"] for entry in answer.json]


def test_a_batch_is_listed_like_any_other_tasks(api: TestClient) -> None:
    answer = post(api, [echo(payload=n) for n in range(60)])

    listed = api.simulate_get("/tasks?limit=500").json
    assert sorted(task["id"] for task in listed) == sorted(entry["task"]["id"] for entry in answer.json)
    assert {task["status"] for task in listed} == {str(Status.PENDING)}
    assert json.loads(answer.content)[0]["task"]["payload"] == 0
