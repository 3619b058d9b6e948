"""Which callables can be handlers, and where they stand. Pure.

What cannot work is refused when it is registered, with what to do instead: otherwise it would be found out at the first
task, by the result of an attempt.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from taskq.errors import TaskqError


def check_callable(function: object) -> None:
    """Raises TaskqError for what no worker can call, or whose result no worker can wait for."""
    if not callable(function):
        raise TaskqError(f"{function!r} is not a function")
    if inspect.isclass(function):
        raise TaskqError(f"{called(function)} is a class: make the handler a function, which may call it")
    runs = plain(function)
    if not inspect.isroutine(runs):
        runs = type(runs).__call__
    if inspect.iscoroutinefunction(runs):
        raise TaskqError(
            f"{called(function)} is an async function, which nobody would await in a worker: "
            "make it a plain function that ends with `return asyncio.run(...)`"
        )
    if inspect.isgeneratorfunction(runs) or inspect.isasyncgenfunction(runs):
        raise TaskqError(
            f"{called(function)} is a generator (it has a `yield`), which nobody would iterate in a worker: "
            "return a value, and tell how far it is with ctx.progress()"
        )
    _check_method(function)


def plain(function: Any) -> Any:
    """The function behind partial objects, static methods and bound methods; any other callable as it is."""
    while True:
        if isinstance(function, (functools.partial, functools.partialmethod)):
            function = function.func
        elif isinstance(function, staticmethod) or inspect.ismethod(function):
            function = function.__func__
        else:
            return function


def called(function: object) -> str:
    """The name of a callable."""
    inner = plain(function)
    return str(getattr(inner, "__qualname__", None) or type(inner).__qualname__)


def place(function: Callable[..., Any]) -> str:
    """The name of a callable with its module, file and line, as far as it has them."""
    inner = plain(function)
    name = f"{getattr(inner, '__module__', None) or '?'}.{called(inner)}"
    if not inspect.isroutine(inner):
        inner = type(inner).__call__
    code = getattr(inspect.unwrap(inner), "__code__", None)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else name


def _check_method(function: Any) -> None:
    """A function in the body of a class gets an object as its first argument, which no payload has."""
    holder = called(function).rpartition(".")[0]
    if not inspect.isfunction(function) or not holder or holder.endswith("<locals>"):
        return
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is not None and first.name in ("self", "cls") and first.annotation is first.empty:
        raise TaskqError(
            f"{called(function)} is a method, whose {first.name!r} no payload can fill: "
            "make it a function or a static method, or register a bound method with register(...)"
        )
