"""Requests that the API has answered, counted by each of its processes and put together in Redis.

A process counts in its memory, so no request waits for it, and adds to Redis what is new from time to time. That is repeated
until it is answered and counted once all the same, because each addition of a process has a number.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import NamedTuple

from taskq.queue.inspect import Inspector
from taskq.queue.keys import Keys
from taskq.queue.scripts import load
from taskq.queue.tokens import new_token


class Request(NamedTuple):
    """What is told of a request: its method, the template of its path ("": none of ours), and the code of the answer."""

    method: str
    route: str
    code: int


class Requests:
    """Those of one process, which has a name of its own. Safe in threads."""

    def __init__(self, process: str | None = None) -> None:
        self._process = process or new_token()
        self._lock = threading.Lock()  # of the counter
        self._turn = threading.Lock()  # of whoever adds
        self._new: Counter[Request] = Counter()
        self._adding: Counter[Request] = Counter()
        self._calls = 1

    def count(self, request: Request) -> None:
        """Count one."""
        with self._lock:
            self._new[request] += 1

    def add(self, inspector: Inspector) -> None:
        """Add what is new to what Redis has. Raises QueueUnavailable, QueueFull or QueueRefused; then it is added later."""
        with self._turn:
            if not self._adding:
                with self._lock:
                    self._adding, self._new = self._new, Counter()
            if self._adding:
                keys = Keys(inspector.prefix, "")
                pairs = [word for request, number in self._adding.items() for word in (_field(request), number)]
                names = [keys.requests, keys.counted(self._process)]
                inspector.link.script(load("count"), names, [self._calls, *pairs])
                self._calls += 1
                self._adding = Counter()


def answered(inspector: Inspector) -> dict[Request, int]:
    """What all processes have added. Raises QueueUnavailable or QueueRefused."""
    found = inspector.link.hash(Keys(inspector.prefix, "").requests)
    return {_request(field): int(number) for field, number in found.items()}


def _field(request: Request) -> str:
    return f"{request.method} {request.code} {request.route}"


def _request(field: bytes) -> Request:
    method, code, route = field.decode().split(" ", 2)
    return Request(method, route, int(code))
