"""The type resources: what each task type takes, its defaults and limits, and which live workers serve it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import falcon
import msgspec
from msgspec import UNSET

from taskq.api import shapes
from taskq.api.context import ApiContext
from taskq.api.describe import Answer, Operation, Parameter, describe, json
from taskq.api.errors import ApiError
from taskq.api.timings import timings
from taskq.api.views import limit_view, type_view
from taskq.catalog import TypeInfo
from taskq.members import NAME_SCHEMA
from taskq.queue import stats
from taskq.queue.limits import Use, uses_of
from taskq.queue.stats import Counted
from taskq.queue.types import QueueTypes

TYPE = Parameter(name="name", place="path", schema=NAME_SCHEMA, description="The type.", example="echo")


class Seen(NamedTuple):
    """What was found about all types: what is known of each, who serves it; by queue how it ran and what limits it."""

    known: Mapping[str, TypeInfo]
    published: Mapping[str, QueueTypes]
    counts: Mapping[str, Counted]
    uses: Mapping[str, Mapping[str, Use]]


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
        seen = _look(self._context)
        resp.data = msgspec.json.encode([_view(self._context, seen, name) for name in sorted(seen.known)])

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
        seen = _look(self._context)
        if name not in seen.known:
            raise ApiError("type_not_found", "type not found")
        view = _view(self._context, seen, name)
        view.worker_ids = sorted(worker for ids in _servers(seen.published, name).values() for worker in ids)
        resp.data = msgspec.json.encode(view)

    on_head = on_get


def _look(context: ApiContext) -> Seen:
    inspector = context.inspector
    published = inspector.types(max_age_s=0)
    return Seen(
        _known(context, published),
        published,
        {queue: stats.counted(inspector, queue) for queue in published},
        {queue: uses_of(inspector.queue(queue)) for queue in sorted(published)},
    )


def _view(context: ApiContext, seen: Seen, name: str) -> shapes.Type:
    view = type_view(name, seen.known[name], _servers(seen.published, name), context.settings.default_max_retry)
    told = timings(seen.counts.values(), name)
    view.attempts, view.durations = told.attempts, told.durations
    limits = [limit_view(queue, uses[name]) for queue, uses in seen.uses.items() if name in uses]
    view.limits = limits or UNSET
    return view


def _known(context: ApiContext, published: Mapping[str, QueueTypes]) -> dict[str, TypeInfo]:
    """The word of live workers counts most, then that of this process, then that of workers that are gone."""
    gone = {name: info for types in published.values() for name, info in types.known().items()}
    live = {name: info for types in published.values() for name, info in types.known(live=True).items()}
    return {**gone, **context.own_types, **live}


def _servers(published: Mapping[str, QueueTypes], name: str) -> dict[str, list[str]]:
    """The live workers that serve a type, by queue."""
    servers = {queue: types.servers(name) for queue, types in published.items()}
    return {queue: workers for queue, workers in sorted(servers.items()) if workers}
