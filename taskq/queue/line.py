"""A connection of one thread's own, over which scripts run: each command is packed at once and its reply read at once.

redis-py's pool looks after every connection at each use, which costs more than a whole script does. A line is not looked
after: what is wrong with it shows in a reply or in the lack of one, which `connection.Link` deals with.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import struct
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import hiredis
import redis
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as LateError

from taskq.queue.scripts import Script

_TEXT = (bytes, str)
_READ_BYTES = 1 << 14
_FORMS = tuple(b"$%d\r\n%b\r\n" * count for count in range(9))
"""How so many words are packed."""


_KEEPALIVE = ((socket.TCP_KEEPIDLE, 3), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 3))
"""After 3 s of silence the kernel asks the other machine whether it is still there, each second, three times at most."""

_forks = 0


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)


class FixedKeys(tuple[str, ...]):
    """Keys with which a script is run again and again: they are packed once."""

    def __new__(cls, keys: Iterable[str]) -> FixedKeys:
        """Remembers, by script, what stands before its arguments."""
        made = super().__new__(cls, keys)
        made.heads = {}
        return made

    heads: dict[str, bytes]


class Line:
    """One connection, for one thread of one process. `owed` counts the replies that were not read.

    An exception may come between a command and its reply (a time limit, Ctrl-C). Whoever used the line next would read the
    reply of another command, so a line that is owed something is never used again.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self.forks = _forks
        self.owed = 0
        self._connection = connect()
        self._wire: Any = None

    def call(self, *words: Any) -> Any:
        """Run one command. Raises redis-py's errors."""
        return self.exchange(packed(words))

    def exchange(self, command: bytes) -> Any:
        """Run one command that is packed. Raises redis-py's errors, NoScriptError for a script that is not known."""
        self._send(command)
        return self._read()

    def together(self, *commands: bytes) -> list[Any]:
        """Run packed commands in one trip: for each its reply, or the error that the server answered. Raises redis-py's
        other errors."""
        self._send(*commands)
        return [self._reply() for _ in commands]

    def load(self, script: Script, command: bytes) -> Any:
        """Make a script known to the server and run the command that needs it. Both arrive as one: no SCRIPT FLUSH comes in
        between."""
        self._send(packed(("SCRIPT", "LOAD", script.text)), command)
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
            self._send(command)
            if self.owed > 1:
                yield self._read()
        while self.owed:
            yield self._read()

    def know(self, script: Script) -> None:
        """Make a script known to the server."""
        self._send(packed(("SCRIPT", "LOAD", script.text)))
        self._read()

    @property
    def connected(self) -> bool:
        """True when what is sent goes out at once."""
        return self._wire is not None

    def prepare_long_wait(self) -> int | None:
        """Connect, have the kernel break the connection when the machine at its other end is gone, and return the number by
        which the server knows it; None when it does not tell. Raises redis-py's errors."""
        self._connect()
        self._wire.keep_alive()
        try:
            return int(self.call("CLIENT", "ID"))
        except ResponseError:
            return None

    def ask(self, *commands: bytes) -> None:
        """Send packed commands, which arrive as one; `take` or `take_any` brings each reply. Raises redis-py's errors."""
        self._send(*commands)

    def await_reply(self, timeout_s: float, wake: int | None = None) -> bool:
        """Wait for the first of the replies that are owed, when nothing was read since `ask`; False after `timeout_s`, or
        when the descriptor `wake` becomes readable first."""
        return bool(self._wire.await_bytes(timeout_s, wake))

    def server(self) -> Any:
        """The address at the other end; the same for all connections to one server. Raises redis-py's errors."""
        self._connect()
        return self._wire.peer()

    def take(self) -> Any:
        """The reply to what was posted first of what is owed. Blocks. Raises redis-py's errors, NoScriptError among them."""
        return self._read()

    def take_any(self) -> Any:
        """The same, but a reply that is an error is returned; every other error is raised."""
        try:
            return self._read()
        except ResponseError as error:
            return error

    def drop(self) -> None:
        """Close the connection. In a child of the process that opened it, only the child's copy is closed."""
        self._connection.disconnect()

    def _send(self, *commands: bytes) -> None:
        if self._wire is None:
            self._connect()
        self.owed += len(commands)
        self._wire.send(commands[0] if len(commands) == 1 else b"".join(commands))

    def _connect(self) -> None:
        if self._wire is None:
            self._connection.connect()  # not left to what sends: behind Sentinel that would not ask for the primary
            self._wire = _wire(self._connection)

    def _reply(self) -> Any:
        try:
            return self._read()
        except ResponseError as error:
            return error

    def _read(self) -> Any:
        try:
            reply = self._wire.read()
        except ResponseError:
            self.owed -= 1  # the reply is an error, but it has been read
            raise
        self.owed -= 1
        return reply


