"""Claims and completions of one worker that do not wait for their answers, on a connection of their own.

A claim made here starts a task although the worker still holds others; only the oldest of what it holds can be running, and
that is what `reap` blames. After an error nothing more is posted here until `recover` was called.
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
from taskq.queue.scripts import Script, load
from taskq.task import Attempt, Verdict

_CLAIM, _COMPLETE = load("claim"), load("complete")


class Completion(NamedTuple):
    """The end of an attempt, with its result as JSON text and how long it ran."""

    attempt: Attempt
    result: bytes
    duration_s: float


class Answer(NamedTuple):
    """What became of one posted claim or completion. `claimed` tells that a claim was made, `again` that none can be made
    ahead in this queue now, `lapsed` that the lease of the worker has ended."""

    completion: Completion | None = None
    verdict: Verdict | None = None
    following: Attempt | None = None
    claimed: bool = False
    again: bool = False
    lapsed: bool = False


class Posted(NamedTuple):
    """What was sent and not answered yet."""

    completion: Completion | None
    claims: bool


class Stream:
    """Posts for one worker, answered in the order in which they were made. One thread only."""

    def __init__(self, queue: Queue, worker_id: str) -> None:
        self.queue = queue
        self.worker_id = worker_id
        self._posted: deque[Posted] = deque()
        self._line: Line | None = None

    @property
    def owed(self) -> int:
        """How many answers have not been read."""
        return len(self._posted)

    @property
    def claims(self) -> int:
        """How many of those may bring a task."""
        return sum(posted.claims for posted in self._posted)

    def claim(self) -> None:
        """Ask for another task. Raises QueueUnavailable, QueueRefused or QueueFull, as all calls here do."""
        self._post(_CLAIM, Posted(None, True), self.queue.claim_keys(self.worker_id), [self.worker_id, "1"])

    def complete(self, done: Completion, *, claim: bool) -> None:
        """Store the result of an attempt and, if asked, claim another task in the same trip."""
        keys = self.queue.complete_keys(self.worker_id)
        args = [self.worker_id, done.attempt.id, done.attempt.attempt, done.result, "ahead" if claim else "0"]
        self._post(_COMPLETE, Posted(done, claim), keys, args)

    def answered(self) -> bool:
        """True when `answer` would not block."""
        try:
            return self._line is not None and self._line.has_reply()
        except (RedisError, OSError) as error:
            raise translate(error) from error

    def answer(self) -> Answer:
        """The next answer; blocks for it."""
        if self._line is None:
            raise QueueUnavailable("nothing has been posted")
        try:
            reply = self._line.take()
        except (RedisError, OSError) as error:
            raise translate(error) from error
        completion, claims = self._posted.popleft()
        verdict = None
        if completion is not None:
            verdict, reply = Verdict(reply[0].decode()), reply[1:]
        if not claims:
            return Answer(completion, verdict)
        try:
            following = self.queue.claimed(self.worker_id, reply)
        except LeaseLost:
            return Answer(completion, verdict, lapsed=True)  # what was stored must be told first
        return Answer(completion, verdict, following, claimed=True, again=reply[0] == b"again")

    def recover(self) -> list[Answer]:
        """After an error: store what was completed, with the patience of the queue, and tell what became of it.

        A claim whose answer was lost may have started a task: it lies in the worker's list, where `Queue.claim` finds it.
        """
        self.close()
        left = [posted.completion for posted in self._posted if posted.completion is not None]
        answers = []
        for done in left:
            verdict, _ = self.queue.complete(self.worker_id, done.attempt, done.result)
            answers.append(Answer(done, verdict))
        self._posted.clear()
        return answers

    def close(self) -> None:
        """Drop the connection."""
        if self._line is not None:
            self._line.drop()
            self._line = None

    def _post(self, script: Script, posted: Posted, keys: Sequence[str], args: list[object]) -> None:
        self._posted.append(posted)
        try:
            if self._line is None:
                self._line = self.queue.link.line()
                for known in (_CLAIM, _COMPLETE):
                    self._line.know(known)
            self._line.ask(evalsha(script, keys, args))
        except (RedisError, OSError) as error:
            raise translate(error) from error
