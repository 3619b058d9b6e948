"""Which methods are told apart in what is counted, and who adds what this process has answered to that of all others."""

from __future__ import annotations

import threading
from contextlib import suppress

from taskq.api.context import ApiContext
from taskq.errors import QueueError

EVERY_S = 1.0
END_LIMIT_S = 5.0

OFFERED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_COUNTED_METHODS = frozenset({*OFFERED_METHODS, "OPTIONS"})


def counted_method(method: str) -> str:
    """What a method is counted as: clients may make up any number of them."""
    return method if method in _COUNTED_METHODS else "other"


class Adder:
    """A thread that does it, while the process serves; nobody ever waits for it but its end."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="requests", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(END_LIMIT_S)

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            self._add()
        self._add()

    def _add(self) -> None:
        with suppress(QueueError):  # the link has said so; what is new stays new
            self._context.requests.add(self._context.inspector)
