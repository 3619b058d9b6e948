"""Requests over real connections, with the exact answers that are expected.

Each answer is also held to the document, and each error must bear the id of its request.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import NamedTuple
from urllib.parse import unquote

from tests.contract import Contract

Address = tuple[str, int]

JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}
ECHO = b'{"type": "echo"}'
TIMEOUT_S = 60


class Request(NamedTuple):
    """What is sent. `body` None: none, and no length."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None


class Answer(NamedTuple):
    """What came back. `pointers` are the places of the faults, whether in body, query or header."""

    status: int
    code: str | None
    pointers: list[str]
    headers: Mapping[str, str]
    content: bytes


class Caller:
    """Sends requests, each over a connection of its own."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.contract = Contract(json.loads(self._send(Request("GET", "/openapi.json"))[2]))

    def __call__(self, request: Request) -> Answer:
        """The answer, which the document must have."""
        status, headers, content = self._send(request)
        path = unquote(request.path.partition("?")[0], errors="replace")
        self.contract.check(request.method, path, status, headers, content)
        problem = json.loads(content) if status >= 400 and content else {}
        if status >= 400 and content and not request.path.startswith("/health"):
            assert problem["request_id"] == headers["x-request-id"], request
            assert problem["error"], request
        faults = [fault.get("pointer", fault.get("parameter", fault.get("header"))) for fault in problem.get("errors", [])]
        return Answer(status, problem.get("code"), faults, headers, content)

    def _send(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection(*self._address, timeout=TIMEOUT_S)) as connection:
            connection.putrequest(request.method, request.path, skip_accept_encoding=True)
            for name, value in request.headers.items():
                connection.putheader(name, value)
            if request.body is not None:
                connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()


Expected = tuple[int, str | None] | tuple[int, str | None, list[str]]


def compare(call: Caller, table: Iterable[tuple[Request, Expected]]) -> None:
    """Fails with every request that is not answered as expected."""
    found = []
    for request, expected in table:
        answer = call(request)
        got = (answer.status, answer.code, answer.pointers)[: len(expected)]
        if got != expected:
            body = (request.body or b"")[:80]
            found.append(f"{request._replace(body=body)}: expected {expected}, got {got} {answer.content[:300]!r}")
    assert not found, "\n".join(found)
