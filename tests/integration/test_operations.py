"""Actions on many tasks, carried out in steps by whoever has the lease."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from taskq.maintenance.operations import Operator
from taskq.queue import actions
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.operations import Action, Kind, Operation, Operations
from taskq.queue.queue import Queue
from taskq.queue.selection import Filter
from taskq.task import ErrorDetail, ErrorKind, Status
from tests.integration.steps import DETAIL, claim, enqueued, joined, new, now_ms, record, status, until

FAILED = Filter(status=Status.FAILED)


@pytest.fixture
def operations(inspector: Inspector) -> Operations:
    return Operations(inspector)


@pytest.fixture(autouse=True)
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few tasks take several steps, with boundaries in the middle of everything."""
    monkeypatch.setattr(actions, "BATCH", 3)


def failed(queue: Queue, *types: str, detail: ErrorDetail = DETAIL) -> list[str]:
    """Tasks that have just failed."""
    worker = joined(queue)
    queue.enqueue_many([new(type_) for type_ in types])
    ids = []
    for _ in types:
        attempt = claim(queue, worker)
        queue.fail(worker, attempt, "boom", detail)
        ids.append(attempt.id)
    return ids


def planned(operations: Operations, kind: Kind, **fields: Any) -> str:
    """An operation that was asked for after everything that has happened, and before everything that will."""
    inspector = operations.inspector
    before = inspector.now_ms()
    until(lambda: inspector.now_ms() > before, "a moment later")
    operation = operations.plan(str(uuid.uuid4()), Action(kind=kind, **fields))
    until(lambda: inspector.now_ms() > operation.created_at_ms, "a moment later")
    return operation.id


def carried_out(operations: Operations, operation_id: str, operator: Operator | None = None) -> Operation:
    """The operation after one process has done all that it can."""
    operator = operator or Operator(operations)
    while operator.operate():
        pass
    return shown(operations, operation_id)


def shown(operations: Operations, operation_id: str) -> Operation:
    found = operations.get(operation_id)
    assert found is not None
    return found


def counts(operation: Operation) -> tuple[int, int, int, int]:
    return operation.matched, operation.done, operation.skipped, operation.failed


def test_all_failed_tasks_of_a_type_are_requeued_and_no_others(queue: Queue, operations: Operations) -> None:
    wanted = failed(queue, *["a"] * 10)
    others = failed(queue, *["b"] * 5)

    operation_id = planned(operations, Kind.REQUEUE, filter=Filter(status=Status.FAILED, type="a"))
    operation = carried_out(operations, operation_id)

    assert (operation.state, counts(operation)) == ("completed", (10, 10, 0, 0))
    assert {status(queue, task_id) for task_id in wanted} == {Status.PENDING}
    assert {status(queue, task_id) for task_id in others} == {Status.FAILED}
    assert operation.created_at_ms <= (operation.started_at_ms or 0) <= (operation.finished_at_ms or 0)


def test_a_task_that_fails_again_is_not_requeued_again(queue: Queue, operations: Operations) -> None:
    failed(queue, *["a"] * 7)
    worker, operator = joined(queue), Operator(operations)
    operation_id = planned(operations, Kind.REQUEUE, filter=FAILED)

    more, runs = True, 0
    while more:
        more = operator.operate()
        while attempt := queue.claim(worker):
            queue.fail(worker, attempt, "boom", DETAIL)
            runs += 1

    assert runs == 7
    assert counts(shown(operations, operation_id)) == (7, 7, 0, 0)


@pytest.mark.parametrize("kind", Kind)
def test_a_step_that_is_done_again_by_another_process_does_nothing_twice(
    queue: Queue, operations: Operations, inspector: Inspector, kind: Kind
) -> None:
    ids = [enqueued(queue) for _ in range(8)] if kind is Kind.CANCEL else failed(queue, *["a"] * 8)
    wanted = Filter(status=Status.PENDING if kind is Kind.CANCEL else Status.FAILED)
    operation_id = planned(operations, kind, filter=wanted)
    worker = joined(queue)
    runs = 0
    for _ in range(100):
        holder = uuid.uuid4().hex
        operation = operations.take(holder)
        if operation is None:
            break
        actions.step(inspector, operation)
        while kind is Kind.REQUEUE and (attempt := queue.claim(worker)):
            queue.fail(worker, attempt, "boom", DETAIL)
            runs += 1
        queue.link.redis.hset(operations._keys.operation_prefix + operation_id, "held_until", 1)  # it died
        Operator(operations).operate()
        queue.link.redis.hset(operations._keys.operation_prefix + operation_id, "held_until", 1)

    operation = shown(operations, operation_id)
    assert (operation.state, counts(operation)) == ("completed", (8, 8, 0, 0))
    found = {status(queue, task_id) for task_id in ids}
    assert found == {{Kind.CANCEL: Status.CANCELLED, Kind.REQUEUE: Status.FAILED, Kind.DELETE: None}[kind]}
    assert runs == (8 if kind is Kind.REQUEUE else 0)


