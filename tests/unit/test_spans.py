"""Spans around enqueue and run, as OpenTelemetry's own SDK sees them; without a provider there is nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider, SpanKind, StatusCode

from taskq import spans
from taskq.task import (
    Attempt,
    Cancelled,
    Completed,
    Crashed,
    ErrorDetail,
    ErrorKind,
    Failed,
    Outcome,
    Released,
    Retried,
)
from taskq.tracecontext import TraceContext

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
GIVEN = TraceContext(f"00-{TRACE}-{SPAN}-01", "rojo=1")
ATTEMPT = Attempt(id="i", type="image.resize", queue="slow", attempt=2, retries=1, trace=GIVEN)
DETAIL = ErrorDetail(kind=ErrorKind.EXCEPTION, type="ValueError", message="boom", traceback="Traceback ...")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Every span that has ended, in a process that has configured OpenTelemetry."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def test_spans_are_possible_once_a_provider_or_a_span_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not spans.possible()
    there = trace.NonRecordingSpan(trace.SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=True))
    with trace.use_span(there):
        assert spans.possible()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider())
    assert spans.possible()
    monkeypatch.delattr(trace, "_TRACER_PROVIDER")  # as in a version that calls it otherwise
    assert spans.possible()
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    assert not spans.possible()


def test_a_process_without_a_provider_asks_opentelemetry_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", TracerProvider)
    assert not spans.are_made()
    monkeypatch.delattr(trace, "_TRACER_PROVIDER")  # as in a version that calls it otherwise
    assert spans.are_made()


def only(made: InMemorySpanExporter) -> ReadableSpan:
    (span,) = made.get_finished_spans()
    return span


def context_of(span: ReadableSpan) -> TraceContext:
    ids = f"{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"
    return TraceContext(f"00-{ids}", span.context.trace_state.to_header())


def run(outcome: Outcome, attempt: Attempt = ATTEMPT) -> None:
    with spans.running(attempt, "w") as run:
        run.ended(outcome)


def test_without_a_provider_the_trace_passes_through_and_nothing_is_made() -> None:
    with spans.enqueueing(GIVEN, queue="slow", type_="t") as stored:
        assert stored == GIVEN
    with spans.enqueueing(None, queue="slow", type_="t") as stored:
        assert stored is None
    with spans.running(ATTEMPT, "w") as run:
        run.ended(Failed("boom", DETAIL))
        assert run.trace_id == TRACE
        assert not spans.in_span()
    spans.flush()


def test_taskq_does_without_opentelemetry() -> None:
    code = """
import sys
sys.modules["opentelemetry"] = None  # as if it were not installed
from taskq import spans
from taskq.task import Attempt
with spans.enqueueing(None, queue="q", type_="t"), spans.running(Attempt(id="i", type="t", queue="q", attempt=1), "w"):
    pass
spans.flush()
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_not_spanned_takes_the_span_that_is_current() -> None:
    current = trace.NonRecordingSpan(
        trace.SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=True, trace_flags=trace.TraceFlags(1))
    )

    with trace.use_span(current), spans.enqueueing(None, queue="q", type_="t") as stored:
        assert spans.in_span()
        assert stored == TraceContext(GIVEN.traceparent)


def test_an_enqueue_is_a_span_of_a_producer_below_the_one_that_was_given(made: InMemorySpanExporter) -> None:
    with spans.enqueueing(GIVEN, queue="slow", type_="image.resize", task_id="i") as stored:
        pass

    span = only(made)
    assert (span.name, span.kind) == ("enqueue slow", SpanKind.PRODUCER)
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}", span.parent.is_remote) == (TRACE, SPAN, True)
    assert stored == context_of(span)
    assert (stored.trace_id, stored.tracestate) == (TRACE, "rojo=1")
    assert span.attributes == {
        "messaging.system": "taskq",
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
        "messaging.destination.name": "slow",
        "messaging.message.id": "i",
        "taskq.task.type": "image.resize",
    }


def test_an_enqueue_without_a_trace_begins_one(made: InMemorySpanExporter) -> None:
    with spans.enqueueing(None, queue=None, type_=None, count=3) as stored:
        pass

    span = only(made)
    assert (span.name, span.parent, stored) == ("enqueue", None, context_of(span))
    assert span.attributes is not None
    assert span.attributes["messaging.batch.message_count"] == 3


def test_an_enqueue_in_a_span_is_its_child(made: InMemorySpanExporter) -> None:
    with (
        trace.get_tracer_provider().get_tracer("mine").start_as_current_span("request"),
        spans.enqueueing(None, queue="q", type_="t"),
    ):
        pass

    inner, outer = made.get_finished_spans()
    assert inner.parent == outer.context


