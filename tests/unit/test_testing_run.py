"""One attempt of a handler in a test, with everything but Redis."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import pytest
from msgspec import Meta, Struct

from taskq import Backoff, Context, Fail, InvalidPayload, Retry, TaskqError, register, task
from taskq.errors import AttemptNotCompleted, StopTask
from taskq.registry import registry
from taskq.task import ErrorKind, Progress
from taskq.testing import run
from taskq.worker.executor import Defaults

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def _same_types() -> Iterator[None]:
    """Types that a test registers are gone after it."""
    before = dict(registry._handlers)
    yield
    registry._handlers.clear()
    registry._handlers.update(before)


class Point(Struct):
    x: int
    y: int = 0


@task("try.resize", max_retry=2, timeout="2m", retry_on=(OSError,), backoff=Backoff(first=2, factor=3))
def resize(ctx: Context, path: str, width: Annotated[int, Meta(ge=1)] = 800) -> dict[str, Any]:
    if path == "broken":
        raise ValueError("no image")
    if path == "away":
        raise OSError("no disk")
    return {"path": path, "width": width, "attempt": ctx.attempt}


@task("try.move")
def move(point: Point) -> Point:
    return Point(point.x + 1, point.y)


@task("try.talk")
def talk(ctx: Context, loud: bool = False) -> None:
    ctx.progress(1, 2, "half")
    ctx.log.info("by the context")
    logging.getLogger("library").info("by a library")
    print("by print")
    print("by print to stderr", file=sys.stderr)
    ctx.progress(2, 2)


def test_what_a_handler_returns_is_the_result() -> None:
    outcome = run(resize, {"path": "a.png"})

    assert (outcome.status, outcome.result) == ("completed", {"path": "a.png", "width": 800, "attempt": 1})
    assert outcome.result_json == b'{"path":"a.png","width":800,"attempt":1}'
    assert (outcome.error, outcome.error_detail, outcome.delay_s) == (None, None, None)
    assert outcome.raise_for_failure() is outcome


def test_payload_and_result_take_their_way_through_json() -> None:
    @task("try.when")
    def when(at: datetime, of: UUID, raw: bytes) -> Any:
        return (at, of, raw.hex())

    assert run(move, {"x": 1}).result == Point(2)
    assert run(move, Point(1, 5)).result == Point(2, 5)
    moment = datetime(2026, 2, 1, tzinfo=UTC)
    told = run(when, {"at": moment, "of": UUID(int=1), "raw": b"\x00"}).result
    assert told == ["2026-02-01T00:00:00Z", str(UUID(int=1)), "00"]


def test_a_payload_that_does_not_fit_fails_as_in_a_worker() -> None:
    for payload in ({"path": 3}, {"path": "a", "width": 0}, {}, {"path": "a", "more": 1}):
        outcome = run(resize, payload)
        assert outcome.status == "failed"
        assert outcome.error_detail is not None
        assert outcome.error_detail.kind is ErrorKind.INVALID_PAYLOAD
    assert "at /width" in (run(resize, {"path": "a", "width": 0}).error or "")


def test_what_json_cannot_say_is_not_even_run() -> None:
    with pytest.raises(InvalidPayload, match="expected what JSON can say"):
        run(resize, {"path": object()})


def test_an_exception_is_retried_by_the_options_of_the_type() -> None:
    waits = [run(resize, {"path": "away"}, attempt=attempt).delay_s for attempt in (1, 2, 3)]

    assert waits == [2.0, 6.0, None]
    last = run(resize, {"path": "away"}, attempt=3)
    assert (last.status, last.error) == ("failed", "no disk")
    assert run(resize, {"path": "away"}, attempt=3, retries=0).status == "retry"
    assert run(resize, {"path": "away"}, max_retry=0).status == "failed"
    never = run(resize, {"path": "broken"})
    assert never.status == "failed"
    assert never.error_detail is not None
    assert (never.error_detail.kind, never.error_detail.type) == (ErrorKind.EXCEPTION, "ValueError")


@pytest.mark.parametrize(
    ("error", "status", "delay_s"),
    [
        (Retry("later", delay=60), "retry", 60),
        (Fail("never"), "failed", None),
        (SystemExit(3), "retry", 1),
        (StopTask("CANCELLED"), "cancelled", None),
        (StopTask("DRAIN"), "released", None),
    ],
)
def test_every_way_to_end_is_an_outcome(error: BaseException, status: str, delay_s: float | None) -> None:
    def ends() -> None:
        raise error

    outcome = run(register("try.ends", ends))

    assert (outcome.status, outcome.delay_s) == (status, delay_s)


def test_a_result_that_cannot_be_stored_fails() -> None:
    sender = register("try.odd", lambda payload: {1, 2} if payload == "set" else "x" * 100)

    assert (run(sender, "set").error or "").startswith("result_not_serialisable")
    assert (run(sender, "long", defaults=Defaults(result_max_bytes=50)).error or "").startswith("result_too_large: 102")


def test_failure_is_raised_on_demand_with_the_traceback_of_the_handler() -> None:
    with pytest.raises(AttemptNotCompleted, match=r"attempt 1 of 'try.resize' ended as failed: no image") as failed:
        run(resize, {"path": "broken"}).raise_for_failure()

    assert 'raise ValueError("no image")' in str(failed.value)
    assert isinstance(failed.value, AssertionError)
    with pytest.raises(AttemptNotCompleted, match="ended as retry, to be tried again after 2 s: no disk"):
        run(resize, {"path": "away"}).raise_for_failure()


def test_progress_output_and_logs_are_kept_and_go_where_they_would_have_gone(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    level = logging.root.level

    outcome = run(talk)

    assert outcome.progress == (Progress(1, 2, "half"), Progress(2, 2))
    assert outcome.output.splitlines()[0].endswith("INFO taskq.task: by the context")
    assert outcome.output.splitlines()[1].endswith("INFO library: by a library")
    assert outcome.output.splitlines()[2:] == ["by print", "by print to stderr"]
    assert [record.getMessage() for record in outcome.logs] == ["by the context", "by a library"]
    assert vars(outcome.logs[0])["attempt"] == 1
    assert capsys.readouterr() == ("by print\n", "by print to stderr\n")
    assert [record.getMessage() for record in caplog.records] == ["by the context", "by a library"]
    assert logging.root.level == level


def test_wrong_progress_is_the_error_that_it_is_in_a_worker() -> None:
    sender = register("try.progress", _progress)

    assert (run(sender, {"done": "half"}).error or "").startswith("progress: expected numbers")


def _progress(ctx: Context, done: Any) -> None:
    ctx.progress(done)


def test_the_context_tells_what_a_worker_would() -> None:
    seen: list[Any] = []

    @task("try.context", timeout=30)
    def tells(ctx: Context) -> None:
        seen.append((ctx.type, ctx.attempt, ctx.retries, ctx.tags, ctx.cancelled))
        assert ctx.deadline is not None
        seen.append(round(ctx.deadline - time.monotonic(), -1))

    run(tells, attempt=3, tags=["a"]).raise_for_failure()
    run(tells, timeout="10m").raise_for_failure()

    assert seen == [("try.context", 3, 2, ("a",), False), 30, ("try.context", 1, 0, (), False), 600]


@pytest.mark.parametrize(("given", "trace_id"), [(TRACEPARENT, TRACEPARENT[3:35]), ("malformed", None), (None, None)])
def test_a_handler_is_given_the_trace_that_a_task_would_bear(given: str | None, trace_id: str | None) -> None:
    @task("try.trace")
    def traced(ctx: Context) -> list[str | None]:
        ctx.log.info("here")
        return [ctx.traceparent, ctx.tracestate]

    outcome = run(traced, traceparent=given)

    assert outcome.result == [given if trace_id else None, ""]
    assert vars(outcome.logs[0]).get("trace_id") == trace_id


def test_a_handler_is_named_by_function_sender_or_type() -> None:
    def foreign(payload: int) -> int:
        return payload * 2

    sender = register("try.foreign", foreign)

    assert [run(each, 4).result for each in (sender, foreign, "try.foreign")] == [8, 8, 8]
    with pytest.raises(
        TaskqError, match=r"bare is not the handler of a type: decorate it with @task, or pass what register"
    ):
        run(bare, 4)


def bare(payload: int) -> int:
    return payload
