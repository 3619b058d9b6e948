"""What the counters say about one type over all queues: how its attempts ended and how long they ran. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET

from taskq.api.shapes import Durations, Timings
from taskq.queue.stats import BOUNDS_S, Counted, Runs


def timings(counts: Iterable[Counted], type_: str) -> Timings:
    """The members `attempts` (by outcome) and `durations` of a type; nothing when no attempt of it has ended."""
    attempts: dict[str, int] = {}
    total = Runs()
    for found in counts:
        for (outcome, name), number in found.attempts().items():
            if name == type_:
                attempts[outcome] = attempts.get(outcome, 0) + number
        for (_, name), runs in found.runs.items():
            if name == type_:
                total.add(runs)
    if not total.count:
        return Timings(attempts=attempts or UNSET)
    durations = Durations(
        mean_s=round(total.sum_s / total.count, 6),
        p50_s=round(quantile(total, 0.5), 6),
        p95_s=round(quantile(total, 0.95), 6),
    )
    return Timings(attempts=attempts, durations=durations)


def quantile(runs: Runs, share: float) -> float:
    """The duration in seconds that this share of the attempts did not exceed, as Prometheus estimates it: evenly spread in
    its bucket, and the highest bound for what lies above."""
    rank, below, lower = share * runs.count, 0, 0.0
    for bound, count in zip(BOUNDS_S, runs.buckets, strict=False):
        if count and below + count >= rank:
            return lower + (bound - lower) * (rank - below) / count
        below, lower = below + count, float(bound)
    return lower
