"""The memory that the supervisor shares with its children: one slot for each worker, and the flags of the service.

Made before the first fork. In a slot, the worker writes what it does and the supervisor writes what it wants; no field has
two writers. Fields are aligned machine words, so a reader sees an old or a new value, never half of one; a reader that
needs several fields of one attempt compares the serial number before and after. Moments are monotonic, in nanoseconds.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import time

import msgspec

from taskq.shelf import Shelf
from taskq.supervisor.words import WORD_BYTES, Word
from taskq.tray import TRAY_BYTES, Tray
from taskq.worker.control import State, StopReason

_TEXT = 128


class _SlotMemory(ctypes.Structure):
    _fields_ = [
        # written by the worker
        ("serial", ctypes.c_uint64),
        ("pid", ctypes.c_uint64),
        ("state", ctypes.c_uint64),
        ("attempt", ctypes.c_uint64),
        ("started_ns", ctypes.c_uint64),
        ("deadline_ns", ctypes.c_uint64),
        ("memory_limit", ctypes.c_uint64),
        ("tasks_done", ctypes.c_uint64),
        ("child", ctypes.c_uint64),
        ("task_id", ctypes.c_char * _TEXT),
        ("type", ctypes.c_char * _TEXT),
        # written by the supervisor
        ("stop_serial", ctypes.c_uint64),
        ("stop_reason", ctypes.c_uint64),
        ("vouched_ns", ctypes.c_uint64),
        ("drain", ctypes.c_uint64),
        ("resident", ctypes.c_uint64),
    ]


class _FlagMemory(ctypes.Structure):
    _fields_ = [("draining", ctypes.c_uint64), ("stop_now", ctypes.c_uint64), ("ready", ctypes.c_uint64)]


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that a worker runs. `deadline_ns` and `memory_limit_bytes` 0: no limit."""

    serial: int
    task_id: str
    type: str
    attempt: int
    started_ns: int
    deadline_ns: int
    memory_limit_bytes: int


class Board:
    """Slots for at most `size` workers at a time, and the flags of the whole service. With `shelves`, workers may claim
    ahead."""

    def __init__(self, size: int, *, shelves: bool = False) -> None:
        self.size = size
        self.shelves = shelves
        flags, slot = ctypes.sizeof(_FlagMemory), ctypes.sizeof(_SlotMemory)
        tray = TRAY_BYTES if shelves else 0
        self._memory = mmap.mmap(-1, flags + size * (slot + WORD_BYTES + tray))
        self._flags = _FlagMemory.from_buffer(self._memory, 0)
        words = flags + size * slot
        trays = words + size * WORD_BYTES
        self._slots = [
            Slot(
                _SlotMemory.from_buffer(self._memory, flags + i * slot),
                Word(self._memory, words + i * WORD_BYTES),
                self,
                Shelf() if shelves else None,
                Tray(self._memory, trays + i * tray) if shelves else None,
            )
            for i in range(size)
        ]

    def slot(self, index: int) -> Slot:
        """The slot of one worker; its number stays, its occupant changes."""
        return self._slots[index]

    @property
    def draining(self) -> bool:
        """True once nothing new is accepted or claimed."""
        return bool(self._flags.draining)

    @draining.setter
    def draining(self, value: bool) -> None:
        self._flags.draining = int(value)

    @property
    def stop_now(self) -> bool:
        """True once even waiting for Redis must end."""
        return bool(self._flags.stop_now)

    @stop_now.setter
    def stop_now(self, value: bool) -> None:
        self._flags.stop_now = int(value)

    @property
    def ready(self) -> bool:
        """True once Redis was found fit and workers may be forked; written by maintenance."""
        return bool(self._flags.ready)

    @ready.setter
    def ready(self, value: bool) -> None:
        self._flags.ready = int(value)