def test_only_one_process_has_an_operation_until_its_lease_ends(queue: Queue, operations: Operations) -> None:
    failed(queue, "a")
    operation_id = planned(operations, Kind.REQUEUE, filter=FAILED)
    first = operations.take("first")
    assert first is not None

    assert operations.take("second") is None
    queue.link.redis.hset(operations._keys.operation_prefix + operation_id, "held_until", 1)
    assert operations.take("second") is not None
    assert operations.advance("first", first) == ""
    assert shown(operations, operation_id).step == 0


def test_an_operation_that_is_stopped_goes_no_further(queue: Queue, operations: Operations) -> None:
    ids = failed(queue, *["a"] * 9)
    operator = Operator(operations)
    operation_id = planned(operations, Kind.DELETE, filter=FAILED)
    operator.operate()
    operator.operate()

    assert operations.halt(operation_id)
    operation = carried_out(operations, operation_id, operator)

    assert (operation.state, operation.done) == ("stopped", 3)
    assert sum(status(queue, task_id) is Status.FAILED for task_id in ids) == 6
    assert operations.halt(operation_id)
    assert carried_out(operations, operation_id) == operation


def test_an_operation_that_is_stopped_before_it_begins_does_nothing(queue: Queue, operations: Operations) -> None:
    ids = failed(queue, "a")
    operation_id = planned(operations, Kind.DELETE, filter=FAILED)
    operations.halt(operation_id)

    operation = carried_out(operations, operation_id)

    assert (operation.state, counts(operation)) == ("stopped", (0, 0, 0, 0))
    assert status(queue, ids[0]) is Status.FAILED


def test_operations_are_carried_out_one_after_the_other(queue: Queue, operations: Operations) -> None:
    ids = failed(queue, *["a"] * 5)
    first = planned(operations, Kind.REQUEUE, filter=FAILED)
    second = planned(operations, Kind.CANCEL, filter=Filter(status=Status.PENDING), reason="why")

    carried_out(operations, second)

    assert [shown(operations, each).state for each in (first, second)] == ["completed", "completed"]
    assert {status(queue, task_id) for task_id in ids} == {Status.CANCELLED}
    assert record(queue, ids[0])["error"] == "cancelled: why"
    assert [operation.id for operation in operations.newest()] == [second, first]


def test_tasks_that_are_named_are_dealt_with_wherever_they_are(
    queue: Queue, operations: Operations, link: Link, prefix: str
) -> None:
    elsewhere = Queue(link, prefix=prefix, name="elsewhere")
    ids = [*[enqueued(queue) for _ in range(4)], *[enqueued(elsewhere) for _ in range(3)]]
    ended, nowhere = failed(Queue(link, prefix=prefix, name="third"), "a")[0], str(uuid.uuid4())

    operation = carried_out(operations, planned(operations, Kind.CANCEL, ids=[*ids, ended, nowhere]))

    assert counts(operation) == (9, 7, 2, 0)
    assert status(queue, ids[0]) is status(elsewhere, ids[-1]) is Status.CANCELLED


def test_every_queue_is_searched(queue: Queue, operations: Operations, link: Link, prefix: str) -> None:
    queues = [queue, *[Queue(link, prefix=prefix, name=name) for name in ("a", "b", "z")]]
    for each in queues:
        failed(each, *["a"] * 4)
        worker = joined(each)
        enqueued(each)
        each.cancel(claim(each, worker).id)

    operation = carried_out(operations, planned(operations, Kind.REQUEUE, filter=Filter(type="a")))
    assert counts(operation) == (16, 16, 0, 0)

    operation = carried_out(operations, planned(operations, Kind.REQUEUE, filter=Filter(queue="z")))
    assert counts(operation) == (1, 1, 0, 0)


def test_a_task_whose_unique_key_is_taken_is_told_as_a_failure(queue: Queue, operations: Operations) -> None:
    worker = joined(queue)
    old = enqueued(queue, unique_key="k")
    queue.fail(worker, claim(queue, worker), "boom", DETAIL)
    holder = enqueued(queue, unique_key="k")

    operation = carried_out(operations, planned(operations, Kind.REQUEUE, filter=FAILED))

    assert counts(operation) == (1, 0, 0, 1)
    assert [fault.task_id for fault in operation.errors] == [old]
    assert holder in operation.errors[0].detail


