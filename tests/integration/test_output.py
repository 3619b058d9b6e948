"""output: what an attempt has printed is kept with its task, bounded, until the task goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from falcon.testing import TestClient

from taskq.output import BLOCK_BYTES
from taskq.queue.queue import Queue
from taskq.queue.reports import Holder, Printed
from taskq.task import Attempt, Status, Verdict
from tests.integration import test_fence
from tests.integration.steps import DETAIL, claim, enqueued, joined, printed, snapshot, started

KEPT = 4 * BLOCK_BYTES


def output_of(queue: Queue, task_id: str, kept_bytes: int = KEPT) -> dict[int, Printed]:
    return queue.reports.printed(task_id, kept_bytes)


def again(queue: Queue, worker: str, attempt: Attempt) -> Attempt:
    """The next attempt of the same task, in the same worker."""
    queue.retry(worker, attempt, 0, "boom", DETAIL)
    queue.promote()
    return claim(queue, worker)


@pytest.mark.parametrize("data", [b"hello\n", b"\xff\x00\r", b"x" * KEPT, b"y" * (BLOCK_BYTES + 1)])
def test_what_was_printed_is_kept_byte_for_byte(queue: Queue, data: bytes) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)

    assert printed(queue, worker, attempt, data, KEPT) is Verdict.OK

    assert output_of(queue, attempt.id) == {1: Printed(data, False)}


def test_a_task_that_prints_nothing_has_no_key(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.complete(worker, attempt, b"1")

    assert not [key for key in snapshot(queue) if ":output:" in key]
    assert output_of(queue, attempt.id) == {}


def test_of_long_output_the_newest_is_kept_and_marked_as_cut(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    data = b"".join(b"%07d\n" % n for n in range(8 * KEPT // 8))

    for end in range(0, len(data), 3 * BLOCK_BYTES + 100):
        printed(queue, worker, attempt, data[:end], KEPT)
    printed(queue, worker, attempt, data, KEPT)

    assert output_of(queue, attempt.id) == {1: Printed(data[-KEPT:], True)}
    fields = queue.link.redis.hlen(queue.keys.output_prefix + attempt.id)
    assert fields == KEPT // BLOCK_BYTES + 1


def test_a_gap_is_not_papered_over(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    holder = Holder(worker, attempt.id, 1)
    queue.reports.output(holder, [(0, b"a" * BLOCK_BYTES)], KEPT)
    queue.reports.output(holder, [(9 * BLOCK_BYTES, b"z")], KEPT)

    assert output_of(queue, attempt.id) == {1: Printed(b"z", True)}


def test_what_was_sent_earlier_and_comes_later_takes_nothing_away(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    printed(queue, worker, attempt, b"first and second", KEPT)
    before = snapshot(queue)

    assert printed(queue, worker, attempt, b"first", KEPT) is Verdict.OK
    assert printed(queue, worker, attempt, b"first and second", KEPT) is Verdict.OK

    assert snapshot(queue) == before


def test_every_attempt_has_its_own_output(queue: Queue) -> None:
    worker = joined(queue)
    first = started(queue, worker)
    printed(queue, worker, first, b"one", KEPT)
    second = again(queue, worker, first)
    third = again(queue, worker, second)
    printed(queue, worker, third, b"three", KEPT)

    assert output_of(queue, first.id) == {1: Printed(b"one", False), 3: Printed(b"three", False)}


def test_all_attempts_together_are_bounded_and_the_oldest_goes_first(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    for number in range(1, 12):
        printed(queue, worker, attempt, b"%d" % number, KEPT)
        attempt = again(queue, worker, attempt)

    assert sorted(output_of(queue, attempt.id)) == [7, 8, 9, 10, 11]


@pytest.mark.parametrize("overtake", [o for o in test_fence.OVERTAKEN if o is not test_fence.cancelled])
def test_an_overtaken_attempt_prints_nothing(queue: Queue, overtake: Callable[[Queue, str, Attempt], None]) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    overtake(queue, worker, attempt)
    before = snapshot(queue)

    assert printed(queue, worker, attempt, b"late", KEPT) is Verdict.STALE
    assert snapshot(queue) == before


def test_a_cancelled_attempt_still_leaves_its_last_words(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.cancel(attempt.id)

    assert printed(queue, worker, attempt, b"cleaning up", KEPT) is Verdict.OK
    assert printed(queue, joined(queue, "other"), attempt, b"not mine", KEPT) is Verdict.STALE


@pytest.mark.parametrize(
    "remove",
    [lambda queue, task_id: queue.delete(task_id), lambda queue, _: queue.trim(Status.COMPLETED, 0)],
    ids=["delete", "trim"],
)
def test_output_goes_with_its_task(queue: Queue, remove: Callable[[Queue, str], object]) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    printed(queue, worker, attempt, b"text", KEPT)
    queue.complete(worker, attempt, b"1")

    remove(queue, attempt.id)

    assert not [key for key in snapshot(queue) if attempt.id in key]


# -- GET /tasks/{id}/logs


@pytest.fixture
def ran(queue: Queue) -> tuple[str, Attempt]:
    worker = joined(queue)
    return worker, started(queue, worker)


def test_the_output_of_a_running_attempt_is_shown(queue: Queue, api: TestClient, ran: tuple[str, Attempt]) -> None:
    worker, attempt = ran
    printed(queue, worker, attempt, "näch\n".encode())

    answer = api.simulate_get(f"/tasks/{attempt.id}/logs")

    assert answer.status_code == 200
    assert answer.json == {"id": attempt.id, "attempt": 1, "text": "näch\n", "truncated": False, "attempts": [1]}
    assert answer.headers["Content-Type"] == "application/json"


def test_a_task_without_output_shows_none(queue: Queue, api: TestClient) -> None:
    task_id = enqueued(queue)

    answer = api.simulate_get(f"/tasks/{task_id}/logs")

    assert answer.json == {"id": task_id, "attempt": 0, "text": "", "truncated": False, "attempts": []}


def test_the_newest_attempt_is_shown_unless_another_is_asked_for(
    queue: Queue, api: TestClient, ran: tuple[str, Attempt]
) -> None:
    worker, first = ran
    printed(queue, worker, first, b"one")
    again(queue, worker, first)

    assert api.simulate_get(f"/tasks/{first.id}/logs").json["attempt"] == 2
    assert api.simulate_get(f"/tasks/{first.id}/logs").json["text"] == ""
    assert api.simulate_get(f"/tasks/{first.id}/logs?attempt=1").json["text"] == "one"
    assert api.simulate_get(f"/tasks/{first.id}/logs?attempt=9").json["text"] == ""


@pytest.mark.parametrize("accept", ["text/plain", "text/plain;q=0.9, application/json;q=0.5", "text/*"])
def test_plain_text_is_had_by_asking_for_it(queue: Queue, api: TestClient, ran: tuple[str, Attempt], accept: str) -> None:
    worker, attempt = ran
    printed(queue, worker, attempt, b"<b>\xff\n")

    answer = api.simulate_get(f"/tasks/{attempt.id}/logs", headers={"Accept": accept})

    assert answer.text == "<b>\ufffd\n"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/plain", "image/png", ""])
def test_everybody_else_gets_json(queue: Queue, api: TestClient, ran: tuple[str, Attempt], accept: str) -> None:
    answer = api.simulate_get(f"/tasks/{ran[1].id}/logs", headers={"Accept": accept})

    assert answer.headers["Content-Type"] == "application/json"


def test_cut_output_is_marked_and_begins_with_a_whole_character(
    queue: Queue, api: TestClient, ran: tuple[str, Attempt]
) -> None:
    worker, attempt = ran
    printed(queue, worker, attempt, b"x" + "ä".encode() * (1 << 16))

    shown = api.simulate_get(f"/tasks/{attempt.id}/logs").json
    plain = api.simulate_get(f"/tasks/{attempt.id}/logs", headers={"Accept": "text/plain"})

    assert (shown["truncated"], shown["text"]) == (True, "ä" * (1 << 15))
    assert plain.text == "[... cut: only the newest output is kept]\n" + "ä" * (1 << 15)


@pytest.mark.parametrize("attempt", ["0", "-1", "x", "1.0", "9" * 19])
def test_an_attempt_that_is_no_number_is_refused(queue: Queue, api: TestClient, attempt: str) -> None:
    answer = api.simulate_get(f"/tasks/{enqueued(queue)}/logs", query_string=f"attempt={attempt}")

    assert answer.status_code == 422
    assert answer.json["error"].startswith("invalid attempt: expected the number of an attempt, counted from 1, got")


@pytest.mark.parametrize("task_id", ["no-such-task", "5335d502-a2c7-4abd-9496-c64692b43869"])
def test_an_unknown_task_has_no_output(api: TestClient, task_id: str) -> None:
    assert api.simulate_get(f"/tasks/{task_id}/logs").status_code == 404
