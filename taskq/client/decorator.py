"""The decorator `task` as those who write tasks see it: it registers a function and lets it submit."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from taskq import registry as registration
from taskq.client.sender import Sender
from taskq.client.typed import Decorator
from taskq.errors import TaskqError
from taskq.registry import registry

SENDER = "__taskq_sender__"
"""The attribute of a decorated function that holds what submits for it."""

Options = ParamSpec("Options")
R = TypeVar("R")


def sending(make: Callable[Options, Callable[[Any], Any]]) -> Callable[Options, Decorator]:
    """The registry's decorator `task`, whose functions can also submit."""

    @functools.wraps(make)
    def task(*args: Options.args, **kwargs: Options.kwargs) -> Any:
        decorate = make(*args, **kwargs)
        type_ = str(args[0] if args else kwargs["type_"])

        def both(function: Any) -> Any:
            _check(type_, function)
            decorate(function)
            sender: Sender[Any] = Sender(registry.get(type_))
            function.enqueue, function.enqueue_many, function.options = sender.enqueue, sender.enqueue_many, sender.options
            setattr(function, SENDER, sender)
            return function

        return both

    return task


def register(type_: str, function: Callable[..., R], **options: Any) -> Sender[R]:
    """The decorator `task` as a call, for functions of other packages. They stay untouched: what submits is returned."""
    registration.register(type_, function, **options)
    return Sender(registry.get(type_))


def sender_of(function: Any) -> Sender[Any] | None:
    """What submits for a decorated function; None for any other."""
    found: Sender[Any] | None = getattr(function, SENDER, None)
    return found


def _check(type_: str, function: Any) -> None:
    """Raises TaskqError for a function that cannot bear the attributes, or bears those of another type."""
    sender = sender_of(function)
    if sender is not None and sender.type != type_ and sender.handler.function is function:
        raise TaskqError(
            f"task type {type_!r}: {function.__qualname__} already submits tasks of type {sender.type!r}; "
            f"use register({type_!r}, {function.__qualname__}), which returns what submits this one"
        )
    try:
        setattr(function, SENDER, sender)
    except (AttributeError, TypeError) as error:
        raise TaskqError(
            f"task type {type_!r}: {function!r} cannot be decorated: {error}; use register({type_!r}, ...)"
        ) from error
