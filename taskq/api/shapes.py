"""What the API answers, as types: `views.py` builds them, and the OpenAPI document is made of them.

A member that is absent is left out, never null. Where other versions write what is shown, further members may turn up;
anywhere else there are no others.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from taskq.schedule import CatchUp, Overlap
from taskq.task import ErrorKind, Priority, Status

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Id = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]


def note(text: str) -> Meta:
    """A sentence for the reader of the document."""
    return Meta(description=text)


class ErrorDetail(msgspec.Struct, kw_only=True):
    """Why the last attempt did not complete, as data. Other versions of the service may add members."""

    kind: ErrorKind
    type: Annotated[str | UnsetType, note("The class of the exception.")] = UNSET
    message: str | UnsetType = UNSET
    traceback: str | UnsetType = UNSET
    signal: Annotated[str | UnsetType, note("The signal that ended the process.")] = UNSET
    exit_code: int | UnsetType = UNSET
    peak_rss_bytes: Annotated[Count | UnsetType, note("The largest resident size that was seen.")] = UNSET


class Progress(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How far an attempt has come, in units of its handler."""

    done: float
    total: Annotated[float | UnsetType, note("Absent while it is not known.")] = UNSET
    message: str | UnsetType = UNSET


class Waiting(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why a task is not running."""

    reason: Annotated[
        str,
        Meta(
            extra_json_schema={
                "enum": [
                    "run_at",
                    "backoff",
                    "queue_paused",
                    "concurrency_limit",
                    "rate_limit",
                    "no_worker",
                    "no_worker_for_type",
                    "behind_others",
                    "workers_busy",
                    "starting",
                ]
            }
        ),
    ]
    position: Annotated[Count | UnsetType, note("Tasks that start before it; beyond 131,072 a lower bound.")] = UNSET
    detail: Annotated[str, note("The same as a sentence.")]
    since: Moment | UnsetType = UNSET


class Task(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A task as it is now."""

    id: Id
    type: str
    payload: Annotated[Raw | UnsetType, note("Any JSON value.")] = UNSET
    status: Status
    result: Annotated[Raw | UnsetType, note("Any JSON value; there once the task has completed.")] = UNSET
    error: Annotated[str | UnsetType, note("Why the last attempt did not complete.")] = UNSET
    retries: Annotated[Count, note("Attempts that failed and were tried again.")]
    max_retry: Count
    created_at: Moment
    updated_at: Moment
    queue: str
    priority: Priority
    attempt: Annotated[Count, note("How often it was started.")]
    crashes: Annotated[Count, note("How often its worker or process died under it.")]
    run_at: Annotated[Moment | UnsetType, note("When it is due, if it is or was scheduled.")] = UNSET
    started_at: Moment | UnsetType = UNSET
    finished_at: Moment | UnsetType = UNSET
    expires_at: Annotated[Moment | UnsetType, note("If it has not started by then, it never does.")] = UNSET
    timeout_s: Annotated[Seconds | UnsetType, note("The limit of each attempt, if the task has its own.")] = UNSET
    unique_key: str | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    worker_id: Annotated[str | UnsetType, note("Who runs it or ran it last.")] = UNSET
    error_detail: ErrorDetail | UnsetType = UNSET
    progress: Progress | UnsetType = UNSET
    traceparent: Annotated[str | UnsetType, note("The trace context that it was submitted with.")] = UNSET
    tracestate: str | UnsetType = UNSET
    waiting: Annotated[Waiting | UnsetType, note("Only of one task that is asked for by its id.")] = UNSET


class Stored(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The entry of a task of a batch that was stored."""

    status: Annotated[int, Meta(extra_json_schema={"enum": [201]})] = 201
    task: Task


class Pause(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Since when nothing starts, and why if somebody said so."""

    since: Moment
    reason: str | UnsetType = UNSET


class Rates(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename={"in_": "in"}):
    """Tasks that came in a second and tasks that ended, over the last five minutes."""

    in_: Seconds
    out: Seconds


class Queue(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A queue as it is now."""

    queue: str
    counts: Annotated[dict[Status, Count], note("Tasks by status.")]
    oldest_wait_s: Annotated[Seconds | UnsetType, note("How long the oldest pending task has waited.")] = UNSET
    workers: Count
    rates: Rates
    paused: Pause | UnsetType = UNSET
    stale_writes: Annotated[Count | UnsetType, note("Writes of attempts that had been overtaken, all refused.")] = UNSET


class Purged(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How many waiting tasks were removed."""

    queue: str
    purged: Count


class TypeDefaults(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What holds for a task that does not say otherwise; a limit of 0 is none."""

    max_retry: Count
    timeout_s: Seconds
    memory_limit_bytes: Count


class TypeServers(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How many live workers of a queue serve a type."""

    queue: str
    workers: Count


class Durations(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How long attempts have run."""

    mean_s: Seconds
    p50_s: Seconds
    p95_s: Seconds


class Timings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How often, by outcome, and how long a type has run; nothing before the first attempt has ended."""

    attempts: dict[str, Count] | UnsetType = UNSET
    durations: Durations | UnsetType = UNSET


class LimitUse(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is in force for a type in a queue, over all machines, and what it counts now."""

    queue: str
    max_concurrent: Annotated[Count | UnsetType, note("How many tasks may run at once.")] = UNSET
    rate_limit: Annotated[str | UnsetType, note('How many may start in any time: "100/1m".')] = UNSET
    running: Annotated[Count, note("Tasks that have a place.")]
    waiting: Annotated[Count, note("Tasks that were set aside until they may start.")]


class Type(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A task type."""

    type: str
    description: str | UnsetType = UNSET
    schema: Annotated[dict[str, Any] | UnsetType, note("JSON Schema of the payload; without it any is taken.")] = UNSET
    payload_required: bool
    defaults: TypeDefaults
    queues: list[TypeServers]
    limits: Annotated[list[LimitUse] | UnsetType, note("By queue; only where there are limits.")] = UNSET
    attempts: Annotated[dict[str, Count] | UnsetType, note("By outcome.")] = UNSET
    durations: Durations | UnsetType = UNSET
    worker_ids: Annotated[list[str] | UnsetType, note("Who serves it; only of one type that is asked for.")] = UNSET


class LastRun(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """When a schedule last enqueued its task; `due_at` is absent if somebody asked for it."""

    at: Moment
    due_at: Moment | UnsetType = UNSET
    task_id: Id


class Schedule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A schedule as it is now."""

    name: str
    cron: str
    timezone: str
    type: str
    payload: Annotated[Raw | UnsetType, note("Any JSON value.")] = UNSET
    queue: str
    priority: Priority
    overlap: Overlap
    catch_up: CatchUp
    enabled: bool
    paused: Pause | UnsetType = UNSET
    next_runs: list[Moment]
    last_run: LastRun | UnsetType = UNSET
    skipped_at: Annotated[Moment | UnsetType, note("The last tick that was skipped.")] = UNSET


class Runs(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a worker is running, and since when."""

    task_id: Id
    type: str
    attempt: Count
    since: Moment


class Worker(msgspec.Struct, kw_only=True):
    """A live worker. What it says of itself (`host` and so on) depends on its version."""

    id: str
    queue: str
    lease_s: Annotated[float, note("Seconds until it counts as dead, unless it is vouched for again.")]
    task_ids: Annotated[list[Id], note("What it holds.")]
    runs: Annotated[Runs | UnsetType, note("Absent while it runs nothing.")] = UNSET
    host: str | UnsetType = UNSET
    pid: int | UnsetType = UNSET
    pool: str | UnsetType = UNSET
    resident_bytes: Annotated[
        Count | UnsetType,
        note("Its resident size at the last heartbeat; that of the process of an isolated attempt if it is larger."),
    ] = UNSET


class Output(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What an attempt has printed. Hostile text: whoever shows it escapes it."""

    id: Id
    attempt: Count
    text: str
    truncated: Annotated[bool, note("Whether the beginning is no longer kept.")]
    attempts: Annotated[list[Count], note("Those of which output is kept.")]


class Filter(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which tasks: those that meet every condition, at least one."""

    status: Status | UnsetType = UNSET
    type: str | UnsetType = UNSET
    queue: str | UnsetType = UNSET
    tag: str | UnsetType = UNSET
    error_kind: ErrorKind | UnsetType = UNSET
    created_after: Moment | UnsetType = UNSET
    created_before: Moment | UnsetType = UNSET
    finished_after: Moment | UnsetType = UNSET
    finished_before: Moment | UnsetType = UNSET


class OperationError(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why nothing could be done to a task."""

    task_id: Id
    detail: str


class Operation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An action on many tasks, and how far it has come."""

    id: Id
    action: Annotated[str, Meta(extra_json_schema={"enum": ["cancel", "requeue", "delete"]})]
    state: str
    reason: str | UnsetType = UNSET
    ids: Annotated[Count | UnsetType, note("How many tasks were named, if they were.")] = UNSET
    filter: Filter | UnsetType = UNSET
    matched: Annotated[Count, note("Tasks that were looked at so far.")]
    done: Count
    skipped: Annotated[Count, note("Those that were not any more what was asked for.")]
    failed: Count
    errors: list[OperationError] | UnsetType = UNSET
    created_at: Moment
    started_at: Moment | UnsetType = UNSET
    finished_at: Moment | UnsetType = UNSET


class Trial(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What an action would be about."""

    action: Annotated[str, Meta(extra_json_schema={"enum": ["cancel", "requeue", "delete"]})]
    dry_run: bool
    matched: Count
    exact: Annotated[bool, note("False when there was no time to count all.")]
    sample: list[Task]


class Stats(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What happened in a period; without `from` and `to` since the beginning."""

    from_: Moment | UnsetType = UNSET
    to: Moment | UnsetType = UNSET
    enqueued: Annotated[Count, note("Tasks that were accepted.")]
    ended: Annotated[dict[Status, Count], note("Tasks that ended, by the status that they had then.")]
    attempts: Annotated[dict[str, Count], note("Attempts that ended, by outcome.")]
    mean_s: Annotated[Seconds | UnsetType, note("How long attempts ran on average; absent without any.")] = UNSET


class Series(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One line of a chart: how often it happened in each step, and how long the attempts that ended in it ran on average."""

    name: str
    counts: list[Count]
    mean_s: list[Seconds | None]


class Timeseries(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """The columns of a chart: `times` has the beginning of each step, and each series as many numbers. The last step may not
    be over yet."""

    from_: Moment
    to: Moment
    step_s: Count
    by: Annotated[str, Meta(extra_json_schema={"enum": ["outcome", "queue", "type"]})]
    times: list[Moment]
    series: list[Series]


class Analytics(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How many tasks there were, what became of them, and how long they ran."""

    total_tasks: Count
    status_counts: dict[Status, Count]
    avg_duration_seconds: Seconds


class Health(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whether the service can do its work."""

    status: Annotated[str, Meta(extra_json_schema={"enum": ["ok", "unavailable"]})]
    error: str | UnsetType = UNSET
    warnings: Annotated[list[str] | UnsetType, note("What makes Redis lose tasks.")] = UNSET


class Version(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The version of taskq."""

    version: str


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One thing that is wrong with a request, and where: in its body (a JSON pointer), its query or its header."""

    detail: str
    pointer: str | UnsetType = UNSET
    parameter: str | UnsetType = UNSET
    header: str | UnsetType = UNSET


class Refused(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The entry of a task of a batch that was not stored: the error that it alone would have got."""

    error: str
    code: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    errors: list[Fault] | UnsetType = UNSET
    task_id: Annotated[Id | UnsetType, note("The task that stands in the way.")] = UNSET
    known_types: Annotated[list[str] | UnsetType, note("The types that could have been named; at most 100.")] = UNSET
    known_queues: Annotated[list[str] | UnsetType, note("The queues that could have been named; at most 100.")] = UNSET


class Problem(Refused, kw_only=True, forbid_unknown_fields=True):
    """Every error: a sentence, a code word for programs, and an RFC 9457 problem."""

    request_id: Annotated[str, note("What the header X-Request-ID and the log of the service say, too.")]
