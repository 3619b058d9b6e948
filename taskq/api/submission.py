"""What a client asks for, as values: a new task, the delay of a requeue, the reason of a cancel.

A body that is not a task at all is refused as the service always did (400). A member that has a wrong value is a 422, and
all of them are named at once. A member that is null counts as absent, one that nobody knows is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from taskq.api.admission import Admission, Admitter, Unknown, as_members
from taskq.api.body import encode, invalid_body
from taskq.api.context import ApiContext
from taskq.api.errors import ApiError
from taskq.task import MAX_RETRY_LIMIT, NAME, NewTask, Priority
from taskq.units import parse_duration, shown

MAX_TAGS = 32
MAX_REASON = 500

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)


class Members:
    """The members of a body, read one after the other, and every fault found on the way."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        self.members = members
        self.faults: list[dict[str, str]] = []
        self.unknown: Unknown | None = None

    def read(self, name: str, reader: Callable[[Any], T], default: T) -> T:
        """The value of a member as `reader` makes it, or `default` if it is absent or at fault."""
        value = self.members.get(name)
        if value is None:
            return default
        try:
            return reader(value)
        except ValueError as error:
            self.fault(f"/{name}", str(error))
            return default

    def fault(self, pointer: str, detail: str) -> None:
        """Note what is wrong with the value at a JSON pointer."""
        self.faults.append({"pointer": pointer, "detail": detail})

    def check(self) -> None:
        """Raises ApiError if any fault was found; the sentence names the first."""
        if self.unknown:
            code, members = f"unknown_{self.unknown.member}", as_members(self.unknown)
            raise ApiError(code, self.unknown.sentence, errors=self.faults, members=members)
        if self.faults:
            first = self.faults[0]
            sentence = f"invalid {first['pointer'].removeprefix('/')}: {first['detail']}"
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
    if body.get("delay") is not None and body.get("run_at") is not None:
        members.fault("/run_at", "expected either delay or run_at, got both")
    new = NewTask(
        id=task_id,
        type=type_,
        payload=payload,
        queue=queue,
        priority=members.read("priority", _priority, Priority.NORMAL),
        max_retry=members.read("max_retry", _max_retry, max_retry),
        delay_s=members.read("delay", parse_duration, 0.0),
        run_at_ms=members.read("run_at", moment_ms, None),
        timeout_s=members.read("timeout", _some_duration, None),
        expires_in_s=members.read("expires_in", _some_duration, None),
        unique_key=members.read("unique_key", name, None),
        tags=_tags(members),
    )
    if new.expires_in_s is not None and new.expires_in_s <= new.delay_s:
        members.fault("/expires_in", "expected more than delay: the task would expire before it is due")
    members.check()
    return new


def requeue_delay_s(body: Mapping[str, Any]) -> float:
    """The seconds to wait before a requeued task is pending."""
    members = Members(body)
    delay_s = members.read("delay", parse_duration, 0.0)
    members.check()
    return delay_s


def given_reason(body: Mapping[str, Any]) -> str:
    """Why a client does what it does; "" for no reason."""
    members = Members(body)
    reason = members.read("reason", _reason, "")
    members.check()
    return reason


def name(value: object) -> str:
    """A queue, type, tag or unique key. Raises ValueError."""
    if isinstance(value, str) and NAME.match(value):
        return value
    raise ValueError(f"expected 1 to 128 of letters, digits and _ . -, got {shown(value)}")


def moment_ms(value: object) -> int:
    """An RFC 3339 moment as ms since the epoch, cut off. Raises ValueError."""
    match = _MOMENT.match(value) if isinstance(value, str) else None
    if match:
        date, time, fraction, offset = match.groups()
        text = f"{date}T{time}.{(fraction or '0')[:6]:0<6}{offset.upper()}"
        try:
            return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
        except ValueError:
            pass  # a 13th month, a 25th hour: refused like any other text
    raise ValueError(f'expected an RFC 3339 moment such as "2026-02-01T10:53:32Z", got {shown(value)}')


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


def _priority(value: object) -> Priority:
    if isinstance(value, str) and value in Priority.__members__.values():
        return Priority(value)
    raise ValueError(f"expected one of {', '.join(Priority)}, got {shown(value)}")


def _max_retry(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_RETRY_LIMIT:
        return value
    raise ValueError(f"expected an integer from 0 to {MAX_RETRY_LIMIT}, got {shown(value)}")


def _some_duration(value: object) -> float:
    # To the millisecond, as it is stored: the answer must not differ from what a later GET shows.
    duration_s = round(parse_duration(value) * 1000) / 1000
    if duration_s > 0:
        return duration_s
    raise ValueError(f"expected a duration of at least 1ms, got {shown(value)}")


def _reason(value: object) -> str:
    if isinstance(value, str) and len(value) <= MAX_REASON:
        return value
    raise ValueError(f"expected a string of at most {MAX_REASON} characters, got {shown(value)}")


def _tags(members: Members) -> tuple[str, ...]:
    values: list[Any] = members.read("tags", _tag_list, [])
    tags: dict[str, None] = {}
    for at, value in enumerate(values):
        try:
            tags[name(value)] = None
        except ValueError as error:
            members.fault(f"/tags/{at}", str(error))
    return tuple(tags)


def _tag_list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list, got {shown(value)}")
    if len(value) > MAX_TAGS:
        raise ValueError(f"expected at most {MAX_TAGS} tags, got {len(value)}")
    return value