def test_an_enqueue_that_fails_says_so(made: InMemorySpanExporter) -> None:
    with pytest.raises(KeyError), spans.enqueueing(None, queue="q", type_="t"):
        raise KeyError("x")

    span = only(made)
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == "KeyError"
    assert [event.name for event in span.events] == ["exception"]


def test_a_run_is_a_span_of_a_consumer_below_and_linked_to_its_enqueue(made: InMemorySpanExporter) -> None:
    run(Completed(b"1"))

    span = only(made)
    assert (span.name, span.kind, span.status.status_code) == ("process slow", SpanKind.CONSUMER, StatusCode.UNSET)
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, SPAN)
    assert [link.context for link in span.links] == [span.parent]
    assert span.attributes == {
        "messaging.system": "taskq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "slow",
        "messaging.message.id": "i",
        "taskq.task.type": "image.resize",
        "taskq.worker.id": "w",
        "taskq.attempt": 2,
        "taskq.retries": 1,
        "taskq.outcome": "completed",
    }


def test_a_run_without_a_trace_begins_one_whatever_is_current(made: InMemorySpanExporter) -> None:
    attempt = Attempt(id="i", type="t", queue="q", attempt=1)
    with (
        trace.get_tracer_provider().get_tracer("mine").start_as_current_span("left over"),
        spans.running(attempt, "w") as run,
    ):
        pass

    span = made.get_finished_spans()[0]
    assert (span.parent, list(span.links)) == (None, [])
    assert run.trace_id == f"{span.context.trace_id:032x}"


def test_spans_of_a_handler_are_children_of_its_run_and_nothing_stays_current(made: InMemorySpanExporter) -> None:
    with spans.running(ATTEMPT, "w"):
        trace.get_tracer_provider().get_tracer("mine").start_span("own").end()

    own, outer = made.get_finished_spans()
    assert own.parent is not None
    assert (own.name, own.parent.span_id) == ("own", outer.context.span_id)
    assert not spans.in_span()


@pytest.mark.parametrize(
    ("outcome", "word", "error_type"),
    [
        (Retried(1, "boom", DETAIL), "retried", "ValueError"),
        (Failed("boom", DETAIL), "failed", "ValueError"),
        (Failed("late", ErrorDetail(kind=ErrorKind.TIMEOUT, type="StopTask", message="late")), "failed", "StopTask"),
        (Crashed("killed", ErrorDetail(kind=ErrorKind.CRASH, message="killed", signal="SIGKILL")), "crashed", "crash"),
    ],
)
def test_a_run_that_fails_says_how(made: InMemorySpanExporter, outcome: Retried, word: str, error_type: str) -> None:
    run(outcome)

    span = only(made)
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, outcome.error)
    assert span.attributes is not None
    assert (span.attributes["taskq.outcome"], span.attributes["error.type"]) == (word, error_type)
    told = {
        "exception.type": outcome.detail.type,
        "exception.message": outcome.detail.message,
        "exception.stacktrace": outcome.detail.traceback,
    }
    expected = [{name: value for name, value in told.items() if value}] if outcome.detail.type else []
    assert [dict(event.attributes or {}) for event in span.events] == expected


@pytest.mark.parametrize(("outcome", "word"), [(Released(), "released"), (Cancelled("x"), "cancelled")])
def test_a_run_that_was_stopped_is_no_error(made: InMemorySpanExporter, outcome: Outcome, word: str) -> None:
    run(outcome)

    span = only(made)
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes is not None
    assert span.attributes["taskq.outcome"] == word


def test_a_provider_that_is_switched_off_lets_the_trace_through(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = NoOpTracerProvider()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)

    with spans.enqueueing(GIVEN, queue="q", type_="t") as stored:
        assert stored == GIVEN
    with spans.running(ATTEMPT, "w") as run:
        run.ended(Failed("boom", DETAIL))
        assert run.trace_id == TRACE
    with spans.enqueueing(None, queue="q", type_="t") as stored:
        assert stored is None
    spans.flush()


def test_a_flush_waits_for_the_exporter_but_not_for_ever(
    made: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, release = threading.Event(), threading.Event()
    provider = trace.get_tracer_provider()
    monkeypatch.setattr(provider, "force_flush", done.set)
    spans.flush()
    assert done.is_set()

    monkeypatch.setattr(provider, "force_flush", release.wait)
    spans.flush(0.01)
    release.set()


def test_the_api_takes_an_instrumented_falcon() -> None:
    code = """
import falcon
class Instrumented(falcon.App):  # takes no parameters any more
    pass
falcon.App = Instrumented
from taskq.api import app, server
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
