"""What watchers ask: is the service healthy, is this process alive, may it be given requests, which version is it."""

from __future__ import annotations

from collections.abc import Sequence

import falcon
import msgspec
from msgspec import UNSET

from taskq import __version__
from taskq.api import shapes
from taskq.api.context import ApiContext
from taskq.api.describe import Answer, Operation, describe, json
from taskq.api.errors import STATUS, explain
from taskq.errors import QueueError, StartupError

OK = Answer(status=200, description="It can.", shapes=json(shapes.Health), example={"status": "ok"})
UNAVAILABLE = Answer(status=503, description="It cannot, and why.", shapes=json(shapes.Health))


class Health:
    """GET /health: the service as a whole, which is its connection to Redis."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="health",
            tag="service",
            summary="Tell whether the service is healthy",
            answers=[OK, UNAVAILABLE],
            asks_redis=False,
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Blocks for as long as the connection to Redis has patience."""
        _report(resp, _fault(self._context))

    on_head = on_get


class Live:
    """GET /health/live: this process. It never asks Redis, whose absence no restart of this process would cure."""

    @describe(
        Operation(
            id="health_live",
            tag="service",
            summary="Tell whether this process is alive",
            answers=[OK],
            asks_redis=False,
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Always 200."""
        _report(resp, None)

    on_head = on_get


class Ready:
    """GET /health/ready: whether a balancer should send requests here."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="health_ready",
            tag="service",
            summary="Tell whether requests should be sent here",
            answers=[OK, UNAVAILABLE],
            asks_redis=False,
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Like /health, and 503 while the service drains or Redis is unfit; names what makes Redis lose tasks."""
        if self._context.draining():
            _report(resp, "the service is shutting down")
            return
        try:
            found = self._context.inspector.examine()
        except StartupError as error:
            _report(resp, str(error))
        except QueueError as error:
            _report(resp, explain(error)[1])
        else:
            _report(resp, None, found.warnings)

    on_head = on_get


class Version:
    """GET /version."""

    @describe(
        Operation(
            id="version",
            tag="service",
            summary="Tell the version",
            answers=[Answer(status=200, description="The version.", shapes=json(shapes.Version))],
            asks_redis=False,
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """The version of taskq."""
        resp.data = msgspec.json.encode(shapes.Version(version=__version__))

    on_head = on_get


def _fault(context: ApiContext) -> str | None:
    try:
        context.inspector.ping()
    except QueueError as error:
        return explain(error)[1]
    return None


def _report(resp: falcon.Response, fault: str | None, warnings: Sequence[str] = ()) -> None:
    if fault is None:
        resp.data = msgspec.json.encode(shapes.Health(status="ok", warnings=list(warnings) or UNSET))
        return
    resp.status = STATUS["queue_unavailable"]
    resp.data = msgspec.json.encode(shapes.Health(status="unavailable", error=fault))
