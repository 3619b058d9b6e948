"""The reason why a task waits, in a word and in a sentence."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from taskq.api.waiting import explain
from taskq.queue.inspect import Pause
from taskq.queue.standing import Standing
from taskq.task import Status, Task

TASK = Task(id="5335d502-a2c7-4abd-9496-c64692b43869", type="report", queue="mail", status=Status.PENDING)
SINCE_MS = 1_769_943_212_987
SINCE = "2026-02-01T10:53:32.987Z"


def found(**fields: Any) -> dict[str, Any]:
    usual = {
        "paused": None,
        "ahead": 0,
        "higher": 0,
        "beyond": False,
        "workers": 3,
        "idle": 0,
        "busy_since_ms": SINCE_MS,
        "servers": 3,
    }
    reason: dict[str, Any] = msgspec.to_builtins(explain(TASK, Standing(**{**usual, **fields})))
    return reason


def test_a_pause_comes_first_with_its_reason() -> None:
    assert found(paused=Pause(SINCE_MS, "deploy"), ahead=4, workers=0, servers=0) == {
        "reason": "queue_paused",
        "position": 4,
        "detail": "the queue mail is paused: deploy",
        "since": SINCE,
    }
    assert found(paused=Pause(SINCE_MS, ""))["detail"] == "the queue mail is paused"


def test_a_queue_without_workers_is_told_before_all_that_workers_do() -> None:
    assert found(ahead=4, workers=0, servers=None, idle=0, busy_since_ms=None) == {
        "reason": "no_worker",
        "position": 4,
        "detail": "no live worker serves the queue mail",
    }


def test_a_type_that_no_worker_serves_is_told() -> None:
    assert found(ahead=4, servers=0) == {
        "reason": "no_worker_for_type",
        "position": 4,
        "detail": "no live worker of the queue mail serves the type report; one that takes it will fail it",
    }


def test_nothing_is_said_about_types_while_workers_have_not_told() -> None:
    assert found(servers=None)["reason"] == "workers_busy"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"ahead": 1}, f"1 task starts before it; all 3 workers are busy since {SINCE}"),
        (
            {"ahead": 41, "higher": 3},
            f"41 tasks start before it, 3 of a higher priority; all 3 workers are busy since {SINCE}",
        ),
        ({"ahead": 41, "workers": 1}, f"41 tasks start before it; the only worker is busy since {SINCE}"),
        ({"ahead": 41, "idle": 1}, "41 tasks start before it"),
        ({"ahead": 41, "idle": None, "busy_since_ms": None}, "41 tasks start before it"),
        ({"ahead": 41, "busy_since_ms": None}, "41 tasks start before it; all 3 workers are busy"),
        ({"ahead": 131072, "beyond": True, "idle": 2}, "at least 131072 tasks start before it"),
    ],
)
def test_a_task_behind_others_says_how_many(fields: dict[str, Any], sentence: str) -> None:
    view = found(**fields)

    assert (view["reason"], view["position"], view["detail"]) == ("behind_others", fields["ahead"], sentence)


def test_the_next_task_waits_for_a_worker_to_get_free() -> None:
    assert found() == {
        "reason": "workers_busy",
        "position": 0,
        "detail": f"it is the next one; all 3 workers are busy since {SINCE}",
        "since": SINCE,
    }


def test_the_next_task_beside_a_free_worker_is_about_to_start() -> None:
    assert found(idle=2) == {"reason": "starting", "position": 0, "detail": "it is the next one and a worker is free"}


def test_a_task_that_stands_in_no_list_was_handed_to_a_worker() -> None:
    assert found(ahead=None, higher=None) == {"reason": "starting", "detail": "a worker has just been handed it"}
