"""The results that a worker has not sent yet, in memory that it shares: they outlive it, and need not wait for it.

The worker writes between two tasks only. So whoever has seen it run one and the same task before and after the look has read
what is there; and once the worker has ended, nobody writes. To store a result twice is harmless: the second time changes
nothing.
"""

from __future__ import annotations

import mmap
import struct

import msgspec

TRAY_BYTES = 1 << 13
_USED, _LENGTH = struct.Struct("=Q"), struct.Struct("=I")


class Unsent(msgspec.Struct, frozen=True):
    """The end of an attempt: its result as JSON text, how long it ran, and whose it was."""

    worker_id: str
    task_id: str
    attempt: int
    type: str
    result: bytes
    duration_s: float


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Unsent).decode


class Tray:
    """The place at `at` in `memory`, of TRAY_BYTES."""

    def __init__(self, memory: mmap.mmap, at: int = 0) -> None:
        self._memory = memory
        self._begin = at + _USED.size
        self._end = at + TRAY_BYTES
        self._at = at
        self._next = self._begin

    def put(self, unsent: Unsent) -> bool:
        """Lay one behind the others; False when there is no room."""
        text = _encode(unsent)
        place = self._next + _LENGTH.size
        if place + len(text) > self._end:
            return False
        _LENGTH.pack_into(self._memory, self._next, len(text))
        self._memory[place : place + len(text)] = text
        self._next = place + len(text)
        _USED.pack_into(self._memory, self._at, self._next - self._begin)  # last: with it the rest is there
        return True

    def clear(self) -> None:
        """Have nothing there."""
        self._next = self._begin
        _USED.pack_into(self._memory, self._at, 0)

    def read(self) -> list[Unsent]:
        """What is there, the oldest first, if the worker has not written meanwhile. Raises nothing if it has."""
        found = []
        place = self._begin
        end = min(place + _USED.unpack_from(self._memory, self._at)[0], self._end)
        try:
            while place < end:
                text = place + _LENGTH.size
                place = text + _LENGTH.unpack_from(self._memory, place)[0]
                found.append(_decode(self._memory[text:place]))
        except (msgspec.MsgspecError, struct.error):
            return []
        return found
