from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from taskq.client.options import fields_of
from taskq.errors import InvalidOptions, TaskqError
from taskq.task import Priority


def test_every_option_fills_its_field() -> None:
    fields = fields_of(
        {"queue": "slow", "priority": "high", "max_retry": 0, "delay": "10s", "timeout": 1.5, "tags": ["a", "b"]}
    )

    assert fields == {
        "queue": "slow",
        "priority": Priority.HIGH,
        "max_retry": 0,
        "delay_s": 10.0,
        "timeout_s": 1.5,
        "tags": ("a", "b"),
    }


def test_python_s_own_durations_moments_and_enums_are_taken() -> None:
    moment = datetime(2026, 2, 1, 12, 53, 32, 123_000, timezone(timedelta(hours=2)))

    assert fields_of({"delay": timedelta(minutes=1)}) == {"delay_s": 60.0}
    assert fields_of({"timeout": timedelta(milliseconds=5)}) == {"timeout_s": 0.005}
    assert fields_of({"priority": Priority.LOW}) == {"priority": Priority.LOW}
    assert fields_of({"run_at": moment}) == {"run_at_ms": 1_769_943_212_123}
    assert fields_of({"run_at": moment}) == fields_of({"run_at": "2026-02-01T10:53:32.123Z"})


def test_an_option_of_none_counts_as_absent() -> None:
    assert fields_of({"delay": None, "queue": None}) == {}


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(InvalidOptions) as refused:
        fields_of({"priority": "urgent", "delai": 3, "tags": ["a b"]})

    assert refused.value.faults == {
        "priority": "expected one of high, normal, low, got 'urgent'",
        "delai": "expected one of queue, priority, max_retry, delay, run_at, timeout, expires_in, unique_key, tags, "
        "idempotency_key, traceparent, tracestate; did you mean delay?",
        "tags/0": "expected 1 to 128 of letters, digits and _ . -, got 'a b'",
    }
    assert "priority: expected one of high, normal, low" in str(refused.value)


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(InvalidOptions, match="run_at: expected an RFC 3339 moment"):
        fields_of({"run_at": datetime(2026, 2, 1, 12, 0)})


def test_delay_and_run_at_exclude_each_other() -> None:
    with pytest.raises(InvalidOptions, match="expected either delay or run_at, got both"):
        fields_of({"delay": 1, "run_at": datetime(2026, 2, 1, tzinfo=UTC)})


def test_wrong_options_are_an_error_of_taskq_and_a_value_error() -> None:
    assert issubclass(InvalidOptions, TaskqError)
    assert issubclass(InvalidOptions, ValueError)
