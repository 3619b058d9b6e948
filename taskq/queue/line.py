"""A connection of one thread's own, over which scripts run: each command is packed at once and its reply read at once.

redis-py's pool looks after every connection at each use, which costs more than a whole script does. A line is not looked
after: what is wrong with it shows in a reply or in the lack of one, which `connection.Link` deals with.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import hiredis
import redis
from redis.exceptions import (
    ConnectionError,  # noqa: A004 - redis-py's own name
    InvalidResponse,
    NoScriptError,
    RedisError,
    ResponseError,
)

from taskq.queue.scripts import Script

RECEIVED_BYTES = 65536
"""What is read at once."""

_TEXT = (bytes, str)
_INCOMPLETE = False
"""What hiredis says when there is no whole reply yet; no reply is that."""


class Line:
    """One connection, for one thread of one process. `owed` counts the replies that were not read.

    An exception may come between a command and its reply (a time limit, Ctrl-C). Whoever used the line next would read the
    reply of another command, so a line that is owed something is never used again.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self.pid = os.getpid()
        self.owed = 0
        self._connection = connect()
        self._socket: Any = None
        self._reader: Any = None

    def call(self, *words: Any) -> Any:
        """Run one command. Raises redis-py's errors."""
        return self.exchange(packed(words))

    def exchange(self, command: bytes) -> Any:
        """Run one command that is packed. Raises redis-py's errors (NoScriptError for an unknown script) and OSError."""
        self._send(command, 1)
        return self._read()

    def load(self, script: Script, command: bytes) -> Any:
        """Make a script known to the server and run the command, which needs it. Both arrive as one: no SCRIPT FLUSH comes
        in between."""
        self._send(packed(("SCRIPT", "LOAD", script.text)) + command, 2)
        refused: ResponseError | None = None
        try:
            self._read()
        except ResponseError as error:
            refused = error
        try:
            return self._read()
        except NoScriptError as error:
            raise refused or error from None  # why it is still not known

    def stream(self, commands: Iterable[bytes]) -> Iterator[Any]:
        """Run packed commands and yield the replies in order.

        While the server is busy with one the next one is made and sent, so that neither waits for the other.
        """
        for command in commands:
            self._send(command, 1)
            if self.owed > 1:
                yield self._read()
        while self.owed:
            yield self._read()

    def drop(self) -> None:
        """Close the connection. In a child of the process that opened it, only the child's copy is closed."""
        self._connection.disconnect()

    def _send(self, commands: bytes, count: int) -> None:
        if self._socket is None:
            self._connect()
        self.owed += count
        self._socket.sendall(commands)

    def _read(self) -> Any:
        reader = self._reader
        reply = reader.gets()
        while reply is _INCOMPLETE:
            received = self._socket.recv(RECEIVED_BYTES)
            if not received:
                raise ConnectionError("the server closed the connection")
            reader.feed(received)
            reply = reader.gets()
        self.owed -= 1
        if isinstance(reply, RedisError):
            raise reply  # it has been read
        return reply

    def _connect(self) -> None:
        """redis-py connects, asks sentinels for the primary, logs in and encrypts; from then on its socket is used as it is:
        to send and to receive through redis-py costs half as much as a script."""
        connection = self._connection
        connection.connect()
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=connection._parser.parse_error)
        self._socket = connection._sock


def evalsha(script: Script, keys: Sequence[str], args: Sequence[Any]) -> bytes:
    """The packed command that runs a script which the server knows."""
    return packed(("EVALSHA", script.sha, len(keys), *keys, *args))


def packed(words: Sequence[Any]) -> bytes:
    """A command as the server reads it."""
    # hiredis would turn numbers into text itself, and crashes when the exception of a time limit comes at that moment.
    texts: Any = tuple([word if word.__class__ in _TEXT else str(word) for word in words])
    command: bytes = hiredis.pack_command(texts)
    return command


def opened(words: Sequence[Any], more: int) -> bytes:
    """The beginning of a packed command with `more` words than these; each of those is to follow as `counted`."""
    rest = packed(words).partition(b"\r\n")[2]
    return b"*%d\r\n%b" % (len(words) + more, rest)


class Lines:
    """The line of each thread: made when it is first wanted, and anew after a fork."""

    def __init__(self, client: redis.Redis) -> None:
        pool = client.connection_pool
        self._connect: Callable[[], Any] = lambda: pool.connection_class(**pool.connection_kwargs)
        self._own = threading.local()
        self._all: weakref.WeakSet[Line] = weakref.WeakSet()

    def get(self) -> Line:
        """A line for the calling thread; it connects when something is sent."""
        line: Line | None = getattr(self._own, "line", None)
        if line is not None and not line.owed and line.pid == os.getpid():
            return line
        self.drop()
        line = self._own.line = Line(self._connect)
        self._all.add(line)
        return line

    def drop(self) -> None:
        """Close the line of the calling thread, if it has one."""
        line: Line | None = getattr(self._own, "line", None)
        if line is not None:
            self._own.line = None
            line.drop()

    def close(self) -> None:
        """Close the lines of all threads."""
        for line in list(self._all):
            line.drop()
        self._own = threading.local()
