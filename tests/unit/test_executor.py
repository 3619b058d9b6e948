"""Every way a handler can end becomes one outcome, and none of them ends the worker."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from taskq.errors import Fail, InvalidPayload, Retry, StopTask
from taskq.registry import Registry
from taskq.retry import Backoff
from taskq.task import Cancelled, Completed, ErrorKind, Failed, Released, Retried
from taskq.typeoptions import Options
from taskq.units import MAX_DURATION_S
from taskq.worker.context import Context
from taskq.worker.control import StopReason
from taskq.worker.executor import execute
from tests.unit.handling import ATTEMPT, DEFAULTS, LAST, OwnBase, failed, raising, retried, run

# -- values


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, b"null"), ("ä", '"ä"'.encode()), ({"a": [1, 2.5, True]}, b'{"a":[1,2.5,true]}'), (0, b"0")],
)
def test_a_value_completes_the_task_as_json(value: Any, text: bytes) -> None:
    assert run(lambda: value) == Completed(text)


def test_the_payload_fills_the_arguments() -> None:
    def handler(width: int, height: int = 2) -> int:
        return width * height

    assert run(handler, msgspec.structs.replace(ATTEMPT, payload=b'{"width": 21}')) == Completed(b"42")


def test_the_context_tells_about_the_attempt() -> None:
    def handler(ctx: Context) -> list[Any]:
        return [ctx.id, ctx.type, ctx.attempt, ctx.retries, ctx.deadline]

    assert run(handler) == Completed(b'["id","type",4,1,null]')


@pytest.mark.parametrize("value", [math.nan, b"bytes", {1, 2}, {1: "a"}, "\ud800", object()])
def test_a_value_that_json_cannot_say_fails_the_task_for_good(value: Any) -> None:
    outcome = failed(run(lambda: value))

    assert outcome.error.startswith("result_not_serialisable: ")
    assert outcome.detail.kind is ErrorKind.RESULT


def test_a_value_that_is_too_large_fails_the_task_for_good() -> None:
    outcome = failed(run(lambda: "x" * 100))

    assert outcome.error == "result_too_large: 102 bytes, at most 100 are kept"
    assert outcome.detail.kind is ErrorKind.RESULT


# -- exceptions


@pytest.mark.parametrize(
    "error",
    [
        ValueError("boom"),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        OwnBase("boom"),
        ExceptionGroup("g", [OSError()]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_leaves_the_handler_fails_the_attempt_only(error: BaseException) -> None:
    outcome = retried(run(raising(error)))

    assert outcome.delay_s == 20
    assert (outcome.detail.kind, outcome.detail.type) == (ErrorKind.EXCEPTION, type(error).__qualname__)
    assert outcome.error == (str(error) or type(error).__qualname__)


def test_the_last_attempt_fails_the_task() -> None:
    outcome = failed(run(raising(ValueError("boom")), LAST))

    assert (outcome.error, outcome.detail.kind, outcome.detail.type) == ("boom", ErrorKind.EXCEPTION, "ValueError")


def test_the_traceback_shows_the_frames_of_the_handler_and_not_ours() -> None:
    outcome = retried(run(raising(ValueError("boom"))))

    assert outcome.detail.traceback is not None
    assert "raise error" in outcome.detail.traceback
    assert "worker/executor.py" not in outcome.detail.traceback
    assert outcome.detail.traceback.endswith("ValueError: boom\n")


def test_the_own_backoff_of_a_type_beats_the_default() -> None:
    assert retried(run(raising(ValueError()), backoff=Backoff(first=3, factor=5))).delay_s == 15


# -- the words of a handler


def test_retry_with_a_delay_waits_that_long_and_uses_a_retry() -> None:
    outcome = retried(run(raising(Retry("later", delay=7.5))))

    assert (outcome.delay_s, outcome.error) == (7.5, "later")


def test_retry_without_a_delay_uses_the_backoff() -> None:
    assert retried(run(raising(Retry()))) == retried(run(raising(Retry("retry requested"))))
    assert retried(run(raising(Retry()))).delay_s == 20


def test_retry_without_retries_left_fails() -> None:
    assert failed(run(raising(Retry("later", delay=1)), LAST)).error == "later"


def test_a_retry_in_the_past_is_due_at_once() -> None:
    assert retried(run(raising(Retry(delay=-5)))).delay_s == 0


@pytest.mark.parametrize("delay", [math.inf, math.nan, 1e300, "5s"])
def test_a_delay_that_is_none_does_not_end_the_worker(delay: Any) -> None:
    outcome = run(lambda: raising(Retry(delay=delay))())

    assert isinstance(outcome, (Retried, Failed))
    if isinstance(outcome, Retried):
        assert 0 <= outcome.delay_s <= MAX_DURATION_S


def test_fail_gives_up_at_once() -> None:
    outcome = failed(run(raising(Fail("no such file"))))

    assert (outcome.error, outcome.detail.kind) == ("no such file", ErrorKind.EXCEPTION)


def test_an_exception_outside_retry_on_fails_at_once() -> None:
    assert isinstance(run(raising(ValueError()), retry_on=(OSError,)), Failed)
    assert isinstance(run(raising(FileNotFoundError()), retry_on=(OSError,)), Retried)


def test_an_exception_of_no_retry_on_fails_at_once() -> None:
    assert isinstance(run(raising(FileNotFoundError()), no_retry_on=(OSError,)), Failed)
    assert isinstance(run(raising(ValueError()), no_retry_on=(OSError,)), Retried)


def test_no_retry_on_beats_retry_on() -> None:
    outcome = run(raising(FileNotFoundError()), retry_on=(OSError,), no_retry_on=(FileNotFoundError,))

    assert isinstance(outcome, Failed)


def test_retry_is_granted_whatever_retry_on_says() -> None:
    assert isinstance(run(raising(Retry(delay=1)), retry_on=(OSError,)), Retried)


# -- limits


@pytest.mark.parametrize(
    ("reason", "kind", "text"),
    [
        (StopReason.TIMEOUT, ErrorKind.TIMEOUT, "timed out after 2.5 s (attempt 4)"),
        (StopReason.MEMORY, ErrorKind.MEMORY, "memory limit exceeded"),
    ],
)
def test_a_limit_uses_a_retry_and_then_fails(reason: StopReason, kind: ErrorKind, text: str) -> None:
    again, last = retried(run(raising(StopTask(reason.name, 2.5)))), failed(run(raising(StopTask(reason.name, 2.5)), LAST))

    assert (again.error, again.detail.kind, again.delay_s) == (text, kind, 20)
    assert (last.error, last.detail.kind) == (text, kind)


def test_a_drain_releases() -> None:
    assert run(raising(StopTask(StopReason.DRAIN.name)), LAST) == Released()


def test_a_cancellation_is_no_failure() -> None:
    assert isinstance(run(raising(StopTask(StopReason.CANCELLED.name)), LAST), Cancelled)


def test_a_handler_that_turns_the_interruption_into_an_exception_of_its_own_fails() -> None:
    def handler() -> None:
        try:
            raise StopTask(StopReason.TIMEOUT.name, 1)
        except StopTask as stop:
            raise ValueError("cleaned up") from stop

    assert retried(run(handler)).error == "cleaned up"


def test_a_handler_that_catches_the_interruption_and_returns_completes() -> None:
    def handler() -> str:
        try:
            raise StopTask(StopReason.TIMEOUT.name, 1)
        except StopTask:
            return "partly"

    assert run(handler) == Completed(b'"partly"')


def test_the_time_in_which_an_attempt_may_be_interrupted_is_framed() -> None:
    frame: list[str] = []
    registry = Registry()
    registry.add("type", lambda: frame.append("handler"), Options())

    execute(registry, ATTEMPT, DEFAULTS, Context(ATTEMPT, "w", None), lambda on: frame.append("on" if on else "off"))

    assert frame == ["on", "handler", "off"]


def test_an_interruption_that_arrives_before_the_handler_begins_is_an_outcome_too() -> None:
    registry = Registry()
    registry.add("type", lambda: None, Options())

    def interrupt(on: bool) -> None:
        if on:
            raise StopTask(StopReason.DRAIN.name)

    assert execute(registry, ATTEMPT, DEFAULTS, Context(ATTEMPT, "w", None), interrupt) == Released()


# -- what never gets to the handler


def test_an_unknown_type_fails_in_the_words_of_the_origin() -> None:
    outcome = failed(execute(Registry(), ATTEMPT, DEFAULTS, Context(ATTEMPT, "w", None), lambda _: None))

    assert outcome.error == "unknown task type: type"
    assert outcome.detail.kind is ErrorKind.UNKNOWN_TYPE


@pytest.mark.parametrize("payload", [b'{"width": "wide"}', b"{}", b"[1]", b"nonsense", b'"\xff"', b"[" * 5000])
def test_a_payload_that_does_not_fit_fails_at_once(payload: bytes) -> None:
    def handler(width: int) -> None:
        raise AssertionError("never called")

    outcome = failed(run(handler, msgspec.structs.replace(ATTEMPT, payload=payload)))

    assert outcome.error.startswith("invalid payload: ")
    assert outcome.detail.kind is ErrorKind.INVALID_PAYLOAD


def test_a_handler_may_refuse_its_payload_itself() -> None:
    outcome = failed(run(raising(InvalidPayload("expected a colour", "/colour"))))

    assert outcome.error == "invalid payload: expected a colour at /colour"
