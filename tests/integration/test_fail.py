"""fail: the task ends in the dead letter."""

from __future__ import annotations

import msgspec

from taskq.queue.queue import Queue
from taskq.task import ErrorDetail, ErrorKind, Verdict
from tests.integration.steps import DETAIL, joined, now_ms, record, score, started


def test_fail_ends_the_task_with_its_error(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    before = now_ms(queue)

    verdict = queue.fail(worker, attempt, "boom", DETAIL)

    stored = record(queue, attempt.id)
    assert verdict is Verdict.OK
    assert (stored["status"], stored["error"]) == ("failed", "boom")
    assert before <= int(stored["finished_at"]) <= now_ms(queue)
    assert score(queue, queue.keys.failed, attempt.id) == int(stored["finished_at"])


def test_fail_counts_no_retry_and_no_crash(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)

    queue.fail(worker, attempt, "boom", DETAIL)

    assert {"retries", "crashes"}.isdisjoint(record(queue, attempt.id))


def test_fail_keeps_every_field_of_the_detail(queue: Queue) -> None:
    detail = ErrorDetail(
        kind=ErrorKind.MEMORY,
        type="StopTask",
        message="memory limit exceeded",
        traceback='File "ä.py"\n',
        signal="SIGKILL",
        exit_code=3,
        peak_rss_bytes=1 << 40,
    )
    worker = joined(queue)
    attempt = started(queue, worker)

    queue.fail(worker, attempt, detail.message, detail)

    assert msgspec.json.decode(record(queue, attempt.id)["error_detail"], type=ErrorDetail) == detail
