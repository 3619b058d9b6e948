"""What arrives over a socket: forms that two servers may read differently, limits, slow and rude clients."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from typing import Any, NamedTuple

import pytest

from taskq.api.context import ApiSettings
from taskq.api.headers import HEADERS
from taskq.queue.inspect import Inspector

Address = tuple[str, int]
StartApi = Callable[..., tuple[Address, ForkProcess]]

TIMEOUT_S = 20
TASK = b'{"type": "echo", "payload": "Hello World"}'
HOST = b"Host: test\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(TASK)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(TASK), TASK)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any
    rest: bytes
    """What the server sent after this answer."""


def connect(address: Address) -> socket.socket:
    return socket.create_connection(address, timeout=TIMEOUT_S)


def read_all(sock: socket.socket) -> bytes:
    """Everything until the server ends the connection; fails if it is reset instead."""
    data = b""
    while received := sock.recv(65536):
        data += received
    return data


def parse(data: bytes) -> Answer:
    head, _, rest = data.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers.get("content-length", 0))
    body = json.loads(rest[:length]) if length else None
    return Answer(int(status_line.split()[1]), headers, body, rest[length:])


def exchange(address: Address, request: bytes) -> Answer:
    with connect(address) as sock:
        sock.sendall(request)
        return parse(read_all(sock))


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["connection"] == "close"
    assert "server" not in answer.headers
    assert HEADERS.items() <= {name.title(): value for name, value in answer.headers.items()}.items()
    assert (answer.body["code"], answer.body["status"]) == (code, status)
    assert answer.body["error"]
    assert answer.body["request_id"] == answer.headers["x-request-id"]
    assert answer.body["title"]
    assert answer.rest == b""


def post(headers: bytes, body: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    return b"POST /tasks " + version + b"\r\n" + headers + b"\r\n" + body


SMUGGLED = b"DELETE /tasks/x HTTP/1.1\r\nHost: test\r\n\r\n"

AMBIGUOUS = {
    "length and coding": post(HOST + LENGTH + CHUNKED, CHUNKS),
    "coding and length": post(HOST + CHUNKED + b"content-LENGTH: 6\r\n", CHUNKS),
    "coding twice": post(HOST + CHUNKED + CHUNKED, CHUNKS),
    "coding twice in other case": post(HOST + CHUNKED + b"TRANSFER-encoding: chunked\r\n", CHUNKS),
    "chunked twice": post(HOST + b"Transfer-Encoding: chunked, chunked\r\n", CHUNKS),
    "length twice": post(HOST + LENGTH + LENGTH, TASK),
    "two lengths": post(HOST + LENGTH + b"Content-Length: 0\r\n", TASK),
    "a list of lengths": post(HOST + b"Content-Length: 42, 42\r\n", TASK),
    "a signed length": post(HOST + b"Content-Length: +42\r\n", TASK),
    "a length without bound": post(HOST + b"Content-Length: " + b"9" * 5000 + b"\r\n", TASK),
    "a negative length": post(HOST + b"Content-Length: -1\r\n", TASK),
    "no host": post(LENGTH, TASK),
    "two hosts": post(HOST + HOST + LENGTH, TASK),
    "two different hosts": post(HOST + b"host: other\r\n" + LENGTH, TASK),
    "a folded header": post(HOST + b"X-A: 1\r\n 2\r\n" + LENGTH, TASK),
    "a folded coding": post(HOST + b"Transfer-Encoding:\r\n\tchunked\r\n", CHUNKS),
    "a folded first header": post(b" x: y\r\n" + HOST + LENGTH, TASK),
    "a space before the colon": post(HOST + b"Transfer-Encoding : chunked\r\n" + LENGTH, CHUNKS),
    "a bare line feed": post(HOST + b"X-A: 1\nTransfer-Encoding: chunked\r\n" + LENGTH, CHUNKS),
    "a coding in HTTP/1.0": post(HOST + CHUNKED, CHUNKS, b"HTTP/1.0"),
    "no header at all": b"GET /health HTTP/1.1\r\n\r\n",
    "no request line": b"nonsense\r\n\r\n",
    "a method in small letters": b"get /health HTTP/1.1\r\nHost: test\r\n\r\n",
    "a wrong chunk size": post(HOST + CHUNKED, b"zz\r\n" + CHUNKS),
    "a chunk longer than it says": post(HOST + CHUNKED, b"1\r\n" + TASK + b"\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("request_", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_a_request_that_can_be_read_in_two_ways_ends_the_connection(
    api_address: Address, inspector: Inspector, request_: bytes
) -> None:
    answer = exchange(api_address, request_ + SMUGGLED)

    assert_refused(answer, 400, "bad_request")
    assert inspector.page(limit=1).tasks == []


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (post(HOST + b"Transfer-Encoding: gzip\r\n", CHUNKS), 501, "not_implemented"),
        (post(HOST + b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS), 501, "not_implemented"),
        (b"GET /health HTTP/2.0\r\nHost: test\r\n\r\n", 505, "version_not_supported"),
        (b"GET /health HTTP/1.2\r\nHost: test\r\n\r\n", 505, "version_not_supported"),
        (b"GET /health\r\n\r\n", 505, "version_not_supported"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version_not_supported"),
        (b"GET /health HTTP/1.1\r\nHost: test\r\nX: " + b"x" * 16384 + b"\r\n\r\n", 431, "header_too_large"),
        (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: test\r\n\r\n", 431, "header_too_large"),
        (post(HOST + b"Content-Length: 10485760\r\n", b""), 413, "body_too_large"),
        (post(HOST + b"Content-Length: " + b"9" * 18 + b"\r\n", b""), 413, "body_too_large"),
    ],
)
def test_what_this_server_does_not_speak_is_refused_as_json(
    api_address: Address, request_: bytes, status: int, code: str
) -> None:
    assert_refused(exchange(api_address, request_), status, code)


def test_a_header_without_end_is_refused(api_address: Address) -> None:
    assert_refused(exchange(api_address, b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000), 431, "header_too_large")


def test_chunks_without_end_are_refused(api_address: Address, inspector: Inspector) -> None:
    endless = post(HOST + CHUNKED, b"400\r\n" + b"x" * 1024 + b"\r\n") + (b"400\r\n" + b"x" * 1024 + b"\r\n") * 3000

    assert_refused(exchange(api_address, endless), 413, "body_too_large")
    assert inspector.page(limit=1).tasks == []


def test_a_client_that_sends_10_megabytes_before_it_reads_gets_to_read_the_reason(
    api_address: Address, inspector: Inspector
) -> None:
    connection = http.client.HTTPConnection(*api_address, timeout=TIMEOUT_S)

    connection.request("POST", "/tasks", body=b'{"type": "echo", "payload": "' + b"x" * 10_000_000 + b'"}')
    answer = connection.getresponse()

    assert answer.status == 413
    assert json.loads(answer.read())["error"] == "request body too large"
    assert inspector.page(limit=1).tasks == []
    connection.close()


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(start_api: StartApi, framing: str) -> None:
    address, _ = start_api(ApiSettings(max_body_bytes=50_000))
    body = b'{"type": "echo", "payload": "' + b"x" * (50_000 - 31) + b'"}'

    for data, status in ((body, 201), (body + b" ", 413)):
        sized = post(HOST + b"Connection: close\r\nContent-Length: %d\r\n" % len(data), data)
        chunked = post(HOST + b"Connection: close\r\n" + CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))
        assert exchange(address, sized if framing == "length" else chunked).status == status


def batch(headers: bytes, body: bytes) -> bytes:
    return post(headers, body).replace(b"POST /tasks ", b"POST /tasks/batch ", 1)


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_batch_may_be_larger_up_to_a_limit_of_its_own(start_api: StartApi, framing: str) -> None:
    address, _ = start_api(ApiSettings(max_body_bytes=1_000, max_batch_bytes=50_000))
    body = b'{"tasks": [{"type": "echo", "payload": "' + b"x" * 40_000 + b'"}]}'
    body += b" " * (50_000 - len(body))

    for data, status in ((body, 200), (body + b" ", 413)):
        sized = batch(HOST + b"Connection: close\r\nContent-Length: %d\r\n" % len(data), data)
        chunked = batch(HOST + b"Connection: close\r\n" + CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))
        assert exchange(address, sized if framing == "length" else chunked).status == status


def test_a_batch_without_end_is_refused(start_api: StartApi, inspector: Inspector) -> None:
    address, _ = start_api(ApiSettings(max_body_bytes=1_000, max_batch_bytes=100_000))
    endless = batch(HOST + CHUNKED, b"") + (b"400\r\n" + b"x" * 1024 + b"\r\n") * 3000

    assert_refused(exchange(address, endless), 413, "body_too_large")
    assert_refused(exchange(address, batch(HOST + b"Content-Length: 10485760\r\n", b"")), 413, "body_too_large")
    assert inspector.page(limit=1).tasks == []


def test_a_task_after_a_batch_on_one_connection_has_its_own_limit(start_api: StartApi) -> None:
    address, _ = start_api(ApiSettings(max_body_bytes=1_000, max_batch_bytes=50_000))
    tasks = b'{"tasks": [{"type": "echo", "payload": "' + b"x" * 20_000 + b'"}]}'
    large = b'{"type": "echo", "payload": "' + b"x" * 20_000 + b'"}'
    first = batch(HOST + b"Content-Length: %d\r\n" % len(tasks), tasks)

    answer = exchange(address, first + post(HOST + b"Content-Length: %d\r\n" % len(large), large))

    assert answer.status == 200
    assert_refused(parse(answer.rest), 413, "body_too_large")


def test_a_chunked_task_is_stored(api_address: Address, inspector: Inspector) -> None:
    answer = exchange(api_address, post(HOST + CHUNKED + b"Connection: close\r\n", CHUNKS))

    assert answer.status == 201
    assert [task.payload for task in inspector.page(limit=5).tasks] == [b'"Hello World"']


def test_one_connection_serves_many_requests_also_sent_ahead(api_address: Address) -> None:
    ahead = post(HOST + LENGTH, TASK) * 3 + b"GET /tasks HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"

    data = exchange(api_address, ahead)

    for _ in range(2):
        assert data.status == 201
        data = parse(data.rest)
    assert data.status == 201
    assert len(parse(data.rest).body) == 3


def test_an_http_1_0_client_needs_no_host(api_address: Address) -> None:
    answer = exchange(api_address, b"GET /health HTTP/1.0\r\n\r\n")

    assert (answer.status, answer.body) == (200, {"status": "ok"})


def test_a_client_that_waits_for_100_continue_gets_it_and_then_its_task(api_address: Address) -> None:
    with connect(api_address) as sock:
        sock.sendall(post(HOST + LENGTH + b"Expect: 100-continue\r\nConnection: close\r\n", b""))
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(TASK)
        assert parse(read_all(sock)).status == 201


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: 99999999\r\n", 413),
        (b"Content-Length: x\r\n", 400),
        (b"", 400),
    ],
)
def test_no_body_is_asked_for_where_none_can_be_taken(api_address: Address, headers: bytes, status: int) -> None:
    answer = exchange(api_address, post(HOST + headers + b"Expect: 100-continue\r\nConnection: close\r\n", b""))

    assert answer.status == status


def test_a_client_that_goes_away_in_the_middle_of_a_body_stores_nothing(api_address: Address, inspector: Inspector) -> None:
    with connect(api_address) as sock:
        sock.sendall(post(HOST + LENGTH, TASK[:-1]))

    answer = exchange(api_address, b"GET /tasks HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    assert answer.body == []
    assert inspector.page(limit=1).tasks == []


def test_silent_connections_do_not_keep_others_out(api_address: Address) -> None:
    silent = [connect(api_address) for _ in range(300)]
    try:
        for sock in silent:
            sock.sendall(b"POST /tasks HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n{")
        assert exchange(api_address, b"GET /health HTTP/1.0\r\n\r\n").status == 200
    finally:
        for sock in silent:
            sock.close()


def test_a_request_that_drips_is_given_up_and_one_that_flows_is_not(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskq.api.wire.REQUEST_S", 0.2)  # before the fork
    monkeypatch.setattr("taskq.api.wire.SLOWEST_BYTES_PER_S", 0.001)
    address, _ = start_api()
    with connect(address) as flowing:
        flowing.sendall(post(HOST + LENGTH + b"Connection: close\r\n", TASK[:-1]))
        monkeypatch.undo()
        flowing.sendall(TASK[-1:])
        assert parse(read_all(flowing)).status == 201

    monkeypatch.setattr("taskq.api.wire.REQUEST_S", 0.2)
    address, _ = start_api()
    with connect(address) as dripping:
        dripping.sendall(b"G")
        assert dripping.recv(1) == b""  # closed, although waitress would wait for 30 s
