"""Keeps claims ready for a worker whose tasks are shorter than a trip to Redis. None of them waits behind a long one.

Up to `most` tasks are claimed beside the one that runs; results are sent several at a time, with claims in their place, and
no answer is waited for. What is not sent yet lies on a tray, from which maintenance stores it when the running task turns
out long or the worker has died. For each claim a ticket lies on a shelf, which the worker takes before it begins what it
claimed. When the running task turns out long, maintenance takes the tickets and puts the claims back: whoever has a ticket
has the claim alone, so no task runs twice for being claimed early.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from taskq.errors import LeaseLost, QueueUnavailable
from taskq.queue.ahead import Completion, Stream
from taskq.queue.putback import put_back
from taskq.shelf import Shelf, Ticket
from taskq.task import Attempt, Released, Verdict
from taskq.tray import Tray, Unsent
from taskq.worker.settled import log_settled

SINGLY_S = 1.0
"""How long tasks are claimed one by one where types have limits, until it is asked again whether they still have."""

FRESH_NS = 5_000_000_000
"""What was claimed longer ago is given back instead of begun. In less time a worker runs all short tasks that it may hold.
After more it has been stopped: its lease may have ended, and others may have run what it holds."""

TINY_NS = 1_000_000
"""The result of a task that took longer is sent at once, and none is kept for longer while tasks end."""


class Claimed(NamedTuple):
    """What came of the claim with this number; no attempt if no task was found."""

    number: int
    attempt: Attempt | None


class Ahead:
    """The claims of one worker that it has not begun. `heard` is called with what became of each completion."""

    def __init__(
        self,
        stream: Stream,
        most: int,
        shelf: Shelf,
        tray: Tray,
        heard: Callable[[Completion, Verdict], None],
    ) -> None:
        self.queue = stream.queue
        self.worker_id = stream.worker_id
        self.most = most
        self.shelf = shelf
        self.tray = tray
        self._heard = heard
        self._stream = stream
        self._together = (most + 1) // 2
        self._unsent: list[Completion] = []
        self._unsent_since_ns = 0
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
            while found is None and (self._claimed or self._unsent or self._stream.owed):
                if not self._waiting and self._stream.owed:
                    self._hear()
                elif not self._waiting and self._unsent:
                    self._send(more=True)
                found = self._take()
            if found is not None and not self._unsent and not self._stream.owed and self._room() > 0:
                self._send(more=True)  # the task before ended in a way that claims nothing
        except QueueUnavailable:
            self._recover(found)
        return found

    def singly(self) -> bool:
        """True for a task that shall be settled, and the next one claimed, in one trip that is waited for."""
        if self._claimed or self._unsent or self._stream.owed or self._may_claim():
            return False
        self._singly -= self._singly > 0
        return True

    def complete(self, done: Completion, *, more: bool) -> None:
        """Keep the result of a task for a moment, or send it with the others, and with claims in their place if `more` are
        wanted. While all claims find a task, more are made than before."""
        now = time.monotonic_ns()
        if not self._unsent:
            self._unsent_since_ns = now - int(done.duration_s * 1e9)
        self._unsent.append(done)
        attempt, result, duration_s = done
        kept = self.tray.put(Unsent(self.worker_id, attempt.id, attempt.attempt, attempt.type, result, duration_s))
        tiny = now - self._unsent_since_ns < TINY_NS
        others = self._waiting or self._stream.claims
        if kept and tiny and more and others and len(self._unsent) < self._together:
            return
        try:
            self._send(more=more)
        except QueueUnavailable:
            self._recover()

    def give_back(self) -> None:
        """Send every result, hear what became of it, and let others run what is claimed. Nothing is claimed afterwards."""
        self._singly_until = float("inf")
        try:
            if self._unsent:
                self._send(more=False)
            while self._stream.owed:
                self._hear()
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

    def _send(self, *, more: bool) -> None:
        """Post the results and, if wanted, as many claims as there is room for. Their tickets are laid before: from then on
        somebody may have to take them from us."""
        room = max(self._room(), 0) if more else 0
        now = time.monotonic_ns()
        for _ in range(room):
            self._made += 1
            self.shelf.lay(Ticket(self._made, self.worker_id, now))
        unsent, self._unsent = self._unsent, []
        self._stream.post(unsent, room)
        self.tray.clear()

    def _hear(self) -> None:
        answer = self._stream.answer()
        for done, verdict in answer.ended:
            self._heard(done, verdict)
        if answer.lapsed:
            raise LeaseLost(f"the lease of {self.worker_id} has lapsed")
        if not answer.claims:
            return
        found = len(answer.claimed)
        for at in range(answer.claims):
            self._answered += 1
            self._claimed.append(Claimed(self._answered, answer.claimed[at] if at < found else None))
        self._waiting += found
        if found == answer.claims:
            self._window = min(self._window + found, self.most)
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
        for done, verdict in self._stream.recover(self._unsent):
            self._heard(done, verdict)
        self._unsent.clear()
        self.tray.clear()
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
