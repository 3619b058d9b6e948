"""The five built-in types answer as the origin service does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from taskq import builtin
from taskq.errors import InvalidPayload
from taskq.registry import Registry
from taskq.task import Attempt, Completed, Failed, Outcome, Retried
from taskq.typeoptions import Options
from taskq.worker.context import Context
from taskq.worker.executor import Defaults, execute

TYPES = {
    "echo": builtin.echo,
    "reverse": builtin.reverse,
    "sum": builtin.sum_numbers,
    "slow": builtin.slow,
    "flaky": builtin.flaky,
}
ABSENT = object()


def run(type_: str, payload: Any = ABSENT) -> Outcome:
    """What becomes of a task of this type, by the way a worker runs it."""
    registry = Registry()
    registry.add(type_, TYPES[type_], Options())
    text = None if payload is ABSENT else msgspec.json.encode(payload)
    attempt = Attempt(id="id", type=type_, queue="default", attempt=1, payload=text, max_retry=3)
    return execute(registry, attempt, Defaults(), Context(attempt, "w", None), lambda _: None)


def result(type_: str, payload: Any = ABSENT) -> Any:
    outcome = run(type_, payload)
    assert isinstance(outcome, Completed), outcome
    return msgspec.json.decode(outcome.result)


def error(type_: str, payload: Any = ABSENT) -> str:
    outcome = run(type_, payload)
    assert isinstance(outcome, Failed), outcome
    return outcome.error


def test_all_five_are_registered_under_their_names() -> None:
    from taskq.registry import registry

    assert {name: registry.get(name).function for name in TYPES} == TYPES


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("Hello", "echo: Hello"),
        ("Hello World", "echo: Hello World"),
        ("", "echo: "),
        (ABSENT, "echo: "),
        ("ä\U0001f600\n", "echo: ä\U0001f600\n"),
        (5, "echo: 5"),
        (None, "echo: null"),
        ({"ä": [1, True]}, 'echo: {"ä": [1, true]}'),
    ],
)
def test_echo_gives_the_payload_back(payload: Any, expected: str) -> None:
    assert result("echo", payload) == expected


@pytest.mark.parametrize(
    ("payload", "expected"), [("Hello", "olleH"), ("", ""), (ABSENT, ""), ("aä\U0001f600", "\U0001f600äa")]
)
def test_reverse_turns_the_text_around_by_character(payload: Any, expected: str) -> None:
    assert result("reverse", payload) == expected


@pytest.mark.parametrize("payload", [5, None, ["a"], {}])
def test_reverse_takes_nothing_but_text(payload: Any) -> None:
    assert error("reverse", payload) == "invalid payload: expected a string"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("[1, 2, 5]", "8.00"),
        ([1, 2, 5], "8.00"),
        ("[]", "0.00"),
        ([], "0.00"),
        ("[0.1, 0.2]", "0.30"),
        (" [ -1.005e2 ] ", "-100.50"),
        ([1e15, 0.25], "1000000000000000.25"),
        ([1e16, 1, -1e16], "1.00"),
    ],
)
def test_sum_adds_the_numbers_with_two_decimals(payload: Any, expected: str) -> None:
    assert result("sum", payload) == expected


NO_NUMBERS = [ABSENT, None, "", "x", "5", 5, "{}", {}, '["1"]', ["1"], "[null]", [None], "[true]", [True], "[[1]]", [[1]]]
NO_NUMBERS += ["[1,]", "[NaN]", "[1e400]", "[1e308, 1e308]", [1e308, 1e308], "[" + "9" * 5000 + "]", "[" * 5000, "\x00"]


@pytest.mark.parametrize("payload", NO_NUMBERS, ids=lambda payload: repr(payload)[:20])
def test_sum_refuses_everything_else_in_the_words_of_the_origin(payload: Any) -> None:
    assert error("sum", payload) == "invalid payload: expected JSON array of numbers"


@pytest.mark.parametrize("payload", ["x", 5, None, ABSENT, [1], {"a": 1}])
def test_slow_waits_and_says_so_whatever_it_is_given(payload: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    assert result("slow", payload) == "completed after 5 seconds"
    assert slept == [5]


def test_slow_really_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "SLOW_S", 0.05)
    began = time.monotonic()

    assert result("slow") == "completed after 0.05 seconds"
    assert time.monotonic() - began >= 0.05


@pytest.fixture
def luck(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The next random numbers."""
    numbers: list[float] = []
    monkeypatch.setattr("random.random", lambda: numbers.pop(0))
    return numbers  # type: ignore[return-value]


@pytest.mark.parametrize("payload", ["x", None, ABSENT, {"ä": 1}])
def test_flaky_succeeds_half_of_the_time(luck: list[float], payload: Any) -> None:
    luck += [0.5]

    assert result("flaky", payload).startswith("flaky: ")


def test_flaky_fails_the_other_half_and_is_tried_again(luck: list[float]) -> None:
    luck += [0.499, 0.0]

    outcome = run("flaky", "x")

    assert isinstance(outcome, Retried)
    assert outcome.error == "flaky: failed at random"


def test_the_handlers_can_be_called_as_plain_functions() -> None:
    assert builtin.echo("Hello") == "echo: Hello"
    assert builtin.sum_numbers([1, 2]) == "3.00"
    with pytest.raises(InvalidPayload):
        builtin.reverse(5)
