"""What a client asks for, as values: a new task, the delay of a requeue, the reason of a cancel.

A body that is not a task at all is refused as the service always did (400). A member that has a wrong value is a 422, and
all of them are named at once. A member that is null counts as absent, one that nobody knows is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskq import members
from taskq.api.admission import Admission, Admitter, Unknown, as_members
from taskq.api.body import encode, invalid_body
from taskq.api.context import ApiContext
from taskq.api.describe import Body, JsonSchema, Schema, json
from taskq.api.errors import ApiError
from taskq.members import DURATION_SCHEMA, NAME_SCHEMA, OPTIONS, duration_s, name, read_options
from taskq.task import NewTask
from taskq.units import shown

MAX_REASON = 500


def optional(schema: JsonSchema) -> JsonSchema:
    """The same, or null, which counts as absent."""
    return {"anyOf": [schema, {"type": "null"}]}


_GIVEN: JsonSchema = {"not": {"type": "null"}}

NEW_TASK = Schema(
    name="NewTask",
    schema={
        "title": "NewTask",
        "type": "object",
        "description": "A task to enqueue. At most one of `delay` and `run_at`; without either it is due at once.",
        "properties": {
            "type": NAME_SCHEMA,
            "payload": {"description": "Any JSON value; what fits is said by the schema of the type."},
            **{name: optional(option.schema) for name, option in OPTIONS.items()},
        },
        "required": ["type"],
        # Not as two alternatives: generators would make a type of each.
        "not": {"required": ["delay", "run_at"], "properties": dict.fromkeys(("delay", "run_at"), _GIVEN)},
    },
)
TASK_BODY = Body(
    shapes=json(NEW_TASK),
    examples={
        "echo": {"type": "echo", "payload": "Hello World"},
        "later": {"type": "sum", "payload": [1, 2, 5], "priority": "high", "delay": "5m", "tags": ["nightly"]},
    },
)
REASON_BODY = Body(
    shapes=json(
        Schema(
            name="ReasonBody",
            schema={
                "title": "ReasonBody",
                "type": "object",
                "properties": {"reason": optional({"type": "string", "maxLength": MAX_REASON})},
            },
        )
    ),
    examples={"reason": {"reason": "deploy"}},
    required=False,
)
DELAY_BODY = Body(
    shapes=json(
        Schema(
            name="DelayBody",
            schema={"title": "DelayBody", "type": "object", "properties": {"delay": optional(DURATION_SCHEMA)}},
        )
    ),
    examples={"later": {"delay": "30s"}},
    required=False,
)


class Members(members.Members):
    """The members of a body."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        super().__init__(members)
        self.unknown: Unknown | None = None

    def check(self) -> None:
        """Raises ApiError if any fault was found; the sentence names the first."""
        if self.unknown:
            code, members = f"unknown_{self.unknown.member}", as_members(self.unknown)
            raise ApiError(code, self.unknown.sentence, errors=self.faults, members=members)
        if self.faults:
            first = self.faults[0]
            sentence = f"invalid {first['pointer'].removeprefix('/') or 'body'}: {first['detail']}"
            raise ApiError("invalid_members", sentence, errors=self.faults)


def new_task(body: Mapping[str, Any], context: ApiContext, task_id: str, admitter: Admitter) -> NewTask:
    """The task that a POST asks for. Raises ApiError with every fault, and what `admitter` raises."""
    type_ = _type(body)
    members = Members(body)
    members.read("type", name, "")
    queue = members.read("queue", name, context.settings.default_queue)
    payload = encode(body["payload"]) if "payload" in body else None
    max_retry = context.settings.default_max_retry
    if not members.faults:
        admission = admitter.admit(type_, queue, payload)
        max_retry = max_retry if admission.max_retry is None else admission.max_retry
        _note_refusal(members, admission)
    fields = {"max_retry": max_retry, **read_options(members, beside={"queue"})}
    members.check()
    return NewTask(id=task_id, type=type_, payload=payload, queue=queue, **fields)


def requeue_delay_s(body: Mapping[str, Any]) -> float:
    """The seconds to wait before a requeued task is pending."""
    members = Members(body)
    delay_s = members.read("delay", duration_s, 0.0)
    members.check()
    return delay_s


def given_reason(body: Mapping[str, Any]) -> str:
    """Why a client does what it does; "" for no reason."""
    members = Members(body)
    reason = members.read("reason", _reason, "")
    members.check()
    return reason


def _note_refusal(members: Members, admission: Admission) -> None:
    members.unknown = admission.unknown
    if admission.unknown:
        members.fault(f"/{admission.unknown.member}", admission.unknown.detail)
    for fault in admission.faults:
        members.fault(f"/payload{fault.pointer}", fault.detail[:1].lower() + fault.detail[1:])


def _type(body: Mapping[str, Any]) -> str:
    value = body.get("type")
    if value is None or value == "":
        raise ApiError("type_required", "type is required", errors=[{"pointer": "/type", "detail": "expected a string"}])
    if not isinstance(value, str):
        raise invalid_body(f"expected a string, got {shown(value)}", "/type")
    return value


def _reason(value: object) -> str:
    if isinstance(value, str) and len(value) <= MAX_REASON:
        return value
    raise ValueError(f"expected a string of at most {MAX_REASON} characters, got {shown(value)}")
