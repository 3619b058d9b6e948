"""Hostile exceptions stay within bounds, and the limits of an attempt come from the right place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from taskq.typeoptions import Options
from taskq.worker.executor import ERROR_MAX, TRACEBACK_MAX, Defaults, Limits, limits_of
from tests.unit.handling import ATTEMPT, DEFAULTS, OwnBase, raising, retried, run


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Lying(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class Deadly(Exception):
    def __str__(self) -> str:
        raise OwnBase


@pytest.mark.parametrize("error", [Mute(), Lying(), Deadly()], ids=lambda error: type(error).__name__)
def test_an_exception_whose_text_raises_has_a_safe_text(error: Exception) -> None:
    outcome = retried(run(raising(error)))

    assert outcome.error.startswith("<text unavailable: ")
    assert outcome.detail.type == type(error).__qualname__


def test_a_huge_text_is_cut_in_the_middle() -> None:
    outcome = retried(run(raising(ValueError("a" * 10**7 + "z"))))

    assert ERROR_MAX <= len(outcome.error) < ERROR_MAX + 10
    assert (outcome.error[0], outcome.error[-1]) == ("a", "z")
    assert len(outcome.detail.traceback or "") < TRACEBACK_MAX + 10


def test_an_endless_recursion_fails_the_attempt() -> None:
    def handler() -> Any:
        return handler()

    outcome = retried(run(handler))

    assert outcome.detail.type == "RecursionError"
    assert len(outcome.detail.traceback or "") < TRACEBACK_MAX + 10


@pytest.mark.parametrize("text", ["\ud800", "\x00", "\x1b[31m", "ä\U0001f600"])
def test_every_text_can_be_stored(text: str) -> None:
    outcome = retried(run(raising(ValueError(text))))

    assert msgspec.json.decode(msgspec.json.encode(outcome.detail))["message"] == outcome.error


# -- which limits hold


@pytest.mark.parametrize(
    ("task", "type_", "expected"),
    [(5.0, 7.0, 5.0), (None, 7.0, 7.0), (None, None, 60.0), (0.0, 7.0, None), (None, 0.0, None)],
)
def test_the_limit_of_a_task_beats_that_of_its_type_and_that_the_default(
    task: float | None, type_: float | None, expected: float | None
) -> None:
    attempt = msgspec.structs.replace(ATTEMPT, timeout_s=task)

    assert limits_of(attempt, Options(timeout_s=type_), DEFAULTS) == Limits(expected, None)


def test_a_memory_limit_of_zero_is_none() -> None:
    defaults = Defaults(memory_limit_bytes=1000)

    assert limits_of(ATTEMPT, Options(), defaults).memory_limit_bytes == 1000
    assert limits_of(ATTEMPT, Options(memory_limit_bytes=0), defaults).memory_limit_bytes is None
    assert limits_of(ATTEMPT, Options(memory_limit_bytes=5), defaults).memory_limit_bytes == 5
