"""Raw HTTP over a socket, for requests that no client library would send."""

from __future__ import annotations

import json
import socket
from typing import Any, NamedTuple

from taskq.api.headers import HEADERS

Address = tuple[str, int]

TIMEOUT_S = 20
TASK = b'{"type": "echo", "payload": "Hello World"}'
HOST = b"Host: test\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(TASK)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(TASK), TASK)
CLOSE = b"Connection: close\r\n"


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


def parse(data: bytes, method: str = "GET") -> Answer:
    head, _, rest = data.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
    body = json.loads(rest[:length]) if length else None
    return Answer(int(status_line.split()[1]), headers, body, rest[length:])


def exchange(address: Address, request: bytes) -> Answer:
    """The first answer to what is sent, once the server has ended the connection."""
    with connect(address) as sock:
        sock.sendall(request)
        return parse(read_all(sock), request.partition(b" ")[0].decode("latin-1"))


def assert_refused(answer: Answer, status: int, code: str) -> None:
    """The connection was ended after an answer in the shape of all errors, and there is no other one."""
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


def post(headers: bytes, body: bytes = b"", *, version: bytes = b"HTTP/1.1", target: bytes = b"/tasks") -> bytes:
    return b"POST " + target + b" " + version + b"\r\n" + headers + b"\r\n" + body


def get(target: bytes, headers: bytes = HOST + CLOSE, *, version: bytes = b"HTTP/1.1", method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" " + version + b"\r\n" + headers + b"\r\n"
