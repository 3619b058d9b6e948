"""Clients that take their time: a byte of a header, of a body or of an answer now and then, on many connections."""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

Address = tuple[str, int]

EVERY_S = 2.0
OPEN_LIMIT_S = 60.0
_RECEIVE_BUFFER = 4096


@contextmanager
def dripping(address: Address, count: int, trust: ssl.SSLContext | None = None, name: str = "localhost") -> Iterator[None]:
    """So many slow clients from another process, a third of each kind; whoever is cut off comes again at the next turn. Once
    inside every one has begun its request. Readers ask for a page of 500 tasks."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_drip, args=(theirs, address, count, trust, name), daemon=True)
    process.start()
    try:
        if not ours.poll(OPEN_LIMIT_S):
            raise RuntimeError(f"{count} slow clients did not get through to {address}")
        yield
    finally:
        process.terminate()
        process.join()


def _drip(begun: Connection, address: Address, count: int, trust: ssl.SSLContext | None, name: str) -> None:
    clients = [_Client(number, address, trust, name) for number in range(count)]
    for turn in range(1 << 30):
        started_at = time.monotonic()
        for client in clients:
            client.drip()
        if not turn:
            begun.send(True)
        time.sleep(max(0.0, EVERY_S - (time.monotonic() - started_at)))


class _Client:
    """One connection at a time. The kind is that of its number."""

    def __init__(self, number: int, address: Address, trust: ssl.SSLContext | None, name: str) -> None:
        host = f"Host: {name}\r\n"
        self._begin, self._byte = (
            (f"POST /tasks HTTP/1.1\r\n{host}X-Slow: ".encode(), b"x"),
            (f"POST /tasks HTTP/1.1\r\n{host}Content-Length: 100000\r\n\r\n".encode(), b" "),
            (f"GET /tasks?limit=500 HTTP/1.1\r\n{host}\r\n".encode(), b""),
        )[number % 3]
        self._address, self._trust, self._name = address, trust, name
        # Addresses of their own: a limit for each address is another defence than the one that is looked at.
        self._source = (f"127.0.0.{2 + number % 100}", 0)
        self._sock: socket.socket | None = None

    def drip(self) -> None:
        try:
            if self._sock is None:
                self._sock = self._connect()
                self._sock.sendall(self._begin)
                self._sock.setblocking(False)
            if self._byte:
                self._sock.send(self._byte)
            # A slow reader wants a byte, the others see whether they were cut off.
            if not self._sock.recv(1 if not self._byte else 4096):
                self._hang_up()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self._hang_up()

    def _connect(self) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sock.settimeout(OPEN_LIMIT_S)
        sock.bind(self._source)
        sock.connect(self._address)
        return self._trust.wrap_socket(sock, server_hostname=self._name) if self._trust else sock

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            if self._sock is not None:
                self._sock.close()
        self._sock = None
