from __future__ import annotations

from typing import Any

import pytest

from taskq.api.admission import Admitter
from taskq.api.context import ApiContext, ApiSettings
from taskq.api.errors import ApiError
from taskq.api.submission import given_reason, new_task, requeue_delay_s
from taskq.members import moment_ms
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.types import QueueTypes
from taskq.registry import Registry
from taskq.task import NewTask, Priority
from taskq.typeoptions import Options

REGISTRY = Registry()
REGISTRY.add("stubborn", lambda payload: payload, Options(max_retry=9))


class Alone(Inspector):
    """Nobody has published anything."""

    def types(self, max_age_s: float = 0) -> dict[str, QueueTypes]:
        assert max_age_s >= 0
        return {}


CONTEXT = ApiContext(
    inspector=Alone(Link("unix:///nowhere")),
    registry=REGISTRY,
    settings=ApiSettings(default_queue="main", default_max_retry=5),
)
MOST = "at most 9999d, 99999h, 9999999m, 999999999s, 999999999ms without spaces"
MEMBERS = ("queue", "priority", "delay", "run_at", "max_retry", "timeout", "expires_in", "unique_key", "tags")
ID = "5335d502-a2c7-4abd-9496-c64692b43869"
NAME = "expected 1 to 128 of letters, digits and _ . -, got "


def submit(**members: Any) -> NewTask:
    return new_task(members, CONTEXT, ID, Admitter(CONTEXT))


