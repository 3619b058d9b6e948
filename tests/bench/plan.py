"""How much of everything is measured: a full run, and a quick one that only shows that the harness works."""

from __future__ import annotations

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of tasks, and durations in seconds. `share` scales what a peer is given to drain or to enqueue.

    `depths` are how many tasks stay waiting behind those that are drained, `crowds` numbers of idle workers.
    """

    share: float = 1.0
    latency: int = 300
    burn_s: float = 2.0
    depths: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    fill_limit_s: float = 60.0
    crowds: tuple[int, ...] = (1, 2, 8, 32, 128)
    crowd_s: float = 10.0
    http_s: float = 5.0
    batches: int = 50
    floor: int = 100_000


FULL = Plan()

QUICK = Plan(
    share=0.005,
    latency=5,
    burn_s=0.02,
    depths=(10, 100),
    crowds=(1, 2),
    crowd_s=0.2,
    http_s=0.2,
    batches=1,
    floor=1000,
)
