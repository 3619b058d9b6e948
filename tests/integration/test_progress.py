"""progress: a running attempt tells how far it has come, and an overtaken one tells nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.queue.reports import REPORTS, Holder
from taskq.task import Attempt, Progress
from tests.integration import test_fence
from tests.integration.steps import DETAIL, SETTLES, claim, enqueued, joined, record, snapshot, started, tell


def shown(inspector: Inspector, task_id: str) -> Progress | None:
    task = inspector.get(task_id)
    assert task is not None
    return task.progress


@pytest.mark.parametrize("progress", [Progress(3, 10, "resizing"), Progress(0.5, None, "näch"), Progress(-1)])
def test_what_was_told_is_shown_as_it_was_told(queue: Queue, inspector: Inspector, progress: Progress) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)

    assert tell(queue, worker, attempt, progress) == 1

    assert shown(inspector, attempt.id) == progress


def test_progress_changes_nothing_but_itself_and_the_time_of_the_change(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    before = record(queue, attempt.id)

    tell(queue, worker, attempt, Progress(1, 2))

    after = record(queue, attempt.id)
    assert {name for name in after if after[name] != before.get(name)} <= {"progress", "updated_at"}
    assert "progress" in after


def test_the_last_word_counts(queue: Queue, inspector: Inspector) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)

    for done in (1, 2, 2):
        tell(queue, worker, attempt, Progress(done))

    assert shown(inspector, attempt.id) == Progress(2)


def test_many_attempts_tell_in_one_call(queue: Queue, inspector: Inspector) -> None:
    worker = joined(queue)
    tasks = [enqueued(queue) for _ in range(REPORTS + 3)]
    attempts = [claim(queue, worker) for _ in range(1)]
    reports = [(Holder(worker, task_id, 1), Progress(7)) for task_id in tasks]

    assert queue.reports.progress(reports) == 1
    assert shown(inspector, attempts[0].id) == Progress(7)


@pytest.mark.parametrize("settle", SETTLES.values(), ids=SETTLES)
def test_progress_stays_with_the_attempt_that_ended(
    queue: Queue, inspector: Inspector, settle: Callable[[Queue, str, Attempt], object]
) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    tell(queue, worker, attempt, Progress(1, 3))

    settle(queue, worker, attempt)

    assert shown(inspector, attempt.id) == Progress(1, 3)


def test_the_next_attempt_begins_without_progress(queue: Queue, inspector: Inspector) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    tell(queue, worker, attempt, Progress(1, 3))
    queue.retry(worker, attempt, 0, "boom", DETAIL)
    queue.promote()

    claim(queue, worker)

    assert shown(inspector, attempt.id) is None


@pytest.mark.parametrize("overtake", test_fence.OVERTAKEN)
def test_an_overtaken_attempt_tells_nothing(queue: Queue, overtake: Callable[[Queue, str, Attempt], None]) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    overtake(queue, worker, attempt)
    before = snapshot(queue)

    assert tell(queue, worker, attempt, Progress(1)) == 0
    assert snapshot(queue) == before


def test_a_claim_that_was_not_started_has_no_progress(queue: Queue) -> None:
    worker = joined(queue)
    task_id = enqueued(queue)
    queue.link.block_move(queue.keys.pending, queue.keys.processing(worker), 1)

    assert tell(queue, worker, Attempt(id=task_id, type="echo", queue="default", attempt=0), Progress(1)) == 0


def test_a_record_says_processing_but_the_worker_does_not_hold_it(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.link.redis.lrem(queue.keys.processing(worker), 1, attempt.id)

    assert tell(queue, worker, attempt, Progress(1)) == 0
