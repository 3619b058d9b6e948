"""Connections to Redis, and the one place that decides what each of its errors means.

redis-py retries nothing for us: a command repeated behind our back would run twice. `Link.run` repeats instead, and only
scripts that are safe to repeat, each time on a connection that is known to be good or new.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - else each child imports it, and large tables with it, when it connects
import enum
import logging
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - redis-py's own names
    MasterDownError,
    MaxConnectionsError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 - redis-py's own names
    TryAgainError,
)

from taskq.errors import QueueError, QueueFull, QueueRefused, QueueUnavailable
from taskq.log import emit
from taskq.queue.clients import client
from taskq.queue.line import Command, Line, Lines, evalsha, packed
from taskq.queue.scripts import Script

COMMAND_TIMEOUT_S = 5.0
POP_MAX_S = 30.0
UNBLOCK_AGAIN_S = 0.01

T = TypeVar("T")


class Trouble(enum.Enum):
    """What an error from Redis asks of us."""

    RECONNECT = "drop the connection and try again on a new one"
    WAIT = "the server is up but not ready: try again later"
    RELOAD = "the script is not cached: load it and try again"
    FULL = "maxmemory is reached: nothing new can be stored"
    REFUSED = "no waiting cures this"


_WAIT_PREFIXES = ("LOADING", "BUSY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS")
_RECONNECT_PREFIXES = ("UNBLOCKED", "READONLY", "NOTBUSY", "NOMASTERLINK")


def classify(error: Exception) -> Trouble:
    """What to do about an error that redis-py raised. Redis puts the kind first in its text; redis-py strips some of it."""
    text = str(error)
    if isinstance(error, NoScriptError) or text.startswith("NOSCRIPT"):
        return Trouble.RELOAD
    if isinstance(error, OutOfMemoryError) or text.startswith("OOM") or "OOM command not allowed" in text:
        return Trouble.FULL
    if isinstance(error, (BusyLoadingError, ClusterDownError, MasterDownError, TryAgainError)) or text.startswith(
        _WAIT_PREFIXES
    ):
        return Trouble.WAIT
    if isinstance(error, ReadOnlyError) or text.startswith(_RECONNECT_PREFIXES):
        return Trouble.RECONNECT
    if isinstance(error, (AuthenticationError, AuthorizationError, NoPermissionError)):
        return Trouble.REFUSED
    if isinstance(error, (MaxConnectionsError, ConnectionError, TimeoutError, OSError)):
        return Trouble.RECONNECT
    return Trouble.REFUSED


def translate(error: Exception, hint: str = "") -> QueueError:
    """The error of ours that stands for an error of redis-py. `hint` is added where the server is not reachable."""
    trouble = classify(error)
    if trouble is Trouble.FULL:
        return QueueFull("Redis is at maxmemory; raise maxmemory or wait until tasks have ended")
    if trouble is Trouble.REFUSED:
        return QueueRefused(f"Redis refused: {error}; check user, password, database and rights in redis.url")
    return QueueUnavailable(f"Redis is not reachable: {error}" + (f"; {hint}" if hint else ""))


class Link:
    """One process' way to Redis: connections, scripts by digest, repetition.

    `url` is redis://, rediss://, unix:// or redis+sentinel://. `hint` tells people what to do when nothing answers there.
    `wake` is a descriptor that ends a blocking move early by being readable. Safe in threads, and after a fork: the child
    opens connections of its own.
    """

    def __init__(
        self,
        url: str,
        *,
        patience_s: float = 2.0,
        give_up: Callable[[], bool] = lambda: False,
        hint: str = "",
        known: redis.Redis | None = None,
    ) -> None:
        self.url = url
        self._hint = hint
        self.redis = known if known is not None else client(url, COMMAND_TIMEOUT_S)
        self._lines = Lines(self.redis, COMMAND_TIMEOUT_S)
        self._waiting_lines = Lines(self.redis, POP_MAX_S + COMMAND_TIMEOUT_S)
        self._patience_s = patience_s
        self._give_up = give_up
        self._blocking: Lines | None = None
        self._block_s = 0.0
        self.wake: int | None = None
        self._waiting: Line | None = None
        self._waiting_id: int | None = None
        self._down_since: float | None = None
        # once a wait ended in an error: its command may still be on its way to the server, whatever we do
        self.wait_was_cut = False

    def another(self, *, patience_s: float, give_up: Callable[[], bool] = lambda: False) -> Link:
        """One to the same server, for a child: what it takes to connect stays shared with the process that made this one."""
        return Link(self.url, patience_s=patience_s, give_up=give_up, hint=self._hint, known=self.redis)

    def run(self, action: Callable[[redis.Redis], T]) -> T:
        """Perform `action`, which must be safe to repeat, until it succeeds.

        Blocks for at most about `patience_s` beyond one command's time-out, or until `give_up()`; waits between tries
        with jitter, so that the processes of a service do not return to a struggling server together. Raises
        QueueUnavailable when patience ends, QueueFull and QueueRefused at once.
        """
        began = time.monotonic()
        try:
            result = action(self.redis)
        except (RedisError, OSError) as error:
            return self._again(action, error, began)
        if self._down_since is not None:
            self._note_up(self._down_since)
        return result

    def _again(self, action: Callable[[redis.Redis], T], failed: Exception, began: float) -> T:
        """`run` after its first try, which began at that moment, has failed."""
        deadline = began + self._patience_s
        wait_s = 0.02
        while True:
            ours = translate(failed, self._hint)
            if not isinstance(ours, QueueUnavailable):
                raise ours from failed
            self._note_down(ours)
            self.disconnect()
            if self._give_up() or time.monotonic() + wait_s > deadline:
                raise ours from failed
            time.sleep(wait_s * random.uniform(0.5, 1.5))
            wait_s = min(wait_s * 2, 1.0)
            try:
                result = action(self.redis)
            except (RedisError, OSError) as error:
                failed = error
                continue
            if self._down_since is not None:
                self._note_up(self._down_since)
            return result

    def once(self, action: Callable[[redis.Redis], object]) -> bool:
        """Perform `action` at most once, whether or not it is safe to repeat; False when it is not known to have happened.

        For what may be lost but never doubled. Blocks for at most one command's time-out and raises nothing.
        """
        try:
            action(self.redis)
        except (RedisError, OSError):
            return False
        return True

    def script(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script that is safe to repeat; see `run` for how long it may take and what it raises."""
        return self.packed(script, evalsha(script, keys, args))

    def packed(self, script: Script, command: bytes) -> Any:
        """Run a script that is safe to repeat by a packed command; see `script`."""
        return self._answer(script, command, lambda: self._lines.get().exchange(command))

    def post(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Callable[[], Any]:
        """`script` in two parts: sends it, and returns what waits for its reply, with which this thread uses the link next.

        Whatever goes wrong does so in the second part, which then runs the script as `script` does: this one raises nothing
        of Redis' and waits for nobody.
        """
        command, line = evalsha(script, keys, args), self._lines.get()
        if not line.connected:
            return partial(self.packed, script, command)
        try:
            line.ask(command)
        except (RedisError, OSError):
            return partial(self.packed, script, command)  # not over this line, to which a reply is owed now
        return partial(self._answer, script, command, line.take)

    def _answer(self, script: Script, command: bytes, read: Callable[[], Any]) -> Any:
        """What `read` answers to a command; if it fails, what the command answers when it is repeated."""
        began = time.monotonic()
        try:
            reply = read()
        except (RedisError, OSError) as error:
            if classify(error) is Trouble.RELOAD:
                return self.run(lambda _: self._lines.get().load(script, command))
            return self._again(lambda _: evaluate(self._lines.get(), script, command), error, began)
        if self._down_since is not None:
            self._note_up(self._down_since)
        return reply

    def hash(self, key: str) -> dict[bytes, bytes]:
        """The fields of a hash; none where there is no hash. See `run` for how long it may take and what it raises."""

        return self.run(lambda _: _fields(*self._lines.get().together(packed(("HGETALL", key)))))

    def hash_and(self, key: str, command: bytes) -> tuple[dict[bytes, bytes], Any]:
        """What `hash` tells, and in the same trip the reply to a packed command that changes nothing: None where the server
        refused that, as it does with a script that it does not know."""

        def action(_: redis.Redis) -> tuple[dict[bytes, bytes], Any]:
            flat, reply = self._lines.get().together(packed(("HGETALL", key)), command)
            return _fields(flat), None if isinstance(reply, ResponseError) else reply

        return self.run(action)

    def stream(self, commands: Sequence[Callable[[], Command]], replies: list[Any] | None = None) -> list[Any]:
        """Run the scripts by the commands that `commands` make; the replies in order, which `replies`, an empty list, also
        gets when this ends with an exception.

        The scripts must be safe to repeat: after an error it goes on with the first command whose reply has not come. See
        `run` for how long each may take and what it raises.
        """
        replies = [] if replies is None else replies

        def action(_: redis.Redis) -> None:
            line = self._lines.get()
            missing = commands[len(replies) :]
            # The first one finds out whether the server knows its script. What has been added before an error stays.
            replies.extend(evaluate(line, *make()) for make in missing[:1])
            replies.extend(line.stream(make().packed for make in missing[1:]))

        self.run(action)
        return replies

    def line(self) -> Line:
        """A new connection for a caller who posts scripts and takes their replies; it connects when something is posted."""
        return self._lines.another()

    def block_move(self, source: str, destination: str, block_s: float) -> bytes | None:
        """BLMOVE source destination RIGHT LEFT on a connection of its own: the moved entry, or None after `block_s` or once
        `wake` is readable.

        Not repeated here: after any error the caller must look into `destination`, where an entry may have arrived whose
        reply was lost. Raises QueueUnavailable, QueueRefused or QueueFull; the connection is new the next time.
        """
        try:
            moved: bytes | None = self._asked(block_s, _block_move(source, destination, block_s)).take()
            return moved
        except (RedisError, OSError) as error:
            self._cut()
            raise translate(error) from error

    def block_move_then(self, source: str, destination: str, block_s: float, then: bytes) -> tuple[QueueFull | None, Any]:
        """`block_move`, and whether or not it moves something `then`, a packed command: both go in one trip.

        Returns the reply of `then`, and what forbade the move where there was no room for it.
        """
        try:
            line = self._asked(block_s, _block_move(source, destination, block_s), then)
            moved, reply = line.take_any(), line.take_any()
            is_full = isinstance(moved, ResponseError) and classify(moved) is Trouble.FULL
            for answer in (None if is_full else moved, reply):
                if isinstance(answer, ResponseError):
                    raise answer
        except (RedisError, OSError) as error:
            trouble = classify(error)
            if trouble is not Trouble.RELOAD:  # with which both replies have been read: nothing is on its way any more
                self._cut()
            raise translate(error) from error
        refused = translate(moved) if is_full else None
        return refused if isinstance(refused, QueueFull) else None, reply

    def block_pop(self, key: str, block_s: float) -> bool:
        """BLPOP on a connection of this thread's own: True if there was an entry, False after `block_s`, at most POP_MAX_S.

        Not repeated here: after an error an entry may have been taken. Raises as `block_move` does.
        """
        try:
            # 0 would mean without end
            return self._waiting_lines.get().call("BLPOP", key, f"{max(block_s, 0.001):.3f}") is not None
        except (RedisError, OSError) as error:
            self._waiting_lines.drop()
            raise translate(error) from error
        except BaseException:
            self._waiting_lines.drop()  # nobody is left to take the entry that the server might still send
            raise

    def close_blocking(self) -> None:
        """Drop the connection that waits, so that the server forgets the wait."""
        if self._blocking is not None:
            self._blocking.close()
            self._blocking = self._waiting = None

    def disconnect(self) -> None:
        """Drop the connections of this thread and the idle ones: after a failover they lead to the wrong server."""
        self._lines.drop()
        self.redis.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        """Drop every connection."""
        self.close_blocking()
        self._lines.close()
        self._waiting_lines.close()
        self.redis.close()

    def _blocking_line(self, block_s: float) -> Line:
        if block_s != self._block_s:
            self.close_blocking()  # it would give up too early, or too late
        if self._blocking is None:
            self._blocking = Lines(self.redis, block_s + COMMAND_TIMEOUT_S)
            self._block_s = block_s
        return self._blocking.get()

    def _asked(self, block_s: float, *commands: bytes) -> Line:
        """Send commands of which the first one waits; the line that brings their replies, once that wait is over if `wake`
        can end it. Raises redis-py's errors, also when the server does not end the wait and the connection must go.
        """
        line = self._blocking_line(block_s)
        if self.wake is None:
            line.ask(*commands)
            return line
        if line is not self._waiting:
            self._waiting_id = line.prepare_long_wait()
            self._waiting = line
        line.ask(*commands)
        deadline = time.monotonic() + block_s + COMMAND_TIMEOUT_S
        if not line.await_reply(block_s + COMMAND_TIMEOUT_S, self.wake):
            if time.monotonic() >= deadline:
                raise TimeoutError("no reply came in time")
            if not self._unblock(line):
                raise ConnectionError("the server did not end the wait")
        return line

    def _unblock(self, line: Line) -> bool:
        """Have the server answer now what it was asked to wait for; False when it does not. The connection may be gone."""
        deadline = time.monotonic() + COMMAND_TIMEOUT_S
        try:
            while self._waiting_id is not None and time.monotonic() < deadline:
                other = self._lines.get()
                if other.server() != line.server():
                    return False  # on another server the number may be that of a stranger
                other.call("CLIENT", "UNBLOCK", self._waiting_id)
                if line.await_reply(UNBLOCK_AGAIN_S):
                    return True  # else it has not come to the command yet
        except (RedisError, OSError):
            pass  # the connection that waits is dropped instead
        return False

    def _cut(self) -> None:
        self.wait_was_cut = True
        self.close_blocking()

    def _note_down(self, error: QueueUnavailable) -> None:
        if self._down_since is None:
            self._down_since = time.monotonic()
            emit("queue.unavailable", logging.WARNING, str(error))

    def _note_up(self, down_since: float) -> None:
        emit("queue.recovered", duration_s=round(time.monotonic() - down_since, 3))
        self._down_since = None


def _block_move(source: str, destination: str, block_s: float) -> bytes:
    return packed(("BLMOVE", source, destination, "RIGHT", "LEFT", f"{block_s:.3f}"))


def _fields(flat: Any) -> dict[bytes, bytes]:
    """What HGETALL answered: nothing where there is something else than a hash."""
    if isinstance(flat, ResponseError):
        if str(flat).startswith("WRONGTYPE"):
            return {}
        raise flat
    return dict(zip(flat[::2], flat[1::2], strict=True))


def evaluate(line: Line, script: Script, command: bytes) -> Any:
    """Run a script by its packed command, loading it first where the server does not have it (new, restarted, failed over,
    flushed)."""
    try:
        return line.exchange(command)
    except ResponseError as error:
        if classify(error) is not Trouble.RELOAD:
            raise
        return line.load(script, command)
