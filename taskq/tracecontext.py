"""Where a task stands in a distributed trace, as the W3C recommendation "Trace Context" writes it down. Pure.

`traceparent` names the trace and the span that caused the task, `tracestate` is what tracing systems add to it. Whatever is
malformed is ignored, as the recommendation demands: a fault in somebody's tracing must not keep a task from being stored.
"""

from __future__ import annotations

import re

import msgspec

MAX_STATE = 512
"""Characters of a `tracestate` that are carried; a longer one is dropped as a whole, which the recommendation allows."""

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z")
_KEY = r"(?:[a-z0-9][a-z0-9_*/\-]{0,255}|[a-z0-9][a-z0-9_*/\-]{0,240}@[a-z][a-z0-9_*/\-]{0,13})"
_MEMBER = re.compile(_KEY + r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]\Z")
_MOST_MEMBERS = 32
_KNOWN_FLAGS = 0x03


class TraceContext(msgspec.Struct, frozen=True):
    """A valid `traceparent` of version 00, and the `tracestate` that came with it, or ""."""

    traceparent: str
    tracestate: str = ""

    @property
    def trace_id(self) -> str:
        """The trace, in 32 hex digits."""
        return self.traceparent[3:35]


def trace_context(traceparent: str | None, tracestate: str | None = None) -> TraceContext | None:
    """What two headers say; None without a valid `traceparent`, whose `tracestate` then means nothing."""
    match = _PARENT.match(traceparent.strip(" \t")) if traceparent else None
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    if version == "ff" or not trace_id.strip("0") or not parent_id.strip("0") or (version == "00" and more):
        return None
    if version != "00":  # of a later version what this one knows, in the form of this one
        flags = f"{int(flags, 16) & _KNOWN_FLAGS:02x}"
    return TraceContext(f"00-{trace_id}-{parent_id}-{flags}", _state(tracestate or ""))


def _state(text: str) -> str:
    members = [member.strip(" \t") for member in text.split(",")]
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    sound = len(keys) == len(members) <= _MOST_MEMBERS and all(_MEMBER.match(member) for member in members)
    state = ",".join(members)
    return state if sound and len(state) <= MAX_STATE else ""
