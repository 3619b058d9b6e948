"""Spans of OpenTelemetry, for processes that have configured it: one for each enqueue, one for each run of a task.

Only this module imports OpenTelemetry, and only when the process has done so already: without a tracer provider nothing is
loaded, made or sent. Names and attributes are those of the semantic conventions for messaging systems
(https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/); what is particular to taskq begins with `taskq.`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from taskq.task import Attempt, Crashed, Failed, Outcome, Retried
from taskq.tracecontext import TraceContext, trace_context

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, Tracer, TracerProvider

FLUSH_S = 1.0
"""How long the end of a process waits for its last spans to be sent."""

_API = "opentelemetry.trace"
_NAMED = "OTEL_PYTHON_TRACER_PROVIDER" in os.environ
"""Whether the process was started with a provider named, which OpenTelemetry makes when it is first asked for it."""

SYSTEM = {"messaging.system": "taskq"}

Attributes = dict[str, str | int]


class Run:
    """The span of one run; without OpenTelemetry nothing. `trace_id` is that of its trace, None without one."""

    def __init__(self, span: Span | None = None, trace_id: str | None = None) -> None:
        self._span = span
        self.trace_id = trace_id

    def ended(self, outcome: Outcome) -> None:
        """Tell how the run ended; a failure with the exception, as data that is bounded already."""
        if self._span is None or not self._span.is_recording():
            return
        self._span.set_attribute("taskq.outcome", type(outcome).__name__.lower())
        if isinstance(outcome, (Retried, Failed, Crashed)):
            self._failed(outcome)

    def _failed(self, outcome: Retried | Failed | Crashed) -> None:
        from opentelemetry.trace import Status, StatusCode

        assert self._span is not None
        detail = outcome.detail
        self._span.set_status(Status(StatusCode.ERROR, outcome.error))
        self._span.set_attribute("error.type", detail.type or str(detail.kind))
        said = {"exception.type": detail.type, "exception.message": detail.message, "exception.stacktrace": detail.traceback}
        if detail.type is not None:
            self._span.add_event("exception", {name: value for name, value in said.items() if value is not None})


@contextmanager
def enqueueing(
    parent: TraceContext | None, *, queue: str | None, type_: str | None, task_id: str | None = None, count: int = 1
) -> Iterator[TraceContext | None]:
    """A span around the storing of tasks; the value is the trace context to store with them, None for none.

    The span is a child of `parent`, without one of the span that is current here. `queue` and `type_` are None where the
    tasks have several.
    """
    tracer = _tracer()
    if tracer is None:
        yield parent or _current()
        return
    from opentelemetry.trace import SpanKind, use_span

    attributes = _attributes("enqueue", "send", queue, type_)
    attributes |= {"messaging.message.id": task_id} if task_id else {"messaging.batch.message_count": count}
    name = f"enqueue {queue}" if queue else "enqueue"
    above = _above(parent) if parent else None
    with use_span(tracer.start_span(name, above, SpanKind.PRODUCER, attributes=attributes), end_on_exit=True) as span:
        try:
            yield _as_trace(span.get_span_context())
        except Exception as error:
            span.set_attribute("error.type", type(error).__qualname__)
            raise


@contextmanager
def running(attempt: Attempt, worker_id: str) -> Iterator[Run]:
    """A span around the run of a handler, current meanwhile. Its parent is what enqueued the task, to which it is linked as
    well, for those who look for links. Whatever else is current in the process has nothing to do with it."""
    tracer = _tracer()
    if tracer is None:
        yield Run(None, attempt.trace.trace_id if attempt.trace else None)
        return
    from opentelemetry import context, trace

    attributes = _attributes("process", "process", attempt.queue, attempt.type)
    attributes |= {"messaging.message.id": attempt.id, "taskq.worker.id": worker_id}
    attributes |= {"taskq.attempt": attempt.attempt, "taskq.retries": attempt.retries}
    above = _above(attempt.trace)
    links = [trace.Link(trace.get_current_span(above).get_span_context())] if attempt.trace else []
    span = tracer.start_span(f"process {attempt.queue}", above, trace.SpanKind.CONSUMER, attributes=attributes, links=links)
    token = context.attach(trace.set_span_in_context(span, above))
    here = _as_trace(span.get_span_context())
    try:
        yield Run(span, here.trace_id if here else None)
    finally:
        context.detach(token)
        span.end()


def are_made() -> bool:
    """True where the process has configured OpenTelemetry."""
    return _tracer() is not None


def possible() -> bool:
    """False where there is certainly no span to make or to follow. It is asked for every task, and so costs little: to find
    out that nothing is configured takes OpenTelemetry, which redis-py loads where it is installed, as long as a script."""
    api: Any = sys.modules.get(_API)
    if api is None:
        return False
    if getattr(api, "_TRACER_PROVIDER", api) is not None or _NAMED:
        return True
    return api.get_current_span() is not api.INVALID_SPAN


def in_span() -> bool:
    """True where a span is current, such as that of an instrumented server for its request."""
    return _current() is not None


def flush(limit_s: float = FLUSH_S) -> None:
    """Have the spans of this process sent that wait for it; blocks up to `limit_s`, also where nobody takes them."""
    tracer = _tracer()
    send = getattr(_provider(), "force_flush", None) if tracer else None
    if send is not None:
        # in a thread, since exporters try again for longer than anybody who ends a process wants to wait
        sender = threading.Thread(target=send, name="taskq-flush", daemon=True)
        sender.start()
        sender.join(limit_s)


class _Known:
    provider: TracerProvider | None = None
    tracer: Tracer | None = None


def _provider() -> TracerProvider | None:
    """What the process has configured; None without. Looked up for every task: without one, OpenTelemetry, which redis-py
    loads where it is installed, is not even asked."""
    api: Any = sys.modules.get(_API)
    if api is None or (getattr(api, "_TRACER_PROVIDER", api) is None and not _NAMED):
        return None
    provider: TracerProvider = api.get_tracer_provider()
    return None if isinstance(provider, api.ProxyTracerProvider) else provider


def _tracer() -> Tracer | None:
    provider = _provider()
    if provider is not _Known.provider:
        _Known.provider, _Known.tracer = provider, provider.get_tracer("taskq") if provider else None
    return _Known.tracer


def _current() -> TraceContext | None:
    api: Any = sys.modules.get(_API)
    return _as_trace(api.get_current_span().get_span_context()) if api else None


def _above(trace: TraceContext | None) -> Context:
    """A context of nothing but the span that a trace context names."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers = {"traceparent": trace.traceparent, "tracestate": trace.tracestate} if trace else {}
    return TraceContextTextMapPropagator().extract(headers, Context())


def _as_trace(span: SpanContext) -> TraceContext | None:
    if not span.is_valid:
        return None
    return trace_context(f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}", span.trace_state.to_header())


def _attributes(name: str, kind: str, queue: str | None, type_: str | None) -> Attributes:
    known = {"messaging.destination.name": queue, "taskq.task.type": type_}
    operation = {"messaging.operation.name": name, "messaging.operation.type": kind}
    return {**SYSTEM, **operation, **{key: value for key, value in known.items() if value is not None}}
