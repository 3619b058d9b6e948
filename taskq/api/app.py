"""The application: every path of the API, in one function."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import falcon
from falcon.routing import CompiledRouter

from taskq.api import document, errors
from taskq.api.access import Access
from taskq.api.actions import TaskActions
from taskq.api.batch import TaskBatch
from taskq.api.context import ApiContext
from taskq.api.docs import Docs, DocsFile, OpenApi
from taskq.api.headers import SafeHeaders
from taskq.api.health import Health, Live, Ready, Version
from taskq.api.knownhosts import KnownHosts
from taskq.api.longpoll import Waits
from taskq.api.metrics import Metrics
from taskq.api.middleware import KnownMethods, RequestLog, SameOrigin
from taskq.api.operations import OperationItem, OperationList, OperationStop
from taskq.api.output import TaskLogs
from taskq.api.queues import QueueItem, QueuePause, QueuePurge, QueueResume, Queues
from taskq.api.requests import OFFERED_METHODS
from taskq.api.schedules import ScheduleItem, ScheduleList, SchedulePause, ScheduleResume, ScheduleRun
from taskq.api.stats import Analytics, Stats, Timeseries
from taskq.api.tasks import TaskCancel, TaskItem, TaskRequeue, Tasks
from taskq.api.types import TypeItem, Types
from taskq.api.workers import WorkerItem, Workers

if TYPE_CHECKING:  # not at run time: those who instrument falcon put another class there, which takes no parameters
    App = falcon.App[falcon.Request, falcon.Response]


def create_app(context: ApiContext) -> App:
    """The WSGI application. It is called from several threads at once; all its state is in `context`."""
    router = CompiledRouter()
    app: App = falcon.App(
        router=router,
        middleware=[
            SafeHeaders(),
            RequestLog(context.requests),
            KnownHosts(context),
            SameOrigin(),
            Access(context),
            KnownMethods(),
        ],
    )
    errors.install(app)
    app.add_sink(options_of_all, re.compile(r"\*\Z"))
    waits = Waits(context)
    app.add_route("/tasks", Tasks(context, waits))
    app.add_route("/tasks/batch", TaskBatch(context))
    app.add_route("/tasks/actions", TaskActions(context))
    app.add_route("/tasks/{task_id}", TaskItem(context, waits))
    app.add_route("/tasks/{task_id}/cancel", TaskCancel(context))
    app.add_route("/tasks/{task_id}/requeue", TaskRequeue(context))
    app.add_route("/tasks/{task_id}/logs", TaskLogs(context))
    app.add_route("/operations", OperationList(context))
    app.add_route("/operations/{operation_id}", OperationItem(context))
    app.add_route("/operations/{operation_id}/stop", OperationStop(context))
    app.add_route("/queues", Queues(context))
    app.add_route("/queues/{name}", QueueItem(context))
    app.add_route("/queues/{name}/pause", QueuePause(context))
    app.add_route("/queues/{name}/resume", QueueResume(context))
    app.add_route("/queues/{name}/purge", QueuePurge(context))
    app.add_route("/types", Types(context))
    app.add_route("/types/{name}", TypeItem(context))
    app.add_route("/schedules", ScheduleList(context))
    app.add_route("/schedules/{name}", ScheduleItem(context))
    app.add_route("/schedules/{name}/pause", SchedulePause(context))
    app.add_route("/schedules/{name}/resume", ScheduleResume(context))
    app.add_route("/schedules/{name}/run", ScheduleRun(context))
    app.add_route("/workers", Workers(context))
    app.add_route("/workers/{worker_id}", WorkerItem(context))
    app.add_route("/stats", Stats(context))
    app.add_route("/stats/timeseries", Timeseries(context))
    app.add_route("/analytics", Analytics(context))
    app.add_route("/metrics", Metrics(context))
    app.add_route("/health", Health(context))
    app.add_route("/health/live", Live())
    app.add_route("/health/ready", Ready(context))
    app.add_route("/version", Version())
    app.add_route("/openapi.json", OpenApi(lambda: document.build(router, app, context)))
    app.add_route("/docs", Docs())
    app.add_route("/docs/{name}", DocsFile())
    return app


def options_of_all(req: falcon.Request, resp: falcon.Response, **_: Any) -> None:  # noqa: ARG001 - Falcon names it
    """OPTIONS * asks what the server can do at all (RFC 9110, section 9.3.7); no other method has such a target."""
    resp.set_header("Allow", ", ".join(OFFERED_METHODS))
