"""HTTP/1.1 on the wire: what waitress reads too kindly is refused here, and what it answers itself becomes JSON.

A request that two servers may read differently lets a client slip a second one past a proxy, so every doubtful form ends
with 400 and the end of the connection; which they are is in `framing` and `chunks`.
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
import time
import uuid
from typing import Any

import msgspec
from waitress.buffers import OverflowableBuffer
from waitress.parser import HTTPRequestParser
from waitress.receiver import FixedStreamReceiver
from waitress.task import ErrorTask
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge

from taskq.api.answer import QuickChannel, QuickTask
from taskq.api.chunks import ChunkedBody
from taskq.api.connection import HURRY, PART
from taskq.api.errors import media_type, problem
from taskq.api.framing import Refusal, check_begun, check_head, read_hints
from taskq.api.headers import HEADERS
from taskq.api.heads import HEADS, KNOWN_BODY_BYTES, Known
from taskq.api.requests import counted_method
from taskq.log import emit
from taskq.queue.requests import Request

LINGER_S = 2.0
"""How long the rest of a refused request is read and dropped, so that the client gets to read the answer."""

REQUEST_S = 20.0
SLOWEST_BYTES_PER_S = 1024
"""How long a request may take to arrive: so many seconds, and one more for each so many bytes that have. An answer must be
taken at the same pace, measured over each such time."""

LARGE_PATHS = frozenset({"/tasks/batch"})
"""Where a body may be larger than elsewhere; the limit is known once the header is."""

_ANSWERS: dict[type[Error], tuple[str, str]] = {
    RequestEntityTooLarge: ("body_too_large", "request body too large"),
    BadRequest: ("bad_request", "bad request"),
}
"""What waitress finds by itself; the words of its own errors may hold what the client sent."""


class Parser(HTTPRequestParser):
    """Reads one request, strictly."""

    # Wider than in waitress' stubs.
    headers: Any
    error: Any
    body_rcv: Any
    command: Any = ""
    path: str
    version = "1.1"  # of the answer, as long as that of the request is not known
    begun = False
    """True once more than empty lines has arrived."""
    _refusal: Refusal | None = None

    def received(self, data: bytes) -> int:
        if self.body_rcv is None and not self.completed:
            if not self.header_plus and (known := HEADS.find(data)):
                return self._take(known)
            so_far = self.header_plus + data
            self.begun = bool(so_far.strip(b"\r\n"))
            try:
                check_begun(so_far)
            except Refusal as refusal:
                self._note(so_far)
                self.refuse(refusal)
                return len(data)
        consumed: int = super().received(data)
        if self.empty:
            # Empty lines before a request are ignored, but neither end nor renew the time that it may take.
            self.empty = self.completed = self.headers_finished = False
            self.header_plus = b""
        if self._refusal is not None:
            self.error = self._refusal
        if self.completed:
            # waitress would ask for the body of a request that it has just refused, and wait for one that has none.
            self.expect_continue = False
        return consumed

    def refuse(self, refusal: Refusal) -> None:
        """Have the request answered with this instead of carried out."""
        self.error = refusal
        self.completed = True
        self.expect_continue = False

    def parse_header(self, header_plus: bytes) -> None:
        try:
            check_head(header_plus)
        except Refusal as refusal:
            self._note(header_plus)
            self._refusal = refusal
            raise
        super().parse_header(header_plus)
        self._read_connection()
        if self.path in LARGE_PATHS:
            self.adj = getattr(self.adj, "for_batches", self.adj)
        if self.chunked:
            self.body_rcv = ChunkedBody(self.body_rcv.getbuf(), self.adj.max_request_body_size)
        if not self.chunked and not self.expect_continue and self.content_length < KNOWN_BODY_BYTES:
            HEADS.keep(header_plus, self)

    def _take(self, known: Known) -> int:
        """Be as the parser was that has read this very header."""
        vars(self).update(known.said)
        self.headers = known.headers.copy()
        self.begun = self.headers_finished = True
        if self.path in LARGE_PATHS:
            self.adj = getattr(self.adj, "for_batches", self.adj)
        if self.content_length:
            self.body_rcv = FixedStreamReceiver(self.content_length, OverflowableBuffer(self.adj.inbuf_overflow))
        else:
            self.completed = True
        return known.size

    def _note(self, header: bytes) -> None:
        hints = read_hints(header)
        self.command = hints.method
        self.headers["ACCEPT"] = hints.accept

    def _read_connection(self) -> None:
        """waitress only knows this header with a single word."""
        words = {word.strip(" \t") for word in self.headers.get("CONNECTION", "").lower().split(",")}
        for word in ("close", "keep-alive"):
            if word in words:
                self.headers["CONNECTION"] = word
                self.connection_close = word == "close"
                return


class JsonErrorTask(ErrorTask):
    """Answers a request that never reached the application, in the shape of all other errors, and ends the connection."""

    channel: Channel

    def execute(self) -> None:
        request: Any = self.request
        request_id = uuid.uuid4().hex  # one of the client may be part of what is wrong
        body = problem(*_explain(request.error), request_id=request_id)
        data = msgspec.json.encode(body)
        self.status = f"{body['status']} {body['title']}"
        own = {"Content-Type": media_type(request.headers.get("ACCEPT", "")), "X-Request-ID": request_id}
        self.response_headers = list({**own, **HEADERS}.items())
        self.set_close_on_finish()
        self.content_length = len(data)
        self.channel.refused = True
        self.channel.server.count_refused(Request(counted_method(request.command), "", body["status"]))
        emit("request.handled", status=body["status"], message=body["error"], request_id=request_id)
        self.write(b"" if request.command == "HEAD" else data)


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

    # Wider than in waitress' stubs.
    request: Any
    requests: Any
    requests_lock: Any
    server: Any
    socket: Any
    parser_class = Parser
    task_class = AppTask
    error_task_class = JsonErrorTask
    refused = False
    _linger_until: float | None = None
    _request_began_at = 0.0
    _request_bytes = 0
    _sent_bytes = 0
    _answer_seen_at: float | None = None
    _answer_taken_bytes = 0

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

    def time_out(self) -> None:
        """Answer a request that takes too long with 408, and end the connection."""
        request = self.request
        if not request.begun:
            self.handle_close()
            return
        request.refuse(Refusal("request_timeout", "the request took too long to arrive"))
        with self.requests_lock:
            self.request = None
            self.requests.append(request)
        self.server.add_task(self)

    def is_stuck(self, now: float) -> bool:
        """True for a client that hardly takes what it is answered. What lies in the socket is not yet taken."""
        if not self.total_outbufs_len:
            self._answer_seen_at = None
            return False
        unsent = struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4)))[0]
        taken = self._sent_bytes - unsent
        if self._answer_seen_at is None or now - self._answer_seen_at > REQUEST_S:
            stuck = self._answer_seen_at is not None and (
                taken - self._answer_taken_bytes < SLOWEST_BYTES_PER_S * (now - self._answer_seen_at)
            )
            self._answer_seen_at, self._answer_taken_bytes = now, taken
            return stuck
        return False

    def give_up(self) -> None:
        """Reset the connection: a plain close would leave what lies in the socket to the system, for as long as it likes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handle_close()

    def send(self, data: bytes, do_close: bool = True) -> int:
        sent: int = super().send(data, do_close=do_close)
        self._sent_bytes += sent
        return sent

    def is_idle(self) -> bool:
        """True when no request was begun and no answer is under way."""
        closing = self.will_close or self.close_when_flushed or self._linger_until is not None
        return not (closing or self.requests or self.total_outbufs_len or self.request is not None)

    def has_unread(self) -> bool:
        """True when the client has sent what nobody has read yet; False also when it is gone."""
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
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
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False  # the client was faster
        return True


def _explain(error: Error | Refusal) -> tuple[str, str]:
    if isinstance(error, Refusal):
        return error.code, str(error)
    return _ANSWERS.get(type(error), ("internal_error", "internal error"))