def test_a_task_that_has_changed_since_it_was_found_is_spared(queue: Queue, operations: Operations) -> None:
    waiting_id = enqueued(queue)
    cancel_id = planned(operations, Kind.CANCEL, filter=Filter(status=Status.PENDING))
    operator = Operator(operations)
    operator.operate()

    attempt = claim(queue, joined(queue))
    operation = carried_out(operations, cancel_id)

    assert attempt.id == waiting_id
    assert status(queue, waiting_id) is Status.PROCESSING
    # the process that found it holds the lease, so nobody else has done anything
    assert counts(operation) == (1, 0, 0, 0)
    assert counts(carried_out(operations, cancel_id, operator)) == (1, 0, 1, 0)
    assert status(queue, waiting_id) is Status.PROCESSING


def test_a_failed_task_that_runs_again_is_not_deleted(queue: Queue, operations: Operations) -> None:
    ids = failed(queue, "a", "a")
    operation_id = planned(operations, Kind.DELETE, filter=FAILED)
    operator = Operator(operations)
    operator.operate()
    queue.requeue(ids[0])
    queue.requeue(ids[1])
    worker = joined(queue)
    again = claim(queue, worker)
    queue.fail(worker, again, "boom", DETAIL)

    assert counts(carried_out(operations, operation_id, operator)) == (2, 0, 2, 0)
    assert [status(queue, task_id) for task_id in (again.id, *(set(ids) - {again.id}))] == [Status.FAILED, Status.PENDING]


def test_each_condition_of_a_filter_counts(queue: Queue, operations: Operations, inspector: Inspector) -> None:
    first = failed(queue, "a")[0]
    moment = now_ms(queue)
    until(lambda: now_ms(queue) > moment, "a moment later")
    middle = now_ms(queue)
    timeouts = failed(queue, "a", "b", detail=ErrorDetail(kind=ErrorKind.TIMEOUT))
    tagged = enqueued(queue, tags=("x", "xy"))
    later = enqueued(queue, delay_s=60, tags=("xyz",))

    def found(kind: Kind = Kind.DELETE, **conditions: Any) -> set[str]:
        action = Action(kind=kind, filter=Filter(**conditions))
        counted = actions.count(inspector, action, now_ms(queue), 60, 100)
        assert (counted.exact, counted.matched) == (True, len(counted.sample))
        return {task_id for _, task_id in counted.sample}

    assert found(status=Status.FAILED) == {first, *timeouts}
    assert found(status=Status.FAILED, finished_from_ms=middle) == set(timeouts)
    assert found(finished_from_ms=middle) == set(timeouts)
    assert found(finished_until_ms=middle) == {first}
    assert found(status=Status.FAILED, finished_until_ms=middle) == {first}
    assert found(status=Status.FAILED, created_from_ms=middle) == set(timeouts)
    assert found(created_until_ms=middle) == {first}
    assert found(error_kind=ErrorKind.TIMEOUT, type="b") == {timeouts[1]}
    assert found(tag="x") == {tagged}
    assert found(tag="y") == set()
    assert found(Kind.CANCEL, type="echo") == {tagged, later}
    assert found(Kind.CANCEL, type="a") == set()
    assert found(Kind.REQUEUE, type="a") == {first, timeouts[0]}
    assert found(queue="nobody") == set()


def test_a_record_that_cannot_be_read_is_no_match(queue: Queue, inspector: Inspector) -> None:
    odd, garbage = enqueued(queue), enqueued(queue)
    queue.link.redis.delete(queue.keys.task(odd))
    queue.link.redis.set(queue.keys.task(odd), "not a hash")
    queue.link.redis.hset(queue.keys.task(garbage), mapping={"created_at": "x", "finished_at": "x"})

    for wanted in (Filter(type="echo"), Filter(created_from_ms=1), Filter(finished_until_ms=2**50), Filter(tag="x")):
        counted = actions.count(inspector, Action(kind=Kind.DELETE, filter=wanted), now_ms(queue), 60, 9)
        assert odd not in {task_id for _, task_id in counted.sample}


def test_an_operation_that_has_ended_expires_and_is_then_not_listed(queue: Queue, operations: Operations) -> None:
    operation_id = planned(operations, Kind.DELETE, filter=FAILED)
    carried_out(operations, operation_id)
    key = operations._keys.operation_prefix + operation_id
    assert 0 < queue.link.redis.pttl(key) <= 7 * 86_400_000

    queue.link.redis.delete(key)

    assert operations.get(operation_id) is None
    assert operations.newest() == []
    planned(operations, Kind.DELETE, filter=FAILED)
    assert queue.link.redis.zscore(operations._keys.operations, operation_id) is None


def test_an_open_operation_whose_record_is_gone_does_not_hold_up_the_next(queue: Queue, operations: Operations) -> None:
    lost = planned(operations, Kind.DELETE, filter=FAILED)
    queue.link.redis.delete(operations._keys.operation_prefix + lost)
    following = planned(operations, Kind.DELETE, filter=FAILED)

    assert operations.take("holder") is None
    assert carried_out(operations, following).state == "completed"
