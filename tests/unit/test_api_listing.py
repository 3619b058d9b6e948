from __future__ import annotations

from typing import Any

import pytest
from falcon.testing import create_req

from taskq.api.errors import ApiError
from taskq.api.listing import Listing, next_link, read_listing
from taskq.queue.pages import decode_cursor, encode_cursor
from taskq.queue.selection import Filter
from taskq.task import ErrorKind, Status, Task

ID = "5335d502-a2c7-4abd-9496-c64692b43869"


def read(query: str) -> Listing:
    return read_listing(create_req(query_string=query))


def task(**fields: Any) -> Task:
    return Task(**{"id": ID, "type": "echo", "queue": "default", "status": Status.PENDING, **fields})


def test_no_query_asks_for_the_fifty_newest() -> None:
    assert read("") == Listing(limit=50, newest_first=True)


def test_every_parameter_is_read() -> None:
    cursor = encode_cursor(1000, ID)

    listing = read(
        f"limit=500&cursor={cursor}&status=failed&type=a&queue=b&tag=c&order=asc&unknown=1"
        "&created_after=1970-01-01T00:00:01Z&created_before=1970-01-01T02:00:02%2B02:00"
        "&error_kind=timeout&finished_after=1970-01-01T00:00:03Z&finished_before=1970-01-01T00:00:04Z"
    )

    assert listing == Listing(
        limit=500,
        cursor=cursor,
        newest_first=False,
        wanted=Filter(
            status=Status.FAILED,
            type="a",
            queue="b",
            tag="c",
            error_kind=ErrorKind.TIMEOUT,
            created_from_ms=1000,
            created_until_ms=2000,
            finished_from_ms=3000,
            finished_until_ms=4000,
        ),
    )


def test_an_empty_parameter_is_at_fault_as_any_other_wrong_one() -> None:
    names = ["limit", "cursor", "order", "count", "status", "type", "queue", "tag", "created_after", "created_before"]

    with pytest.raises(ApiError) as caught:
        read("&".join(f"{name}=" for name in names))

    assert [fault["parameter"] for fault in caught.value.errors] == names


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=0", "expected a number from 1 to 500, got '0'"),
        ("limit=501", "expected a number from 1 to 500, got '501'"),
        ("limit=-1", "expected a number from 1 to 500, got '-1'"),
        ("limit=1e2", "expected a number from 1 to 500, got '1e2'"),
        ("limit=%D9%A3", "expected a number from 1 to 500, got '٣'"),
        ("limit=" + "9" * 5000, "expected a number from 1 to 500, got '" + "9" * 76 + "..."),
        ("cursor=%21", "expected the value of X-Next-Cursor of an earlier answer"),
        ("cursor=" + "A" * 500, "expected the value of X-Next-Cursor of an earlier answer"),
        ("cursor=abcd", "expected the value of X-Next-Cursor of an earlier answer"),
        (
            "status=done",
            "expected one of scheduled, pending, processing, completed, failed, cancelled, got 'done'",
        ),
        ("type=a%20b", "expected 1 to 128 of letters, digits and _ . -, got 'a b'"),
        ("queue=a/b", "expected 1 to 128 of letters, digits and _ . -, got 'a/b'"),
        ("tag=%00", "expected 1 to 128 of letters, digits and _ . -, got '\\x00'"),
        ("order=up", "expected asc or desc, got 'up'"),
        ("created_after=today", "expected an RFC 3339 moment such as \"2026-02-01T10:53:32Z\", got 'today'"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_was_expected(query: str, detail: str) -> None:
    with pytest.raises(ApiError) as refused:
        read(query)

    parameter = query.partition("=")[0]
    assert refused.value.code == "invalid_query"
    assert refused.value.errors == [{"parameter": parameter, "detail": detail}]
    assert str(refused.value) == f"invalid {parameter}: {detail}"


def test_all_wrong_parameters_are_named_at_once() -> None:
    with pytest.raises(ApiError) as refused:
        read("limit=x&order=x&created_before=x")

    assert [fault["parameter"] for fault in refused.value.errors] == ["limit", "order", "created_before"]


@pytest.mark.parametrize(
    ("conditions", "accepted"),
    [
        ({}, True),
        ({"status": Status.FAILED}, True),
        ({"status": Status.PENDING}, False),
        ({"type": "echo"}, True),
        ({"type": "sum"}, False),
        ({"queue": "other"}, False),
        ({"tag": "b"}, True),
        ({"tag": "c"}, False),
        ({"error_kind": ErrorKind.TIMEOUT}, True),
        ({"error_kind": ErrorKind.MEMORY}, False),
        ({"created_from_ms": 1000}, True),
        ({"created_from_ms": 1001}, False),
        ({"created_until_ms": 1001}, True),
        ({"created_until_ms": 1000}, False),
        ({"finished_from_ms": 2000}, True),
        ({"finished_until_ms": 2000}, False),
    ],
)
def test_a_filter_accepts_what_was_asked_for(conditions: dict[str, Any], accepted: bool) -> None:
    known = {"tags": ("a", "b"), "created_at_ms": 1000, "finished_at_ms": 2000, "error_detail": {"kind": "timeout"}}

    assert Filter(**conditions).accepts(task(status=Status.FAILED, **known)) is accepted


def test_a_task_that_has_not_ended_is_in_no_period_of_ends() -> None:
    assert not Filter(finished_until_ms=2000).accepts(task(created_at_ms=1000))


def test_a_page_starts_at_the_edge_of_the_period_or_at_the_clients_cursor() -> None:
    assert Listing().start() is None
    assert Listing(wanted=Filter(created_from_ms=1000)).start() is None
    assert decode_cursor(Listing(wanted=Filter(created_until_ms=2000)).start() or "") == (2000, "")
    assert decode_cursor(Listing(wanted=Filter(created_from_ms=1000), newest_first=False).start() or "") == (1000, "")
    assert Listing(cursor="x", wanted=Filter(created_until_ms=2000)).start() == "x"


@pytest.mark.parametrize(
    ("listing", "reached_ms", "more"),
    [
        (Listing(), 0, True),
        (Listing(wanted=Filter(created_from_ms=1000)), 1000, True),
        (Listing(wanted=Filter(created_from_ms=1000)), 999, False),
        (Listing(wanted=Filter(created_until_ms=2000), newest_first=False), 1999, True),
        (Listing(wanted=Filter(created_until_ms=2000), newest_first=False), 2000, False),
        (Listing(wanted=Filter(created_until_ms=2000)), 1, True),
    ],
)
def test_there_is_no_next_page_once_the_rest_lies_beyond_the_period(listing: Listing, reached_ms: int, more: bool) -> None:
    cursor = encode_cursor(reached_ms, ID)

    assert listing.next(cursor) == (cursor if more else None)
    assert listing.next(None) is None


def test_a_link_repeats_the_query_with_the_next_cursor() -> None:
    params: dict[str, str | list[str]] = {"status": "failed", "cursor": "old", "x": ["1", "> , é"]}

    assert next_link("/tasks", params, "new") == '</tasks?status=failed&cursor=new&x=1&x=%3E+%2C+%C3%A9>; rel="next"'
