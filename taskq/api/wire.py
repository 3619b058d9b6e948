"""HTTP/1.1 on the wire: what waitress reads too kindly is refused here, and what it answers itself becomes JSON.

A request that two servers may read differently lets a client slip a second one past a proxy, so every doubtful form ends
with 400 and the end of the connection (RFC 9112, sections 3.2, 5.2 and 6).
"""

from __future__ import annotations

import select
import socket
import time
import uuid
from collections import Counter
from typing import Any

import msgspec
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask
from waitress.utilities import (
    BadRequest,
    Error,
    RequestEntityTooLarge,
    RequestHeaderFieldsTooLarge,
    ServerNotImplemented,
)

from taskq.api.answer import QuickChannel, QuickTask
from taskq.api.errors import problem
from taskq.api.headers import HEADERS
from taskq.api.longpoll import HURRY, PART
from taskq.log import emit

LINGER_S = 2.0
"""How long the rest of a refused request is read and dropped, so that the client gets to read the answer."""

REQUEST_S = 20.0
SLOWEST_BYTES_PER_S = 1024
"""How long a request may take to arrive: so many seconds, and one more for each so many bytes that have."""

LARGE_PATHS = frozenset({"/tasks/batch"})
"""Where a body may be larger than elsewhere; the limit is known once the header is."""

_LENGTH_DIGITS = 18
_VERSIONS = ("1.0", "1.1")
_SINGLE = (b"host", b"content-length", b"transfer-encoding")


class VersionNotSupported(Error):
    """The request's version of HTTP is neither 1.0 nor 1.1."""


_ANSWERS: dict[type[Error], tuple[str, str]] = {
    RequestEntityTooLarge: ("body_too_large", "request body too large"),
    RequestHeaderFieldsTooLarge: ("header_too_large", "request header too large"),
    ServerNotImplemented: ("not_implemented", "expected Transfer-Encoding: chunked or none"),
    VersionNotSupported: ("version_not_supported", "expected HTTP/1.0 or HTTP/1.1"),
}


def refuse_ambiguity(header: bytes) -> None:
    """Raises ParsingError for a header block, request line included, that not every server reads alike."""
    request_line, *lines = header.split(b"\r\n")
    if any(line.startswith((b" ", b"\t")) for line in lines):
        raise ParsingError("a header is folded onto a second line")
    fields = [(name.lower(), value.lower()) for name, _, value in (line.partition(b":") for line in lines)]
    count = Counter(name for name, _ in fields)
    for name in _SINGLE:
        if count[name] > 1:
            raise ParsingError(f"the header {name.decode()} stands there twice")
    if any(name == b"content-length" and len(value.strip(b" \t")) > _LENGTH_DIGITS for name, value in fields):
        raise ParsingError("the header content-length has too many digits")
    current = request_line.rstrip().endswith(b" HTTP/1.1")
    if current and not count[b"host"]:
        raise ParsingError("the header host is missing")
    coding = dict(fields).get(b"transfer-encoding")
    if coding is None:
        return
    if count[b"content-length"]:
        raise ParsingError("content-length and transfer-encoding exclude each other")
    if not current:
        raise ParsingError("transfer-encoding needs HTTP/1.1")
    if coding.count(b"chunked") > 1:
        raise ParsingError("the body is chunked twice")


class Parser(HTTPRequestParser):
    """Reads one request, strictly."""

    def received(self, data: bytes) -> int:
        consumed = super().received(data)
        if self.headers_finished and not self.empty and self.error is None and self.version not in _VERSIONS:
            self.error = VersionNotSupported("")
            self.completed = True
        if self.completed:
            # waitress would ask for the body of a request that it has just refused, and wait for one that has none.
            self.expect_continue = False
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        refuse_ambiguity(header_plus)
        super().parse_header(header_plus)
        if self.path in LARGE_PATHS:  # type: ignore[attr-defined]
            self.adj = getattr(self.adj, "for_batches", self.adj)


