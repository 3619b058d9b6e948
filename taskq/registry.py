"""Task types: which function runs which type, and with which options. No I/O beyond importing modules."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import msgspec

from taskq.callables import check_callable, place
from taskq.errors import HandlerImportError, TaskqError, UnknownTaskType
from taskq.retry import Backoff
from taskq.signature import Signature, signature_of
from taskq.task import NAME
from taskq.typeoptions import GivenOptions, Isolation, Options, options_of

ENTRY_POINTS = "taskq.tasks"
BUILTIN = "taskq.builtin"

REVIVED = "Otel"
"""What the names of OpenTelemetry's threads begin with: they start again by themselves in every child."""

_OURS = os.path.dirname(__file__) + os.sep

P = ParamSpec("P")
R = TypeVar("R")


class Handler(msgspec.Struct, frozen=True):
    """A registered type: its function, how a payload fills the arguments, its options."""

    type: str
    function: Callable[..., Any]
    signature: Signature
    options: Options


class Registry:
    """Handlers by type. A type has one handler; registering another one for it is an error."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def add(self, type_: str, function: Callable[..., Any], options: Options) -> None:
        """Register `function` for `type_`. Raises TaskqError for a bad name, a second function, or one that cannot work."""
        if not NAME.match(type_):
            raise TaskqError(f"task type {type_!r}: expected 1 to 128 of letters, digits, _ . -")
        try:
            check_callable(function)
            signature = signature_of(function)
        except TaskqError as error:
            raise TaskqError(f"task type {type_!r}: {error}") from error
        known = self._handlers.get(type_)
        if known is not None and known.function != function:
            builtin = getattr(known.function, "__module__", "") == BUILTIN
            hint = "; tasks.builtin: false leaves out the built-in types" if builtin else ""
            raise TaskqError(f"task type {type_!r} has two handlers: {place(known.function)} and {place(function)}{hint}")
        self._handlers[type_] = Handler(type_, function, signature, options)

    def get(self, type_: str) -> Handler:
        """The handler of a type. Raises UnknownTaskType."""
        try:
            return self._handlers[type_]
        except KeyError:
            raise UnknownTaskType(type_) from None

    def find(self, type_: str) -> Handler | None:
        """The handler of a type, if it has one."""
        return self._handlers.get(type_)

    def options(self, type_: str) -> Options:
        """The options of a type; the defaults for one that is not registered."""
        handler = self._handlers.get(type_)
        return handler.options if handler else Options()

    def max_retry(self, type_: str, default: int) -> int:
        """The retries of a task of a type whose submitter does not say how many, where the service has this default."""
        handler = self._handlers.get(type_)
        own = None if handler is None else handler.options.max_retry
        return default if own is None else own

    def types(self) -> list[str]:
        """All registered types, in alphabetical order."""
        return sorted(self._handlers)


registry = Registry()
"""The registry of this process, which `task` and `register` fill."""


def task(
    type_: str,
    *,
    timeout: float | str | None = None,
    max_retry: int | None = None,
    memory_limit: int | str | None = None,
    isolation: Isolation | None = None,
    backoff: Backoff | None = None,
    retry_on: type[BaseException] | tuple[type[BaseException], ...] = (),
    no_retry_on: type[BaseException] | tuple[type[BaseException], ...] = (),
    max_concurrent: int | None = None,
    rate_limit: str | int | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register the decorated function as the handler of `type_`; the function itself stays as it is.

    `timeout` reads 30, "30s" or "5m" (0: no limit), `memory_limit` "512MiB" (0: no limit). `isolation="process"` runs each
    attempt in a fresh child of the worker, for libraries that leak or crash. `max_concurrent` tasks of the type run at once
    in a queue, and `rate_limit` start in any time, "100/1m" or "5/s", over all machines (0: no limit). Raises TaskqError.
    """
    if not isinstance(type_, str):
        raise TaskqError(
            f'the decorator needs the name of the type: write @task("...") above {getattr(type_, "__name__", type_)}'
        )
    given = GivenOptions(
        timeout=timeout,
        max_retry=max_retry,
        memory_limit=memory_limit,
        isolation=isolation,
        backoff=backoff,
        retry_on=retry_on,
        no_retry_on=no_retry_on,
        max_concurrent=max_concurrent,
        rate_limit=rate_limit,
    )
    options = options_of(type_, given)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        registry.add(type_, function, options)
        return function

    return decorate


def register(type_: str, function: Callable[..., Any], **options: Any) -> None:
    """The decorator `task` as a call, for functions of other packages."""
    task(type_, **options)(function)


def import_handlers(modules: Iterable[str]) -> list[str]:
    """Import the modules, and those of the entry-point group, so that their handlers register.

    Returns the names of threads that the imports left running: they would not survive the fork of a worker. Raises
    HandlerImportError with file and line.
    """
    before = set(threading.enumerate())
    points = [point.module for point in importlib.metadata.entry_points(group=ENTRY_POINTS)]
    for module in [*modules, *points]:
        try:
            importlib.import_module(module)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise HandlerImportError(f"task module {module!r} cannot be imported: {_describe(error)}") from error
    threads = [thread.name for thread in threading.enumerate() if thread not in before]
    return [name for name in threads if not name.startswith(REVIVED)]


def _describe(error: BaseException) -> str:
    words = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{words} ({error.filename}:{error.lineno})"
    # the line of the module that is at fault, not that of ours which says so
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    own = [frame for frame in frames if not frame.filename.startswith(_OURS)]
    return f"{words} ({own[-1].filename}:{own[-1].lineno})" if own else words
