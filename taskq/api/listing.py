"""The query of GET /tasks: what is asked for, where a page starts, and where the next one is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

import falcon

from taskq.api.errors import ApiError
from taskq.members import moment_ms, name
from taskq.queue.pages import decode_cursor, encode_cursor
from taskq.queue.selection import EVERYTHING, Filter
from taskq.task import ErrorKind, Status
from taskq.units import shown

DEFAULT_LIMIT = 50
MAX_LIMIT = 500

T = TypeVar("T")

# As long as a cursor of ours can be: the digits of a longer one would not fit into a number.
_CURSOR = re.compile(r"[A-Za-z0-9_\-]{1,128}\Z")
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
    """The listing that the query describes. An empty parameter counts as absent. Raises ApiError with every fault."""
    faults: list[dict[str, str]] = []

    def read(parameter: str, reader: Callable[[str], T], default: T) -> T:
        value = req.get_param(parameter)
        if not value:
            return default
        try:
            return reader(value)
        except ValueError as error:
            faults.append({"parameter": parameter, "detail": str(error)})
            return default

    limit = read("limit", _limit, DEFAULT_LIMIT)
    cursor = read("cursor", _cursor, None)
    newest_first = read("order", _newest_first, True)
    count = read("count", _truth, False)
    wanted = Filter(
        status=read("status", _status, None),
        type=read("type", name, None),
        queue=read("queue", name, None),
        tag=read("tag", name, None),
        error_kind=read("error_kind", _error_kind, None),
        created_from_ms=read("created_after", moment_ms, None),
        created_until_ms=read("created_before", moment_ms, None),
        finished_from_ms=read("finished_after", moment_ms, None),
        finished_until_ms=read("finished_before", moment_ms, None),
    )
    if faults:
        sentence = f"invalid {faults[0]['parameter']}: {faults[0]['detail']}"
        raise ApiError("invalid_query", sentence, errors=faults)
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
    if _CURSOR.match(value):
        with suppress(ValueError):
            decode_cursor(value)
            return value
    raise ValueError("expected the value of X-Next-Cursor of an earlier answer")


def _status(value: str) -> Status:
    if value in Status.__members__.values():
        return Status(value)
    raise ValueError(f"expected one of {', '.join(Status)}, got {shown(value)}")


def _error_kind(value: str) -> ErrorKind:
    if value in ErrorKind.__members__.values():
        return ErrorKind(value)
    raise ValueError(f"expected one of {', '.join(ErrorKind)}, got {shown(value)}")


def _truth(value: str) -> bool:
    if value in ("true", "false"):
        return value == "true"
    raise ValueError(f"expected true or false, got {shown(value)}")


def _newest_first(value: str) -> bool:
    if value in ("asc", "desc"):
        return value == "desc"
    raise ValueError(f"expected asc or desc, got {shown(value)}")
