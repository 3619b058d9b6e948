"""How a task looks in Redis: the fields of the hash `:task:<id>`, there and back.

Numbers are decimal text, moments are ms, `payload` and `result` are JSON text, `tags` is a comma-separated list. A field
that is absent has the default of `Task`; `trace` is a traceparent and, behind a space, the tracestate if there is one.
`v` is the schema version; a record of a newer version is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from taskq.task import Attempt, ErrorDetail, NewTask, Priority, Progress, Status, Task
from taskq.tracecontext import TraceContext, trace_context

SCHEMA = 1

Scalar = str | bytes | int | float

ATTEMPT_FIELDS = 9
"""What claim and start answer about an attempt; see `attempt_from_reply`."""


def enqueue_args(new: NewTask) -> list[Scalar]:
    """The arguments of enqueue.lua for one task."""
    fields = ["type", new.type, *_fields(new)]
    if new.payload is not None:
        fields += ["payload", new.payload]
    extra = _extra(new)
    return [new.id, str(new.priority), *_due(new), len(fields), len(extra), *fields, *extra]


def alike_args(like: NewTask) -> list[Scalar]:
    """The arguments of enqueue_alike.lua before the ids and payloads."""
    fields, expires_in = _fields(like), "" if like.expires_in_s is None else round(like.expires_in_s * 1000)
    before: list[Scalar] = [str(like.priority), *_due(like), expires_in, like.type]
    return [*before, len(before) + 1 + len(fields), *fields]


def _fields(new: NewTask) -> list[Scalar]:
    """What the record says from the beginning, beside type and payload."""
    fields: list[Scalar] = ["max_retry", new.max_retry]
    if new.timeout_s is not None:
        fields += ["timeout_ms", round(new.timeout_s * 1000)]
    if new.tags:
        fields += ["tags", ",".join(new.tags)]
    if new.trace is not None:
        fields += ["trace", f"{new.trace.traceparent} {new.trace.tracestate}".rstrip()]
    return fields


def _due(new: NewTask) -> tuple[Scalar, Scalar]:
    return round(new.delay_s * 1000), "" if new.run_at_ms is None else new.run_at_ms


def _extra(new: NewTask) -> tuple[Scalar, ...]:
    """What few tasks have: nothing, or all three of it."""
    if new.unique_key is None and new.expires_in_s is None and not new.repeat_s:
        return ()
    expires_in: Scalar = "" if new.expires_in_s is None else round(new.expires_in_s * 1000)
    return new.unique_key or "", expires_in, round(new.repeat_s * 1000) or ""


def attempt_from_reply(queue: str, reply: Sequence[Any]) -> Attempt:
    """What claim and start answer: id, attempt, type, payload, retries, max_retry, crashes, timeout_ms, and the tags with
    the trace behind a space: a task without one is not charged for it."""
    id_, attempt, type_, payload, retries, max_retry, crashes, timeout_ms, more = reply
    tags, _, trace = more.partition(b" ")
    return Attempt(
        id=id_.decode(),
        type=type_.decode("utf-8", "replace"),
        queue=queue,
        attempt=int(attempt),
        payload=payload or None,
        retries=int(retries),
        max_retry=int(max_retry),
        crashes=int(crashes),
        timeout_s=int(timeout_ms) / 1000 if timeout_ms else None,
        tags=_tags(tags),
        trace=_trace(trace),
    )


def task_from_hash(queue: str, task_id: str, fields: Mapping[bytes, bytes]) -> Task | None:
    """A stored record as a Task; None when it is not one that this version can read."""
    try:
        if int(fields[b"v"]) > SCHEMA:
            return None
        return _task(queue, task_id, fields)
    except (KeyError, ValueError, msgspec.DecodeError):
        return None


def _task(queue: str, task_id: str, fields: Mapping[bytes, bytes]) -> Task:
    def number(name: bytes) -> int | None:
        return int(fields[name]) if name in fields else None

    def text(name: bytes) -> str | None:
        return fields[name].decode("utf-8", "replace") if name in fields else None

    timeout_ms = number(b"timeout_ms")
    detail, progress = fields.get(b"error_detail"), fields.get(b"progress")
    return Task(
        id=task_id,
        type=fields[b"type"].decode("utf-8", "replace"),
        queue=queue,
        status=Status(fields[b"status"].decode()),
        priority=Priority(fields.get(b"priority", b"normal").decode()),
        payload=fields.get(b"payload"),
        retries=number(b"retries") or 0,
        max_retry=number(b"max_retry") or 0,
        attempt=number(b"attempt") or 0,
        crashes=number(b"crashes") or 0,
        created_at_ms=int(fields[b"created_at"]),
        updated_at_ms=int(fields[b"updated_at"]),
        run_at_ms=number(b"run_at"),
        started_at_ms=number(b"started_at"),
        finished_at_ms=number(b"finished_at"),
        expires_at_ms=number(b"expires_at"),
        timeout_s=None if timeout_ms is None else timeout_ms / 1000,
        unique_key=text(b"unique_key"),
        tags=_tags(fields.get(b"tags", b"")),
        worker_id=text(b"worker_id"),
        result=fields.get(b"result"),
        error=text(b"error"),
        error_detail=msgspec.json.decode(detail) if detail else None,
        progress=msgspec.json.decode(progress, type=Progress) if progress else None,
        trace=_trace(fields.get(b"trace", b"")),
    )


def detail_json(detail: ErrorDetail) -> bytes:
    """The stored form of an error's detail."""
    return msgspec.json.encode(detail)


def progress_json(progress: Progress) -> bytes:
    """The stored form of an attempt's progress."""
    return msgspec.json.encode(progress)


def _tags(stored: bytes) -> tuple[str, ...]:
    return tuple(stored.decode("utf-8", "replace").split(",")) if stored else ()


def _trace(stored: bytes) -> TraceContext | None:
    if not stored:
        return None
    traceparent, _, tracestate = stored.decode("utf-8", "replace").partition(" ")
    return trace_context(traceparent, tracestate)
