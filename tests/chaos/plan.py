"""How long each phase lasts and how many faults must hit in it. Durations are seconds."""

from __future__ import annotations

from typing import Any

import msgspec

FULL_S = 300.0


class Leases(msgspec.Struct, frozen=True):
    """The leases that a phase runs with."""

    heartbeat: float = 3.0
    lease: float = 15.0
    reap: float = 2.0

    @property
    def silence_s(self) -> float:
        """Until the task of a silent worker must run again: the supervisor's word counts for 2 s, then the lease goes on,
        then lapsed ones are looked for, and the rest is for a busy machine. 20 s with the defaults."""
        return min(20.0, self.lease + self.reap + 5.0)

    def config(self) -> dict[str, Any]:
        """The section of the configuration."""
        return {"heartbeat": self.heartbeat, "lease": self.lease, "reap": self.reap}


SHORT_LEASES = Leases(0.3, 1.0, 0.2)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run. A phase with a quota goes on beyond its duration until the quota is reached, to twice the duration."""

    seed: int
    kills_s: float = 35.0
    kills_per_point: int = 50
    stale_s: float = 55.0
    stale_writes: int = 200
    silence: Leases = Leases()
    daemon_rounds: int = 4
    outages: int = 6
    freezes: int = 2
    freeze: Leases = Leases(0.9, 3.0, 0.5)
    posts: int = 10_000
    rate_s: float = 10.0
    calm_tasks: int = 200_000


def full(seed: int, seconds: float = FULL_S) -> Plan:
    """About `seconds` of everything; quotas shrink and grow with it."""
    scale = seconds / FULL_S
    plan = Plan(seed=seed)

    def times(number: float) -> int:
        return max(1, round(number * scale))

    return msgspec.structs.replace(
        plan,
        kills_s=plan.kills_s * scale,
        kills_per_point=times(plan.kills_per_point),
        stale_s=plan.stale_s * scale,
        stale_writes=times(plan.stale_writes),
        daemon_rounds=times(plan.daemon_rounds),
        outages=times(plan.outages),
        freezes=times(plan.freezes),
        posts=times(plan.posts),
        rate_s=max(3.0, plan.rate_s * scale),
        calm_tasks=times(plan.calm_tasks),
    )


def short(seed: int) -> Plan:
    """Every kind of fault at least once, in about 40 s."""
    return Plan(
        seed=seed,
        kills_s=5.0,
        kills_per_point=3,
        stale_s=6.0,
        stale_writes=10,
        silence=SHORT_LEASES,
        daemon_rounds=1,
        outages=1,
        freezes=1,
        freeze=SHORT_LEASES,
        posts=300,
        rate_s=3.0,
        calm_tasks=5_000,
    )
