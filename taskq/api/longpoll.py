"""Waiting within a request for the end of a task: who may, how long, and what cuts it short.

Whoever waits occupies a thread, so only half of the threads may; the surplus is answered at once with the current state, as
is everybody once the service drains. The connection of the surplus is closed, so that it keeps nobody out either.
"""

from __future__ import annotations

import re
import threading
from typing import NamedTuple

import falcon

from taskq.api.connection import hurry_of, part
from taskq.api.context import ApiContext
from taskq.api.describe import Parameter
from taskq.api.query import Query
from taskq.queue.ending import end_of
from taskq.task import Task
from taskq.units import parse_duration, shown

LONGEST_S = 30.0

WAIT = Parameter(
    name="wait",
    schema={
        "type": "string",
        "pattern": r"^(?:(?:[0-9]|[12][0-9])(?:\.[0-9]{1,9})?|30(?:\.0{1,9})?)s?$|^(?:[0-9]{1,4}|[12][0-9]{4}|30000)ms$",
    },
    description="How long to wait for the end of the task, in seconds or as `10s` or `500ms`, at most 30 s.",
    example="2s",
)
PREFER = Parameter(
    name="Prefer",
    place="header",
    schema={"type": "string"},
    description="`wait=N`: wait up to N seconds, at most 30, for the end of the task. Anything else is ignored.",
    example="wait=2",
)

_WAIT = re.compile(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?\Z', re.IGNORECASE)


class Patience(NamedTuple):
    """How long a request may wait, 0 for not at all, and what to answer in Preference-Applied if it does."""

    wait_s: float = 0.0
    applied: str | None = None


_NONE = Patience()


class Waits:
    """Lets requests wait, as many at once as there are places."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._places = threading.Semaphore(context.settings.threads // 2)

    def end_of(self, req: falcon.Request, resp: falcon.Response, place: tuple[str, str], patience: Patience) -> Task | None:
        """The task at `place` (its queue and id) once it has ended; None when it has not within the time, or nobody may wait
        now. Raises TaskNotFound, also when the task is deleted meanwhile, and QueueUnavailable or QueueRefused."""
        if not patience.wait_s or self._context.draining():
            return None
        if not self._places.acquire(blocking=False):
            part(req)
            return None
        try:
            if patience.applied is not None:
                resp.set_header("Preference-Applied", patience.applied)
            queue, task_id = place
            hurry = hurry_of(req)
            return end_of(
                self._context.inspector.queue(queue),
                task_id,
                patience.wait_s,
                enough=lambda: hurry() or self._context.draining(),
            )
        finally:
            self._places.release()


def read_patience(req: falcon.Request) -> Patience:
    """What the query says in `wait`, else what the header Prefer does. Raises ApiError for a `wait` that is none.

    A preference is nothing that can be refused (RFC 7240): one that cannot be read is ignored, one that is too long is cut.
    """
    prefer = req.get_header("Prefer")
    if prefer is None and WAIT.name not in req.params:
        return _NONE
    query = Query(req)
    wait_s = query.read(WAIT, _wait_s, 0.0)
    query.check()
    if wait_s:
        return Patience(wait_s)
    for preference in (prefer or "").split(","):
        found = _WAIT.match(preference)
        if found:
            wait_s = min(int(found[1]), int(LONGEST_S))
            return Patience(wait_s, f"wait={wait_s}")
    return _NONE


def _wait_s(value: str) -> float:
    if not re.fullmatch(WAIT.schema["pattern"], value):
        raise ValueError(f'expected a duration from 0 to {LONGEST_S:.0f}s such as 10, "10s" or "500ms", got {shown(value)}')
    return parse_duration(value)
