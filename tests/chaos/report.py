"""The bounds of a run, and the table that shows what it came to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from .checker import MAX_CRASHES, Tally
from .dropper import CHANCES
from .phase_workers import KILL_POINTS
from .plan import Plan

SHOWN = 5
"""Findings of one kind that are printed in full."""

_MISSING = {"daemons": (0, 503), "outages": (0, 503), "posts": (0,)}
"""Answers other than 201 that the faults of a phase lead to; 0: none came."""

REST_AT_LEAST = 0.5
"""The share of their rate that other tasks keep beside a poison task."""

COLUMNS = ("phase", "s", "accepted", "completed", "failed", "runs", "twice")
FINDINGS = ("lost", "unexpected", "overwritten", "unexplained", "doubled")


class Report(msgspec.Struct, kw_only=True):
    """One run as data."""

    plan: Plan
    tallies: list[Tally]
    missed: list[str]
    seconds: float


class Times(msgspec.Struct, frozen=True):
    """Recoveries of one kind under one bound."""

    kind: str
    number: int
    p50: float
    p99: float
    p100: float
    bound_s: float


def missed(plan: Plan, tallies: Sequence[Tally]) -> list[str]:
    """Every bound that this run missed, as a sentence."""
    found = [text for tally in tallies for text in _always(tally)]
    by_phase = {tally.phase: tally for tally in tallies}
    for name, judge in _OWN.items():
        if name in by_phase:
            found += judge(plan, by_phase[name])
    return found


def times(tallies: Sequence[Tally]) -> list[Times]:
    """Recovery times by kind and bound."""
    grouped: dict[tuple[str, float], list[float]] = defaultdict(list)
    for tally in tallies:
        for recovery in tally.recoveries:
            grouped[recovery.kind, recovery.bound_s].append(recovery.seconds)
    return [
        Times(kind, len(all_), _percentile(all_, 50), _percentile(all_, 99), max(all_), bound)
        for (kind, bound), all_ in sorted(grouped.items())
    ]


def table(report: Report) -> str:
    """The run for people."""
    lines = ["", _row((*COLUMNS, *FINDINGS, "refused"))]
    for t in report.tallies:
        findings = [len(getattr(t, name)) for name in FINDINGS]
        cells = (t.phase, round(t.seconds), t.accepted, t.completed, t.failed, t.runs, t.duplicates, *findings, t.refused)
        lines.append(_row(cells))
    lines += ["", "faults that hit"]
    for t in report.tallies:
        if t.faults:
            lines.append(f"  {t.phase:9}" + ", ".join(f"{name} {number}" for name, number in t.faults.items()))
    lines += ["", f"{'recovery of, seconds':32}{'number':>8}{'p50':>8}{'p99':>8}{'p100':>8}{'bound':>8}"]
    for kind in times(report.tallies):
        numbers = f"{kind.p50:8.2f}{kind.p99:8.2f}{kind.p100:8.2f}{kind.bound_s:8.1f}"
        lines.append(f"  {kind.kind:30}{kind.number:8}{numbers}")
    lines += ["", *_extras(report.tallies)]
    for t in report.tallies:
        for name in (*FINDINGS, "exits", "failures"):
            lines += [f"  {t.phase}: {text}" for text in getattr(t, name)[:SHOWN]]
    lines += [f"MISSED {text}" for text in report.missed] or ["every bound was kept"]
    lines.append(f"seed {report.plan.seed}, {report.seconds:.0f} s")
    return "\n".join(lines)


def _extras(tallies: Sequence[Tally]) -> Iterator[str]:
    for t in tallies:
        if t.refused:
            yield f"{t.phase}: {t.refused} stale writes refused, {t.unlogged} of them without a word in the log"
        if t.rates:
            rates = ", ".join(f"{name} {rate:.0f}/s" for name, rate in t.rates.items())
            yield f"{t.phase}: other tasks {rates}; at most {t.poison_runs} runs of a poison task"
        if t.keys:
            dropped = sum(number for name, number in t.faults.items() if name.startswith("drop "))
            yield f"{t.phase}: {t.accepted} tasks for {t.keys} idempotency keys, {dropped} requests dropped"
        if t.lapsed:
            yield f"{t.phase}: {t.lapsed} workers missed the renewals of a shortened lease"
        unusual = {status: number for status, number in t.answers.items() if number}
        if unusual:
            yield f"{t.phase}: answers other than 201 (0: none came): {unusual}"


def _always(t: Tally) -> Iterator[str]:
    """What holds in every phase."""
    for name in (*FINDINGS, "exits", "failures"):
        found = getattr(t, name)
        if found:
            yield f"{t.phase}: {len(found)} {name}, 0 allowed"
    for kind in times([t]):
        if kind.p100 > kind.bound_s:
            yield f"{t.phase}: recovery of {kind.kind} took {kind.p100:.2f} s, {kind.bound_s:g} s allowed"
    allowed = _MISSING.get(t.phase, ())
    wrong = {status: n for status, n in t.answers.items() if status not in allowed}
    if wrong:
        yield f"{t.phase}: answers {wrong}"
    if not t.accepted:
        yield f"{t.phase}: no task was accepted"


def _kills(plan: Plan, t: Tally) -> Iterator[str]:
    for point in KILL_POINTS:
        hits = t.faults.get(f"kill {point}", 0)
        if hits < plan.kills_per_point:
            yield f"kills: {hits} kills in {point}, at least {plan.kills_per_point} expected"


def _stale(plan: Plan, t: Tally) -> Iterator[str]:
    if t.refused < plan.stale_writes:
        yield f"stale: {t.refused} stale writes refused, at least {plan.stale_writes} expected"
    if t.unlogged:
        yield f"stale: {t.unlogged} writes were refused without task.stale in the log, 0 allowed"


def _silence(_plan: Plan, t: Tally) -> Iterator[str]:
    kinds = {recovery.kind for recovery in t.recoveries}
    for kind in ("silence", "silence while waiting"):
        if kind not in kinds:
            yield f"silence: nothing had to be recovered from {kind}"


def _daemons(plan: Plan, t: Tally) -> Iterator[str]:
    for name in ("maintenance", "api", "broker", "supervisor"):
        hits = t.faults.get(f"down {name}", 0)
        if hits < plan.daemon_rounds:
            yield f"daemons: {hits} kills of {name}, {plan.daemon_rounds} expected"


def _outages(plan: Plan, t: Tally) -> Iterator[str]:
    if t.faults.get("down redis", 0) < plan.outages:
        yield f"outages: fewer than {plan.outages}"
    if t.duplicates:
        yield f"outages: {t.duplicates} tasks ran twice, though no worker died"
    if t.refused:
        yield f"outages: {t.refused} writes were refused, though no lease had lapsed"


def _posts(plan: Plan, t: Tally) -> Iterator[str]:
    if t.keys != plan.posts or t.accepted != plan.posts:
        yield f"posts: {t.accepted} tasks for {t.keys} keys, {plan.posts} expected"
    if t.duplicates:
        yield f"posts: {t.duplicates} tasks ran twice, though no worker died"
    for place in CHANCES:
        if not t.faults.get(f"drop {place}"):
            yield f"posts: nothing was dropped {place}"


def _freezes(_plan: Plan, t: Tally) -> Iterator[str]:
    if not any(recovery.kind == "silence" for recovery in t.recoveries):
        yield "freezes: nothing had to be recovered"


def _poison(_plan: Plan, t: Tally) -> Iterator[str]:
    if not 0 < t.poison_runs <= MAX_CRASHES:
        yield f"poison: a poison task ran {t.poison_runs} times, 1 to {MAX_CRASHES} allowed"
    share = t.rates.get("with", 0.0) / max(t.rates.get("without", 0.0), 1e-9)
    if share < REST_AT_LEAST:
        yield f"poison: other tasks kept {share:.0%} of their rate, at least {REST_AT_LEAST:.0%} expected"


def _calm(plan: Plan, t: Tally) -> Iterator[str]:
    if t.runs != plan.calm_tasks or t.duplicates:
        yield f"calm: {t.runs} runs of {plan.calm_tasks} tasks, {t.duplicates} of them repeated"


_OWN = {
    "kills": _kills,
    "stale": _stale,
    "silence": _silence,
    "daemons": _daemons,
    "outages": _outages,
    "freezes": _freezes,
    "posts": _posts,
    "poison": _poison,
    "calm": _calm,
}


def _row(cells: Sequence[object]) -> str:
    first, *rest = cells
    return f"{first!s:9}" + "".join(f"{cell!s:>12}" for cell in rest)


def _percentile(values: Sequence[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
