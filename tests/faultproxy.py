"""A TCP proxy that loses, cuts, delays and holds back what passes, and a server behind it that may be killed and stopped.

The proxy knows RESP2 well enough to see where commands and replies end and which reply answers which command, so that a
fault can be aimed at one of them. It alters no byte that it lets through. A fault counts its hits: one that never hit
proves nothing.

    with RealServer() as server, FaultProxy(server.path) as proxy:
        fault = proxy.lose_reply(labelled("claim"), times=2)
        ...  # something that claims, over Link(proxy.url)
        assert fault.hits == 2
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from taskq.queue.embedded import find_binary
from taskq.queue.scripts import load, names

CONTROL_LIMIT_S = 10.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
HUNG_UP = (OSError, EOFError)

Command = tuple[bytes, ...]
Match = Callable[[Command], bool]
T = TypeVar("T")


def label(command: Command) -> str:
    """What a command is: the name of the script that it runs, "SCRIPT LOAD" or "CLIENT SETNAME", else its name."""
    name = command[0].decode().upper()
    if name == "EVALSHA":
        return next((script for script in names() if load(script).sha.encode() == command[1]), name)
    return f"{name} {command[1].decode().upper()}" if name in ("ACL", "CLIENT", "SCRIPT") else name


def labelled(wanted: str) -> Match:
    """Matches the commands with this label."""
    return lambda command: label(command) == wanted


@dataclass
class Fault:
    """`skip` replies to matching commands pass, `left` are hit after them; `keep` bytes of those still arrive."""

    match: Match
    skip: int
    left: int
    keep: int
    hits: int = 0

    def strikes(self, command: Command) -> bool:
        """Whether the reply to this command is hit; counts what passes and what is hit."""
        if not self.left or not self.match(command):
            return False
        self.skip -= 1
        if self.skip >= 0:
            return False
        self.left -= 1
        self.hits += 1
        return True


class RealServer:
    """A server that lasts as long as its block, except while it is killed or stopped. It syncs its append-only file at every
    write, so that a kill and a restart lose nothing."""

    fsync = "always"

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="tqf-", dir="/tmp")
        self.path = f"{self._directory}/s"
        self.url = f"unix://{self.path}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def start(self) -> None:
        """Start it, with what it held before, and wait until it answers."""
        options = ["--port", "0", "--unixsocket", self.path, "--dir", self._directory, "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", self.fsync, "--maxmemory-policy", "noeviction"]
        binary = os.environ.get("TASKQ_TEST_SERVER") or str(find_binary())
        self._process = subprocess.Popen(
            [binary, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            restore_signals=False,  # a test may want it to inherit one that is ignored
        )
        with redis.Redis(unix_socket_path=self.path, retry=Retry(ConstantBackoff(0.01), 1000)) as patient:
            patient.ping()

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: after SIGSTOP it accepts connections but answers nothing, until SIGCONT."""
        assert self._process is not None
        self._process.send_signal(number)

    def client(self) -> redis.Redis:
        """A plain client, for looking on and for what only an administrator does."""
        return redis.Redis(unix_socket_path=self.path)


