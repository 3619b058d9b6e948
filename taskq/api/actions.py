"""POST /tasks/actions: one action on many tasks, tried or carried out as an operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import falcon
import msgspec

from taskq.api import shapes
from taskq.api.body import read_object
from taskq.api.context import ApiContext
from taskq.api.describe import Answer, Body, Header, JsonSchema, Schema, describe, json
from taskq.api.describe import Operation as Described
from taskq.api.errors import ApiError
from taskq.api.listing import CONDITIONS
from taskq.api.repeats import KEY, REPLAYED, REPLAYED_HEADER, read_key, resolve
from taskq.api.submission import MAX_REASON, Members, optional
from taskq.api.views import operation_view, task_view
from taskq.ids import new_id, read_id
from taskq.log import emit
from taskq.members import moment_ms, name, pointer_step
from taskq.queue.actions import AMONG, count
from taskq.queue.operations import Action, Kind, Operations
from taskq.queue.selection import Filter
from taskq.task import ErrorKind, Status
from taskq.units import shown

MOST_IDS = 1000
SAMPLE = 10
COUNT_LIMIT_S = 10.0
"""How long a dry run counts; then it tells how far it came."""

LOCATION = Header(
    name="Location", description="The path of the operation.", schema={"type": "string", "format": "uri-reference"}
)


def _among(kind: Kind) -> JsonSchema:
    """That an action names none but the statuses that it can be done to."""
    status = {"enum": list(AMONG[kind])}
    return {
        "if": {"properties": {"action": {"const": kind}}, "required": ["action"]},
        "then": {"properties": {"filter": {"properties": {"status": status}}}},
    }


WHICH = Schema(
    name="Conditions",
    schema={
        "title": "Conditions",
        "type": "object",
        "description": "The tasks that meet all of them.",
        "properties": {each.name: each.schema for each in CONDITIONS},
        "additionalProperties": False,
        "minProperties": 1,
    },
)
ACTION_BODY = Body(
    shapes=json(
        Schema(
            name="ActionBody",
            schema={
                "title": "ActionBody",
                "type": "object",
                "description": "What to do with which tasks: either `ids` or `filter`, with at least one condition.",
                "properties": {
                    "action": {"type": "string", "enum": list(Kind)},
                    "ids": optional(
                        {
                            "type": "array",
                            "items": {"type": "string", "format": "uuid"},
                            "minItems": 1,
                            "maxItems": MOST_IDS,
                        }
                    ),
                    "filter": optional(WHICH.ref),
                    "reason": optional({"type": "string", "maxLength": MAX_REASON}),
                    "dry_run": optional({"type": "boolean"}),
                },
                "required": ["action"],
                "allOf": [
                    {
                        "oneOf": [
                            {"properties": {"ids": {"type": "array"}, "filter": {"type": "null"}}, "required": ["ids"]},
                            {"properties": {"ids": {"type": "null"}, "filter": {"type": "object"}}, "required": ["filter"]},
                        ]
                    },
                    *(_among(kind) for kind in Kind),
                ],
            },
            uses=[WHICH],
        )
    ),
    examples={
        "failed": {"action": "requeue", "filter": {"status": "failed", "type": "echo"}, "dry_run": True},
        "named": {"action": "delete", "ids": ["5335d502-a2c7-4abd-9496-c64692b43869"]},
    },
)


class TaskActions:
    """POST /tasks/actions."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._operations = Operations(context.inspector)

    @describe(
        Described(
            id="create_operation",
            tag="tasks",
            summary="Act on many tasks",
            takes=[KEY],
            body=ACTION_BODY,
            answers=[
                Answer(status=200, description="A dry run: what it would be about.", shapes=json(shapes.Trial)),
                Answer(
                    status=202,
                    description="The operation, which goes on by itself.",
                    shapes=json(shapes.Operation),
                    headers=[LOCATION, REPLAYED_HEADER],
                    links={
                        "get_operation": {"operation_id": "$response.body#/id"},
                        "stop_operation": {"operation_id": "$response.body#/id"},
                    },
                ),
            ],
            refuses=["invalid_members", "invalid_header", "idempotency_key_reused", "shutting_down"],
            stores=True,
        )
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Store the action as an operation; or, as a dry run, tell how many tasks it would be about."""
        body = read_object(req, self._context.settings.max_body_bytes)
        members = Members(body)
        action = read_action(members)
        dry_run = members.read("dry_run", _truth, False)
        members.check()
        key = read_key(req)
        if dry_run:
            resp.data = msgspec.json.encode(self._tried(action))
            return
        if self._context.draining():
            raise ApiError("shutting_down", "the service is shutting down", retry=True)
        operation_id, again = new_id(), False
        if key is not None:
            operation_id, _, again = resolve(self._context, req, key, body, (operation_id, "-"))
        operation = self._operations.plan(operation_id, action)
        if again:
            resp.set_header(REPLAYED, "true")
            operation = self._operations.get(operation_id) or operation
        else:
            emit("operation.planned", operation_id=operation.id, action=action.kind, request_id=req.context.request_id)
        resp.status = falcon.HTTP_202
        resp.location = f"/operations/{operation.id}"
        resp.data = msgspec.json.encode(operation_view(operation))

    def _tried(self, action: Action) -> shapes.Trial:
        inspector = self._context.inspector
        found = count(inspector, action, inspector.now_ms(), COUNT_LIMIT_S, SAMPLE)
        tasks = [inspector.get(task_id, queue=queue) for queue, task_id in found.sample]
        sample = [task_view(task) for task in tasks if task is not None]
        return shapes.Trial(action=action.kind, dry_run=True, matched=found.matched, exact=found.exact, sample=sample)


def read_action(members: Members) -> Action:
    """The action that a body asks for; faults stay with `members`."""
    kind = members.read("action", _kind, None)
    if members.members.get("action") is None:
        members.fault("/action", f"expected one of {', '.join(Kind)}")
    reason = members.read("reason", _reason, "")
    ids = members.read("ids", _ids, None)
    given = members.read("filter", _object, None)
    if (members.members.get("ids") is None) == (members.members.get("filter") is None):
        members.fault("", "expected either ids or filter")
    wanted = None if given is None else _filter(members, given)
    if wanted is not None and kind is not None and wanted.status not in (None, *AMONG[kind]):
        members.fault("/filter/status", f"expected one of {', '.join(AMONG[kind])} to {kind}, got {wanted.status}")
    return Action(kind=kind or Kind.CANCEL, reason=reason, ids=ids, filter=wanted)


def _filter(members: Members, given: Mapping[str, Any]) -> Filter:
    inner = Members(given)
    wanted = Filter(
        status=inner.read("status", _status, None),
        type=inner.read("type", name, None),
        queue=inner.read("queue", name, None),
        tag=inner.read("tag", name, None),
        error_kind=inner.read("error_kind", _error_kind, None),
        created_from_ms=inner.read("created_after", moment_ms, None),
        created_until_ms=inner.read("created_before", moment_ms, None),
        finished_from_ms=inner.read("finished_after", moment_ms, None),
        finished_until_ms=inner.read("finished_before", moment_ms, None),
    )
    # Everywhere else both are as good as absent. Here they would do something to more tasks than were meant.
    for unknown in sorted(set(given) - _CONDITIONS):
        inner.fault(pointer_step(unknown), f"expected one of {', '.join(sorted(_CONDITIONS))}")
    for empty in (condition for condition, value in given.items() if value is None and condition in _CONDITIONS):
        inner.fault(f"/{empty}", "expected a value, got nothing")
    if not inner.faults and wanted == Filter():
        inner.fault("", "expected at least one condition")
    for fault in inner.faults:
        members.fault(f"/filter{fault['pointer']}", fault["detail"])
    return wanted


_CONDITIONS = {each.name for each in CONDITIONS}


def _kind(value: object) -> Kind:
    return Kind(_one_of(list(Kind), value))


def _status(value: object) -> Status:
    return Status(_one_of(list(Status), value))


def _error_kind(value: object) -> ErrorKind:
    return ErrorKind(_one_of(list(ErrorKind), value))


def _one_of(words: Sequence[str], value: object) -> str:
    if isinstance(value, str) and value in words:
        return value
    raise ValueError(f"expected one of {', '.join(words)}, got {shown(value)}")


def _ids(value: object) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_IDS:
        raise ValueError(f"expected a list of 1 to {MOST_IDS} ids, got {shown(value)}")
    ids: dict[str, None] = {}
    for each in value:
        task_id = read_id(each) if isinstance(each, str) else None
        if task_id is None:
            raise ValueError(f"expected ids of tasks, got {shown(each)}")
        ids[task_id] = None
    return list(ids)


def _object(value: object) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    raise ValueError(f"expected an object, got {shown(value)}")


def _reason(value: object) -> str:
    if isinstance(value, str) and len(value) <= MAX_REASON:
        return value
    raise ValueError(f"expected a string of at most {MAX_REASON} characters, got {shown(value)}")


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"expected true or false, got {shown(value)}")
