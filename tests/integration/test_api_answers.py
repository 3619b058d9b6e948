"""How answers leave over a socket: one connection for many of them, also those without a body and those that are large."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket

import pytest

Address = tuple[str, int]

TIMEOUT_S = 20
PAYLOAD = "x" * 400_000


@pytest.fixture
def connection(api_address: Address) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(*api_address, timeout=TIMEOUT_S)


def test_a_304_and_a_204_leave_the_connection_open(connection: http.client.HTTPConnection) -> None:
    with contextlib.closing(connection):
        connection.request("POST", "/tasks", json.dumps({"type": "echo", "delay": "1h"}))
        created = connection.getresponse()
        path = created.headers["Location"]
        created.read()
        used = connection.sock
        connection.request("GET", path)
        shown = connection.getresponse()
        shown.read()
        connection.request("GET", path, headers={"If-None-Match": shown.headers["ETag"]})
        unchanged = connection.getresponse()
        unchanged.read()
        connection.request("DELETE", path)
        gone = connection.getresponse()
        gone.read()
        connection.request("GET", path)
        missing = connection.getresponse()
        missing.read()

        assert [answer.status for answer in (created, shown, unchanged, gone, missing)] == [201, 200, 304, 204, 404]
        assert connection.sock is used


def test_an_answer_that_fits_no_buffer_arrives_whole_at_a_client_that_begins_late(api_address: Address) -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(TIMEOUT_S)
        sock.connect(api_address)
        body = json.dumps({"tasks": [{"type": "echo", "payload": PAYLOAD}] * 30}).encode()
        head = b"POST /tasks/batch HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(body)
        sock.sendall(head + body + b"GET /health/live HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        data = b""
        while received := sock.recv(1 << 16):
            data += received

    header, _, rest = data.partition(b"\r\n\r\n")
    length = next(int(line.split()[1]) for line in header.split(b"\r\n") if line.startswith(b"Content-Length"))
    assert [each["task"]["payload"] for each in json.loads(rest[:length])] == [PAYLOAD] * 30
    assert rest[length:].startswith(b"HTTP/1.1 200 OK\r\n")
