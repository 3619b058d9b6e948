"""Which callables can be handlers, and how the place of a fault in a payload is named."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from taskq.errors import TaskqError
from taskq.signature import pointer, signature_of


class Job(msgspec.Struct):
    path: str


def test_positional_arguments_cannot_be_filled() -> None:
    def handler(*paths: str) -> None: ...

    with pytest.raises(TaskqError, match=r"handler: \*args cannot be filled from a JSON payload; name the parameters \(a"):
        signature_of(handler)


def test_a_hint_that_cannot_be_resolved_is_told() -> None:
    def handler(a: NoSuchThing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TaskqError, match="a type hint cannot be resolved: name 'NoSuchThing' is not defined"):
        signature_of(handler)


def test_a_hint_that_is_none_is_told() -> None:
    def handler(a: int) -> None: ...

    handler.__annotations__["a"] = "3 + None"

    with pytest.raises(TaskqError, match="a type hint cannot be used"):
        signature_of(handler)


class Other(msgspec.Struct):
    name: str


@pytest.mark.parametrize("hint", [Job | Other, Callable[[], None], complex], ids=str)
def test_a_type_that_json_cannot_fill_is_told_when_the_handler_is_registered(hint: Any) -> None:
    def handler(count: int, odd: object) -> None: ...

    handler.__annotations__["odd"] = hint

    with pytest.raises(TaskqError, match=r"the parameter 'odd' has a type that JSON cannot fill: .*; take plain values"):
        signature_of(handler)


class Reader:
    def __call__(self, text: str) -> str:
        return text

    def read(self, text: str) -> str:
        return text


@pytest.mark.parametrize(
    "function",
    [Reader(), Reader().read, functools.partial(Reader().read), functools.partial(Reader()), max, math.hypot],
    ids=["an object", "a method", "a partial method", "a partial object", "a builtin", "a C function"],
)
def test_any_callable_is_read_or_refused_with_a_reason(function: Callable[..., Any]) -> None:
    try:
        signature = signature_of(function)
    except TaskqError as error:
        reason = str(error)
    else:
        args, kwargs = signature.bind(b'{"text": "x"}')
        reason = function(*args, **kwargs)

    assert reason


# -- pointers


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Expected `int`", ("Expected `int`", "")),
        ("Expected `int`, got `str` - at `$`", ("Expected `int`, got `str`", "")),
        ("Expected `int`, got `str` - at `$.a[0].b`", ("Expected `int`, got `str`", "/a/0/b")),
        ("Expected `int`, got `str` - at `$[...]`", ("Expected `int`, got `str`", "")),
        ("Expected `int`, got `str` - at `$.a[...][1].b`", ("Expected `int`, got `str`", "/a")),
        ("Expected `int`, got `str` - at `key` in `$.a`", ("Expected `int`, got `str`", "/a")),
        ("Expected `int` - at `$.a/b~c`", ("Expected `int`", "/a~1b~0c")),
    ],
)
def test_a_place_becomes_a_json_pointer(message: str, expected: tuple[str, str]) -> None:
    assert pointer(message) == expected
