"""What a submitter says about a task: the members of a POST, those of a line to import, the options of a call in Python.

Each member fills one field of `NewTask`, as `OPTIONS` says. All faults are found at once. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from taskq.task import MAX_RETRY_LIMIT, NAME, Priority
from taskq.units import MAX_DURATION_S, parse_duration, shown

MAX_TAGS = 32

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)

_DIGITS = {"d": 4, "h": 5, "m": 7, "s": 9, "ms": 9}
"""So many before the point: whatever they are, together they are less than MAX_DURATION_S."""

_FRACTION = r"(?:\.[0-9]{1,15})?"
_DURATION = (
    rf"^(?=[0-9])(?:[0-9]{{1,9}}{_FRACTION}|"
    + "".join(rf"(?:[0-9]{{1,{most}}}{_FRACTION}{unit})?" for unit, most in _DIGITS.items())
    + r")$"
)

NAME_SCHEMA = {"type": "string", "pattern": r"^[A-Za-z0-9_.\-]{1,128}$"}
MOMENT_SCHEMA = {"type": "string", "format": "date-time"}
DURATION_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": MAX_DURATION_S},
        {"type": "string", "pattern": _DURATION},
    ]
}
SOME_DURATION_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_DURATION_S},
        {"type": "string", "pattern": _DURATION.replace("^", "^(?=.*[1-9])")},
    ]
}
"""What `name`, `moment_ms`, `duration_s` and `some_duration_s` take, as JSON Schema: that, and nothing else."""


class Members:
    """The members of an object, read one after the other, and every fault found on the way. One that is None is absent."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        self.members = members
        self.faults: list[dict[str, str]] = []

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


def read_options(members: Members, *, beside: Collection[str] = ()) -> dict[str, Any]:
    """The fields of NewTask that the options set, except for those `beside`; what is absent is left out.

    Faults stay with `members`.
    """
    fields: dict[str, Any] = {}
    if OPTIONS.keys().isdisjoint(members.members):
        return fields  # most tasks say nothing but type and payload
    for option, (field, reader, _) in OPTIONS.items():
        value = None if option in beside else members.read(option, reader, None)
        if value is not None:
            fields[field] = value
    if members.members.get("delay") is not None and members.members.get("run_at") is not None:
        members.fault("/run_at", "expected either delay or run_at, got both")
    if fields.get("expires_in_s", math.inf) <= fields.get("delay_s", 0):
        members.fault("/expires_in", "expected more than delay: the task would expire before it is due")
    if "tags" in fields:
        fields["tags"] = _distinct(members, "/tags", fields["tags"])
    return fields


def pointer_step(name: str) -> str:
    """How a JSON pointer goes on to a member (RFC 6901)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


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
            # In UTC, in which it is shown, it must be in a year from 1 to 9999 as well.
            return (datetime.fromisoformat(text).astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
        except (ValueError, OverflowError):
            pass  # a 13th month, a 25th hour: refused like any other text
    raise ValueError(f'expected an RFC 3339 moment such as "2026-02-01T10:53:32Z", got {shown(value)}')


def duration_s(value: object) -> float:
    """Seconds of a number, or of a text such as "30", "500ms" or "1h30m". Raises ValueError."""
    seconds = parse_duration(value)
    if isinstance(value, str) and not re.fullmatch(_DURATION, value):
        most = ", ".join("9" * digits + unit for unit, digits in _DIGITS.items())
        raise ValueError(f"expected a duration of at most {most} without spaces, got {shown(value)}")
    return seconds


def some_duration_s(value: object) -> float:
    """The same, but not zero; at least 1 ms, and to the millisecond, as it is stored: the answer must not differ from what a
    later GET shows. Raises ValueError."""
    seconds = duration_s(value)
    if seconds > 0:
        return max(1, round(seconds * 1000)) / 1000
    raise ValueError(f"expected a duration of at least 1ms, got {shown(value)}")


def _priority(value: object) -> Priority:
    if isinstance(value, str) and value in Priority.__members__.values():
        return Priority(value)
    raise ValueError(f"expected one of {', '.join(Priority)}, got {shown(value)}")


def _max_retry(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 3.0 is an integer in JSON
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_RETRY_LIMIT:
        return value
    raise ValueError(f"expected an integer from 0 to {MAX_RETRY_LIMIT}, got {shown(value)}")


def _tags(value: object) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list, got {shown(value)}")
    if len(value) > MAX_TAGS:
        raise ValueError(f"expected at most {MAX_TAGS} tags, got {len(value)}")
    return list(value)


def _distinct(members: Members, pointer: str, values: list[Any]) -> tuple[str, ...]:
    """Each name once; a fault for each value that is none."""
    names: dict[str, None] = {}
    for at, value in enumerate(values):
        try:
            names[name(value)] = None
        except ValueError as error:
            members.fault(f"{pointer}/{at}", str(error))
    return tuple(names)


class Option(NamedTuple):
    """A member: the field of NewTask that it fills, how its value is read (raises ValueError), and the JSON Schema of what
    the reader takes."""

    field: str
    reader: Callable[[Any], Any]
    schema: dict[str, Any]


OPTIONS: Mapping[str, Option] = {
    "queue": Option("queue", name, NAME_SCHEMA),
    "priority": Option("priority", _priority, {"type": "string", "enum": list(Priority)}),
    "max_retry": Option("max_retry", _max_retry, {"type": "integer", "minimum": 0, "maximum": MAX_RETRY_LIMIT}),
    "delay": Option("delay_s", duration_s, DURATION_SCHEMA),
    "run_at": Option("run_at_ms", moment_ms, MOMENT_SCHEMA),
    "timeout": Option("timeout_s", some_duration_s, SOME_DURATION_SCHEMA),
    "expires_in": Option("expires_in_s", some_duration_s, SOME_DURATION_SCHEMA),
    "unique_key": Option("unique_key", name, NAME_SCHEMA),
    "tags": Option("tags", _tags, {"type": "array", "items": NAME_SCHEMA, "maxItems": MAX_TAGS}),
}
"""Everything that can be said about a task beside its type and payload."""
