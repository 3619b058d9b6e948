"""One attempt of a handler, run here and now by the executor of the workers.

What belongs to other processes does not happen: limits are known to the handler but not enforced, `isolation` is not made,
and nothing is put back afterwards that the handler has changed.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO, TypeVar, overload

import msgspec
from msgspec.structs import replace

from taskq import log
from taskq.client.decorator import sender_of
from taskq.client.payload import encode_payload
from taskq.client.receipt import Decode
from taskq.client.sender import Sender
from taskq.errors import TaskqError
from taskq.ids import new_id
from taskq.registry import Handler, Registry, registry
from taskq.supervisor.slots import Board, Slot
from taskq.task import Attempt, Cancelled, Completed, Failed, Progress, Released, Retried
from taskq.task import Outcome as Settled
from taskq.testing.outcome import Outcome
from taskq.tracecontext import trace_context
from taskq.units import parse_duration
from taskq.worker.context import Context, logged
from taskq.worker.executor import Defaults, execute, limits_of

WORKER_ID = "taskq.testing"

R = TypeVar("R")


@overload
def run(
    function: Callable[..., R] | Sender[R],
    payload: Any = ...,
    attempt: int = ...,
    *,
    retries: int | None = ...,
    max_retry: int | None = ...,
    timeout: float | str | None = ...,
    tags: Sequence[str] = ...,
    traceparent: str | None = ...,
    defaults: Defaults | None = ...,
) -> Outcome[R]: ...


@overload
def run(
    function: str,
    payload: Any = ...,
    attempt: int = ...,
    *,
    retries: int | None = ...,
    max_retry: int | None = ...,
    timeout: float | str | None = ...,
    tags: Sequence[str] = ...,
    traceparent: str | None = ...,
    defaults: Defaults | None = ...,
) -> Outcome[Any]: ...


def run(
    function: Callable[..., Any] | Sender[Any] | str,
    payload: Any = msgspec.UNSET,
    attempt: int = 1,
    *,
    retries: int | None = None,
    max_retry: int | None = None,
    timeout: float | str | None = None,
    tags: Sequence[str] = (),
    traceparent: str | None = None,
    defaults: Defaults | None = None,
) -> Outcome[Any]:
    """Run one attempt of a handler: a decorated function, what `register` returned, or the name of its type.

    The payload is any value that JSON can say, as it would be submitted, or left out. It is encoded, read and checked by the
    type hints, the handler is called with a context, and what it returns or raises is made of it what a worker makes of it.
    `attempt` counts from 1; `retries` is how many were used before it (None: one for each earlier attempt), `max_retry` how
    many there are (None: as the type says, else 3), `timeout` the task's own. `defaults` are those of the service. Whatever
    the handler raises is in the outcome. Raises TaskqError for a function that is no handler, and InvalidPayload for a
    payload that JSON cannot say.
    """
    handler, decode = _handler_of(function)
    own = Registry()
    own.add(handler.type, handler.function, handler.options)
    given = Attempt(
        id=new_id(),
        type=handler.type,
        queue="default",
        attempt=attempt,
        payload=None if payload is msgspec.UNSET else encode_payload(payload),
        retries=attempt - 1 if retries is None else retries,
        max_retry=own.max_retry(handler.type, 3) if max_retry is None else max_retry,
        timeout_s=None if timeout is None else parse_duration(timeout),
        tags=tuple(tags),
        trace=trace_context(traceparent),
    )
    seen = _Seen(Board(1).slot(0))
    settled = _execute(own, given, defaults or Defaults(), seen)
    return _outcome(given, settled, seen, decode)


def _handler_of(function: Callable[..., Any] | Sender[Any] | str) -> tuple[Handler, Decode]:
    if isinstance(function, str):
        sender: Sender[Any] | None = Sender(registry.get(function))
    else:
        sender = function if isinstance(function, Sender) else sender_of(function)
    if sender is None:
        found = [handler for handler in map(registry.get, registry.types()) if handler.function is function]
        sender = Sender(found[0]) if len(found) == 1 else None
    if sender is None:
        name = getattr(function, "__qualname__", function)
        raise TaskqError(f"{name} is not the handler of a type: decorate it with @task, or pass what register() returned")
    return sender.handler, sender.decode


class _Seen:
    """What an attempt says while it runs; to its context the slot of a worker."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.words: list[Progress] = []
        self.records: list[logging.LogRecord] = []
        self.output = io.StringIO()

    def progress(self, done: float, total: float | None, message: str) -> None:
        self.slot.progress(done, total, message)
        self.note()

    def stopping(self) -> bool:
        return self.slot.stopping()

    def note(self) -> None:
        """Keep what the slot holds, if that is new: a child of the handler may have written it."""
        told = self.slot.told()
        if told is not None and (not self.words or told[1] != self.words[-1]):
            self.words.append(told[1])


def _execute(own: Registry, attempt: Attempt, defaults: Defaults, seen: _Seen) -> Settled:
    limits = limits_of(attempt, own.options(attempt.type), defaults)
    deadline = time.monotonic() + limits.timeout_s if limits.timeout_s else None
    seen.slot.begin(
        attempt.id,
        attempt.type,
        attempt.attempt,
        timeout_s=limits.timeout_s,
        memory_limit_bytes=limits.memory_limit_bytes,
    )
    context = Context(attempt, WORKER_ID, deadline, seen)
    with _listening(attempt, seen):
        settled = execute(own, attempt, defaults, context, lambda _: None)
    seen.note()
    return settled


@contextlib.contextmanager
def _listening(attempt: Attempt, seen: _Seen) -> Iterator[None]:
    """Keep what is printed and logged, which also goes where it would have gone."""
    sink = log.of_handlers(_Sink(seen))
    level = logging.root.level
    log.set_task(**logged(attempt))
    logging.root.addHandler(sink)
    logging.root.setLevel(min(level, logging.INFO))
    try:
        with (
            contextlib.redirect_stdout(_Tee(sys.stdout, seen.output)),
            contextlib.redirect_stderr(_Tee(sys.stderr, seen.output)),
        ):
            yield
    finally:
        logging.root.setLevel(level)
        logging.root.removeHandler(sink)
        log.set_task()


class _Tee(io.TextIOBase):
    """A stream that writes to two."""

    def __init__(self, first: TextIO, second: io.StringIO) -> None:
        self._first, self._second = first, second

    def write(self, text: str) -> int:
        self._second.write(text)
        return self._first.write(text)

    def flush(self) -> None:
        self._first.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._first, name)


class _Sink(logging.Handler):
    def __init__(self, seen: _Seen) -> None:
        super().__init__()
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self._seen.records.append(record)
        self._seen.output.write(f"{self.format(record)}\n")


def _outcome(attempt: Attempt, settled: Settled, seen: _Seen, decode: Decode) -> Outcome[Any]:
    ended: Outcome[Any] = Outcome(
        status="released",
        type=attempt.type,
        attempt=attempt.attempt,
        progress=tuple(seen.words),
        output=seen.output.getvalue(),
        logs=tuple(seen.records),
    )
    match settled:
        case Completed(result):
            return replace(ended, status="completed", result=decode(result), result_json=result)
        case Retried(delay_s, error, detail):
            return replace(ended, status="retry", delay_s=delay_s, error=error, error_detail=detail)
        case Failed(error, detail):
            return replace(ended, status="failed", error=error, error_detail=detail)
        case Cancelled(reason):
            return replace(ended, status="cancelled", error=reason)
        case Released():
            return ended
    raise TaskqError(f"an attempt in this process cannot end as {settled}")  # only the end of another process is a crash
