"""What a task has printed, as JSON or as plain text. It is hostile text: whoever shows it escapes it."""

from __future__ import annotations

import re

import falcon
import msgspec

from taskq.api.context import ApiContext
from taskq.api.describe import JSON, TEXT, Answer, Header, Operation, Parameter, describe
from taskq.api.query import Query
from taskq.api.shapes import Output
from taskq.api.tasks import TASK_ID, find_task
from taskq.queue.reports import Printed
from taskq.units import shown

_NUMBER = re.compile(r"[0-9]{1,18}\Z")

CUT = "[... cut: only the newest output is kept]\n"


ATTEMPT = Parameter(
    name="attempt",
    schema={"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    description="Which attempt, counted from 1; the newest if it is left out.",
)
VARY = Header(name="Vary", description="Accept: it decides between JSON and text.", always=True)
NOSNIFF = Header(name="X-Content-Type-Options", description="nosniff, for text.")


class TaskLogs:
    """GET /tasks/{id}/logs."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="get_task_logs",
            tag="tasks",
            summary="Read what a task has printed",
            takes=[TASK_ID, ATTEMPT],
            answers=[
                Answer(
                    status=200,
                    description="The newest output that is kept.",
                    shapes={JSON: Output, TEXT: {"type": "string"}},
                    headers=[VARY, NOSNIFF],
                )
            ],
            refuses=["task_not_found"],
        )
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """The output of the newest attempt, or of `attempt`, also while it runs."""
        task = find_task(self._context, task_id)
        wanted = _attempt(req)
        reports = self._context.inspector.queue(task.queue).reports
        printed = reports.printed(task.id, self._context.settings.output_max_bytes)
        attempt = task.attempt if wanted is None else wanted
        found = printed.get(attempt, Printed(b"", False))
        resp.set_header("Vary", "Accept")
        if req.client_prefers([falcon.MEDIA_JSON, falcon.MEDIA_TEXT]) == falcon.MEDIA_TEXT:
            resp.content_type = falcon.MEDIA_TEXT
            resp.set_header("X-Content-Type-Options", "nosniff")
            resp.data = ((CUT if found.cut else "") + _text(found)).encode()
        else:
            resp.data = msgspec.json.encode(
                Output(id=task.id, attempt=attempt, text=_text(found), truncated=found.cut, attempts=list(printed))
            )

    on_head = on_get


def _attempt(req: falcon.Request) -> int | None:
    query = Query(req)
    attempt = query.read(ATTEMPT, _number, None)
    query.check()
    return attempt


def _number(value: str) -> int:
    if _NUMBER.match(value) and int(value) > 0:
        return int(value)
    raise ValueError(f"expected the number of an attempt, counted from 1, got {shown(value)}")


def _text(found: Printed) -> str:
    """The output as text; bytes that are no UTF-8 are replaced, and one cut into half at the beginning is left out."""
    data = found.data
    if found.cut:
        start = next((at for at in range(min(4, len(data))) if data[at] & 0xC0 != 0x80), 0)
        data = data[start:]
    return data.decode("utf-8", "replace")