class _Wire:
    """The way to the server that redis-py offers: for sockets that are more than a socket (TLS)."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def send(self, packed: bytes) -> None:
        """Send what is packed already. Raises redis-py's errors."""
        self._connection.send_packed_command([packed], check_health=False)

    def read(self) -> Any:
        """The next reply. Raises redis-py's errors, also those that the server answers."""
        return self._connection.read_response()

    def await_bytes(self, timeout_s: float, wake: int | None) -> bool:
        """Wait until something can be read; False after `timeout_s`, or when `wake` becomes readable first."""
        poll = select.poll()
        descriptor = self._connection._sock.fileno()
        for fd in (descriptor, *(() if wake is None else (wake,))):
            poll.register(fd, select.POLLIN)
        return any(fd == descriptor for fd, _ in poll.poll(timeout_s * 1000))

    def keep_alive(self) -> None:
        """Have the kernel ask from time to time whether the other machine is there."""
        plain = self._connection._sock
        if plain.family != socket.AF_UNIX:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                plain.setsockopt(socket.IPPROTO_TCP, option, value)

    def peer(self) -> Any:
        """The address of the server. Raises LostError."""
        try:
            return self._connection._sock.getpeername()
        except OSError as error:
            raise LostError(f"the connection is gone: {error}") from error


class _Plain(_Wire):
    """A plain socket, without redis-py between it and us: the kernel keeps the time-out, so that nothing is polled."""

    def __init__(self, connection: Any, plain: socket.socket) -> None:
        super().__init__(connection)
        self._socket = plain
        self._reader: Any = hiredis.Reader(notEnoughData=Ellipsis)
        self._buffer = bytearray(_READ_BYTES)
        timeout_s = connection.socket_timeout or 0.0
        limit = struct.pack("ll", int(timeout_s), int(timeout_s % 1 * 1e6))
        plain.settimeout(None)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def send(self, packed: bytes) -> None:
        try:
            self._socket.sendall(packed)
        except BlockingIOError as error:
            raise LateError("the server took no command in time") from error
        except OSError as error:
            raise LostError(f"a command could not be sent: {error}") from error

    def read(self) -> Any:
        try:
            while (reply := self._reader.gets()) is Ellipsis:
                self._feed()
        except BlockingIOError as error:
            raise LateError("no reply came in time") from error
        except (OSError, hiredis.ProtocolError) as error:
            raise LostError(f"no reply could be read: {error}") from error
        if reply.__class__ is hiredis.ReplyError:
            raise self._connection._parser.parse_error(str(reply))
        return reply

    def _feed(self) -> None:
        size = self._socket.recv_into(self._buffer)
        if size == 0:
            raise LostError("the server closed the connection")
        self._reader.feed(self._buffer, 0, size)


def _wire(connection: Any) -> _Wire:
    plain = connection._sock
    return _Wire(connection) if isinstance(plain, ssl.SSLSocket) else _Plain(connection, plain)


class Command(NamedTuple):
    """A packed command, and the script that the server must know for it."""

    script: Script
    packed: bytes


def evalsha(script: Script, keys: Sequence[str], args: Sequence[Any]) -> bytes:
    """The packed command that runs a script which the server knows."""
    if keys.__class__ is not FixedKeys:
        return packed(("EVALSHA", script.sha, len(keys), *keys, *args))
    heads = keys.heads
    head = heads.get(script.sha)
    if head is None:
        head = heads[script.sha] = _words(("EVALSHA", script.sha, len(keys), *keys))
    return b"*%d\r\n%b%b" % (3 + len(keys) + len(args), head, _few(args) if len(args) < len(_FORMS) else _words(args))


def packed(words: Sequence[Any]) -> bytes:
    """A command as the server reads it."""
    # hiredis would turn numbers into text itself, and crashes when the exception of a time limit comes at that moment.
    texts: Any = tuple([word if word.__class__ in _TEXT else str(word) for word in words])
    command: bytes = hiredis.pack_command(texts)
    return command


def opened(words: Sequence[Any], more: int) -> bytes:
    """The beginning of a packed command with `more` words than these."""
    return b"*%d\r\n%b" % (len(words) + more, _words(words))


def _few(words: Sequence[Any]) -> bytes:
    """The same as `_words`, for so few that hiredis would take longer."""
    parts: list[int | bytes] = []
    for word in words:
        text = word if word.__class__ is bytes else word.encode() if word.__class__ is str else str(word).encode()
        parts += (len(text), text)
    return _FORMS[len(words)] % tuple(parts)


def _words(words: Sequence[Any]) -> bytes:
    """The words of a command without the line that counts them."""
    return packed(words).partition(b"\r\n")[2]


class Lines:
    """The line of each thread: made when it is first wanted, and anew after a fork."""

    def __init__(self, client: redis.Redis, socket_timeout_s: float) -> None:
        pool = client.connection_pool
        timeout = {"socket_timeout": socket_timeout_s}
        self._connect: Callable[[], Any] = lambda: pool.connection_class(**{**pool.connection_kwargs, **timeout})
        self._own = threading.local()
        self._all: weakref.WeakSet[Line] = weakref.WeakSet()

    def get(self) -> Line:
        """A line for the calling thread; it connects when something is sent."""
        line: Line | None = getattr(self._own, "line", None)
        if line is not None and not line.owed and line.forks == _forks:
            return line
        self.drop()
        line = self._own.line = self.another()
        return line

    def another(self) -> Line:
        """A line that is nobody's yet."""
        line = Line(self._connect)
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
