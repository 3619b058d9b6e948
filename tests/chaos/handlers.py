"""The task types of the chaos runs. Each attempt is noted when it starts and when it ends, in a file of the process' own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from taskq import Context, Retry, task

from .seen import DIRECTORY, Journal, now, value_of

_journals: dict[int, Journal] = {}


@task("quick")
def quick(ctx: Context) -> dict[str, Any]:
    """Ends at once."""
    return _attempt(ctx, lambda: None)


@task("noop")
def noop(ctx: Context) -> dict[str, Any]:
    """Ends at once, and only its start is noted."""
    _note_start(ctx)
    return {"value": value_of(ctx.id, ctx.attempt), "attempt": ctx.attempt}


@task("busy")
def busy(ctx: Context, seconds: float = 0.01) -> dict[str, Any]:
    """Keeps a processor busy for a time of the process' own clock."""

    def work() -> None:
        until = time.process_time() + seconds
        while time.process_time() < until:
            value_of(ctx.id, ctx.attempt)

    return _attempt(ctx, work)


@task("nap")
def nap(ctx: Context, seconds: float = 0.02) -> dict[str, Any]:
    """Sleeps."""
    return _attempt(ctx, lambda: time.sleep(seconds))


@task("stumble", max_retry=1000)
def stumble(ctx: Context) -> dict[str, Any]:
    """Every odd attempt raises, every even one ends."""
    if ctx.attempt % 2 == 0:
        return _attempt(ctx, lambda: None)
    _note_start(ctx)
    _note_end(ctx, "raise")
    raise Retry("every odd attempt does", delay=0.01)


@task("chatty")
def chatty(ctx: Context, seconds: float = 0.02) -> dict[str, Any]:
    """Prints, logs and tells its progress."""

    def work() -> None:
        for step in range(10):
            print("x" * 500)
            ctx.log.info("step %d", step)
            ctx.progress(step, 10, "talking")
            time.sleep(seconds / 10)

    return _attempt(ctx, work)


@task("poison")
def poison(ctx: Context) -> None:
    """Kills its worker."""
    _note_start(ctx)
    os.kill(os.getpid(), signal.SIGKILL)


def _attempt(ctx: Context, work: Callable[[], None]) -> dict[str, Any]:
    _note_start(ctx)
    work()
    _note_end(ctx, "ok")
    return {"value": value_of(ctx.id, ctx.attempt), "attempt": ctx.attempt}


def _note_start(ctx: Context) -> None:
    _journal().note("start", ctx.id, ctx.attempt, os.getpid(), now(), f"{time.time():.3f}")


def _note_end(ctx: Context, how: str) -> None:
    _journal().note("end", ctx.id, ctx.attempt, os.getpid(), now(), f"{time.time():.3f}", how)


def _journal() -> Journal:
    pid = os.getpid()
    if pid not in _journals:
        # The number of a process may come again, its first moment does not.
        _journals[pid] = Journal(Path(os.environ[DIRECTORY]) / f"worker-{pid}-{time.monotonic_ns()}.seen")
    return _journals[pid]
