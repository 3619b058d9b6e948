"""How long it took until work went on after a fault, from what the processes saw."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator

import msgspec

from .logs import Logs
from .seen import Fault, Seen

DEATH_S = 2.0
BACK_S = 5.0
GONE_S = 1.0
DAEMONS = {"api": DEATH_S, "broker": DEATH_S, "redis": BACK_S}
"""Bounds by what was killed: until a task is accepted again (API) or started again; for Redis from its return."""

ON_THEIR_WAY_S = 0.05
"""So old is an answer or a claim that was sent before its sender was killed."""

STAMPED_WITHIN_S = 0.25
"""So late a fault may be noted on a busy machine; its task may run again before."""

PROMPT_S = 1.0
"""A task of an idle service that starts later than this went to somebody who could not start it."""


class Recovery(msgspec.Struct, frozen=True):
    """One recovery: of what, how long it took and how long it may take."""

    kind: str
    seconds: float
    bound_s: float


def recoveries(seen: Seen, logs: Logs, silence_s: float) -> list[Recovery]:
    """Every recovery of a phase."""
    found = list(_Reruns(seen, logs, silence_s).all())
    for fault in seen.faults:
        if fault.kind == "down" and fault.place in DAEMONS:
            found += _service_back(seen, fault)
        if fault.kind == "gone":
            down = max((f.at for f in seen.faults if f.kind == "down" and f.at < fault.at), default=fault.at)
            found.append(Recovery("end of all with supervisor", fault.at - down, GONE_S))
    return found


def _service_back(seen: Seen, down: Fault) -> Iterator[Recovery]:
    ups = [f.at for f in seen.faults if f.kind == "up" and f.place == down.place and f.at > down.at]
    since = min(ups, default=down.at)
    signs = sorted(seen.accepted_at.values()) if down.place == "api" else [start.at for start in seen.starts]
    back = next((at for at in signs if at > since + ON_THEIR_WAY_S), None)
    if back is not None:
        yield Recovery(f"work after {down.place}", back - since, DAEMONS[down.place])


class _Reruns:
    """From a fault of a worker to the next start of the task that it held, in another worker."""

    def __init__(self, seen: Seen, logs: Logs, silence_s: float) -> None:
        self._seen = seen
        self._silence_s = silence_s
        self._signs: dict[str, list[tuple[float, int]]] = defaultdict(list)
        """By task, when and in which process it was seen to be started."""
        for start in seen.starts:
            self._signs[start.id].append((start.at, start.pid))
        for fault in seen.faults:
            if fault.kind in ("kill", "stop") and fault.place in ("P4", "P5"):
                self._signs[fault.id].append((fault.at, fault.pid))
        for signs in self._signs.values():
            signs.sort()
        self._last: dict[int, list[tuple[float, str]]] = defaultdict(list)
        for start in seen.starts:
            self._last[start.pid].append((start.at, start.id))
        self._reaped: dict[int, list[str]] = defaultdict(list)
        for reaped in logs.reaped:
            self._reaped[reaped.pid].append(reaped.id)
        self._restarts = [fault.at for fault in seen.faults if fault.kind == "up" and fault.place == "supervisor"]

    def all(self) -> Iterator[Recovery]:
        """One for each task that was run again after a fault."""
        stopped = {fault.pid for fault in self._seen.faults if fault.kind == "stop"}
        yield from self._hidden()
        for fault in self._seen.faults:
            if fault.kind == "kill":
                yield from self._after(fault, "death", fault.at, DEATH_S)
            elif (fault.kind == "stop" and fault.place != "P1") or (fault.kind == "frozen" and fault.pid not in stopped):
                yield from self._after(fault, "silence", fault.at, self._silence_s)
            elif fault.kind == "lost":
                up = next((at for at in self._restarts if at > fault.at), fault.at)
                yield from self._after(fault, "restart", up, DEATH_S)

    def _after(self, fault: Fault, kind: str, since: float, bound_s: float) -> Iterator[Recovery]:
        for task_id in self._held(fault):
            elsewhere = [at for at, pid in self._signs[task_id] if at > fault.at - STAMPED_WITHIN_S and pid != fault.pid]
            again = next((at for at in elsewhere if at > fault.at), elsewhere[-1] if elsewhere else None)
            if again is not None:
                yield Recovery(kind, max(0.0, again - since), bound_s)

    def _hidden(self) -> Iterator[Recovery]:
        """Tasks that went to workers which were stopped while they waited: they started late."""
        stops = [fault.at for fault in self._seen.faults if fault.kind == "stop" and fault.place == "P1"]
        if not stops:
            return
        for task_id, accepted_at in self._seen.accepted_at.items():
            started = self._signs[task_id][0][0] if self._signs[task_id] else None
            if started is not None and accepted_at > stops[0] and started - accepted_at > PROMPT_S:
                yield Recovery("silence while waiting", started - stops[0], self._silence_s)

    def _held(self, fault: Fault) -> list[str]:
        if fault.id != "-" and fault.place != "P6":
            return [fault.id]
        begun = self._last[fault.pid]
        at = bisect_right(begun, (fault.at, "~"))
        last = [begun[at - 1][1]] if at and fault.place != "P6" else []
        return list(dict.fromkeys([*last, *self._reaped[fault.pid]]))