class JsonErrorTask(ErrorTask):
    """Answers a request that never reached the application, in the shape of all other errors, and ends the connection."""

    channel: Channel

    def execute(self) -> None:
        error: Any = self.request.error  # type: ignore[attr-defined]
        request_id = uuid.uuid4().hex  # one of the client may be part of what is wrong
        body = problem(*_explain(error), request_id=request_id)
        data = msgspec.json.encode(body)
        self.status = f"{body['status']} {body['title']}"
        own = {"Content-Type": "application/json", "X-Request-ID": request_id}
        self.response_headers = list({**own, **HEADERS}.items())
        self.set_close_on_finish()
        self.content_length = len(data)
        self.channel.refused = True
        emit("request.handled", status=body["status"], message=body["error"], request_id=request_id)
        self.write(data)


class AppTask(QuickTask):
    """A request on its way through the application, which may ask about the connection, and end it."""

    channel: Channel

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[HURRY] = self.channel.in_a_hurry
        environ[PART] = self.set_close_on_finish
        return environ

    def build_response_header(self) -> bytes:
        server: Any = self.channel.server
        if server.draining and len(self.channel.requests) <= 1:
            self.set_close_on_finish()  # no other request of this connection will be answered
        return super().build_response_header()


class Channel(QuickChannel):
    """One connection. After a refusal it is closed in two steps: a plain close would reset it while the client still
    sends, and a reset throws away the answer that the client has not read yet."""

    parser_class = Parser
    task_class = AppTask
    error_task_class = JsonErrorTask
    refused = False
    _linger_until: float | None = None
    _request_began_at = 0.0
    _request_bytes = 0

    def in_a_hurry(self) -> bool:
        """True once the client has ended its side of the connection, or the server is about to end. From any thread.

        waitress reads nothing while a request is handled, so it would not notice. A client that has only finished sending
        looks the same as one that is gone: it gets its answer, at once.
        """
        number = self.socket.fileno() if self.socket is not None else -1
        if number < 0 or not self.server.accepting:
            return True
        poll = select.poll()
        poll.register(number, select.POLLRDHUP)
        return bool(poll.poll(0))

    def is_too_slow(self, now: float) -> bool:
        """True for a client that takes its time over a request; `now` is a moment of the monotonic clock."""
        if self.request is None or self.requests:
            return False
        return now - self._request_began_at > REQUEST_S + self._request_bytes / SLOWEST_BYTES_PER_S

    def is_idle(self) -> bool:
        """True when no request was begun and no answer is under way."""
        closing = self.will_close or self.close_when_flushed or self._linger_until is not None
        return not (closing or self.requests or self.total_outbufs_len or self.request is not None)

    def has_unread(self) -> bool:
        """True when the client has sent what nobody has read yet; False also when it is gone."""
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))  # type: ignore[union-attr]
        except OSError:
            return False

    def received(self, data: bytes) -> bool:
        if self._linger_until is not None:
            return False
        if self.request is None:
            self._request_began_at, self._request_bytes = time.monotonic(), 0
        self._request_bytes += len(data)
        return super().received(data)

    def handle_close(self) -> None:
        # will_close: the answer has been sent. Without it the client is gone, and nobody reads any more.
        if self.will_close and self.refused and self._linger_until is None and self._end_writing():
            self.will_close = False
            self._linger_until = time.monotonic() + LINGER_S
            # on this one alone: the loop asks every connection, each time that anything happens on any of them
            self.readable = self._lingering  # type: ignore[method-assign]
            return
        super().handle_close()

    def _lingering(self) -> bool:
        if self._linger_until is not None and time.monotonic() >= self._linger_until:
            self.will_close = True
        return not self.will_close

    def _end_writing(self) -> bool:
        try:
            self.socket.shutdown(socket.SHUT_WR)  # type: ignore[union-attr]
        except OSError:
            return False  # the client was faster
        return True


def _explain(error: Error) -> tuple[str, str]:
    if type(error) is BadRequest:
        return "bad_request", f"bad request: {error.body[:200]}"
    return _ANSWERS.get(type(error), ("internal_error", "internal error"))
