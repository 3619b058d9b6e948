from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from taskq.api.answer import QuickTask

BODY = b'{"status": "ok"}'
HEADERS = [("content-type", "application/json"), ("content-length", str(len(BODY))), ("x-request-id", "abc")]


def sent(
    status: str = "200 OK",
    body: tuple[bytes, ...] = (BODY,),
    headers: list[tuple[str, str]] = HEADERS,
    request: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[list[bytes], bool]:
    """What is handed to the connection one by one, and whether it ends after that."""
    parts: list[bytes] = []

    def application(_: object, start_response: Any) -> tuple[bytes, ...]:
        start_response(status, headers)
        return body

    server = SimpleNamespace(application=application, adj=SimpleNamespace(ident=None, log_socket_errors=True))
    channel: Any = SimpleNamespace(server=server, write_soon=parts.append)
    asked: dict[str, Any] = {"version": "1.1", "headers": {}, "command": "GET", **request}
    request_: Any = SimpleNamespace(**asked)
    task = QuickTask(channel, request_)
    task.get_environment = dict  # type: ignore[method-assign]
    task.service()
    return parts, task.close_on_finish


def test_header_and_body_leave_together_and_the_connection_stays() -> None:
    parts, ends = sent()

    header, _, body = parts[0].partition(b"\r\n\r\n")
    status, *lines = header.split(b"\r\n")
    assert (len(parts), body, ends) == (1, BODY, False)
    assert status == b"HTTP/1.1 200 OK"
    assert lines[:-1] == [b"Content-Type: application/json", b"Content-Length: 16", b"X-Request-Id: abc"]
    assert lines[-1].startswith(b"Date: ")
    assert lines[-1].endswith(b" GMT")


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_an_answer_without_a_body_has_no_length_and_leaves_the_connection_open(status: str) -> None:
    parts, ends = sent(status, (), [("Content-Length", "0"), ("etag", '"a"')])

    assert b"".join(parts).split(b"\r\n")[:2] == [b"HTTP/1.1 " + status.encode(), b'Etag: "a"']
    assert b"".join(parts).endswith(b"GMT\r\n\r\n")
    assert not ends


@pytest.mark.parametrize(
    "request_", [{"headers": {"CONNECTION": "Close"}}, {"version": "1.0", "headers": {"CONNECTION": "close"}}]
)
def test_a_client_that_wants_no_more_is_told_that_the_connection_ends(request_: dict[str, Any]) -> None:
    parts, ends = sent(request=request_)

    assert b"\r\nConnection: close\r\n" in parts[0]
    assert b"".join(parts).endswith(b"\r\n\r\n" + BODY)
    assert ends


def test_a_body_of_unknown_length_is_sent_in_chunks() -> None:
    parts, _ = sent(headers=[("content-type", "text/plain")], body=(b"one", b"two"))

    assert b"\r\nTransfer-Encoding: chunked\r\n" in parts[0]
    assert b"".join(parts).endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_no_more_of_a_body_is_sent_than_was_announced() -> None:
    parts, _ = sent(body=(BODY, b"more"))

    assert b"".join(parts).endswith(b"\r\n\r\n" + BODY)
