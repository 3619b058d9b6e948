"""The operation resources: what became of actions on many tasks."""

from __future__ import annotations

import falcon
import msgspec

from taskq.api import shapes
from taskq.api.context import ApiContext
from taskq.api.describe import Answer, Parameter, describe, json
from taskq.api.describe import Operation as Described
from taskq.api.errors import ApiError
from taskq.api.views import operation_view
from taskq.ids import read_id
from taskq.queue.operations import Operation, Operations

OPERATION_ID = Parameter(
    name="operation_id", place="path", schema={"type": "string", "format": "uuid"}, description="The id of an operation."
)


class OperationList:
    """GET /operations."""

    def __init__(self, context: ApiContext) -> None:
        self._operations = Operations(context.inspector)

    @describe(
        Described(
            id="list_operations",
            tag="operations",
            summary="List the last operations",
            answers=[
                Answer(status=200, description="The last hundred, the newest first.", shapes=json(list[shapes.Operation]))
            ],
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """The last hundred operations, the newest first."""
        resp.data = msgspec.json.encode([operation_view(operation) for operation in self._operations.newest()])

    on_head = on_get


class OperationItem:
    """GET /operations/{id}."""

    def __init__(self, context: ApiContext) -> None:
        self._operations = Operations(context.inspector)

    @describe(
        Described(
            id="get_operation",
            tag="operations",
            summary="Show an operation",
            takes=[OPERATION_ID],
            answers=[Answer(status=200, description="The operation.", shapes=json(shapes.Operation))],
            refuses=["operation_not_found"],
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response, operation_id: str) -> None:
        """One operation, with how far it has come."""
        resp.data = msgspec.json.encode(operation_view(_known(self._operations, operation_id)))

    on_head = on_get


class OperationStop:
    """POST /operations/{id}/stop."""

    def __init__(self, context: ApiContext) -> None:
        self._operations = Operations(context.inspector)

    @describe(
        Described(
            id="stop_operation",
            tag="operations",
            summary="Stop an operation",
            takes=[OPERATION_ID],
            answers=[
                Answer(status=200, description="It had ended.", shapes=json(shapes.Operation)),
                Answer(status=202, description="It ends.", shapes=json(shapes.Operation)),
            ],
            refuses=["operation_not_found"],
        )
    )
    def on_post(self, _req: falcon.Request, resp: falcon.Response, operation_id: str) -> None:
        """Have it go no further; what it has done stays. Of one that has ended nothing changes."""
        operation = _known(self._operations, operation_id)
        self._operations.halt(operation.id)
        resp.status = falcon.HTTP_202 if operation.finished_at_ms is None else falcon.HTTP_200
        resp.data = msgspec.json.encode(operation_view(_known(self._operations, operation_id)))


def _known(operations: Operations, operation_id: str) -> Operation:
    stored = read_id(operation_id)
    found = operations.get(stored) if stored is not None else None
    if found is None:
        raise ApiError("operation_not_found", "operation not found")
    return found