def refusal(**members: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        submit(**members)
    return refused.value


def test_a_type_alone_makes_a_task_with_the_defaults_of_the_service() -> None:
    assert submit(type="echo") == NewTask(id=ID, type="echo", queue="main", max_retry=5)


def test_the_retries_of_a_known_type_hold_where_the_request_names_none() -> None:
    assert submit(type="stubborn").max_retry == 9
    assert submit(type="stubborn", max_retry=1).max_retry == 1


def test_every_member_reaches_the_task() -> None:
    new = submit(
        type="a.b-c_1",
        payload={"x": [1, "ä"]},
        queue="slow",
        priority="high",
        delay="1m",
        max_retry=0,
        timeout=1.5,
        expires_in="2m",
        unique_key="a.b-c_1",
        tags=["b", "a", "b"],
        unknown={"ignored": True},
    )

    assert new == NewTask(
        id=ID,
        type="a.b-c_1",
        payload='{"x":[1,"ä"]}'.encode(),
        queue="slow",
        priority=Priority.HIGH,
        delay_s=60,
        max_retry=0,
        timeout_s=1.5,
        expires_in_s=120,
        unique_key="a.b-c_1",
        tags=("b", "a"),
    )


def test_a_payload_of_null_is_not_an_absent_payload() -> None:
    assert submit(type="echo", payload=None).payload == b"null"
    assert submit(type="echo").payload is None


def test_other_members_of_null_count_as_absent() -> None:
    nothing = dict.fromkeys(MEMBERS)

    assert submit(type="echo", **nothing) == submit(type="echo")


@pytest.mark.parametrize("members", [{}, {"type": None}, {"type": ""}, {"type": "", "queue": 5}])
def test_a_missing_or_empty_type_is_required(members: dict[str, Any]) -> None:
    error = refusal(**members)

    assert (error.code, str(error)) == ("type_required", "type is required")


@pytest.mark.parametrize("type_", [5, 0, False, [], {}, ["echo"]])
def test_a_type_that_is_no_string_makes_the_whole_body_invalid(type_: object) -> None:
    error = refusal(type=type_)

    assert (error.code, str(error)) == ("invalid_body", "invalid request body")
    assert error.errors[0]["pointer"] == "/type"


@pytest.mark.parametrize(
    ("member", "value", "detail"),
    [
        ("type", "a b", NAME + "'a b'"),
        ("type", "x" * 129, NAME + "'" + "x" * 76 + "..."),
        ("type", "echo\n", NAME + r"'echo\n'"),
        ("queue", "", NAME + "''"),
        ("queue", 5, NAME + "5"),
        ("queue", "a/b", NAME + "'a/b'"),
        ("priority", "urgent", "expected one of high, normal, low, got 'urgent'"),
        ("priority", 1, "expected one of high, normal, low, got 1"),
        ("max_retry", -1, "expected an integer from 0 to 1000, got -1"),
        ("max_retry", 1001, "expected an integer from 0 to 1000, got 1001"),
        ("max_retry", True, "expected an integer from 0 to 1000, got true"),
        ("max_retry", 1.5, "expected an integer from 0 to 1000, got 1.5"),
        ("max_retry", "3", "expected an integer from 0 to 1000, got '3'"),
        ("timeout", 0, "expected a duration of at least 1ms, got 0"),
        ("delay", " 5m", f"expected a duration of {MOST}, got ' 5m'"),
        ("delay", "10000d", f"expected a duration of {MOST}, got '10000d'"),
        ("expires_in", "0s", "expected a duration of at least 1ms, got '0s'"),
        ("unique_key", "a b", NAME + "'a b'"),
        ("unique_key", 5, NAME + "5"),
        ("tags", "a", "expected a list, got 'a'"),
        ("tags", ["a"] * 33, "expected at most 32 tags, got 33"),
        ("run_at", 5, 'expected an RFC 3339 moment such as "2026-02-01T10:53:32Z", got 5'),
    ],
)
def test_a_wrong_member_is_named_with_what_was_expected(member: str, value: object, detail: str) -> None:
    error = refusal(**{"type": "echo", member: value})

    assert error.code == "invalid_members"
    assert error.errors == [{"pointer": f"/{member}", "detail": detail}]
    assert str(error) == f"invalid {member}: {detail}"


@pytest.mark.parametrize(
    ("member", "value"), [("delay", -1), ("delay", "soon"), ("delay", True), ("timeout", [1]), ("expires_in", -1)]
)
def test_a_wrong_duration_is_named_with_what_a_duration_is(member: str, value: object) -> None:
    error = refusal(**{"type": "echo", member: value})

    assert error.errors[0]["pointer"] == f"/{member}"
    assert error.errors[0]["detail"].startswith("expected a duration up to ")


def test_all_faults_are_named_at_once_and_the_sentence_names_the_first() -> None:
    error = refusal(type="a b", queue=5, priority="x", delay="x", max_retry=-1, timeout=0, tags=["ok", "", {}])

    pointers = [fault["pointer"] for fault in error.errors]
    assert pointers == ["/type", "/queue", "/priority", "/max_retry", "/delay", "/timeout", "/tags/1", "/tags/2"]
    assert str(error) == f"invalid type: {NAME}'a b'"


def test_delay_and_run_at_exclude_each_other() -> None:
    error = refusal(type="echo", delay=0, run_at="2026-02-01T10:53:32Z")

    assert error.errors == [{"pointer": "/run_at", "detail": "expected either delay or run_at, got both"}]


@pytest.mark.parametrize(("delay", "taken"), [(59, True), (60, False), (61, False)])
def test_a_task_must_be_due_before_it_expires(delay: int, taken: bool) -> None:
    if taken:
        assert submit(type="echo", delay=delay, expires_in="1m").expires_in_s == 60
    else:
        error = refusal(type="echo", delay=delay, expires_in="1m")
        detail = "expected more than delay: the task would expire before it is due"
        assert error.errors == [{"pointer": "/expires_in", "detail": detail}]


def test_a_timeout_is_kept_to_the_millisecond_as_it_is_stored() -> None:
    assert submit(type="echo", timeout=1.23456).timeout_s == 1.235
    assert submit(type="echo", timeout="0.01ms").timeout_s == 0.001


def test_a_number_without_a_fraction_is_an_integer_however_it_is_written() -> None:
    assert submit(type="echo", max_retry=7.0).max_retry == 7


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-02-01T10:53:32Z", 1_769_943_212_000),
        ("2026-02-01t10:53:32.1239z", 1_769_943_212_123),
        ("2026-02-01 10:53:32.123456789Z", 1_769_943_212_123),
        ("2026-02-01T12:53:32+02:00", 1_769_943_212_000),
        ("2026-02-01T05:23:32-05:30", 1_769_943_212_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ("0001-01-01T00:00:00-23:59", -62_135_510_460_000),
    ],
)
def test_a_moment_is_read_in_utc_or_with_an_offset(text: str, ms: int) -> None:
    assert moment_ms(text) == ms


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-01",
        "2026-02-01T10:53:32",
        "2026-02-01T10:53Z",
        "2026-13-01T10:53:32Z",
        "2026-02-30T10:53:32Z",
        "2026-02-01T25:53:32Z",
        "2026-02-01T10:53:32+0200",
        "2026-02-01T10:53:32+24:00",
        "2026-W05-7T10:53:32Z",
        "٢٠٢٦-02-01T10:53:32Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2026-02-01T10:53:32Z\n",
        1_769_943_212,
        None,
        ["2026-02-01T10:53:32Z"],
    ],
)
def test_anything_else_is_no_moment(value: object) -> None:
    with pytest.raises(ValueError, match="expected an RFC 3339 moment"):
        moment_ms(value)


def test_a_requeue_waits_for_the_delay_it_names_or_not_at_all() -> None:
    assert requeue_delay_s({"delay": "1m30s"}) == 90
    assert requeue_delay_s({}) == 0
    with pytest.raises(ApiError, match="invalid delay: expected a duration") as refused:
        requeue_delay_s({"delay": "later"})
    assert refused.value.code == "invalid_members"


def test_a_cancel_has_the_reason_it_names_or_none() -> None:
    assert given_reason({"reason": "wrong file"}) == "wrong file"
    assert given_reason({}) == ""


@pytest.mark.parametrize("reason", [5, ["x"], "x" * 501])
def test_a_reason_is_a_short_string(reason: object) -> None:
    with pytest.raises(ApiError, match="invalid reason: expected a string of at most 500 characters"):
        given_reason({"reason": reason})
