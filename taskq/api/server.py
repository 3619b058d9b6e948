"""The HTTP server: waitress on a socket that somebody else has bound, with limits, and an end that loses no answer.

It never binds a port and never installs a signal handler: whoever runs it ends it by raising SystemExit in its thread.
"""

from __future__ import annotations

import copy
import socket
import time
from typing import Any

from waitress import wasyncore
from waitress.server import create_server

from taskq.api.app import App
from taskq.api.context import ApiSettings
from taskq.api.wire import Channel
from taskq.log import emit

STOP_LIMIT_S = 5.0
"""How long requests that are being handled may still take once the server is told to end."""

MAX_HEADER_BYTES = 16 * 1024

_POLL_S = 1.0
_STOP_POLL_S = 0.05


def serve(app: App, sock: socket.socket, settings: ApiSettings) -> None:
    """Answer requests on `sock`, which is listening, until SystemExit or KeyboardInterrupt is raised in this thread.

    Then takes no new connection, finishes what it has begun for at most STOP_LIMIT_S, closes everything and returns.
    """
    server = build_server(app, sock, settings)
    try:
        emit("api.started", address=f"{server.effective_host}:{server.effective_port}")
        wasyncore.loop(timeout=_POLL_S, use_poll=True, map=server._map)
    except (SystemExit, KeyboardInterrupt):
        _finish(server)
    finally:
        wasyncore.close_all(server._map, ignore_all=True)


def build_server(app: App, sock: socket.socket, settings: ApiSettings) -> Any:
    """A waitress server on `sock` that is not running yet; its threads are."""
    server: Any = create_server(
        app,
        sockets=[sock],
        threads=settings.threads,
        connection_limit=settings.connection_limit,
        channel_timeout=settings.channel_timeout_s,
        cleanup_interval=max(1, settings.channel_timeout_s // 3),
        max_request_body_size=_with_framing(settings.max_body_bytes),
        max_request_header_size=MAX_HEADER_BYTES,
        asyncore_use_poll=True,
        clear_untrusted_proxy_headers=True,
        expose_tracebacks=False,
        ident=None,
        log_socket_errors=False,
    )
    server.adj.for_batches = copy.copy(server.adj)
    server.adj.for_batches.max_request_body_size = _with_framing(settings.max_batch_bytes)
    server.channel_class = Channel
    return server


def _with_framing(max_bytes: int) -> int:
    """Counts what chunked coding adds, so it is wider than the limit that the application enforces."""
    return max_bytes + max_bytes // 8 + 4096


def _finish(server: Any) -> None:
    """Goes on moving bytes: an answer larger than the socket's buffer needs the loop to leave the process."""
    deadline = time.monotonic() + STOP_LIMIT_S
    server.accepting = False
    while _busy(server) and time.monotonic() < deadline:
        wasyncore.poll2(_STOP_POLL_S, server._map)
    server.task_dispatcher.shutdown(timeout=max(0.0, deadline - time.monotonic()))


def _busy(server: Any) -> bool:
    return any(channel.requests or channel.total_outbufs_len for channel in server.active_channels.values())
