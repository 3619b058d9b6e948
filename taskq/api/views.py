"""What the API shows of a task, a queue and a worker, as `shapes.py` has it. Pure functions of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import UNSET, UnsetType

from taskq.api import shapes
from taskq.catalog import TypeInfo
from taskq.queue.answers import Enqueued
from taskq.queue.inspect import Pause, QueueState, Run, WorkerState
from taskq.queue.limits import Use
from taskq.queue.operations import Operation
from taskq.queue.schedules import ScheduleState
from taskq.queue.selection import Filter
from taskq.task import NewTask, Progress, Status, Task
from taskq.units import format_rate

T = TypeVar("T")
N = TypeVar("N", float, float | None)


def task_view(task: Task, waiting: shapes.Waiting | None = None) -> shapes.Task:
    """A task; payload and result go in as the JSON text they are stored as."""
    # written out, without the helpers below: this is done for every task of every answer
    return shapes.Task(
        id=task.id,
        type=task.type,
        payload=msgspec.Raw(task.payload) if task.payload else UNSET,
        status=task.status,
        result=msgspec.Raw(task.result) if task.result else UNSET,
        error=UNSET if task.error is None else task.error,
        retries=task.retries,
        max_retry=task.max_retry,
        created_at=second(task.created_at_ms),
        updated_at=second(task.updated_at_ms),
        queue=task.queue,
        priority=task.priority,
        attempt=task.attempt,
        crashes=task.crashes,
        run_at=UNSET if task.run_at_ms is None else millisecond(task.run_at_ms),
        started_at=UNSET if task.started_at_ms is None else millisecond(task.started_at_ms),
        finished_at=UNSET if task.finished_at_ms is None else millisecond(task.finished_at_ms),
        expires_at=UNSET if task.expires_at_ms is None else millisecond(task.expires_at_ms),
        timeout_s=UNSET if task.timeout_s is None else _number(task.timeout_s),
        unique_key=UNSET if task.unique_key is None else task.unique_key,
        tags=list(task.tags) or UNSET,
        worker_id=UNSET if task.worker_id is None else task.worker_id,
        # shown as it was written, perhaps by a worker of another version
        error_detail=UNSET if task.error_detail is None else cast("shapes.ErrorDetail", task.error_detail),
        progress=UNSET if task.progress is None else _progress(task.progress),
        traceparent=task.trace.traceparent if task.trace else UNSET,
        tracestate=(task.trace.tracestate if task.trace else "") or UNSET,
        waiting=UNSET if waiting is None else waiting,
    )


def enqueued_task(new: NewTask, enqueued: Enqueued) -> Task:
    """What was just stored, without asking Redis for it again."""
    return Task(
        id=new.id,
        type=new.type,
        queue=new.queue,
        status=Status.PENDING if enqueued.run_at_ms is None else Status.SCHEDULED,
        priority=new.priority,
        payload=new.payload,
        max_retry=new.max_retry,
        created_at_ms=enqueued.created_at_ms,
        updated_at_ms=enqueued.created_at_ms,
        run_at_ms=enqueued.run_at_ms,
        expires_at_ms=None if new.expires_in_s is None else enqueued.created_at_ms + round(new.expires_in_s * 1000),
        timeout_s=new.timeout_s,
        unique_key=new.unique_key,
        tags=new.tags,
        trace=new.trace,
    )


def operation_view(operation: Operation) -> shapes.Operation:
    """An operation."""
    action, wanted = operation.action, operation.action.filter
    return shapes.Operation(
        id=operation.id,
        action=action.kind,
        state="stopping" if operation.stopping and operation.finished_at_ms is None else operation.state,
        reason=action.reason or UNSET,
        ids=UNSET if action.ids is None else len(action.ids),
        filter=UNSET if wanted is None else _filter_view(wanted),
        matched=operation.matched,
        done=operation.done,
        skipped=operation.skipped,
        failed=operation.failed,
        errors=[shapes.OperationError(task_id=each.task_id, detail=each.detail) for each in operation.errors] or UNSET,
        created_at=millisecond(operation.created_at_ms),
        started_at=_moment(operation.started_at_ms),
        finished_at=_moment(operation.finished_at_ms),
    )


def _filter_view(wanted: Filter) -> shapes.Filter:
    return shapes.Filter(
        status=_given(wanted.status),
        type=_given(wanted.type),
        queue=_given(wanted.queue),
        tag=_given(wanted.tag),
        error_kind=_given(wanted.error_kind),
        created_after=_moment(wanted.created_from_ms),
        created_before=_moment(wanted.created_until_ms),
        finished_after=_moment(wanted.finished_from_ms),
        finished_before=_moment(wanted.finished_until_ms),
    )


def queue_view(state: QueueState, rates: tuple[float, float]) -> shapes.Queue:
    """A queue. `rates` has how many tasks came and ended in a second."""
    return shapes.Queue(
        queue=state.queue,
        counts=state.counts,
        oldest_wait_s=UNSET if state.oldest_wait_s is None else round(state.oldest_wait_s, 3),
        workers=state.workers,
        rates=shapes.Rates(in_=round(rates[0], 3), out=round(rates[1], 3)),
        paused=_pause(state.paused),
        stale_writes=state.stale_writes or UNSET,
    )


def schedule_view(state: ScheduleState, next_ms: Sequence[int]) -> shapes.Schedule:
    """A schedule, with the moments at which it runs next."""
    schedule, run = state.schedule, state.last_run
    return shapes.Schedule(
        name=schedule.name,
        cron=schedule.cron,
        timezone=schedule.timezone,
        type=schedule.type,
        payload=_raw(None if schedule.payload is None else schedule.payload.encode()),
        queue=schedule.queue,
        priority=schedule.priority,
        overlap=schedule.overlap,
        catch_up=schedule.catch_up,
        enabled=schedule.enabled,
        paused=_pause(state.paused),
        next_runs=[second(ms) for ms in next_ms],
        last_run=UNSET
        if run is None
        else shapes.LastRun(at=millisecond(run.at_ms), due_at=_moment(run.due_ms), task_id=run.task_id),
        skipped_at=_moment(state.skipped_ms),
    )


def worker_view(state: WorkerState, run: Run | None = None) -> dict[str, Any]:
    """A worker, with the members of `shapes.Worker`: what it told about itself, and what Redis knows about it."""
    known: dict[str, Any] = {
        "id": state.id,
        "queue": state.queue,
        "lease_s": round(state.lease_s, 3),
        "task_ids": state.task_ids,
    }
    if state.resident_bytes is not None:
        known["resident_bytes"] = state.resident_bytes
    if run is not None:
        known["runs"] = shapes.Runs(
            task_id=run.task_id, type=run.type, attempt=run.attempt, since=millisecond(run.started_at_ms)
        )
    return {**state.info, **known}


def type_view(name: str, info: TypeInfo, servers: Mapping[str, Sequence[str]], default_max_retry: int) -> shapes.Type:
    """A task type. `servers` has the live workers that serve it, by queue; without a `schema` any payload is taken, and
    the worker checks it."""
    return shapes.Type(
        type=name,
        description=info.description or UNSET,
        schema=_given(info.payload),
        payload_required=info.required,
        defaults=shapes.TypeDefaults(
            max_retry=default_max_retry if info.max_retry is None else info.max_retry,
            timeout_s=_number(info.timeout_s),
            memory_limit_bytes=info.memory_limit_bytes,
        ),
        queues=[shapes.TypeServers(queue=queue, workers=len(workers)) for queue, workers in servers.items()],
    )


def limit_view(queue: str, use: Use) -> shapes.LimitUse:
    """What is in force for a type in a queue, and what it counts."""
    most, rate = use.limit
    return shapes.LimitUse(
        queue=queue,
        max_concurrent=most or UNSET,
        rate_limit=format_rate(rate) if rate.count else UNSET,
        running=use.running,
        waiting=use.parked,
    )


def second(ms: int) -> str:
    """A moment in whole seconds, cut off: "2026-02-01T10:53:32Z"."""
    return _second(ms // 1000)


@lru_cache(maxsize=1024)
def _second(s: int) -> str:
    # not strftime, whose years before 1000 have three digits
    return f"{datetime.fromtimestamp(s, UTC).isoformat()[:19]}Z"


def millisecond(ms: int) -> str:
    """A moment with its milliseconds: "2026-02-01T10:53:32.123Z"."""
    return f"{second(ms)[:-1]}.{ms % 1000:03d}Z"


def _given(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _moment(ms: int | None) -> str | UnsetType:
    return UNSET if ms is None else millisecond(ms)


def _raw(text: bytes | None) -> msgspec.Raw | UnsetType:
    return msgspec.Raw(text) if text else UNSET


def _number(value: N) -> N | int:
    return int(value) if value is not None and float(value).is_integer() else value


def _pause(pause: Pause | None) -> shapes.Pause | UnsetType:
    return UNSET if pause is None else shapes.Pause(since=millisecond(pause.since_ms), reason=pause.reason or UNSET)


def _progress(progress: Progress) -> shapes.Progress:
    total = UNSET if progress.total is None else _number(progress.total)
    return shapes.Progress(done=_number(progress.done), total=total, message=progress.message or UNSET)
