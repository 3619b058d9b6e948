"""Running one handler once, as a worker does, for the tests of the executor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from taskq.registry import Registry
from taskq.retry import Backoff
from taskq.task import Attempt, Failed, Outcome, Retried
from taskq.typeoptions import Options
from taskq.worker.context import Context
from taskq.worker.executor import Defaults, execute

ATTEMPT = Attempt(id="id", type="type", queue="default", attempt=4, retries=1, max_retry=3)
LAST = msgspec.structs.replace(ATTEMPT, retries=3)
DEFAULTS = Defaults(timeout_s=60, backoff=Backoff(first=10, factor=2, jitter=0), result_max_bytes=100)


def run(handler: Callable[..., Any], attempt: Attempt = ATTEMPT, **options: Any) -> Outcome:
    """Execute a handler once."""
    registry = Registry()
    registry.add("type", handler, Options(**options))
    return execute(registry, attempt, DEFAULTS, Context(attempt, "w", None), lambda _: None)


def raising(error: BaseException) -> Callable[[], None]:
    def handler() -> None:
        raise error

    return handler


def retried(outcome: Outcome) -> Retried:
    assert isinstance(outcome, Retried)
    return outcome


def failed(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed)
    return outcome


class OwnBase(BaseException):
    """An exception that is no Exception."""
