"""The queue resources: counts, the oldest wait, workers; pause, resume and purge."""

from __future__ import annotations

import falcon
import msgspec

from taskq.api import shapes
from taskq.api.body import read_optional_object
from taskq.api.context import ApiContext
from taskq.api.describe import Answer, Operation, Parameter, describe, json
from taskq.api.errors import ApiError
from taskq.api.submission import REASON_BODY, given_reason
from taskq.api.views import queue_view
from taskq.log import emit
from taskq.members import NAME_SCHEMA
from taskq.queue import gate, history
from taskq.queue.history import Now
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue

QUEUE = Parameter(name="name", place="path", schema=NAME_SCHEMA, description="The queue.", example="default")


class Queues:
    """GET /queues."""

    def __init__(self, context: ApiContext) -> None:
        self._inspector = context.inspector

    @describe(
        Operation(
            id="list_queues",
            tag="queues",
            summary="List the queues",
            answers=[Answer(status=200, description="The known queues, by name.", shapes=json(list[shapes.Queue]))],
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Every known queue."""
        names, now = self._inspector.queue_names(), Now(self._inspector.now_ms())
        resp.data = msgspec.json.encode([_view(self._inspector, name, now) for name in names])

    on_head = on_get


class QueueItem:
    """GET /queues/{name}."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="get_queue",
            tag="queues",
            summary="Show a queue",
            takes=[QUEUE],
            answers=[Answer(status=200, description="The queue.", shapes=json(shapes.Queue))],
            refuses=["queue_not_found"],
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """One queue."""
        _show(resp, self._context, _known(self._context, name))

    on_head = on_get


class QueuePause:
    """POST /queues/{name}/pause."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="pause_queue",
            tag="queues",
            summary="Pause a queue",
            takes=[QUEUE],
            body=REASON_BODY,
            answers=[Answer(status=200, description="The queue, paused.", shapes=json(shapes.Queue))],
            refuses=["queue_not_found", "invalid_members"],
        )
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Let no task start any more: once this is answered, none does. Repeating it takes the new reason."""
        queue = _known(self._context, name)
        gate.pause(queue, given_reason(read_optional_object(req, self._context.settings.max_body_bytes)))
        emit("queue.paused", queue=name, request_id=req.context.request_id)
        _show(resp, self._context, queue)


class QueueResume:
    """POST /queues/{name}/resume."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="resume_queue",
            tag="queues",
            summary="Resume a queue",
            takes=[QUEUE],
            answers=[Answer(status=200, description="The queue.", shapes=json(shapes.Queue))],
            refuses=["queue_not_found"],
        )
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Let tasks start again; of a queue that is not paused nothing changes."""
        queue = _known(self._context, name)
        if gate.resume(queue):
            emit("queue.resumed", queue=name, request_id=req.context.request_id)
        _show(resp, self._context, queue)


class QueuePurge:
    """POST /queues/{name}/purge."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="purge_queue",
            tag="queues",
            summary="Remove what waits",
            takes=[QUEUE],
            answers=[Answer(status=200, description="How many tasks were removed.", shapes=json(shapes.Purged))],
            refuses=["queue_not_found"],
        )
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Remove what is pending or scheduled; what runs goes on."""
        purged = gate.purge(_known(self._context, name))
        emit("queue.purged", queue=name, purged=purged, request_id=req.context.request_id)
        resp.data = msgspec.json.encode(shapes.Purged(queue=name, purged=purged))


def _known(context: ApiContext, name: str) -> Queue:
    # A queue nobody has used is not looked into: any client could fill our memory with names.
    if name not in context.inspector.queue_names():
        raise ApiError("queue_not_found", "queue not found")
    return context.inspector.queue(name)


def _show(resp: falcon.Response, context: ApiContext, queue: Queue) -> None:
    resp.data = msgspec.json.encode(_view(context.inspector, queue.name, Now(context.inspector.now_ms())))


def _view(inspector: Inspector, name: str, now: Now) -> shapes.Queue:
    return queue_view(inspector.state(name), history.rates(inspector, name, now))
