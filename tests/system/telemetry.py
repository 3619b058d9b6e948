"""OpenTelemetry as a user configures it, in a module of tasks: the spans of every process, as lines of JSON in a file.

They are sent in batches and, but for the ends of processes, after a time that no test waits for.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from taskq import Context, task

LATER_MS = 3_600_000


class ToFile(SpanExporter):
    """Appends what it is given to the file that TASKQ_TEST_SPANS names."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with open(os.environ["TASKQ_TEST_SPANS"], "a") as file:
            file.writelines(f"{span.to_json(indent=None)}\n" for span in spans)
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ToFile(), schedule_delay_millis=LATER_MS))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("tests")


@task("traced")
def traced(ctx: Context, *, fail: bool = False) -> str | None:
    with tracer.start_as_current_span("inside"):
        if fail and ctx.attempt == 1:
            raise ValueError("boom")
    return ctx.traceparent


@task("traced.alone", isolation="process")
def alone(*, die: bool = False) -> None:
    with tracer.start_as_current_span("inside alone"):
        if die:
            os.kill(os.getpid(), signal.SIGKILL)


@task("traced.chain")
def chain() -> str:
    return traced.enqueue().id
