"""Which thread reads and writes, and which answers: a short request is answered by the thread that has read it.

To hand a request to another thread and to be woken when that has answered costs more than most requests do: between two
threads each system call hands the interpreter over. So what is short is answered between two rounds of reading and writing.
That must not keep all others waiting, however slow Redis is: there are two threads for these rounds, and while one has the
turn the other one watches it, and takes the turn over once a request has kept it. Where answers are often slow, and for
what may be long, there are the threads of the dispatcher.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from taskq.api.threads import Dispatcher

STALL_S = 0.005
"""A request that has kept the reading thread for so long, and at most twice that, loses it the turn."""

SLOW_S = 0.0004
"""Answers that take longer than this on average wait, for Redis or a processor, rather than work: several at once are
quicker."""

SEVERAL = 128
"""So many answers are taken together, and twice in a row, to tell: others may have needed the processor for a moment."""

APART_S = 2.0
"""For how long requests are then left to the dispatcher."""

SHORT_BYTES = 1 << 14
"""The largest body of a short request."""

_SHORT = re.compile(r"POST /tasks|GET /tasks/[^/]+")


class Pace:
    """How long answers took, and whether the next one is better left to others. Moments are monotonic."""

    def __init__(self) -> None:
        self._answers = 0
        self._took_s = 0.0
        self._was_slow = False
        self._apart_until = -math.inf

    def note(self, took_s: float, now: float) -> None:
        """Take note of an answer."""
        self._answers += 1
        self._took_s += took_s
        if self._answers == SEVERAL:
            slow = self._took_s > SEVERAL * SLOW_S
            if slow and self._was_slow:
                self._apart_until = now + APART_S
            self._was_slow, self._answers, self._took_s = slow, 0, 0.0

    def is_good(self, now: float) -> bool:
        """True while answers are quick enough to be given one after the other."""
        return now >= self._apart_until


class Turns:
    """Two threads that take turns. `wake` ends a wait for the sockets, from any thread."""

    def __init__(self, dispatcher: Dispatcher, wake: Callable[[], None]) -> None:
        self._dispatcher = dispatcher
        self._wake = wake
        self._pace = Pace()
        self._lock = threading.Lock()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._over = threading.Event()
        self._failure: BaseException | None = None
        self._due: deque[Any] = deque()
        # written under the lock
        self._turn: int | None = None
        self._watched = False
        self._asleep = False  # the one who watches, while nothing is answered
        self._answering = False
        self._answers = 0
        self._ending = False

    def run(self, step: Callable[[], bool], last: Callable[[], None]) -> None:
        """Run `step`, which reads and writes once, until it returns False; then `last`, during which everything is left to
        the dispatcher. Whatever they raise is raised here."""
        for number in range(2):
            threading.Thread(target=self._take_turns, args=(step, last), name=f"turn-{number}", daemon=True).start()
        self._over.wait()
        if self._failure is not None:
            raise self._failure

    def add(self, channel: Any) -> None:
        """Have the first request of a channel answered."""
        with self._lock:
            mine = self._watched and not self._ending and self._has_turn() and self._pace.is_good(time.monotonic())
            mine = mine and is_short(channel.requests[0])
            if mine:
                self._due.append(channel)
        if not mine:
            self._dispatcher.add_task(channel)

    def wake(self) -> None:
        """Have all connections looked at anew. Whoever has the turn will do so anyway."""
        if not self._has_turn():
            self._wake()

    def _has_turn(self) -> bool:
        return self._turn == threading.get_ident()

    def _take_turns(self, step: Callable[[], bool], last: Callable[[], None]) -> None:
        with self._lock:
            if self._turn is None:
                self._turn = threading.get_ident()
        try:
            while not self._over.is_set():
                if self._has_turn():
                    self._lead(step, last)
                else:
                    self._watch()
        except BaseException as error:
            self._failure = error
            self._end()

    def _lead(self, step: Callable[[], bool], last: Callable[[], None]) -> None:
        while step():
            while self._due:
                if not self._answer(self._due.popleft()):
                    return
        with self._lock:
            self._ending = True
            left, self._due = self._due, deque()
        for channel in left:  # read in the very round that was the last one
            self._dispatcher.add_task(channel)
        last()
        self._end()

    def _answer(self, channel: Any) -> bool:
        """False when it has cost us the turn."""
        with self._lock:
            self._answering = True
            self._answers += 1
            asleep, self._asleep = self._asleep, False
        if asleep:
            self._bell.put(None)
        began = time.monotonic()
        self._dispatcher.serve(channel)
        now = time.monotonic()
        with self._lock:
            if not self._has_turn():
                return False
            self._answering = False
        self._pace.note(now - began, now)
        return True

    def _watch(self) -> None:
        """Returns when the turn is ours, or everything over."""
        with self._lock:
            self._watched = self._asleep = True
        self._bell.get()
        while not self._over.is_set():
            seen = self._answers
            time.sleep(STALL_S)
            with self._lock:
                if self._answers != seen:
                    continue
                if self._answering:
                    left = self._take_over()
                    break
                self._asleep = True
            self._bell.get()
        else:
            return
        for channel in left:
            self._dispatcher.add_task(channel)

    def _take_over(self) -> deque[Any]:
        """Take the turn, without anybody to watch us; what the other one had still to answer."""
        self._turn = threading.get_ident()
        self._watched = self._answering = False
        left, self._due = self._due, deque()
        return left

    def _end(self) -> None:
        self._over.set()
        self._bell.put(None)


def is_short(request: Any) -> bool:
    """Whether a request is answered without a wait but for Redis, and soon: one task is submitted or shown."""
    return (
        request.error is None
        and not request.query
        and not request.chunked
        and request.content_length <= SHORT_BYTES
        and "PREFER" not in request.headers
        and _SHORT.fullmatch(f"{request.command} {request.path}") is not None
    )
