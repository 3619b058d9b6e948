"""The type resources: what each task type takes, its defaults, and which live workers serve it."""

from __future__ import annotations

from collections.abc import Mapping

import falcon
import msgspec

from taskq.api import shapes
from taskq.api.context import ApiContext
from taskq.api.describe import Answer, Operation, Parameter, describe, json
from taskq.api.errors import ApiError
from taskq.api.timings import timings
from taskq.api.views import type_view
from taskq.catalog import TypeInfo
from taskq.members import NAME_SCHEMA
from taskq.queue import stats
from taskq.queue.types import QueueTypes

TYPE = Parameter(name="name", place="path", schema=NAME_SCHEMA, description="The type.", example="echo")


class Types:
    """GET /types."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="list_types",
            tag="types",
            summary="List the known types",
            answers=[Answer(status=200, description="The types, by name.", shapes=json(list[shapes.Type]))],
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Every known type."""
        published = self._context.inspector.types(max_age_s=0)
        default = self._context.settings.default_max_retry
        counts = [stats.counted(self._context.inspector, queue) for queue in published]
        views = []
        for name, info in sorted(_known(self._context, published).items()):
            view, told = type_view(name, info, _servers(published, name), default), timings(counts, name)
            view.attempts, view.durations = told.attempts, told.durations
            views.append(view)
        resp.data = msgspec.json.encode(views)

    on_head = on_get


class TypeItem:
    """GET /types/{name}."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="get_type",
            tag="types",
            summary="Show a type",
            takes=[TYPE],
            answers=[Answer(status=200, description="The type.", shapes=json(shapes.Type))],
            refuses=["type_not_found"],
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """One type, with the ids of the workers that serve it."""
        published = self._context.inspector.types(max_age_s=0)
        info = _known(self._context, published).get(name)
        if info is None:
            raise ApiError("type_not_found", "type not found")
        servers = _servers(published, name)
        view = type_view(name, info, servers, self._context.settings.default_max_retry)
        counts = [stats.counted(self._context.inspector, queue) for queue in published]
        told = timings(counts, name)
        view.attempts, view.durations = told.attempts, told.durations
        view.worker_ids = sorted(worker for ids in servers.values() for worker in ids)
        resp.data = msgspec.json.encode(view)

    on_head = on_get


def _known(context: ApiContext, published: Mapping[str, QueueTypes]) -> dict[str, TypeInfo]:
    """The word of live workers counts most, then that of this process, then that of workers that are gone."""
    gone = {name: info for types in published.values() for name, info in types.known().items()}
    live = {name: info for types in published.values() for name, info in types.known(live=True).items()}
    return {**gone, **context.own_types, **live}


def _servers(published: Mapping[str, QueueTypes], name: str) -> dict[str, list[str]]:
    """The live workers that serve a type, by queue."""
    servers = {queue: types.servers(name) for queue, types in published.items()}
    return {queue: workers for queue, workers in sorted(servers.items()) if workers}
