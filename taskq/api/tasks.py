"""The task resources: create, list, show, delete, cancel, requeue."""

from __future__ import annotations

from functools import lru_cache

import falcon
import msgspec

from taskq.api import etags, shapes
from taskq.api.admission import Admitter
from taskq.api.body import read_object, read_optional_object
from taskq.api.context import ApiContext
from taskq.api.describe import Answer, Header, Operation, Parameter, describe, json
from taskq.api.errors import ApiError
from taskq.api.listing import PARAMETERS, Listing, next_link, read_listing
from taskq.api.longpoll import PREFER, WAIT, Patience, Waits, read_patience
from taskq.api.repeats import KEY, REPLAYED, REPLAYED_HEADER, read_key, resolve
from taskq.api.submission import DELAY_BODY, REASON_BODY, TASK_BODY, given_reason, new_task, requeue_delay_s
from taskq.api.traces import TRACEPARENT, TRACESTATE, enqueueing, logged
from taskq.api.views import enqueued_task, task_view
from taskq.api.waiting import Looks
from taskq.errors import QueueError, TaskNotFound
from taskq.ids import new_id, read_id
from taskq.log import emit
from taskq.queue.actions import count
from taskq.queue.alike import Alike, moments
from taskq.queue.answers import Enqueued
from taskq.queue.operations import Action, Kind
from taskq.queue.pages import Page
from taskq.queue.queue import Queue
from taskq.queue.repeats import KEPT_S
from taskq.task import NewTask, Status, Task

COUNT_LIMIT_S = 3.0
"""How long the tasks of a listing are counted; then it is told how many they are at least."""


TASK_ID = Parameter(
    name="task_id", place="path", schema={"type": "string", "format": "uuid"}, description="The id of a task."
)
LOCATION = Header(
    name="Location",
    description="The path of the task.",
    schema={"type": "string", "format": "uri-reference"},
    always=True,
)
CURSOR = Header(name="X-Next-Cursor", description="The `cursor` of the next page, while there is one.")
TOTAL = Header(name="X-Total-Count", description="How many there are, if `count` asks for it.")
TOTAL_EXACT = Header(name="X-Total-Count-Exact", description="false: at least so many; there was no time to count all.")
LINK = Header(name="Link", description='The next page as `<...>; rel="next"`, while there is one.')
APPLIED = Header(name="Preference-Applied", description="How long the request was ready to wait: `wait=N`.")
LINKS = {
    "get_task": {"task_id": "$response.body#/id"},
    "get_task_logs": {"task_id": "$response.body#/id"},
    "cancel_task": {"task_id": "$response.body#/id"},
    "requeue_task": {"task_id": "$response.body#/id"},
    "delete_task": {"task_id": "$response.body#/id"},
}
NEW_TASK_REFUSALS = ("type_required", "invalid_members", "unknown_type", "unknown_queue", "unique_key_taken")
SHOWN = Answer(status=200, description="The task.", shapes=json(shapes.Task))


