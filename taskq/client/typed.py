"""The types of a decorated function, for type checkers: its own signature, that of `enqueue`, and what `wait` returns.

At run time a decorated function is a plain function with the methods of a `Sender` as attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Concatenate, Literal, ParamSpec, Protocol, TypeVar, overload

from taskq.client.receipt import Receipt
from taskq.task import Priority

P = ParamSpec("P")
"""The parameters that are filled from the payload."""

C = ParamSpec("C")
"""The parameters of a call: those of the payload, and the context before them if the function takes one."""

R = TypeVar("R")

Duration = float | str | timedelta
Moment = datetime | str
PriorityName = Priority | Literal["high", "normal", "low"]


class HasContextMark(Protocol):
    """The class of a handler's context."""

    __taskq_context__: ClassVar[bool]


X = TypeVar("X", bound=HasContextMark)


class TaskFunction(Protocol[C, P, R]):
    """A decorated function: what it was, and what `Sender` can do.

    An option and the parameters of a signature cannot stand in one declaration, so a call with options is checked for
    these alone, and its payload when it is sent; `options(...).enqueue(...)` has both checked before.
    """

    __name__: str
    __qualname__: str

    def __call__(self, /, *args: C.args, **kwargs: C.kwargs) -> R: ...

    @overload
    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> Receipt[R]: ...

    @overload
    def enqueue(
        self,
        /,
        *args: Any,
        _queue: str,
        _priority: PriorityName = ...,
        _max_retry: int = ...,
        _delay: Duration = ...,
        _run_at: Moment = ...,
        _timeout: Duration = ...,
        _expires_in: Duration = ...,
        _unique_key: str = ...,
        _tags: Sequence[str] = ...,
        _idempotency_key: str = ...,
        _traceparent: str = ...,
        _tracestate: str = ...,
        **kwargs: Any,
    ) -> Receipt[R]: ...

    @overload
    def enqueue(
        self,
        /,
        *args: Any,
        _priority: PriorityName,
        _max_retry: int = ...,
        _delay: Duration = ...,
        _run_at: Moment = ...,
        _timeout: Duration = ...,
        _expires_in: Duration = ...,
        _unique_key: str = ...,
        _tags: Sequence[str] = ...,
        _idempotency_key: str = ...,
        _traceparent: str = ...,
        _tracestate: str = ...,
        **kwargs: Any,
    ) -> Receipt[R]: ...

    @overload
    def enqueue(
        self,
        /,
        *args: Any,
        _max_retry: int,
        _delay: Duration = ...,
        _run_at: Moment = ...,
        _timeout: Duration = ...,
        _expires_in: Duration = ...,
        _unique_key: str = ...,
        _tags: Sequence[str] = ...,
        _idempotency_key: str = ...,
        _traceparent: str = ...,
        _tracestate: str = ...,
        **kwargs: Any,
    ) -> Receipt[R]: ...

    @overload
    def enqueue(
        self,
        /,
        *args: Any,
        _delay: Duration,
        _run_at: Moment = ...,
        _timeout: Duration = ...,
        _expires_in: Duration = ...,
        _unique_key: str = ...,
        _tags: Sequence[str] = ...,
        _idempotency_key: str = ...,
        _traceparent: str = ...,
        _tracestate: str = ...,
        **kwargs: Any,
    ) -> Receipt[R]: ...

    @overload
    def enqueue(
        self,
        /,
        *args: Any,
        _run_at: Moment,
        _timeout: Duration = ...,
        _expires_in: Duration = ...,
        _unique_key: str = ...,
        _tags: Sequence[str] = ...,
        _idempotency_key: str = ...,
        _traceparent: str = ...,
        _tracestate: str = ...,
        **kwargs: Any,
    ) -> Receipt[R]: ...

    @overload
    def enqueue(
        self,
        /,
        *args: Any,
        _timeout: Duration,
        _expires_in: Duration = ...,
        _unique_key: str = ...,
        _tags: Sequence[str] = ...,
        _idempotency_key: str = ...,
        _traceparent: str = ...,
        _tracestate: str = ...,
        **kwargs: Any,
    ) -> Receipt[R]: ...

    @overload
    def enqueue(
        self,
        /,
        *args: Any,
        _expires_in: Duration,
        _unique_key: str = ...,
        _tags: Sequence[str] = ...,
        _idempotency_key: str = ...,
        _traceparent: str = ...,
        _tracestate: str = ...,
        **kwargs: Any,
    ) -> Receipt[R]: ...

    @overload
    def enqueue(
        self,
        /,
        *args: Any,
        _unique_key: str,
        _tags: Sequence[str] = ...,
        _idempotency_key: str = ...,
        _traceparent: str = ...,
        _tracestate: str = ...,
        **kwargs: Any,
    ) -> Receipt[R]: ...

    @overload
    def enqueue(
        self,
        /,
        *args: Any,
        _tags: Sequence[str],
        _idempotency_key: str = ...,
        _traceparent: str = ...,
        _tracestate: str = ...,
        **kwargs: Any,
    ) -> Receipt[R]: ...

    @overload
    def enqueue(
        self,
        /,
        *args: Any,
        _idempotency_key: str,
        _traceparent: str = ...,
        _tracestate: str = ...,
        **kwargs: Any,
    ) -> Receipt[R]: ...

    @overload
    def enqueue(
        self,
        /,
        *args: Any,
        _traceparent: str,
        _tracestate: str = ...,
        **kwargs: Any,
    ) -> Receipt[R]: ...

    @overload
    def enqueue(
        self,
        /,
        *args: Any,
        _tracestate: str,
        **kwargs: Any,
    ) -> Receipt[R]: ...

    def enqueue_many(
        self,
        payloads: Iterable[Any],
        /,
        *,
        _queue: str = ...,
        _priority: PriorityName = ...,
        _max_retry: int = ...,
        _delay: Duration = ...,
        _run_at: Moment = ...,
        _timeout: Duration = ...,
        _expires_in: Duration = ...,
        _tags: Sequence[str] = ...,
        _traceparent: str = ...,
        _tracestate: str = ...,
    ) -> list[Receipt[R]]: ...

    def options(
        self,
        *,
        queue: str = ...,
        priority: PriorityName = ...,
        max_retry: int = ...,
        delay: Duration = ...,
        run_at: Moment = ...,
        timeout: Duration = ...,
        expires_in: Duration = ...,
        unique_key: str = ...,
        tags: Sequence[str] = ...,
        idempotency_key: str = ...,
        traceparent: str = ...,
        tracestate: str = ...,
    ) -> BoundSender[P, R]: ...


class BoundSender(Protocol[P, R]):
    """What `options` returns: it submits with these options."""

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> Receipt[R]: ...

    def enqueue_many(self, payloads: Iterable[Any], /) -> list[Receipt[R]]: ...


class Decorator(Protocol):
    """What `task(...)` returns."""

    @overload
    def __call__(self, function: Callable[Concatenate[X, P], R], /) -> TaskFunction[Concatenate[X, P], P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> TaskFunction[P, P, R]: ...
