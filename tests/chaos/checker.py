"""Counts, from files alone, what came of the tasks of one phase: lost, unexpected, run more than once, recovered.

Each task must be explained: how it ended by its type and by the deaths under it, each attempt beyond the first by a fault
that hit the one before. What is not explained is a finding.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

import msgspec

from .logs import Logs
from .plan import Leases
from .recovery import Recovery, recoveries
from .seen import Final, Seen, value_of
from .stage import Evidence

MAX_CRASHES = 3
HITS = ("kill", "stop", "lost", "frozen")
"""What may cost a worker its task."""


class Tally(msgspec.Struct, kw_only=True):
    """What one phase came to. Lists hold one sentence for each finding."""

    phase: str
    seconds: float
    faults: dict[str, int]
    answers: dict[int, int]
    accepted: int
    completed: int
    failed: int
    runs: int
    lost: list[str]
    unexpected: list[str]
    overwritten: list[str]
    duplicates: int
    unexplained: list[str]
    doubled: list[str]
    keys: int
    refused: int
    unlogged: int
    lapsed: int
    exits: list[str]
    poison_runs: int
    recoveries: list[Recovery]
    rates: dict[str, float]
    failures: list[str]


def check(evidence: Evidence) -> Tally:
    """Count one phase."""
    seen, logs = Seen(evidence.seen), Logs(evidence.seen)
    tasks = [seen.finals[task_id] for task_id in seen.accepted if task_id in seen.finals]
    statuses = Counter(task.status for task in tasks)
    runs = Counter(start.id for start in seen.starts)
    poison_runs = [runs[task_id] for task_id, type_ in seen.accepted.items() if type_ == "poison"]
    stale, unlogged = _refused(seen, logs)
    hit, lapsed = _hit(seen, logs, evidence)
    repeats = _Repeats(seen, logs, hit)
    return Tally(
        phase=evidence.phase,
        seconds=evidence.seconds,
        faults=_faults(seen),
        answers=seen.answers,
        accepted=len(seen.accepted),
        completed=statuses["completed"],
        failed=statuses["failed"],
        runs=len(seen.starts),
        lost=_lost(seen),
        unexpected=[text for task in tasks for text in _unexpected(task, seen, repeats.deaths(task.id))],
        overwritten=[text for task in tasks for text in _overwritten(task, seen)],
        duplicates=sum(max(0, runs[t.id] - 1 - t.retries) for t in tasks if seen.accepted[t.id] != "poison"),
        unexplained=[text for task in tasks for text in repeats.unexplained(task)],
        doubled=_doubled(seen),
        keys=len(seen.posted),
        refused=stale,
        unlogged=unlogged,
        lapsed=len(lapsed),
        exits=_exits(seen, logs, hit),
        poison_runs=max(poison_runs, default=0),
        recoveries=recoveries(seen, logs, evidence.leases.silence_s),
        rates=_rates(seen),
        failures=evidence.failures,
    )


def _faults(seen: Seen) -> dict[str, int]:
    """Faults that hit, by kind and place; what only follows from another one is left out."""
    counted = Counter(f"{f.kind} {f.place}" for f in seen.faults if f.kind in ("kill", "stop", "drop"))
    counted.update(f"{f.kind} {f.place}" for f in seen.faults if f.kind == "down")
    return dict(sorted(counted.items()))


def _lost(seen: Seen) -> list[str]:
    lost = []
    for task_id in seen.accepted:
        final = seen.finals.get(task_id)
        if final is None:
            lost.append(f"{task_id}: accepted, and now there is no such task")
        elif final.status not in ("completed", "failed", "cancelled"):
            lost.append(f"{task_id}: accepted, and still {final.status} at the end")
    return lost


def _unexpected(task: Final, seen: Seen, deaths: int) -> list[str]:
    """Final states and counters that the type and the faults do not lead to."""
    poison = seen.accepted[task.id] == "poison"
    if task.status == "completed" and not poison:
        # each attempt before the last ended in a crash or in a retry, and was counted once
        counted = task.attempt == task.crashes + task.retries + 1
        return [] if counted else [f"{task.id}: {task.attempt} attempts, {task.crashes} crashes, {task.retries} retries"]
    crashed = task.status == "failed" and task.cause == "crash" and task.crashes == MAX_CRASHES
    if crashed and (poison or (task.attempt == task.crashes + task.retries and deaths >= MAX_CRASHES)):
        return []
    if task.status in ("completed", "failed", "cancelled"):
        return [f"{task.id}: a {seen.accepted[task.id]} ended {task.status} ({task.cause}) after {task.crashes} crashes"]
    return []


def _overwritten(task: Final, seen: Seen) -> list[str]:
    """A result that is not the one of the attempt that the record names: an older attempt was let in."""
    if task.status != "completed":
        return []
    if task.of_attempt != task.attempt or task.value != value_of(task.id, task.attempt):
        return [f"{task.id}: attempt {task.attempt} bears the result of attempt {task.of_attempt}"]
    if seen.accepted[task.id] != "noop" and seen.ends.get((task.id, task.attempt)) != "ok":
        return [f"{task.id}: attempt {task.attempt} is completed and no handler ended it"]
    return []


def _doubled(seen: Seen) -> list[str]:
    """Idempotency keys that led to more or less than one task, and tasks that no answer has told of."""
    found, told = [], set()
    for key, answers in seen.posted.items():
        ids = {task_id for _, task_id in answers}
        if len(ids) != 1 or not ids <= seen.stored or any(status not in (200, 201) for status, _ in answers):
            found.append(f"key {key} was answered {answers}")
        told |= ids
    if seen.posted:
        found += [f"{task_id}: stored, and no answer has told of it" for task_id in sorted(seen.stored - told)]
    return found + [f"key {key} with another body: {status}" for key, status in seen.others.items() if status != 422]


class _Repeats:
    """Explains attempts beyond the first."""

    def __init__(self, seen: Seen, logs: Logs, hit: set[int]) -> None:
        self._hit = hit
        self._ends = seen.ends
        self._starts: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for start in seen.starts:
            self._starts[start.id][start.attempt].append(start.pid)
        self._hits_of = Counter(fault.id for fault in seen.faults if fault.place == "P4" and fault.kind in HITS)
        self._taken = Counter(reaped.id for reaped in logs.reaped if reaped.pid in self._hit)
        self._reaped = {(reaped.id, reaped.attempt): reaped.pid for reaped in logs.reaped}
        # where a whole service died, its log may lack the last words
        self._lost = any(fault.kind == "lost" for fault in seen.faults)

    def deaths(self, task_id: str) -> int:
        """How often a worker was hit that had started this task."""
        return self._taken[task_id]

    def unexplained(self, task: Final) -> list[str]:
        """One sentence for each attempt that no fault accounts for."""
        starts = self._starts[task.id]
        found = [f"{task.id}: attempt {n} was started {len(pids)} times" for n, pids in starts.items() if len(pids) > 1]
        found += [f"{task.id}: attempt {n} ran, the record knows {task.attempt}" for n in starts if n > task.attempt]
        unstarted = self._hits_of[task.id]
        for n in range(1, task.attempt):
            if n in starts:
                explained = starts[n][0] in self._hit or self._ends.get((task.id, n)) == "raise"
            else:
                explained = unstarted > 0 or self._reaped.get((task.id, n), 0) in self._hit or self._lost
                unstarted -= 1
            if not explained:
                found.append(f"{task.id}: no fault explains why attempt {n} was not the last")
        return found


def _refused(seen: Seen, logs: Logs) -> tuple[int, int]:
    """Writes of resumed workers that were refused, and how many of them left no word in the log: the worker lived to send
    its write, and ended by itself because its lease was lost."""
    logged = Counter(logs.stale)
    resumed = {fault.pid for fault in seen.faults if fault.kind == "cont"}
    held = {fault.pid for fault in seen.faults if fault.kind == "stop"}
    silent = {exit_.pid for exit_ in logs.exits if exit_.code} & resumed & held
    unlogged = sum(1 for pid in silent if not logged[pid])
    return sum(logged.values()) + unlogged, unlogged


def _hit(seen: Seen, logs: Logs, evidence: Evidence) -> tuple[set[int], set[int]]:
    """Workers that something was done to, and those among them that only a busy machine was too slow for: with shortened
    leases a worker may miss its renewals, with the defaults it must not."""
    hit = {fault.pid for fault in seen.faults if fault.kind in HITS}
    hit |= {start.pid for start in seen.starts if seen.accepted.get(start.id) == "poison"}
    lapsed = logs.lapsed - hit - {0} if evidence.leases.lease < Leases().lease else set()
    return hit | lapsed, lapsed


def _exits(seen: Seen, logs: Logs, hit: set[int]) -> list[str]:
    """Ends of processes that nobody caused."""
    found = [f"worker {e.pid} ended: {e.signal or e.code}" for e in logs.exits if not e.clean and e.pid not in hit]
    struck = Counter(fault.place for fault in seen.faults if fault.kind == "down")
    found += [f"{name} ended {n} times, {struck[name]} by us" for name, n in logs.daemon_exits.items() if n > struck[name]]
    return found + [f"{logs.tracebacks} tracebacks in stderr"] * bool(logs.tracebacks)


def _rates(seen: Seen) -> dict[str, float]:
    """Tasks ended per second between two marks, by the first one's name."""
    marks = [fault for fault in seen.faults if fault.kind == "mark"]
    rates = {}
    for first, last in itertools.pairwise(marks):
        ended = sum(1 for at in seen.end_times if first.at <= at < last.at)
        rates[first.place] = ended / (last.at - first.at)
    return rates
