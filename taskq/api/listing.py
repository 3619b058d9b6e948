"""The query of GET /tasks: what is asked for, where a page starts, and where the next one is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import falcon

from taskq.api.describe import Parameter
from taskq.api.query import Query
from taskq.members import MOMENT_SCHEMA, NAME_SCHEMA, moment_ms, name
from taskq.queue.pages import CURSOR_PATTERN, decode_cursor, encode_cursor
from taskq.queue.selection import EVERYTHING, Filter
from taskq.task import ErrorKind, Status
from taskq.units import shown

DEFAULT_LIMIT = 50
MAX_LIMIT = 500

STATUS = Parameter(
    name="status", schema={"type": "string", "enum": list(Status)}, description="Only those with it.", example="failed"
)
TYPE = Parameter(name="type", schema=NAME_SCHEMA, description="Only those of it.", example="echo")
QUEUE = Parameter(name="queue", schema=NAME_SCHEMA, description="Only those in it.", example="default")
TAG = Parameter(name="tag", schema=NAME_SCHEMA, description="Only those that have it.")
CREATED_AFTER = Parameter(
    name="created_after", schema=MOMENT_SCHEMA, description="The first moment of creation that counts."
)
CREATED_BEFORE = Parameter(
    name="created_before", schema=MOMENT_SCHEMA, description="The first moment of creation that no longer counts."
)
ERROR_KIND = Parameter(
    name="error_kind", schema={"type": "string", "enum": list(ErrorKind)}, description="Only those that failed of it."
)
FINISHED_AFTER = Parameter(
    name="finished_after", schema=MOMENT_SCHEMA, description="The first moment of ending that counts."
)
FINISHED_BEFORE = Parameter(
    name="finished_before", schema=MOMENT_SCHEMA, description="The first moment of ending that no longer counts."
)
ORDER = Parameter(
    name="order",
    schema={"type": "string", "enum": ["desc", "asc"], "default": "desc"},
    description="By time of creation: the newest first (desc) or the oldest.",
)
LIMIT = Parameter(
    name="limit",
    schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    description="At most so many.",
)
CURSOR = Parameter(
    name="cursor",
    schema={"type": "string", "pattern": f"^{CURSOR_PATTERN}$"},
    description="Where to go on: the X-Next-Cursor of the page before.",
)
CONDITIONS = (
    STATUS,
    TYPE,
    QUEUE,
    TAG,
    ERROR_KIND,
    CREATED_AFTER,
    CREATED_BEFORE,
    FINISHED_AFTER,
    FINISHED_BEFORE,
)
COUNT = Parameter(
    name="count",
    schema={"type": "string", "enum": ["true", "false"], "default": "false"},
    description="Count all tasks that are asked for, in X-Total-Count.",
)
PARAMETERS = (*CONDITIONS, ORDER, LIMIT, CURSOR, COUNT)

_LIMIT = re.compile(r"[0-9]{1,4}\Z")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Which tasks are asked for, and how they are shown."""

    wanted: Filter = EVERYTHING
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    newest_first: bool = True
    count: bool = False

    def start(self) -> str | None:
        """The cursor to read from: without one of the client's, the edge of the period, so that nothing is read in vain."""
        edge_ms = self.wanted.created_until_ms if self.newest_first else self.wanted.created_from_ms
        return self.cursor or (None if edge_ms is None else encode_cursor(edge_ms, ""))

    def next(self, cursor: str | None) -> str | None:
        """The cursor to hand out: none once the rest lies beyond the period."""
        if cursor is None:
            return None
        reached_ms, _ = decode_cursor(cursor)
        if self.newest_first:
            beyond = self.wanted.created_from_ms is not None and reached_ms < self.wanted.created_from_ms
        else:
            beyond = self.wanted.created_until_ms is not None and reached_ms >= self.wanted.created_until_ms
        return None if beyond else cursor


def read_listing(req: falcon.Request) -> Listing:
    """The listing that the query describes. Raises ApiError with every fault."""
    query = Query(req)
    limit = query.read(LIMIT, _limit, DEFAULT_LIMIT)
    cursor = query.read(CURSOR, _cursor, None)
    newest_first = query.read(ORDER, _newest_first, True)
    count = query.read(COUNT, truth, False)
    wanted = Filter(
        status=query.read(STATUS, _status, None),
        type=query.read(TYPE, name, None),
        queue=query.read(QUEUE, name, None),
        tag=query.read(TAG, name, None),
        error_kind=query.read(ERROR_KIND, _error_kind, None),
        created_from_ms=query.read(CREATED_AFTER, moment_ms, None),
        created_until_ms=query.read(CREATED_BEFORE, moment_ms, None),
        finished_from_ms=query.read(FINISHED_AFTER, moment_ms, None),
        finished_until_ms=query.read(FINISHED_BEFORE, moment_ms, None),
    )
    query.check()
    return Listing(wanted=wanted, limit=limit, cursor=cursor, newest_first=newest_first, count=count)


def next_link(path: str, params: Mapping[str, str | list[str]], cursor: str) -> str:
    """The value of a Link header that leads to the next page of the same listing."""
    query = urlencode({**params, "cursor": cursor}, doseq=True)
    return f'<{path}?{query}>; rel="next"'


def _limit(value: str) -> int:
    if _LIMIT.match(value) and 1 <= int(value) <= MAX_LIMIT:
        return int(value)
    raise ValueError(f"expected a number from 1 to {MAX_LIMIT}, got {shown(value)}")


def _cursor(value: str) -> str:
    decode_cursor(value)
    return value


def _status(value: str) -> Status:
    if value in Status.__members__.values():
        return Status(value)
    raise ValueError(f"expected one of {', '.join(Status)}, got {shown(value)}")


def _error_kind(value: str) -> ErrorKind:
    if value in ErrorKind.__members__.values():
        return ErrorKind(value)
    raise ValueError(f"expected one of {', '.join(ErrorKind)}, got {shown(value)}")


def truth(value: str) -> bool:
    """The value of a word. Raises ValueError."""
    if value in ("true", "false"):
        return value == "true"
    raise ValueError(f"expected true or false, got {shown(value)}")


def _newest_first(value: str) -> bool:
    if value in ("asc", "desc"):
        return value == "desc"
    raise ValueError(f"expected asc or desc, got {shown(value)}")
