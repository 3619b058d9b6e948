"""What the API shows of a task, a queue and a worker. Pure functions of values; what is absent is left out, never null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from taskq.catalog import TypeInfo
from taskq.queue.answers import Enqueued
from taskq.queue.inspect import Pause, QueueState, WorkerState
from taskq.queue.operations import Operation
from taskq.queue.schedules import ScheduleState
from taskq.queue.selection import Filter
from taskq.task import NewTask, Progress, Status, Task


def task_view(task: Task) -> dict[str, Any]:
    """A task as JSON members; payload and result go in as the JSON text they are stored as."""
    view = {
        "id": task.id,
        "type": task.type,
        "payload": _raw(task.payload),
        "status": task.status,
        "result": _raw(task.result),
        "error": task.error,
        "retries": task.retries,
        "max_retry": task.max_retry,
        "created_at": second(task.created_at_ms),
        "updated_at": second(task.updated_at_ms),
        "queue": task.queue,
        "priority": task.priority,
        "attempt": task.attempt,
        "crashes": task.crashes,
        "run_at": _moment(task.run_at_ms),
        "started_at": _moment(task.started_at_ms),
        "finished_at": _moment(task.finished_at_ms),
        "expires_at": _moment(task.expires_at_ms),
        "timeout_s": _number(task.timeout_s),
        "unique_key": task.unique_key,
        "tags": task.tags or None,
        "worker_id": task.worker_id,
        "error_detail": task.error_detail,
        "progress": _progress(task.progress),
    }
    return _present(view)


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
    )


def operation_view(operation: Operation) -> dict[str, Any]:
    """An operation as JSON members."""
    action, wanted = operation.action, operation.action.filter
    view = {
        "id": operation.id,
        "action": action.kind,
        "state": "stopping" if operation.stopping and operation.finished_at_ms is None else operation.state,
        "reason": action.reason or None,
        "ids": None if action.ids is None else len(action.ids),
        "filter": wanted and _filter_view(wanted),
        "matched": operation.matched,
        "done": operation.done,
        "skipped": operation.skipped,
        "failed": operation.failed,
        "errors": operation.errors or None,
        "created_at": millisecond(operation.created_at_ms),
        "started_at": _moment(operation.started_at_ms),
        "finished_at": _moment(operation.finished_at_ms),
    }
    return _present(view)


def _filter_view(wanted: Filter) -> dict[str, Any]:
    view = {
        "status": wanted.status,
        "type": wanted.type,
        "queue": wanted.queue,
        "tag": wanted.tag,
        "error_kind": wanted.error_kind,
        "created_after": _moment(wanted.created_from_ms),
        "created_before": _moment(wanted.created_until_ms),
        "finished_after": _moment(wanted.finished_from_ms),
        "finished_before": _moment(wanted.finished_until_ms),
    }
    return _present(view)


def queue_view(state: QueueState) -> dict[str, Any]:
    """A queue as JSON members."""
    oldest_wait_s = None if state.oldest_wait_s is None else round(state.oldest_wait_s, 3)
    view = {
        "queue": state.queue,
        "counts": state.counts,
        "oldest_wait_s": oldest_wait_s,
        "workers": state.workers,
        "paused": state.paused and pause_view(state.paused),
        "stale_writes": state.stale_writes or None,
    }
    return _present(view)


def pause_view(pause: Pause) -> dict[str, Any]:
    """Since when, and why if somebody said so."""
    return _present({"since": millisecond(pause.since_ms), "reason": pause.reason or None})


def schedule_view(state: ScheduleState, next_ms: Sequence[int]) -> dict[str, Any]:
    """A schedule as JSON members, with the moments at which it runs next."""
    schedule, run = state.schedule, state.last_run
    view = {
        "name": schedule.name,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "type": schedule.type,
        "payload": _raw(None if schedule.payload is None else schedule.payload.encode()),
        "queue": schedule.queue,
        "priority": schedule.priority,
        "overlap": schedule.overlap,
        "catch_up": schedule.catch_up,
        "enabled": schedule.enabled,
        "paused": state.paused and pause_view(state.paused),
        "next_runs": [second(ms) for ms in next_ms],
        "last_run": run and _present({"at": millisecond(run.at_ms), "due_at": _moment(run.due_ms), "task_id": run.task_id}),
        "skipped_at": _moment(state.skipped_ms),
    }
    return _present(view)


def worker_view(state: WorkerState) -> dict[str, Any]:
    """A worker as JSON members: what it told about itself, and what Redis knows about it."""
    known = {"id": state.id, "queue": state.queue, "lease_s": round(state.lease_s, 3), "task_ids": state.task_ids}
    return {**state.info, **known}


def type_view(name: str, info: TypeInfo, servers: Mapping[str, Sequence[str]], default_max_retry: int) -> dict[str, Any]:
    """A task type as JSON members. `servers` has the live workers that serve it, by queue; without a `schema` any payload
    is taken, and the worker checks it."""
    view = {
        "type": name,
        "description": info.description or None,
        "schema": info.payload,
        "payload_required": info.required,
        "defaults": {
            "max_retry": default_max_retry if info.max_retry is None else info.max_retry,
            "timeout_s": _number(info.timeout_s),
            "memory_limit_bytes": info.memory_limit_bytes,
        },
        "queues": [{"queue": queue, "workers": len(workers)} for queue, workers in servers.items()],
    }
    return _present(view)


def second(ms: int) -> str:
    """A moment in whole seconds, cut off: "2026-02-01T10:53:32Z"."""
    return _second(ms // 1000)


@lru_cache(maxsize=1024)
def _second(s: int) -> str:
    return f"{datetime.fromtimestamp(s, UTC):%Y-%m-%dT%H:%M:%S}Z"


def millisecond(ms: int) -> str:
    """A moment with its milliseconds: "2026-02-01T10:53:32.123Z"."""
    return f"{second(ms)[:-1]}.{ms % 1000:03d}Z"


def _moment(ms: int | None) -> str | None:
    return None if ms is None else millisecond(ms)


def _raw(text: bytes | None) -> msgspec.Raw | None:
    return msgspec.Raw(text) if text else None


def _number(value: float | None) -> float | None:
    return int(value) if value is not None and float(value).is_integer() else value


def _progress(progress: Progress | None) -> dict[str, Any] | None:
    if progress is None:
        return None
    return _present({"done": _number(progress.done), "total": _number(progress.total), "message": progress.message or None})


def _present(view: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in view.items() if value is not None}
