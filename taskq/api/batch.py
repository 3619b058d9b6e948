"""POST /tasks/batch: many tasks in one request, each with its own answer, or all or none of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import falcon
import msgspec

from taskq import spans
from taskq.api import shapes
from taskq.api.body import decode, invalid_body, is_lines, read_lines, read_object
from taskq.api.context import ApiContext
from taskq.api.describe import (
    JSON,
    NDJSON,
    SCHEMAS,
    Answer,
    AnyOf,
    Body,
    JsonSchema,
    Operation,
    Parameter,
    Schema,
    describe,
    json,
)
from taskq.api.errors import ApiError, problem
from taskq.api.listing import truth
from taskq.api.planning import Outcome, Planned, Planner, store_each, store_whole
from taskq.api.query import Query
from taskq.api.repeats import KEY, REPLAYED, REPLAYED_HEADER, read_key, resolve
from taskq.api.submission import NEW_TASK, Members
from taskq.api.traces import TRACEPARENT, TRACESTATE, enqueueing, logged
from taskq.api.views import task_view
from taskq.ids import new_id
from taskq.log import emit, is_shown
from taskq.queue.repeats import KEPT_S
from taskq.task import NewTask, Task
from taskq.units import shown

MOST_TASKS = 1000
"""Tasks of one batch; what one script stores without blocking Redis for long."""

MOST_ERRORS = 100
"""Faults that the refusal of a whole batch names at most."""


ATOMIC = Parameter(
    name="atomic",
    # without a default, which some clients would send, against what the body says
    schema={"type": "string", "enum": ["true", "false"]},
    description="Store all tasks or none. In JSON it may also be a member of the body; if neither says so, it is false.",
)


def _batch(name: str, tasks: JsonSchema, atomic: JsonSchema, required: list[str]) -> Schema:
    schema: JsonSchema = {
        "title": name,
        "type": "object",
        "properties": {
            "tasks": {"type": "array", "items": tasks, "minItems": 1, "maxItems": MOST_TASKS},
            "atomic": atomic,
        },
        "required": required,
    }
    return Schema(name=name, schema=schema, uses=[NEW_TASK])


SEPARATE = _batch(
    "Batch",
    {"anyOf": [NEW_TASK.ref, {"description": "Whatever is no task is refused in its entry of the answer."}]},
    {"anyOf": [{"type": "boolean", "enum": [False]}, {"type": "null"}], "default": False},
    ["tasks"],
)
ATOMIC_BATCH = _batch("AtomicBatch", NEW_TASK.ref, {"type": "boolean", "enum": [True]}, ["tasks", "atomic"])
BODY = Body(
    shapes={
        JSON: AnyOf([SEPARATE, ATOMIC_BATCH]),
        NDJSON: {"type": "string", "description": "A `NewTask` as JSON on each line."},
    },
    examples={"two": {"tasks": [{"type": "echo", "payload": "a"}, {"type": "echo", "payload": "b"}], "atomic": True}},
)
ENTRIES = Schema(
    name="Entries",
    schema={
        "title": "Entries",
        "type": "array",
        "items": {"anyOf": [{"$ref": SCHEMAS + "Stored"}, {"$ref": SCHEMAS + "Refused"}]},
    },
    uses=[shapes.Stored, shapes.Refused],
)


class Batch(NamedTuple):
    """What was sent: the tasks as JSON values, or the error in place of one that is no JSON. `whole`: all or none."""

    items: Sequence[Any]
    whole: bool


class TaskBatch:
    """POST /tasks/batch."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="create_tasks",
            tag="tasks",
            summary="Enqueue many tasks",
            takes=[ATOMIC, KEY, TRACEPARENT, TRACESTATE],
            body=BODY,
            answers=[
                Answer(
                    status=200,
                    description="An entry for each task, in order; also for a repeat of an atomic batch.",
                    shapes=json(ENTRIES),
                    headers=[REPLAYED_HEADER],
                ),
                Answer(status=201, description="An atomic batch is stored.", shapes=json(list[shapes.Stored])),
            ],
            # what is wrong with one task stands in its entry, or is said by `batch_refused`
            refuses=["invalid_members", "batch_refused", "invalid_header", "idempotency_key_reused", "shutting_down"],
            stores=True,
        )
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Store the tasks and answer for each, in order."""
        if self._context.draining():
            raise ApiError("shutting_down", "the service is shutting down", retry=True)
        batch = read_batch(req, self._context.settings.max_batch_bytes)
        key = read_key(req)
        planner, again = Planner(self._context, batch.items, base := new_id()), False
        if batch.whole:
            check_whole(planner.all())
        if key is not None:
            # the ids that the first request with the key has given
            items = [str(item) if isinstance(item, ApiError) else item for item in batch.items]
            first, _, again = resolve(self._context, req, key, [items, batch.whole], (base, "-"))
            planner.repeat(first, KEPT_S)
        # a span tells beforehand what is stored, so that nothing can be made meanwhile
        with enqueueing(req, planner.news(planner.places) if spans.are_made() else []) as trace:
            planner.put_into(trace)
            outcomes = self._store_whole(planner) if batch.whole else store_each(self._context.inspector, planner)
        self._answer(req, resp, batch, outcomes, again=again)

    def _store_whole(self, planner: Planner) -> list[Outcome]:
        outcomes, taken = store_whole(self._context.inspector, planner.news(planner.places))
        # of those that were not stored, only the ones whose key is taken are at fault
        refused = {at: found for at, found in enumerate(outcomes) if isinstance(found, ApiError) and at in taken}
        if refused:
            raise refusal(refused, len(outcomes))
        return outcomes

    def _answer(
        self, req: falcon.Request, resp: falcon.Response, batch: Batch, outcomes: Sequence[Outcome], *, again: bool
    ) -> None:
        tasks = [outcome for outcome in outcomes if isinstance(outcome, Task)]
        request_id = req.context.request_id
        if is_shown(logging.DEBUG):
            for task in tasks:
                emit("task.enqueued", logging.DEBUG, **logged(task), request_id=request_id)
        emit(
            "batch.enqueued",
            tasks=len(tasks),
            refused=len(outcomes) - len(tasks),
            queues=sorted({task.queue for task in tasks}),
            again=again,
            trace_id=next((task.trace.trace_id for task in tasks if task.trace), None),
            request_id=request_id,
        )
        if again:
            resp.set_header(REPLAYED, "true")
            # that of the first request is stored, and not known here
            outcomes = [_untraced(outcome) for outcome in outcomes]
        resp.status = falcon.HTTP_201 if batch.whole and not again else falcon.HTTP_200
        resp.data = msgspec.json.encode([entry(outcome) for outcome in outcomes])


def read_batch(req: falcon.Request, max_bytes: int) -> Batch:
    """The batch that a request carries. Raises ApiError for a body that is none."""
    query = Query(req)
    asked = query.read(ATOMIC, truth, None)
    query.check()
    if is_lines(req):
        members = Members({})
        batch = Batch([_line(line) for line in read_lines(req, max_bytes)], asked or False)
    else:
        members = Members(read_object(req, max_bytes, or_else=NDJSON))
        whole = members.read("atomic", _truth, None)
        if None not in (asked, whole) and asked != whole:
            members.fault("/atomic", f"expected {shown(asked)}, as in the query, got {shown(whole)}")
        batch = Batch(members.read("tasks", _list, []), asked or whole or False)
    if not members.faults and not 1 <= len(batch.items) <= MOST_TASKS:
        members.fault("/tasks", f"expected 1 to {MOST_TASKS} tasks, got {len(batch.items)}")
    members.check()
    return batch


def check_whole(planned: Sequence[Planned]) -> None:
    """Raises ApiError for a batch that cannot be stored as one."""
    refused = {at: new for at, new in enumerate(planned) if isinstance(new, ApiError)}
    holders: dict[str, int] = {}
    for at, new in enumerate(planned):
        if isinstance(new, NewTask) and new.unique_key is not None:
            first = holders.setdefault(new.unique_key, at)
            if first != at:
                detail = f"expected a key that no other task of the batch has, got that of /tasks/{first}"
                refused[at] = ApiError("invalid_members", detail, errors=[{"pointer": "/unique_key", "detail": detail}])
    queues = _by_queue(planned)
    if len(queues) > 1:
        detail = f"expected all tasks of an atomic batch in one queue, got {', '.join(queues)}; send one for each queue"
        raise ApiError("batch_refused", detail, errors=[{"pointer": "/tasks", "detail": detail}])
    if refused:
        raise refusal(refused, len(planned))


def refusal(refused: Mapping[int, ApiError], total: int) -> ApiError:
    """Why a whole batch of `total` tasks was not stored."""
    errors = [
        {"pointer": f"/tasks/{at}{fault['pointer']}", "detail": fault["detail"]}
        for at, error in sorted(refused.items())
        for fault in error.errors
    ]
    sentence = f"{len(refused)} of {total} tasks are refused, so none was stored; the first: {refused[min(refused)]}"
    return ApiError("batch_refused", sentence, errors=errors[:MOST_ERRORS])


def entry(outcome: Outcome) -> shapes.Stored | dict[str, Any]:
    """What the answer to a batch says about one of its tasks."""
    if isinstance(outcome, Task):
        return shapes.Stored(task=task_view(outcome))
    return problem(outcome.code, str(outcome), errors=outcome.errors, members=outcome.members)


def _untraced(outcome: Outcome) -> Outcome:
    return msgspec.structs.replace(outcome, trace=None) if isinstance(outcome, Task) else outcome


def _by_queue(planned: Sequence[Planned]) -> dict[str, dict[int, NewTask]]:
    """The tasks to store by queue and place in the batch."""
    queues: dict[str, dict[int, NewTask]] = {}
    for at, new in enumerate(planned):
        if isinstance(new, NewTask):
            queues.setdefault(new.queue, {})[at] = new
    return queues


def _line(line: bytes) -> Any:
    try:
        return decode(line)
    except ValueError as error:
        return invalid_body(str(error))


def _list(value: object) -> list[Any]:
    if isinstance(value, list):
        return value
    raise ValueError(f"expected a list, got {shown(value)}")


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"expected true or false, got {shown(value)}")
