from __future__ import annotations

from typing import Any

import pytest
from waitress.adjustments import Adjustments

from taskq.api import heads, wire
from taskq.api.heads import KNOWN_BODY_BYTES, LARGEST_BYTES, Heads
from taskq.api.wire import Parser

POST = b"POST /tasks?a=%20b HTTP/1.1\r\nHost: here\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\n"
GET = b"GET /tasks/%41 HTTP/1.1\r\nHost: here\r\nConnection: x, close\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Heads:
    found = Heads()
    monkeypatch.setattr(wire, "HEADS", found)
    return found


def read(*parts: bytes) -> Any:
    parser = Parser(Adjustments())
    for data in parts:
        while data:
            data = data[parser.received(data) :]
    return parser


def said(parser: Any) -> dict[str, Any]:
    own = {"adj", "body_rcv", "header_plus", "header_bytes_received", "body_bytes_received"}
    values = {name: value for name, value in vars(parser).items() if name not in own}
    defaults = {name: getattr(parser, name) for name in ("completed", "error", "expect_continue")}
    return {**values, **defaults, "body": parser.get_body_stream().read()}


@pytest.mark.parametrize("request_", [POST + b"{}", GET, OLD, POST.replace(b"Length: 2", b"Length: 0")])
def test_a_header_that_is_known_is_read_as_the_first_time(request_: bytes, known: Heads) -> None:
    first = said(read(request_))
    assert known.find(request_) is not None

    assert said(read(request_)) == first
    assert first["completed"]


def test_a_header_that_arrives_in_parts_is_read_the_same(known: Heads) -> None:
    first = said(read(POST + b"{}"))

    assert said(read(POST[:20], POST[20:], b"{", b"}")) == first
    assert known.find(POST[:20]) is None


def test_what_follows_a_known_header_is_not_taken_for_it() -> None:
    read(GET)
    parser = Parser(Adjustments())

    assert parser.received(GET + POST + b"{}") == len(GET)


def test_fields_that_a_request_was_given_later_are_not_those_of_the_next() -> None:
    read(POST + b"{}").headers["X_A"] = "other"
    read(POST + b"{}").headers["X_A"] = "other"

    assert read(POST + b"{}").headers["X_A"] == "1, 2"


@pytest.mark.parametrize(
    "header",
    [
        GET.replace(b"Host", b"Host "),
        GET.replace(b"HTTP/1.1", b"HTTP/2.0"),
        POST.replace(b"Length: 2", b"Length: 2\r\nTransfer-Encoding: chunked"),
        POST.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
        POST.replace(b"Length: 2", b"Length: 2\r\nExpect: 100-continue"),
        POST.replace(b"Length: 2", b"Length: %d" % KNOWN_BODY_BYTES),
        GET.replace(b"close", b"close\r\nX-A: %b" % (b"a" * LARGEST_BYTES)),
    ],
    ids=["malformed", "version", "two lengths", "chunked", "expects", "large body", "large"],
)
def test_what_is_refused_or_unusual_is_not_kept(header: bytes, known: Heads) -> None:
    first = read(header)

    assert known.find(header) is None
    assert str(read(header).error) == str(first.error)


def test_no_more_headers_are_kept_than_there_may_be(known: Heads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "MOST_HEADS", 2)
    requests = [GET.replace(b"%41", b"%d" % number) for number in range(3)]
    for request in requests:
        read(request)

    assert [known.find(request) is not None for request in requests] == [False, True, True]
