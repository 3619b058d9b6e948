"""A proxy in front of an API that drops replies at random: before a request went on, in its middle, before the answer came
back, or in the middle of that. A client that was dropped cannot tell which of them it was."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import re
import signal
from pathlib import Path

from .faults import Recorder
from .services import free_port

FORK = multiprocessing.get_context("fork")
LINE_LIMIT = 1 << 16
HUNG_UP = (OSError, EOFError)

CHANCES = {"before": 0.08, "request": 0.08, "after": 0.08, "answer": 0.08}
"""How likely each fault is to hit a request: nothing of it goes on, half of it, all of it and no answer, half an answer."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Dropper:
    """Listens on a loopback port, in a process of its own, and forwards to the API on `upstream`."""

    def __init__(self, seen: Path, upstream: int, seed: str) -> None:
        self.port = free_port()
        self._upstream = upstream
        self._rng = random.Random(seed)
        self._recorder = Recorder(seen, "dropper")
        self._process = FORK.Process(target=self._run, daemon=True)
        self._process.start()

    def close(self) -> None:
        """End it and every connection through it."""
        self._process.terminate()
        self._process.join()

    def _run(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=LINE_LIMIT)
        await server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection("127.0.0.1", self._upstream, limit=LINE_LIMIT)
            while await self._pass(reader, writer, answers, upstream):
                pass
        except HUNG_UP:
            pass  # either side; the other one is told by the end of its own connection
        finally:
            writer.close()
            if upstream is not None:
                upstream.close()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> bool:
        """Carry one request and its answer; False when a fault hit, after which the connection must end."""
        request = await _message(reader)
        fault = self._fault()
        if fault:
            self._recorder.note("drop", fault, 0)
        if fault == "before":
            return False
        upstream.write(request[: len(request) // 2] if fault == "request" else request)
        await upstream.drain()
        if fault == "request":
            return False
        answer = await _message(answers)
        if fault == "after":
            return False
        writer.write(answer[: self._rng.randrange(1, len(answer))] if fault == "answer" else answer)
        await writer.drain()
        return not fault

    def _fault(self) -> str:
        at = self._rng.random()
        for fault, chance in CHANCES.items():
            if (at := at - chance) < 0:
                return fault
        return ""


async def _message(reader: asyncio.StreamReader) -> bytes:
    """A whole request or answer, whose length its header tells."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)
