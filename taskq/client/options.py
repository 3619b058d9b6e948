"""What a caller in Python says about a task beside its type and payload. Pure.

The names are those of a POST, with Python's own durations and moments beside the texts; see `taskq.members.OPTIONS`. What is
a header there (Idempotency-Key, traceparent, tracestate) is an option here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from taskq.errors import InvalidOptions
from taskq.members import OPTIONS, Members, read_options
from taskq.tracecontext import trace_context
from taskq.units import shown

IDEMPOTENCY_KEY = "idempotency_key"
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

NAMES = (*OPTIONS, IDEMPOTENCY_KEY, TRACEPARENT, TRACESTATE)
"""Every option of a submission."""

OF_ONE_TASK = ("unique_key", IDEMPOTENCY_KEY)
"""Those that cannot hold for several tasks."""

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})

_KEY = re.compile(r"[\x20-\x7e]{1,128}\Z")


def fields_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of NewTask that the options set, and the idempotency key. Raises InvalidOptions with every fault."""
    if not options:
        return {}
    faults = {name: unknown_option(name) for name in options if name not in NAMES}
    members = Members({name: _as_member(value) for name, value in options.items()})
    fields = read_options(members)
    key = members.read(IDEMPOTENCY_KEY, _key, None)
    if key is not None:
        fields[IDEMPOTENCY_KEY] = key
    # as in a header, what is malformed is ignored: it may have come with a request of somebody else's
    trace = trace_context(members.read(TRACEPARENT, _text, None), members.read(TRACESTATE, _text, None))
    if trace is not None:
        fields["trace"] = trace
    for fault in members.faults:
        faults.setdefault(fault["pointer"].removeprefix("/"), fault["detail"])
    if faults:
        raise InvalidOptions(faults)
    return fields


def fields_for_many(options: Mapping[str, Any]) -> dict[str, Any]:
    """Like `fields_of`, for options that shall hold for several tasks."""
    fields = fields_of(options)
    if faults := {name: "expected one task: no two can have it" for name in OF_ONE_TASK if name in fields}:
        raise InvalidOptions(faults)
    return fields


def unknown_option(name: str, prefix: str = "") -> str:
    """The sentence about a name that is no option; `prefix` is what the names of options begin with."""
    near = difflib.get_close_matches(name, NAMES, 1)
    known = ", ".join(prefix + each for each in NAMES)
    return f"expected one of {known}" + (f"; did you mean {prefix}{near[0]}?" if near else "")


def _key(value: object) -> str:
    if isinstance(value, str) and _KEY.match(value):
        return value
    raise ValueError(f"expected 1 to 128 printable ASCII characters, got {shown(value)}")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"expected a string, got {shown(value)}")


def _as_member(value: Any) -> Any:
    """A value as it would stand in a POST."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        # without a time zone it stays what no reader takes for a moment
        return value.astimezone(UTC).isoformat() if value.tzinfo else value
    return value
