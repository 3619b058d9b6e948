"""What many workers cost that have nothing to do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psutil

from tests.bench.plan import Plan
from tests.bench.stage import Stage, percentile, pss_mib

UP_S = 1.0
LATENCY = 50


def crowd(stage: Callable[..., Stage], plan: Plan) -> dict[str, float]:
    """For each number of idle workers: processor time of the whole service and of Redis in % of one core, commands a second,
    ms from enqueue to start; and what one worker more takes of memory, in MiB."""
    figures: dict[str, float] = {}
    memories = []
    for workers in plan.crowds:
        with contextlib.closing(stage()) as own:
            own.start(workers)
            own.warm()
            while sum(" ".join(p.cmdline()).startswith("taskq: worker") for p in own.tree()) < workers:
                time.sleep(0.05)
            time.sleep(UP_S * min(1.0, plan.crowd_s))
            memories.append((workers, pss_mib(own.tree())))
            figures |= {f"{name}_{workers}": value for name, value in _idle(own, plan.crowd_s).items()}
            skip = own.ran_count()
            sent = own.produce("latency", min(plan.latency, LATENCY))["sent"]
            started = sorted(run.start for run in own.ran(skip))
            waits = [(start - moment) / 1e6 for moment, start in zip(sent, started, strict=True)]
            figures[f"crowd_latency_{workers}"] = percentile(waits, 0.5)
    (few, least), (many, most) = memories[0], memories[-1]
    figures["worker_mib"] = (most - least) / (many - few)
    return figures


def _idle(stage: Stage, seconds: float) -> dict[str, float]:
    server = psutil.Process(stage.server.process.pid)
    before, commands = _spent(stage.tree()), stage.server.info("stats")["total_commands_processed"]
    server_before = _spent([server])
    began = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return {
        "crowd_cpu": 100 * (_spent(stage.tree()) - before) / took,
        "crowd_redis_cpu": 100 * (_spent([server]) - server_before) / took,
        "crowd_commands": (stage.server.info("stats")["total_commands_processed"] - commands) / took,
    }


def _spent(processes: list[psutil.Process]) -> float:
    """Processor seconds that processes have used; the kernel counts them in nanoseconds."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9
