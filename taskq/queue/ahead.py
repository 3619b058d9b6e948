"""Claims and completions of one worker, several in one trip, on a connection where no answer is waited for.

A claim made here starts a task although the worker still holds others. After an error nothing more is posted here until
`recover` was called.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from redis.exceptions import RedisError

from taskq.errors import LeaseLost, QueueUnavailable
from taskq.queue.connection import translate
from taskq.queue.line import Line, evalsha
from taskq.queue.queue import Queue
from taskq.queue.scripts import load
from taskq.task import Attempt, Verdict

_COMPLETE = load("complete_many")


class Completion(NamedTuple):
    """The end of an attempt, with its result as JSON text and how long it ran."""

    attempt: Attempt
    result: bytes
    duration_s: float


class Answer(NamedTuple):
    """What became of what was posted: of each completion; and of so many `claims` these tasks, the first to run first.
    `again` tells that none can be made ahead in this queue now, `lapsed` that the lease of the worker has ended."""

    ended: Sequence[tuple[Completion, Verdict]] = ()
    claims: int = 0
    claimed: Sequence[Attempt] = ()
    again: bool = False
    lapsed: bool = False


class Posted(NamedTuple):
    """What was sent and not answered yet."""

    completions: Sequence[Completion]
    claims: int


class Stream:
    """Posts for one worker, answered in the order in which they were made. One thread only."""

    def __init__(self, queue: Queue, worker_id: str) -> None:
        self.queue = queue
        self.worker_id = worker_id
        self.claims = 0
        self._posted: deque[Posted] = deque()
        self._line: Line | None = None

    @property
    def owed(self) -> int:
        """How many answers have not been read; `claims` is how many tasks they may bring."""
        return len(self._posted)

    def post(self, completions: Sequence[Completion], claims: int) -> None:
        """Store results of attempts and claim at most so many other tasks in the same trip. Raises QueueUnavailable,
        QueueRefused or QueueFull, as all calls here do."""
        self._posted.append(Posted(completions, claims))
        self.claims += claims
        args: list[object] = [self.worker_id, str(claims)]
        for attempt, result, _ in completions:
            args += (attempt.id, str(attempt.attempt), result)
        try:
            if self._line is None:
                self._line = self.queue.link.line()
                self._line.know(_COMPLETE)
            self._line.ask(evalsha(_COMPLETE, self.queue.complete_keys(self.worker_id), args))
        except (RedisError, OSError) as error:
            raise translate(error) from error

    def answer(self) -> Answer:
        """The next answer; blocks for it."""
        if self._line is None:
            raise QueueUnavailable("nothing has been posted")
        try:
            stale, state, found, expired = self._line.take()
        except (RedisError, OSError) as error:
            raise translate(error) from error
        completions, claims = self._posted.popleft()
        self.claims -= claims
        ended = [(done, Verdict.STALE if at in stale else Verdict.OK) for at, done in enumerate(completions, 1)]
        try:
            claimed = self.queue.claimed_many(self.worker_id, state, found, expired)
        except LeaseLost:
            return Answer(ended, lapsed=True)  # what was stored must be told first
        return Answer(ended, claims, claimed, again=state == b"again")

    def recover(self, unsent: Sequence[Completion] = ()) -> list[tuple[Completion, Verdict]]:
        """After an error: store what was completed, with the patience of the queue, and tell what became of it.

        A claim whose answer was lost may have started a task: it lies in the worker's list, where `Queue.claim` finds it.
        """
        self.close()
        left = [done for posted in self._posted for done in posted.completions]
        ended = []
        for done in (*left, *unsent):
            verdict, _ = self.queue.complete(self.worker_id, done.attempt, done.result)
            ended.append((done, verdict))
        self._posted.clear()
        self.claims = 0
        return ended

    def close(self) -> None:
        """Drop the connection."""
        if self._line is not None:
            self._line.drop()
            self._line = None
