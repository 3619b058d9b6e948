"""Keeps claims ready for a worker whose tasks are shorter than a trip to Redis. None of them waits behind a long one.

Up to `most` tasks are claimed beside the one that runs, and each completion is sent without waiting for its answer. For
each claim a ticket lies on a shelf, which the worker takes before it begins what it claimed. When the running task turns out
long, maintenance takes the tickets and puts the claims back: whoever has a ticket has the claim alone, so no task runs twice
for being claimed early.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from taskq.errors import LeaseLost, QueueUnavailable
from taskq.queue.ahead import Answer, Completion, Stream
from taskq.queue.putback import put_back
from taskq.queue.queue import Queue
from taskq.shelf import Shelf, Ticket
from taskq.task import Attempt, Released, Verdict
from taskq.worker.settled import log_settled

SINGLY_S = 1.0
"""How long tasks are claimed one by one where types have limits, until it is asked again whether they still have."""

FRESH_NS = 5_000_000_000
"""What was claimed longer ago is given back instead of begun. In less time a worker runs all short tasks that it may hold.
After more it has been stopped: its lease may have ended, and others may have run what it holds."""


class Claimed(NamedTuple):
    """What came of the claim with this number; no attempt if no task was found."""

    number: int
    attempt: Attempt | None


class Ahead:
    """The claims of one worker that it has not begun. `heard` is called with each answer to a completion."""

    def __init__(self, queue: Queue, worker_id: str, most: int, shelf: Shelf, heard: Callable[[Answer], None]) -> None:
        self.queue = queue
        self.worker_id = worker_id
        self.most = most
        self.shelf = shelf
        self._heard = heard
        self._stream = Stream(queue, worker_id)
        self._claimed: deque[Claimed] = deque()
        self._waiting = 0
        self._made = 0
        self._answered = 0
        self._window = 1
        self._singly = 0
        self._singly_until = 0.0

    def next(self) -> Attempt | None:
        """The next task to run; None when none is claimed and every completion is answered. Raises LeaseLost, and
        QueueUnavailable when Redis stayed away until the worker shall end."""
        found = None
        try:
            while found is None and (self._stream.owed or self._claimed):
                while self._stream.owed and (not self._waiting or self._stream.answered()):
                    self._hear(self._stream.answer())
                found = self._take()
            if found is not None and not self._stream.owed and self._room() > 0:
                self._claim()  # the task before ended in a way that claims nothing
        except QueueUnavailable:
            self._recover(found)
        return found

    def singly(self) -> bool:
        """True for a task that shall be settled, and the next one claimed, in one trip that is waited for."""
        if self._claimed or self._stream.owed or self._may_claim():
            return False
        self._singly -= self._singly > 0
        return True

    def complete(self, done: Completion, *, more: bool) -> None:
        """Send the result of a task and, if `more` are wanted, claims in its place: one more than before while all of them
        find a task."""
        room = self._room() if more else 0
        try:
            if room > 0:
                self._lay()
            self._stream.complete(done, claim=room > 0)
            if room > 1:
                self._claim()
        except QueueUnavailable:
            self._recover()

    def give_back(self) -> None:
        """Hear every answer, and let others run what is claimed. Nothing is claimed afterwards."""
        self._singly_until = float("inf")
        try:
            while self._stream.owed:
                self._hear(self._stream.answer())
        except QueueUnavailable:
            self._recover()
        self.shelf.clear()
        self._release([claimed.attempt for claimed in self._claimed])
        self._claimed.clear()
        self._waiting = 0
        self._stream.close()

    def _room(self) -> int:
        return self._window - self._waiting - self._stream.claims if self._may_claim() else 0

    def _may_claim(self) -> bool:
        return self._singly == 0 and time.monotonic() >= self._singly_until

    def _claim(self) -> None:
        self._lay()
        self._stream.claim()

    def _lay(self) -> None:
        """Before the claim is made: from then on somebody may have to take it from us."""
        self._made += 1
        self.shelf.lay(Ticket(self._made, self.worker_id, time.monotonic_ns()))

    def _hear(self, answer: Answer) -> None:
        if answer.completion is not None:
            self._heard(answer)
        if answer.lapsed:
            raise LeaseLost(f"the lease of {self.worker_id} has lapsed")
        if not answer.claimed:
            return
        self._answered += 1
        self._claimed.append(Claimed(self._answered, answer.following))
        if answer.following is not None:
            self._waiting += 1
            self._window = min(self._window + 1, self.most)
        elif answer.again:
            self._singly_until = time.monotonic() + SINGLY_S
        else:
            self._window = 1

    def _take(self) -> Attempt | None:
        """The oldest of what is claimed whose ticket is still there, and fresh. The others go back by our hand too, as
        whoever took the tickets may have died with them: whatever comes second changes nothing."""
        found, lost = None, []
        ticket = self.shelf.take() if self._claimed else None
        while self._claimed and found is None:
            number, attempt = self._claimed.popleft()
            self._waiting -= attempt is not None
            if ticket is None or ticket.number != number:
                lost.append(attempt)
            elif attempt is not None and time.monotonic_ns() - ticket.laid_ns <= FRESH_NS:
                found = attempt
            else:
                lost.append(attempt)
                ticket = self.shelf.take() if self._claimed else None
        self._release(lost)
        return found

    def _release(self, attempts: list[Attempt | None]) -> None:
        for attempt in reversed(attempts):  # each goes to the head of its list
            if attempt is None:
                continue
            if self.queue.release(self.worker_id, attempt) is Verdict.STALE:
                self.queue.stop_done(self.worker_id, attempt.id, attempt.attempt)  # it was cancelled or deleted
            else:
                log_settled(attempt, Released(), Verdict.OK, 0.0)

    def _recover(self, following: Attempt | None = None) -> None:
        """After an error. A claim whose answer was lost may have started a task that lies in the worker's list and has no
        ticket any more, so everything there goes back, but for the task that is to run now. What the server does later still
        is found by claims one by one."""
        for answer in self._stream.recover():
            self._heard(answer)
        self.shelf.clear()
        if following is None:
            put_back(self.queue, self.worker_id)
            self.queue.stop_done(self.worker_id)  # what was cancelled or deleted meanwhile does not begin here
        else:
            put_back(self.queue, self.worker_id, following.id, following.attempt)
        self._claimed.clear()
        self._waiting = 0
        self._made = self._answered = 0
        self._window = 1
        self._singly = 2 * self.most