class Slot:
    """One worker's slot. The first half implements the worker's `Control`, the second half is the supervisor's."""

    def __init__(
        self, memory: _SlotMemory, word: Word, board: Board, shelf: Shelf | None = None, tray: Tray | None = None
    ) -> None:
        self.shelf = shelf
        self.tray = tray
        self._memory = memory
        self._word = word
        self._board = board
        self.progress = word.say
        self.told = word.read

    # -- the worker's side

    def report(self, state: State) -> None:
        """Say what this worker is doing now."""
        self._memory.pid = os.getpid()
        self._memory.state = state

    def begin(
        self, task_id: str, type_: str, attempt: int, *, timeout_s: float | None, memory_limit_bytes: int | None
    ) -> int:
        """Say that an attempt runs from now on. The serial number is written last: with it the rest is valid."""
        now = time.monotonic_ns()
        self._word.clear()
        memory = self._memory
        memory.task_id = task_id.encode()[: _TEXT - 1]
        memory.type = type_.encode()[: _TEXT - 1]
        memory.attempt = attempt
        memory.started_ns = now
        memory.deadline_ns = now + int(timeout_s * 1e9) if timeout_s else 0
        memory.memory_limit = memory_limit_bytes or 0
        memory.serial += 1
        memory.state = State.RUNNING
        return int(memory.serial)

    def isolated(self, pid: int) -> None:
        """Say which child of this worker runs the attempt; 0: it has ended."""
        self._memory.child = pid

    def stopping(self) -> bool:
        """True once the running attempt shall stop."""
        return bool(self._memory.stop_serial == self._memory.serial)

    def settling(self) -> None:
        """Say that the attempt has ended and is being written."""
        self._memory.state = State.SETTLING

    def end(self) -> None:
        """Say that the attempt is settled."""
        self._memory.tasks_done += 1
        self._memory.state = State.IDLE

    def stop_order(self) -> tuple[int, StopReason]:
        """The serial number of the attempt to interrupt, and why."""
        return int(self._memory.stop_serial), StopReason(self._memory.stop_reason)

    def draining(self) -> bool:
        """True once this worker, or every worker, shall claim no more."""
        return bool(self._memory.drain) or self._board.draining

    def stop_now(self) -> bool:
        """True once even waiting for Redis must end."""
        return self._board.stop_now

    def may_give_up(self) -> bool:
        """True once the worker need not wait for Redis any longer: at once when it shall claim no more and holds nothing."""
        return self.stop_now() or (self.draining() and self.running() is None)

    # -- the supervisor's side

    def reset(self) -> None:
        """Make the slot ready for a new worker."""
        ctypes.memset(ctypes.addressof(self._memory), 0, ctypes.sizeof(self._memory))
        if self.shelf is not None:
            self.shelf.clear()
        if self.tray is not None:
            self.tray.clear()

    @property
    def state(self) -> State:
        """What the worker said last."""
        return State(self._memory.state)

    @property
    def pid(self) -> int:
        """The worker's pid; 0 before it said so."""
        return int(self._memory.pid)

    @property
    def child(self) -> int:
        """The pid of the child in which the worker isolates its attempt; 0 without."""
        return int(self._memory.child)

    @property
    def tasks_done(self) -> int:
        """Attempts settled by this worker process."""
        return int(self._memory.tasks_done)

    @property
    def serial(self) -> int:
        """The number of the attempt that this worker process began last; 0 before its first."""
        return int(self._memory.serial)

    @property
    def resident_bytes(self) -> int:
        """The size that the supervisor has seen last; 0 before it has looked."""
        return int(self._memory.resident)

    @resident_bytes.setter
    def resident_bytes(self, value: int) -> None:
        self._memory.resident = value

    def running(self) -> Running | None:
        """The attempt that the worker holds (it runs or is being settled), None between two attempts."""
        memory = self._memory
        if memory.state not in (State.RUNNING, State.SETTLING):
            return None
        serial = memory.serial
        found = Running(
            serial=serial,
            task_id=memory.task_id.decode(errors="replace"),
            type=memory.type.decode(errors="replace"),
            attempt=memory.attempt,
            started_ns=memory.started_ns,
            deadline_ns=memory.deadline_ns,
            memory_limit_bytes=memory.memory_limit,
        )
        return found if memory.serial == serial else None

    def order_stop(self, serial: int, reason: StopReason) -> None:
        """Ask the worker to interrupt the attempt with this serial number; the caller sends the signal."""
        self._memory.stop_reason = reason
        self._memory.stop_serial = serial

    def order_drain(self) -> None:
        """Ask this one worker to claim no more."""
        self._memory.drain = 1

    def vouch(self) -> None:
        """Say that the worker is alive and not stopped, now."""
        self._memory.vouched_ns = time.monotonic_ns()

    def vouched_within(self, seconds: float) -> bool:
        """True when the supervisor vouched for the worker at most `seconds` ago."""
        vouched: int = self._memory.vouched_ns
        return vouched != 0 and time.monotonic_ns() - vouched < seconds * 1e9
