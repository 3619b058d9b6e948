"""The HTTP server: waitress on a socket that somebody else has bound, with limits, and an end that loses no answer.

It never binds a port and never installs a signal handler: whoever runs it ends it with `Server.stop`.
"""

from __future__ import annotations

import copy
import socket
import time
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.server import create_server

from taskq.api.context import ApiContext, ApiSettings
from taskq.api.framing import MAX_HEADER_BYTES
from taskq.api.threads import Dispatcher
from taskq.api.turns import Turns
from taskq.api.wire import Channel
from taskq.log import emit

if TYPE_CHECKING:
    from taskq.api.app import App

STOP_LIMIT_S = 5.0
"""How long requests that are being handled may still take once the server is told to end."""

IDLE_S = 1.0
"""How long a connection on which nothing was begun is kept then: its next request may be on its way."""

_POLL_S = 1.0
_STOP_POLL_S = 0.05


class Server:
    """One process that serves. `stop` may be called from a signal handler: it only asks, so that no connection is lost in
    the middle of being accepted."""

    def __init__(self, app: App, sock: socket.socket, context: ApiContext) -> None:
        self._server = build_server(app, sock, context.settings)
        self._server.count_refused = context.requests.count

    def run(self) -> None:
        """Answer requests on the socket, which is listening, until `stop` is called.

        Then takes no new connection, answers what clients have sent over those that it has, for at most STOP_LIMIT_S,
        closes everything and returns.
        """
        server = self._server
        try:
            emit("api.started", address=f"{server.effective_host}:{server.effective_port}")
            server.turns.run(lambda: _go_on(server), lambda: _drain(server))
        finally:
            wasyncore.close_all(server._map, ignore_all=True)

    def stop(self) -> None:
        """Let `run` end; returns at once."""
        if not self._server.draining:
            self._server.draining = True
            self._server.pull_trigger()


def build_server(app: App, sock: socket.socket, settings: ApiSettings) -> Any:
    """A waitress server on `sock` that is not running yet; its threads are."""
    server: Any = create_server(
        app,
        sockets=[sock],
        _dispatcher=Dispatcher(settings.threads),
        connection_limit=settings.connection_limit,
        channel_timeout=settings.channel_timeout_s,
        cleanup_interval=max(1, settings.channel_timeout_s // 3),
        max_request_body_size=_with_framing(settings.max_body_bytes),
        max_request_header_size=2 * MAX_HEADER_BYTES,  # the parser refuses what is larger than once that
        asyncore_use_poll=True,
        clear_untrusted_proxy_headers=True,
        expose_tracebacks=False,
        ident=None,
        log_socket_errors=False,
    )
    server.adj.for_batches = copy.copy(server.adj)
    server.adj.for_batches.max_request_body_size = _with_framing(settings.max_batch_bytes)
    server.channel_class = Channel
    server.turns = Turns(server.task_dispatcher, server.pull_trigger)
    server.pull_trigger = server.turns.wake
    server.add_task = server.turns.add
    server.draining = False
    server.next_slow_check = 0.0
    return server


def _go_on(server: Any) -> bool:
    """One round; False once the server is to end."""
    wasyncore.poll2(_POLL_S, server._map)
    _end_slow(server)
    return not server.draining


def _with_framing(max_bytes: int) -> int:
    """Counts what chunked coding adds, so it is wider than the limit that the application enforces."""
    return max_bytes + max_bytes // 8 + 4096


def _end_slow(server: Any) -> None:
    """End the connections whose request takes too long to arrive, or whose answer to be taken: waitress only sees those that
    are silent."""
    now = time.monotonic()
    if now >= server.next_slow_check:
        server.next_slow_check = now + _POLL_S
        for channel in list(server.active_channels.values()):
            if channel.is_too_slow(now):
                channel.time_out()
            elif channel.is_stuck(now):
                channel.give_up()


def _drain(server: Any) -> None:
    """Goes on moving bytes: a client that has connected or begun to send gets its answer, and one larger than the socket's
    buffer needs the loop to leave the process."""
    began_at = time.monotonic()
    server.accepting = False
    while (now := time.monotonic()) < began_at + STOP_LIMIT_S:
        for channel in list(server.active_channels.values()):
            if channel.is_idle() and now >= began_at + IDLE_S and not channel.has_unread():
                channel.handle_close()
        if not server.active_channels:
            break
        wasyncore.poll2(_STOP_POLL_S, server._map)
    server.task_dispatcher.shutdown(timeout=max(0.0, began_at + STOP_LIMIT_S - time.monotonic()))
