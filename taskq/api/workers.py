"""The worker resources: where each runs, what it holds and how long its lease still lasts."""

from __future__ import annotations

import falcon
import msgspec

from taskq.api import shapes
from taskq.api.context import ApiContext
from taskq.api.describe import Answer, Operation, Parameter, describe, json
from taskq.api.errors import ApiError
from taskq.api.views import worker_view
from taskq.queue.inspect import WorkerState

WORKER_ID = Parameter(
    name="worker_id", place="path", schema={"type": "string", "minLength": 1}, description="The id of a live worker."
)


class Workers:
    """GET /workers."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="list_workers",
            tag="workers",
            summary="List the live workers",
            answers=[Answer(status=200, description="The live workers.", shapes=json(list[shapes.Worker]))],
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Every live worker of every queue."""
        states = _live(self._context)
        runs = self._context.inspector.runs(states)
        resp.data = msgspec.json.encode([worker_view(state, runs.get(state.id)) for state in states])

    on_head = on_get


class WorkerItem:
    """GET /workers/{id}."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="get_worker",
            tag="workers",
            summary="Show a worker",
            takes=[WORKER_ID],
            answers=[Answer(status=200, description="The worker.", shapes=json(shapes.Worker))],
            refuses=["worker_not_found"],
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response, worker_id: str) -> None:
        """One live worker."""
        state = next((state for state in _live(self._context) if state.id == worker_id), None)
        if state is None:
            raise ApiError("worker_not_found", "worker not found")
        resp.data = msgspec.json.encode(worker_view(state, self._context.inspector.runs([state]).get(state.id)))

    on_head = on_get


def _live(context: ApiContext) -> list[WorkerState]:
    inspector = context.inspector
    return [state for name in inspector.queue_names() for state in inspector.workers(name)]
