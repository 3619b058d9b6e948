"""The service behind the nginx of conf/nginx.conf, with TLS."""

from __future__ import annotations

import http.client
import json
import signal
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from taskq.api.errors import STATUS
from taskq.api.headers import HEADERS
from tests.drips import dripping
from tests.nginx import NAME, Client, Front, binary, nginx
from tests.system.conftest import Answer

if TYPE_CHECKING:
    from tests.system.conftest import Service

pytestmark = pytest.mark.skipif(binary() is None, reason="there is no nginx on this machine")

FEW = 20
CONFIG = {"api": {"hosts": [NAME], "connections": FEW, "threads": 2}, "pools": {"default": {"workers": 0}}}
TASK = {"type": "echo", "payload": "x"}


@pytest.fixture
def front(service: Service, tmp_path: Path) -> Iterator[Front]:
    """nginx before a service that has room for few connections."""
    service.start(CONFIG).wait_ready()
    address = urlsplit(service.url)
    # one process: two could keep all connections of the API from each other, as few as there are
    with nginx(tmp_path, (address.hostname or "", address.port or 0), "1") as found:
        yield found


def ask(front: Front, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """What one client gets, over a connection of its own."""
    data = None if body is None else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(Client(front)) as client:
        client.request(method, path, data, {"Content-Type": "application/json", **named})
        answer = client.getresponse()
        raw = answer.read()
    return Answer(answer.status, answer.headers, json.loads(raw) if raw else None)


def test_more_slow_clients_than_the_api_has_connections_hold_up_nobody(front: Front) -> None:
    for _ in range(5):
        assert ask(front, "POST", "/tasks", {"type": "echo", "payload": "x" * 500_000}).status == 201

    with dripping(front.address, 6 * FEW, front.trust, NAME):
        assert [ask(front, "POST", "/tasks", TASK).status for _ in range(50)] == [201] * 50
        assert [ask(front, "GET", "/tasks?limit=2").status for _ in range(10)] == [200] * 10
    assert len(ask(front, "GET", "/tasks?limit=500").body) == 55


def test_host_and_request_id_arrive_and_other_names_get_nothing(service: Service, front: Front) -> None:
    origin = f"https://{NAME}:{front.address[1]}"

    assert ask(front, "GET", "/version", X_Request_ID="mine").headers["X-Request-ID"] == "mine"
    assert len(ask(front, "GET", "/version").headers["X-Request-ID"]) == 32
    assert service.lines("request.handled", request_id="mine")
    assert ask(front, "POST", "/tasks", TASK, Origin=origin).status == 201
    assert ask(front, "POST", "/tasks", TASK, Origin="https://other.example").status == 403
    with pytest.raises(http.client.RemoteDisconnected):
        ask(front, "GET", "/health", Host="other.example")
    with closing(http.client.HTTPConnection(*front.plain)) as plain:
        plain.request("GET", "/tasks?x=1", headers={"Host": NAME})
        moved = plain.getresponse()
    assert (moved.status, moved.headers["Location"]) == (308, f"https://{NAME}/tasks?x=1")


HOST = f"Host: {NAME}\r\n".encode()
REFUSED = {
    "bad_request": b"GET /health HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "header_too_large": b"GET /health HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 9000 + b"\r\n\r\n",
    "method_not_allowed": b"TRACE /health HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n",
    "not_found": b"GET /nginx/refused HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n",
    "not_implemented": b"POST /tasks HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" + HOST + b"\r\n",
    "uri_too_long": b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "version_not_supported": b"GET /health HTTP/3.0\r\n" + HOST + b"\r\n",
}


def test_what_nginx_answers_itself_looks_like_an_answer_of_the_api(service: Service, front: Front) -> None:
    too_large = ask(front, "POST", "/tasks", "x" * (17 << 20))
    service.terminate(signal.SIGTERM)
    away = ask(front, "POST", "/tasks", TASK)
    refused = [(sent(front, request), STATUS[code], code) for code, request in REFUSED.items()]
    unread = sent(front, b"GARBAGE\r\n\r\n")

    for answer, status, code in (
        *refused,
        (unread, 400, "bad_request"),
        (too_large, 413, "body_too_large"),
        (away, 503, "service_unavailable"),
    ):
        assert (answer.status, answer.body["status"], answer.body["code"]) == (status, status, code)
        assert answer.body["title"] == HTTPStatus(status).phrase
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.body["request_id"] == answer.headers["X-Request-ID"]
        assert HEADERS.items() <= dict(answer.headers).items()
        assert answer.headers["Retry-After"] == ("2" if answer is away else None)


def sent(front: Front, request: bytes) -> Answer:
    """What nginx answers to these bytes, of which no server but it reads any."""
    with closing(Client(front)) as client:
        client.connect()
        client.sock.sendall(request)
        with closing(http.client.HTTPResponse(client.sock)) as answer:
            answer.begin()
            return Answer(answer.status, answer.headers, json.loads(answer.read()))
