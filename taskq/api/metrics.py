"""GET /metrics: the fleet in the text formats of Prometheus and OpenMetrics, read from Redis at every scrape.

Every machine and every process of the API reports the same, so it is enough to scrape one; `build_info` alone is of the
process that answers.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import suppress

import falcon
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from taskq import __version__
from taskq.api.context import ApiContext
from taskq.api.describe import TEXT, Answer, Operation, describe
from taskq.errors import QueueFull, StartupError
from taskq.queue import stats
from taskq.queue.inspect import Inspector, QueueState
from taskq.queue.requests import Request, answered
from taskq.queue.stats import BOUNDS_S, Counted, Runs

OTHER = "other"
"""The type of those beyond the room that the counters have."""


class Metrics:
    """GET /metrics."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @describe(
        Operation(
            id="metrics",
            tag="service",
            summary="Read the metrics",
            answers=[
                Answer(
                    status=200,
                    description="Prometheus text, or OpenMetrics for those who accept it.",
                    shapes={TEXT: {"type": "string"}, "application/openmetrics-text": {"type": "string"}},
                )
            ],
        )
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Everything that can be measured; the Accept header chooses the format."""
        with suppress(QueueFull):  # what is new is added when there is room; a full Redis must be seen in the rest
            self._context.requests.add(self._context.inspector)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Fleet(self._context.inspector))
        encode, resp.content_type = choose_encoder(req.get_header("Accept") or "")
        resp.data = encode(registry)

    on_head = on_get


class Fleet(Collector):
    """Reads every queue under the prefix of an inspector. Raises QueueUnavailable or QueueRefused when collected."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector

    def describe(self) -> list[Metric]:
        """Nothing: registering must not read Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The families of one scrape."""
        names = self._inspector.queue_names()
        states = [self._inspector.state(name) for name in names]
        counts = {name: stats.counted(self._inspector, name) for name in names}
        yield from _depths(states)
        yield from _workers(states)
        yield from _beginnings(counts)
        yield from _attempts(counts)
        yield from _endings(counts)
        yield from _requests(answered(self._inspector))
        build = GaugeMetricFamily("taskq_build_info", "What answers this scrape.", labels=["version", "python"])
        build.add_metric([__version__, platform.python_version()], 1)
        yield build
        persistent = GaugeMetricFamily("taskq_redis_persistent", "1 while Redis keeps an append-only file, else 0.")
        persistent.add_metric([], self._persistent())
        yield persistent

    def _persistent(self) -> int:
        try:
            return 0 if self._inspector.examine().warnings else 1
        except StartupError:
            return 0


def _depths(states: list[QueueState]) -> Iterator[Metric]:
    depth = GaugeMetricFamily("taskq_queue_tasks", "Tasks in a queue, by status.", labels=["queue", "status"])
    wait = GaugeMetricFamily("taskq_queue_oldest_wait_seconds", "How long the oldest pending task waits.", labels=["queue"])
    paused = GaugeMetricFamily("taskq_queue_paused", "1 while the queue lets no task start, else 0.", labels=["queue"])
    stale = CounterMetricFamily("taskq_stale_writes", "Writes of overtaken attempts that were refused.", labels=["queue"])
    for state in states:
        for status, count in state.counts.items():
            depth.add_metric([state.queue, status], count)
        wait.add_metric([state.queue], state.oldest_wait_s or 0)
        paused.add_metric([state.queue], state.paused is not None)
        stale.add_metric([state.queue], state.stale_writes)
    yield from (depth, wait, paused, stale)


def _workers(states: list[QueueState]) -> Iterator[Metric]:
    workers = GaugeMetricFamily("taskq_workers", "Live workers, each of which runs one task at a time.", labels=["queue"])
    slots = GaugeMetricFamily(
        "taskq_worker_slots", "Tasks that live workers can run: busy are those that hold one.", labels=["queue", "state"]
    )
    lost = CounterMetricFamily("taskq_leases_lost", "Leases that ended before their worker did.", labels=["queue"])
    for state in states:
        workers.add_metric([state.queue], state.workers)
        slots.add_metric([state.queue, "busy"], state.busy)
        slots.add_metric([state.queue, "idle"], state.workers - state.busy)
        lost.add_metric([state.queue], state.leases_lost)
    yield from (workers, slots, lost)


def _requests(found: dict[Request, int]) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "taskq_api_requests",
        "Requests that the API has answered, by the template of the path (none: no path of ours, or not looked up).",
        labels=["method", "route", "code"],
    )
    for request, number in sorted(found.items()):
        requests.add_metric([request.method, request.route or "none", str(request.code)], number)
    yield requests


def _attempts(counts: dict[str, Counted]) -> Iterator[Metric]:
    labels = ["queue", "type", "outcome"]
    attempts = CounterMetricFamily("taskq_attempts", "Attempts that have ended, by outcome.", labels=labels)
    seconds = HistogramMetricFamily("taskq_attempt_duration_seconds", "How long attempts have run.", labels=labels[:2])
    for queue, found in counts.items():
        totals: dict[str, Runs] = {}
        for (outcome, type_), number in sorted(found.attempts().items()):
            attempts.add_metric([queue, type_ or OTHER, outcome], number)
        for (_, type_), runs in sorted(found.runs.items()):
            totals.setdefault(type_, Runs()).add(runs)
        for type_, total in totals.items():
            seconds.add_metric([queue, type_ or OTHER], _cumulative(total), total.sum_s)
    yield from (attempts, seconds)


def _beginnings(counts: dict[str, Counted]) -> Iterator[Metric]:
    labels = ["queue", "type"]
    enqueued = CounterMetricFamily("taskq_enqueued", "Tasks that were accepted.", labels=labels)
    waits = HistogramMetricFamily(
        "taskq_wait_seconds", "How long tasks have waited from when they could have started.", labels=labels
    )
    for queue, found in counts.items():
        for type_, number in sorted(found.enqueued.items()):
            enqueued.add_metric([queue, type_ or OTHER], number)
        for type_, total in sorted(found.waits.items()):
            waits.add_metric([queue, type_ or OTHER], _cumulative(total), total.estimate_s)
    yield from (enqueued, waits)


def _endings(counts: dict[str, Counted]) -> Iterator[Metric]:
    letters = CounterMetricFamily(
        "taskq_dead_letters", "Tasks that ended as failed, by reason.", labels=["queue", "type", "reason"]
    )
    crashes = CounterMetricFamily(
        "taskq_crashes",
        "Attempts whose process died: by signal, exit (an exit code) or silent (its lease lapsed).",
        labels=["queue", "type", "cause"],
    )
    reasons = {"expire": "expired", "bury": "crashes"}
    for queue, found in counts.items():
        for (event, type_), runs in sorted(found.runs.items()):
            if event == "fail":
                letters.add_metric([queue, type_ or OTHER, "failed"], runs.count)
        for (event, type_), number in sorted(found.ends.items()):
            if event in reasons:
                letters.add_metric([queue, type_ or OTHER, reasons[event]], number)
        for (cause, type_), number in sorted(found.deaths.items()):
            crashes.add_metric([queue, type_ or OTHER, cause], number)
    yield from (letters, crashes)


def _cumulative(runs: Runs) -> list[tuple[str, float]]:
    """The buckets as Prometheus counts them: each holds those below it too."""
    pairs = []
    total = 0
    for bound, count in zip((*map(float, BOUNDS_S), float("inf")), runs.buckets, strict=True):
        total += count
        pairs.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    return pairs
