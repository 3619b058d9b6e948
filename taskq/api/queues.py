"""The queue resources: counts, the oldest wait and the number of workers."""

from __future__ import annotations

import falcon
import msgspec

from taskq.api.context import ApiContext
from taskq.api.errors import ApiError
from taskq.api.views import queue_view


class Queues:
    """GET /queues."""

    def __init__(self, context: ApiContext) -> None:
        self._inspector = context.inspector

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Every known queue."""
        states = [self._inspector.state(name) for name in self._inspector.queue_names()]
        resp.data = msgspec.json.encode([queue_view(state) for state in states])

    on_head = on_get


class QueueItem:
    """GET /queues/{name}."""

    def __init__(self, context: ApiContext) -> None:
        self._inspector = context.inspector

    def on_get(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """One queue."""
        if name not in self._inspector.queue_names():
            raise ApiError("queue_not_found", "queue not found")
        resp.data = msgspec.json.encode(queue_view(self._inspector.state(name)))

    on_head = on_get
