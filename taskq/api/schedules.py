"""The schedule resources: when each runs next and ran last; pause, resume and run now."""

from __future__ import annotations

import itertools
import uuid

import falcon
import msgspec

from taskq.api import shapes
from taskq.api.body import read_optional_object
from taskq.api.context import ApiContext
from taskq.api.describe import Answer, Operation, Parameter, describe, json
from taskq.api.errors import ApiError
from taskq.api.submission import REASON_BODY, given_reason
from taskq.api.tasks import LINKS, LOCATION
from taskq.api.views import schedule_view, task_view
from taskq.errors import TaskNotFound
from taskq.log import emit
from taskq.members import NAME_SCHEMA
from taskq.queue.schedules import Schedules, ScheduleState
from taskq.schedule import ticks

RUNS_SHOWN = 5


SCHEDULE = Parameter(name="name", place="path", schema=NAME_SCHEMA, description="The schedule.")


class ScheduleList:
    """GET /schedules."""

    def __init__(self, context: ApiContext) -> None:
        self._schedules = Schedules(context.inspector)

    @describe(
        Operation(
            id="list_schedules",
            tag="schedules",
            summary="List the schedules",
            answers=[Answer(status=200, description="The schedules, by name.", shapes=json(list[shapes.Schedule]))],
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Every schedule that a machine has."""
        now_ms = self._schedules.now_ms()
        resp.data = msgspec.json.encode([_view(state, now_ms) for state in self._schedules.all()])

    on_head = on_get


class ScheduleItem:
    """GET /schedules/{name}."""

    def __init__(self, context: ApiContext) -> None:
        self._schedules = Schedules(context.inspector)

    @describe(
        Operation(
            id="get_schedule",
            tag="schedules",
            summary="Show a schedule",
            takes=[SCHEDULE],
            answers=[Answer(status=200, description="The schedule.", shapes=json(shapes.Schedule))],
            refuses=["schedule_not_found"],
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """One schedule."""
        _show(resp, self._schedules, name)

    on_head = on_get


class SchedulePause:
    """POST /schedules/{name}/pause."""

    def __init__(self, context: ApiContext) -> None:
        self._schedules = Schedules(context.inspector)
        self._max_body_bytes = context.settings.max_body_bytes

    @describe(
        Operation(
            id="pause_schedule",
            tag="schedules",
            summary="Pause a schedule",
            takes=[SCHEDULE],
            body=REASON_BODY,
            answers=[Answer(status=200, description="The schedule, paused.", shapes=json(shapes.Schedule))],
            refuses=["schedule_not_found", "invalid_members"],
        )
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Let its ticks pass without effect. Repeating it takes the new reason."""
        schedule = _known(self._schedules, name).schedule
        self._schedules.pause(schedule, given_reason(read_optional_object(req, self._max_body_bytes)))
        emit("schedule.paused", schedule=name, request_id=req.context.request_id)
        _show(resp, self._schedules, name)


class ScheduleResume:
    """POST /schedules/{name}/resume."""

    def __init__(self, context: ApiContext) -> None:
        self._schedules = Schedules(context.inspector)

    @describe(
        Operation(
            id="resume_schedule",
            tag="schedules",
            summary="Resume a schedule",
            takes=[SCHEDULE],
            answers=[Answer(status=200, description="The schedule.", shapes=json(shapes.Schedule))],
            refuses=["schedule_not_found"],
        )
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Let it tick again; of one that is not paused nothing changes."""
        if self._schedules.resume(_known(self._schedules, name).schedule):
            emit("schedule.resumed", schedule=name, request_id=req.context.request_id)
        _show(resp, self._schedules, name)


class ScheduleRun:
    """POST /schedules/{name}/run."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._schedules = Schedules(context.inspector)

    @describe(
        Operation(
            id="run_schedule",
            tag="schedules",
            summary="Run a schedule now",
            takes=[SCHEDULE],
            answers=[Answer(status=201, description="The task.", shapes=json(shapes.Task), headers=[LOCATION], links=LINKS)],
            refuses=["schedule_not_found", "task_not_found", "shutting_down"],
            stores=True,
        )
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Enqueue its task now, whatever its ticks, a pause and running tasks say."""
        if self._context.draining():
            raise ApiError("shutting_down", "the service is shutting down", retry=True)
        schedule = _known(self._schedules, name).schedule
        new = schedule.task(str(uuid.uuid4()))
        self._schedules.run(schedule, new)
        emit(
            "schedule.run",
            schedule=name,
            task_id=new.id,
            type=new.type,
            queue=new.queue,
            request_id=req.context.request_id,
        )
        task = self._context.inspector.get(new.id)
        if task is None:
            raise TaskNotFound(new.id)  # somebody has deleted it at once
        resp.status = falcon.HTTP_201
        resp.location = f"/tasks/{new.id}"
        resp.data = msgspec.json.encode(task_view(task))


def _known(schedules: Schedules, name: str) -> ScheduleState:
    state = schedules.get(name)
    if state is None:
        raise ApiError("schedule_not_found", "schedule not found")
    return state


def _show(resp: falcon.Response, schedules: Schedules, name: str) -> None:
    resp.data = msgspec.json.encode(_view(_known(schedules, name), schedules.now_ms()))


def _view(state: ScheduleState, now_ms: int) -> shapes.Schedule:
    going = state.schedule.enabled and state.paused is None
    following = itertools.islice(ticks(state.schedule.line, now_ms), RUNS_SHOWN) if going else ()
    return schedule_view(state, list(following))