class Tasks:
    """POST and GET /tasks."""

    def __init__(self, context: ApiContext, waits: Waits) -> None:
        self._context = context
        self._waits = waits
        # what tasks have in common that differ only in id and payload; most of a client's do
        self._alike = lru_cache(maxsize=64)(Alike)

    @describe(
        Operation(
            id="create_task",
            tag="tasks",
            summary="Enqueue a task",
            takes=[WAIT, PREFER, KEY, TRACEPARENT, TRACESTATE],
            body=TASK_BODY,
            answers=[
                Answer(
                    status=201,
                    description="It is stored.",
                    shapes=json(shapes.Task),
                    headers=[LOCATION, APPLIED],
                    links=LINKS,
                ),
                Answer(
                    status=200,
                    description="A repeat of an earlier request, or a task that has ended within the wait.",
                    shapes=json(shapes.Task),
                    headers=[LOCATION, REPLAYED_HEADER, APPLIED],
                ),
            ],
            refuses=[*NEW_TASK_REFUSALS, "invalid_header", "idempotency_key_reused", "shutting_down"],
            stores=True,
        )
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Store one task and show it, on request once it has ended."""
        if self._context.draining():
            raise ApiError("shutting_down", "the service is shutting down", retry=True)
        patience = read_patience(req)
        body = read_object(req, self._context.settings.max_body_bytes)
        key = read_key(req)
        # The id is made here, so that an enqueue repeated after a lost reply stores nothing twice.
        new, again = new_task(body, self._context, new_id(), Admitter(self._context)), False
        if key is not None:
            task_id, queue, again = resolve(self._context, req, key, body, (new.id, new.queue))
            new = msgspec.structs.replace(new, id=task_id, queue=queue, repeat_s=KEPT_S)
        with enqueueing(req, [new]) as trace:
            new = msgspec.structs.replace(new, trace=trace) if trace else new
            enqueued = self._enqueue(new)
        event = "task.replayed" if again else "task.enqueued"
        emit(event, **logged(new), request_id=req.context.request_id)
        if again:
            resp.set_header(REPLAYED, "true")
            new = msgspec.structs.replace(new, trace=None)  # that of the first request is stored, and not known here
        task = self._awaited(req, resp, new, patience) or enqueued_task(new, enqueued)
        resp.status = falcon.HTTP_200 if again or task.status.final else falcon.HTTP_201
        resp.location = f"/tasks/{new.id}"
        resp.data = msgspec.json.encode(task_view(task))

    @describe(
        Operation(
            id="list_tasks",
            tag="tasks",
            summary="List tasks",
            takes=[*PARAMETERS, etags.IF_NONE_MATCH],
            answers=[
                Answer(
                    status=200,
                    description="A page.",
                    shapes=json(list[shapes.Task]),
                    headers=[LINK, CURSOR, TOTAL, TOTAL_EXACT, etags.ETAG],
                ),
                Answer(
                    status=304, description="Nothing has changed.", headers=[LINK, CURSOR, TOTAL, TOTAL_EXACT, etags.ETAG]
                ),
            ],
        )
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of tasks."""
        listing = read_listing(req)
        page = self._page(listing)
        etags.show(req, resp, msgspec.json.encode([task_view(task) for task in page.tasks]))
        if listing.count:
            self._tell_count(resp, listing)
        cursor = listing.next(page.cursor)
        if cursor is not None:
            resp.set_header("X-Next-Cursor", cursor)
            resp.set_header("Link", next_link(req.path, req.params, cursor))

    on_head = on_get

    def _enqueue(self, new: NewTask) -> Enqueued:
        queue = self._context.inspector.queue(new.queue)
        if new.unique_key is not None or new.repeat_s or new.trace is not None or new.run_at_ms is not None:
            return queue.enqueue(new)
        like = msgspec.structs.replace(new, id="", payload=None)
        return moments(self._alike(queue, like).enqueue(new.id, new.payload))

    def _awaited(self, req: falcon.Request, resp: falcon.Response, new: NewTask, patience: Patience) -> Task | None:
        """The task that was just stored, once it has ended or time is up; None for a request that does not want to wait.
        Whatever goes wrong meanwhile does not undo that the task was stored."""
        if not patience.wait_s:
            return None
        try:
            ended = self._waits.end_of(req, resp, (new.queue, new.id), patience)
            return ended or self._context.inspector.get(new.id, queue=new.queue)
        except (TaskNotFound, QueueError):
            return None

    def _tell_count(self, resp: falcon.Response, listing: Listing) -> None:
        inspector = self._context.inspector
        action = Action(kind=Kind.DELETE, filter=listing.wanted)
        found = count(inspector, action, inspector.now_ms(), COUNT_LIMIT_S, sample=0)
        resp.set_header("X-Total-Count", str(found.matched))
        resp.set_header("X-Total-Count-Exact", "true" if found.exact else "false")

    def _page(self, listing: Listing) -> Page:
        inspector = self._context.inspector
        # A queue nobody has used is not looked into: any client could fill our memory with names.
        if listing.wanted.queue is not None and listing.wanted.queue not in inspector.queue_names():
            return Page([], None)
        return inspector.page(listing.wanted, limit=listing.limit, cursor=listing.start(), newest_first=listing.newest_first)


class TaskItem:
    """GET and DELETE /tasks/{id}."""

    def __init__(self, context: ApiContext, waits: Waits) -> None:
        self._context = context
        self._waits = waits
        self._looks = Looks(context.inspector)

    @describe(
        Operation(
            id="get_task",
            tag="tasks",
            summary="Show a task",
            takes=[TASK_ID, WAIT, PREFER, etags.IF_NONE_MATCH],
            answers=[
                Answer(status=200, description="The task.", shapes=json(shapes.Task), headers=[etags.ETAG, APPLIED]),
                Answer(status=304, description="Nothing has changed.", headers=[etags.ETAG, APPLIED]),
            ],
            refuses=["task_not_found"],
        )
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """One task, on request once it has ended; one that waits tells for what."""
        patience = read_patience(req)
        task_id, ended = _checked(task_id), None
        if patience.wait_s and not (task := _get(self._context, task_id)).status.final:
            ended = self._waits.end_of(req, resp, (task.queue, task.id), patience)
        shown, reason = (ended, None) if ended else self._looks.at(task_id)
        if shown is None:
            raise TaskNotFound(task_id)
        etags.show(req, resp, msgspec.json.encode(task_view(shown, reason)))

    on_head = on_get

    @describe(
        Operation(
            id="delete_task",
            tag="tasks",
            summary="Delete a task",
            takes=[TASK_ID],
            answers=[Answer(status=204, description="It is gone.")],
            refuses=["task_not_found"],
        )
    )
    def on_delete(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Remove a task for good; one that runs is stopped."""
        task_id = _checked(task_id)
        queue = _queue_of(self._context, task_id)
        try:
            queue.delete(task_id)
        except TaskNotFound:
            pass  # deleted since we looked, perhaps by this very call, whose first reply was lost
        emit("task.deleted", task_id=task_id, queue=queue.name, request_id=req.context.request_id)
        resp.status = falcon.HTTP_204


class TaskCancel:
    """POST /tasks/{id}/cancel."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="cancel_task",
            tag="tasks",
            summary="Cancel a task",
            takes=[TASK_ID],
            body=REASON_BODY,
            answers=[
                SHOWN,
                Answer(status=202, description="It runs and is being stopped.", shapes=json(shapes.Task)),
            ],
            refuses=["task_not_found", "task_ended", "invalid_members"],
        )
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """End a task that has not ended. Answers 202 where a worker must still stop it; repeating it is harmless."""
        task_id = _checked(task_id)
        reason = given_reason(read_optional_object(req, self._context.settings.max_body_bytes))
        queue = _queue_of(self._context, task_id)
        was = queue.cancel(task_id, reason)
        if was.final and was is not Status.CANCELLED:
            raise ApiError("task_ended", f"the task has already ended: it is {was}")
        task = _get(self._context, task_id)
        if not was.final:
            emit("task.cancelled", **logged(task), request_id=req.context.request_id)
        resp.status = falcon.HTTP_202 if was is Status.PROCESSING else falcon.HTTP_200
        _show(resp, task)


class TaskRequeue:
    """POST /tasks/{id}/requeue."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="requeue_task",
            tag="tasks",
            summary="Bring a task back",
            takes=[TASK_ID],
            body=DELAY_BODY,
            answers=[Answer(status=202, description="It waits again.", shapes=json(shapes.Task))],
            refuses=["task_not_found", "task_not_ended", "unique_key_taken", "invalid_members"],
            stores=True,
        )
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Bring a failed or cancelled task back."""
        task_id = _checked(task_id)
        delay_s = requeue_delay_s(read_optional_object(req, self._context.settings.max_body_bytes))
        queue = _queue_of(self._context, task_id)
        was = queue.requeue(task_id, delay_s)
        if was not in (Status.FAILED, Status.CANCELLED):
            raise ApiError("task_not_ended", f"only a failed or cancelled task can be requeued; this one is {was}")
        task = _get(self._context, task_id)
        emit("task.requeued", **logged(task), request_id=req.context.request_id)
        resp.status = falcon.HTTP_202
        _show(resp, task)


def find_task(context: ApiContext, task_id: str) -> Task:
    """The task that a path names. Raises TaskNotFound."""
    return _get(context, _checked(task_id))


def _checked(task_id: str) -> str:
    """The id as it is stored."""
    found = read_id(task_id)
    if found is None:
        raise TaskNotFound(task_id)
    return found


def _get(context: ApiContext, task_id: str) -> Task:
    task = context.inspector.get(task_id)
    if task is None:
        raise TaskNotFound(task_id)
    return task


def _queue_of(context: ApiContext, task_id: str) -> Queue:
    name = context.inspector.locate(task_id)
    if name is None:
        raise TaskNotFound(task_id)
    return context.inspector.queue(name)


def _show(resp: falcon.Response, task: Task) -> None:
    resp.data = msgspec.json.encode(task_view(task))
