"""What a type says about its attempts, checked where it is said: a wrong word must not wait for its first task. Pure."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from taskq.errors import TaskqError
from taskq.retry import Backoff
from taskq.task import MAX_RETRY_LIMIT
from taskq.units import MAX_DURATION_S, Rate, parse_duration, parse_rate, parse_size

Isolation = Literal["process"]

MAX_CONCURRENT = 1_000_000
"""The largest number of tasks of a type that a limit can be."""

_BACKOFF = {"first": (0, MAX_DURATION_S), "factor": (1, 100), "max": (0, MAX_DURATION_S), "jitter": (0, 1)}

Errors = tuple[type[BaseException], ...]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a type says about its attempts; None leaves it to the service's configuration.

    `timeout_s` 0 means no limit. With `isolation` "process" every attempt has a process of its own. An exception of
    `no_retry_on`, or one outside `retry_on` where that is given, fails the task at once. `max_concurrent` and `rate_limit`
    count in a queue, over all machines; 0 means none.
    """

    timeout_s: float | None = None
    max_retry: int | None = None
    memory_limit_bytes: int | None = None
    isolation: Isolation | None = None
    backoff: Backoff | None = None
    retry_on: Errors = ()
    no_retry_on: Errors = ()
    max_concurrent: int | None = None
    rate_limit: Rate | None = None


class GivenOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The same as the author of a handler writes it."""

    timeout: float | str | None = None
    max_retry: int | None = None
    memory_limit: int | str | None = None
    isolation: Isolation | None = None
    backoff: Backoff | None = None
    retry_on: Any = ()
    no_retry_on: Any = ()
    max_concurrent: int | None = None
    rate_limit: str | int | None = None


def options_of(type_: str, given: GivenOptions) -> Options:
    """The options of a type. Raises TaskqError."""
    try:
        return Options(
            timeout_s=None if given.timeout is None else parse_duration(given.timeout),
            max_retry=_number("max_retry", given.max_retry, MAX_RETRY_LIMIT),
            memory_limit_bytes=None if given.memory_limit is None else parse_size(given.memory_limit),
            isolation=_isolation(given.isolation),
            backoff=_backoff(given.backoff),
            retry_on=_errors("retry_on", given.retry_on),
            no_retry_on=_errors("no_retry_on", given.no_retry_on),
            max_concurrent=_number("max_concurrent", given.max_concurrent, MAX_CONCURRENT),
            rate_limit=None if given.rate_limit is None else parse_rate(given.rate_limit),
        )
    except ValueError as error:
        raise TaskqError(f"task type {type_!r}: {error}") from error


def _number(option: str, value: object, most: int) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most):
        return value
    raise ValueError(f"{option}: expected 0 to {most}, got {value!r}")


def _isolation(value: Any) -> Isolation | None:
    if value is None or value in get_args(Isolation):
        return value  # type: ignore[no-any-return]
    raise ValueError(f"isolation: expected 'process' or None, got {value!r}")


def _backoff(value: object) -> Backoff | None:
    if value is None:
        return None
    if not isinstance(value, Backoff):
        raise ValueError(f"backoff: expected Backoff(first=..., factor=..., max=..., jitter=...), got {value!r}")
    for name, (least, most) in _BACKOFF.items():
        number = getattr(value, name)
        if not isinstance(number, (int, float)) or isinstance(number, bool) or not least <= number <= most:
            raise ValueError(f"backoff: {name}: expected a number from {least} to {most}, got {number!r}")
    return value


def _errors(option: str, value: Any) -> Errors:
    """One exception class or several. Anything else would be found out only while an attempt fails."""
    classes = tuple(value) if isinstance(value, (tuple, list, set, frozenset)) else (value,)
    for each in classes:
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            raise ValueError(f"{option}: expected exception classes such as (OSError,), got {each!r}")
    return classes