class FaultProxy:
    """Listens on a loopback port while its block lasts, and connects each client to the unix socket `upstream`.

    Every method may be called from any thread and has taken effect when it returns.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.url = ""
        """What a client connects to in place of the server; known within the block."""
        self.seen: list[Command] = []
        """The commands that were sent on to the server, in order."""
        self.accepted = 0
        """How many clients have connected so far."""
        self.faults: list[Fault] = []
        self.broken: list[Exception] = []
        """What went wrong in the proxy itself; the end of the block raises it."""
        self.delay_s = 0.0
        self.commands_pass = asyncio.Event()
        self.replies_pass = asyncio.Event()
        self._wires: dict[asyncio.Task[None], _Wire] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._listener: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self.broken:
            raise ExceptionGroup("the proxy failed", self.broken)

    def lose_reply(self, match: Match, *, nth: int = 1, times: int = 1) -> Fault:
        """The nth matching command from now on is performed, but its reply is swallowed and its connection reset; the same
        for the `times - 1` matching ones after it."""
        return self._add(Fault(match, nth - 1, times, 0))

    def cut_reply(self, after_bytes: int, match: Match, *, nth: int = 1, times: int = 1) -> Fault:
        """As `lose_reply`, but the first bytes of the reply arrive and the connection then ends without a reset."""
        return self._add(Fault(match, nth - 1, times, after_bytes))

    def delay(self, seconds: float) -> None:
        """Every command and every reply is under way so much longer; those of one connection queue up."""
        self.delay_s = seconds

    def black_hole(self, *, commands: bool = True, replies: bool = True) -> None:
        """Nothing arrives any more, in one direction or both, and nobody is told: clients still connect, and what they send
        is kept, also that they hang up."""
        self._call(self._gate(commands=not commands, replies=not replies))

    def reset(self) -> int:
        """Reset every connection; what was kept for it is gone. Returns how many there were."""
        return self._call(self._reset())

    def heal(self) -> None:
        """No more faults. What a black hole kept arrives now: late commands too, of clients that have long hung up."""
        self.faults = []
        self.delay_s = 0.0
        self._call(self._gate(commands=True, replies=True))

    def _add(self, fault: Fault) -> Fault:
        self.faults = [*self.faults, fault]
        return fault

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CONTROL_LIMIT_S)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}/0"
        await self._gate(commands=True, replies=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        wire = _Wire(self, reader, writer)
        self._wires[task := self._loop.create_task(wire.run())] = wire
        task.add_done_callback(self._wires.pop)

    async def _gate(self, *, commands: bool, replies: bool) -> None:
        for event, passes in ((self.commands_pass, commands), (self.replies_pass, replies)):
            event.set() if passes else event.clear()

    async def _reset(self) -> int:
        ending = dict(self._wires)
        for task, wire in ending.items():
            wire.reset = True
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        for wire in ending.values():
            wire.writer.transport.abort()  # also of those that had not begun
        return len(ending)

    async def _shut(self) -> None:
        assert self._listener is not None
        self._listener.close()
        await self._reset()
        await self._listener.wait_closed()


class _Wire:
    """One client's connection and its continuation to the server."""

    def __init__(self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.unanswered: deque[Command] = deque()
        self.reset = False

    async def run(self) -> None:
        """Carry both directions until one of them ends."""
        writers = [self.writer]
        directions: list[asyncio.Task[None]] = []
        try:
            reader, writer = await asyncio.open_unix_connection(self.proxy.upstream)
            writers.append(writer)
            directions = [asyncio.create_task(self._commands(writer)), asyncio.create_task(self._replies(reader))]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            self.reset = True  # there is no server
        finally:
            if self.reset:
                self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                self.writer.transport.abort()
            for direction in directions:
                direction.cancel()
            for writer in writers:  # before anything is awaited, where a reset may come in between
                writer.close()
            ends = await asyncio.gather(*directions, return_exceptions=True)
            self.proxy.broken += [end for end in ends if isinstance(end, Exception) and not isinstance(end, HUNG_UP)]
            await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    async def _commands(self, server: asyncio.StreamWriter) -> None:
        while True:
            value = await _value(self.reader)
            await asyncio.sleep(self.proxy.delay_s)
            await self.proxy.commands_pass.wait()
            self.unanswered.append(_arguments(value))
            self.proxy.seen.append(self.unanswered[-1])
            server.write(value)

    async def _replies(self, server: asyncio.StreamReader) -> None:
        fault: Fault | None = None
        while fault is None:
            value = await _value(server)
            await asyncio.sleep(self.proxy.delay_s)
            await self.proxy.replies_pass.wait()
            command = self.unanswered.popleft()
            if not self.writer.is_closing():  # what a client sent before it hung up still goes on its way
                fault = next((fault for fault in self.proxy.faults if fault.strikes(command)), None)
                self.writer.write(value[: fault.keep] if fault else value)
        self.reset = fault.keep == 0


async def _value(reader: asyncio.StreamReader) -> bytes:
    """The next RESP2 value, once it is whole. See https://redis.io/docs/latest/develop/reference/protocol-spec/"""
    head = await reader.readuntil(b"\r\n")
    if head[:1] == b"*":
        return head + b"".join([await _value(reader) for _ in range(int(head[1:]))])
    length = int(head[1:]) if head[:1] == b"$" else -1
    return head if length < 0 else head + await reader.readexactly(length + 2)


def _arguments(value: bytes) -> Command:
    """A command, which is an array of strings, taken apart."""
    found = []
    at = value.index(b"\r\n") + 2
    while at < len(value):
        begin = value.index(b"\r\n", at) + 2
        at = begin + int(value[at + 1 : begin - 2]) + 2
        found.append(value[begin : at - 2])
    return tuple(found)
