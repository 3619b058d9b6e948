"""The headers traceparent and tracestate: in which distributed trace a task is submitted."""

from __future__ import annotations

from typing import Any

import falcon

from taskq.api.describe import Parameter
from taskq.task import NewTask, Task
from taskq.tracecontext import TraceContext, trace_context

TRACEPARENT = Parameter(
    name="traceparent",
    place="header",
    schema={"type": "string"},  # any text at all: a malformed one is ignored
    description="The W3C trace context of the caller; it is stored with the task. A malformed one is ignored.",
    example="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)
TRACESTATE = Parameter(
    name="tracestate",
    place="header",
    schema={"type": "string"},
    description="What belongs to `traceparent`, up to 512 characters.",
    example="congo=t61rcWkgMzE",
)


def read_trace(req: falcon.Request) -> TraceContext | None:
    """The trace that a request belongs to, if it says so."""
    return trace_context(req.get_header("traceparent"), req.get_header("tracestate"))


def logged(task: NewTask | Task) -> dict[str, Any]:
    """What every log line about a task says."""
    fields = {"task_id": task.id, "type": task.type, "queue": task.queue}
    return {**fields, "trace_id": task.trace.trace_id} if task.trace else fields
