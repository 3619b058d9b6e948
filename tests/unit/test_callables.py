"""What can be a handler, and what is refused before its first task."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from taskq.callables import check_callable, place
from taskq.errors import InvalidPayload, TaskqError
from taskq.signature import signature_of
from taskq.worker.context import Context


async def coroutine(text: str) -> str:
    return text


def generator(text: str) -> Iterator[str]:
    yield text


async def async_generator(text: str) -> AsyncIterator[str]:
    yield text


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


class Reader:
    prefix = "read "

    @staticmethod
    def static(text: str) -> str:
        return f"read {text}"

    def method(self, text: str) -> str:
        return self.prefix + text


class Awaited:
    async def __call__(self, text: str) -> str:
        return text


class Iterated:
    def __call__(self, text: str) -> Iterator[str]:
        yield text


def shout(text: str, prefix: str = "") -> str:
    return prefix + text


def with_context(text: str, ctx: Context | None = None) -> str:
    return f"{ctx} {text}"


ASYNC = "is an async function, which nobody would await in a worker: make it a plain function that ends with"
GENERATOR = (
    "is a generator .it has a `yield`., which nobody would iterate in a worker: return a value, and tell how far it is"
)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (coroutine, f"^coroutine {ASYNC}"),
        (functools.partial(coroutine, "x"), f"^coroutine {ASYNC}"),
        (Awaited(), f"^Awaited {ASYNC}"),
        (generator, f"^generator {GENERATOR}"),
        (async_generator, f"^async_generator {GENERATOR}"),
        (Iterated(), f"^Iterated {GENERATOR}"),
        (Reader, "^Reader is a class: make the handler a function, which may call it"),
        (
            Reader.method,
            "^Reader.method is a method, whose 'self' no payload can fill: make it a function or a static method",
        ),
        (3, "^3 is not a function"),
        (classmethod(lambda _: None), "is not a function"),
        (property(shout), "is not a function"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_work_is_refused_with_what_to_do(function: Any, reason: str) -> None:
    with pytest.raises(TaskqError, match=reason):
        check_callable(function)


@pytest.mark.parametrize(
    "function",
    [
        traced(Reader.static),
        staticmethod(Reader.static),
        Reader.static,
        Reader().method,
        functools.partial(shout, prefix="read "),
        functools.partial(functools.partial(shout), prefix="read "),
        functools.lru_cache(Reader.static),
        lambda text: f"read {text}",
    ],
    ids=["wrapped", "a static method", "its function", "bound", "partial", "twice partial", "cached", "lambda"],
)
def test_what_can_be_called_with_a_payload_is_a_handler(function: Callable[..., Any]) -> None:
    check_callable(function)
    args, kwargs = signature_of(function).bind(b'{"text": "x"}')

    assert function(*args, **kwargs) == "read x"


@pytest.mark.parametrize("function", [traced(shout), staticmethod(shout), Reader().method, functools.lru_cache(shout)])
def test_the_hints_of_whatever_is_inside_are_checked(function: Callable[..., Any]) -> None:
    with pytest.raises(InvalidPayload, match="Expected `str`, got `int` at /text"):
        signature_of(function).bind(b'{"text": 3}')


def test_a_context_that_may_be_none_is_passed_and_is_no_member() -> None:
    args, kwargs = signature_of(with_context).bind(b'{"text": "x"}', "context")

    assert with_context(*args, **kwargs) == "context x"


def test_a_place_has_module_file_and_line() -> None:
    code = shout.__code__

    assert place(functools.partial(shout)) == f"{__name__}.shout ({code.co_filename}:{code.co_firstlineno})"
    assert place(Reader().method).startswith(f"{__name__}.Reader.method ({__file__}:")
    assert place(max) == "builtins.max"
