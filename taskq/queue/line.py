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
from redis.exceptions import NoScriptError, ResponseError

from taskq.queue.scripts import Script

_TEXT = (bytes, str)


class Line:
    """One connection, for one thread of one process. `owed` counts the replies that were not read.

    An exception may come between a command and its reply (a time limit, Ctrl-C). Whoever used the line next would read the
    reply of another command, so a line that is owed something is never used again.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self.pid = os.getpid()
        self.owed = 0
        self._connection = connect()
        self._connected = False

    def call(self, *words: Any) -> Any:
        """Run one command. Raises redis-py's errors."""
        self._send(words)
        return self._read()

    def evaluate(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script that the server is expected to know. Raises redis-py's errors, NoScriptError among them."""
        return self.call(*_evalsha(script, keys, args))

    def load(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Make a script known to the server and run it. Both arrive as one: no SCRIPT FLUSH comes in between."""
        self._send(("SCRIPT", "LOAD", script.text), _evalsha(script, keys, args))
        refused: ResponseError | None = None
        try:
            self._read()
        except ResponseError as error:
            refused = error
        try:
            return self._read()
        except NoScriptError as error:
            raise refused or error from None  # why it is still not known

    def stream(self, script: Script, keys: Sequence[str], runs: Iterable[Sequence[Any]]) -> Iterator[Any]:
        """Run a script once with each of the arguments and yield the replies in order.

        While the server is busy with one run the next one is made and sent, so that neither waits for the other.
        """
        for args in runs:
            self._send(_evalsha(script, keys, args))
            if self.owed > 1:
                yield self._read()
        while self.owed:
            yield self._read()

    def drop(self) -> None:
        """Close the connection. In a child of the process that opened it, only the child's copy is closed."""
        self._connection.disconnect()

    def _send(self, *commands: Sequence[Any]) -> None:
        if not self._connected:
            self._connection.connect()  # not left to what sends: behind Sentinel that would not ask for the primary
            self._connected = True
        packed = [_packed(words) for words in commands]
        self.owed += len(packed)
        self._connection.send_packed_command([b"".join(packed)], check_health=False)

    def _read(self) -> Any:
        try:
            reply = self._connection.read_response()
        except ResponseError:
            self.owed -= 1  # the reply is an error, but it has been read
            raise
        self.owed -= 1
        return reply


def _evalsha(script: Script, keys: Sequence[str], args: Sequence[Any]) -> Sequence[Any]:
    return ("EVALSHA", script.sha, len(keys), *keys, *args)


def _packed(words: Sequence[Any]) -> bytes:
    # hiredis would turn numbers into text itself, and crashes when the exception of a time limit comes at that moment.
    texts: Any = tuple([word if word.__class__ in _TEXT else str(word) for word in words])
    packed: bytes = hiredis.pack_command(texts)
    return packed


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
