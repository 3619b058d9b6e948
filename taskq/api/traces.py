"""The headers traceparent and tracestate: in which distributed trace a task is submitted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import falcon

from taskq import spans
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


def enqueueing(req: falcon.Request, news: Sequence[NewTask]) -> AbstractContextManager[TraceContext | None]:
    """Around the storing of what a request submits; the value is the trace context to store with each of the tasks."""
    # an instrumented server has read the headers, and the span that it made is current
    given = None if spans.in_span() else trace_context(req.get_header("traceparent"), req.get_header("tracestate"))
    queues, types = {new.queue for new in news}, {new.type for new in news}
    return spans.enqueueing(
        given,
        queue=queues.pop() if len(queues) == 1 else None,
        type_=types.pop() if len(types) == 1 else None,
        task_id=news[0].id if len(news) == 1 else None,
        count=len(news),
    )


def logged(task: NewTask | Task) -> dict[str, Any]:
    """What every log line about a task says."""
    fields = {"task_id": task.id, "type": task.type, "queue": task.queue}
    return {**fields, "trace_id": task.trace.trace_id} if task.trace else fields
