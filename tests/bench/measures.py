"""What is measured on every peer. Each function runs one peer once and returns figures by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from tests.bench import crowds, over_http
from tests.bench.environments import Environment
from tests.bench.peers import Peer
from tests.bench.plan import Plan
from tests.bench.stage import Stage, efficiency, percentile, pss_mib, rate, staged

BURNS_MS = (1, 10, 100)
PREFETCH = 16
BURN_AHEAD_MS = 1
SETTLE_S = 1.0


class Case(msgspec.Struct, frozen=True):
    """One peer to be measured."""

    peer: Peer
    environment: Environment
    binary: str
    plan: Plan

    def stage(self, **config: object) -> Stage:
        """A stage for it; close it with `contextlib.closing`, or use `staged`."""
        return Stage(self.peer, self.environment, self.binary, config)

    @property
    def tasks(self) -> int:
        """How many tasks it is given."""
        return max(20, int(self.peer.tasks * self.plan.share))


Figures = dict[str, float]


def drain(case: Case) -> Figures:
    """Tasks that wait, then two workers: tasks a second, what Redis was asked meanwhile, and what stays in it."""
    with staged(case.peer, case.environment, case.binary, {}) as stage:
        empty = stage.server.info("memory")["used_memory"]
        stage.produce("fill", case.tasks)
        stage.server.client.config_resetstat()
        stage.start()
        stage.await_records(case.tasks)
        time.sleep(SETTLE_S * min(1.0, case.plan.share))
        calls = sum(found["calls"] for found in stage.server.info("commandstats").values())
        stats = stage.server.info("stats")
        moved = stats["total_net_input_bytes"] + stats["total_net_output_bytes"]
        stored = stage.server.info("memory")["used_memory"] - empty
        return {
            "drain": rate(stage.ran()),
            "commands": calls / case.tasks,
            "moved_bytes": moved / case.tasks,
            "stored_bytes": stored / case.tasks,
        }


def ahead(case: Case) -> Figures:
    """Tasks a second that two workers drain when each may hold so many at once, and the share that handlers of 1 ms get."""
    with staged(case.peer, case.environment, case.binary, {}) as stage:
        stage.produce("fill", case.tasks)
        stage.start(prefetch=PREFETCH)
        stage.await_records(case.tasks)
        drained = rate(stage.ran())
    return {"drain_ahead": drained, "burn_ahead": burned(case, BURN_AHEAD_MS, PREFETCH)}


def enqueue(case: Case) -> Figures:
    """Tasks a second that one process enqueues, one by one and by what the peer has for many."""
    figures = {}
    for action in ("single", "bulk"):
        with staged(case.peer, case.environment, case.binary, {}) as stage:
            figures[action] = case.tasks / stage.produce(action, case.tasks)["seconds"]
    return figures


def latency(case: Case) -> Figures:
    """From just before the enqueue to the first line of the handler, workers idle, in ms."""
    with staged(case.peer, case.environment, case.binary, {}) as stage:
        stage.start()
        warm = stage.warm()
        sent = stage.produce("latency", case.plan.latency)["sent"]
        started = sorted(run.start for run in stage.ran(warm))
        waits = [(start - moment) / 1e6 for moment, start in zip(sent, started, strict=True)]
        return {"latency_p50": percentile(waits, 0.5), "latency_p99": percentile(waits, 0.99)}


def burn(case: Case) -> Figures:
    """The share of the workers' time that handlers get, when each burns 1, 10 and 100 ms, in %."""
    return {f"burn_{ms}": burned(case, ms) for ms in BURNS_MS}


def burned(case: Case, ms: int, prefetch: int = 1) -> float:
    """The share of the workers' time that handlers get, when each burns so many ms, in %.

    Everything is up by then, and stands still while the tasks are enqueued, so that neither is counted.
    """
    with staged(case.peer, case.environment, case.binary, {}) as stage:
        count = max(6, int(2 * case.plan.burn_s * 1000 / ms))
        stage.start(prefetch=prefetch)
        warm = stage.warm()
        time.sleep(SETTLE_S * min(1.0, case.plan.share))
        with stage.stopped():
            stage.produce("fill", count, ms)
        stage.await_records(warm + count)
        return efficiency(stage.ran(warm), ms)


def memory(case: Case) -> Figures:
    """The proportional set size of everything that runs to serve two idle workers, without Redis, in MiB."""
    with staged(case.peer, case.environment, case.binary, {}) as stage:
        stage.start()
        stage.warm()
        return {"memory": pss_mib(stage.tree())}


def depth(case: Case) -> Figures:
    """Tasks a second when many others wait behind; a peer that fills its queue too slowly is left out."""
    figures = {}
    seconds_each = 0.0
    for deep in case.plan.depths:
        if seconds_each * deep > case.plan.fill_limit_s:
            break
        with staged(case.peer, case.environment, case.binary, {}) as stage:
            began = time.monotonic()
            stage.produce("fill", case.tasks // 2 + deep)
            seconds_each = (time.monotonic() - began) / (case.tasks // 2 + deep)
            stage.start()
            stage.await_records(case.tasks // 2)
            figures[f"depth_{deep}"] = rate(stage.ran()[: case.tasks // 2])
    return figures


MEASURES: Mapping[str, Callable[[Case], Figures]] = MappingProxyType(
    {
        "drain": drain,
        "ahead": ahead,
        "enqueue": enqueue,
        "latency": latency,
        "burn": burn,
        "memory": memory,
        "depth": depth,
        "crowd": lambda case: crowds.crowd(case.stage, case.plan),
        "http": lambda case: over_http.requests(case.stage, case.plan),
        "start": lambda case: over_http.first_post(case.stage),
    }
)

ONLY: Mapping[str, frozenset[str]] = MappingProxyType(
    {"ahead": frozenset({"taskq", "floor"}), **dict.fromkeys(("crowd", "http", "start"), frozenset({"taskq"}))}
)
"""What is measured on these peers alone."""
