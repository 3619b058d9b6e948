"""Task types whose attempts have a process of their own."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

from taskq import Context, task
from tests.system.handlers.ends import hog, swell_and_die
from tests.system.handlers.leftovers import end_children, litter, open_many, spawn, threads
from tests.system.handlers.notes import note


@task("isolated.end.children", isolation="process")
def isolated_end_children() -> list[int]:
    return end_children()


@task("isolated.nap", isolation="process")
def isolated_nap(ctx: Context, seconds: float = 0.0) -> dict[str, int]:
    note(ctx, "start")
    print("isolated")
    ctx.progress(1, 2, "napping")
    time.sleep(seconds)
    note(ctx, "end")
    return {"attempt": ctx.attempt, "pid": os.getpid(), "worker": os.getppid()}


@task("isolated.die", isolation="process")
def isolated_die(ctx: Context, number: int) -> None:
    print("last words")
    os.kill(os.getpid(), number)
    time.sleep(5)


@task("isolated.stubborn", isolation="process", timeout="500ms", max_retry=0)
def isolated_stubborn() -> None:
    ctypes.PyDLL(None).sleep(60)


@task("isolated.tidy", isolation="process", timeout="500ms", max_retry=0)
def isolated_tidy(path: str) -> None:
    try:
        time.sleep(60)
    finally:
        Path(path).write_text("tidied")


@task("isolated.hog", isolation="process", memory_limit="120MiB", max_retry=0)
def isolated_hog() -> None:
    hog()


@task("isolated.swell.and.die", isolation="process")
def isolated_swell_and_die(ctx: Context, megabytes: int, seconds: float) -> None:
    swell_and_die(ctx, megabytes, seconds)


@task("isolated.leak", isolation="process")
def isolated_leak() -> None:
    """Leaves whatever there is to be left."""
    leaked.append(bytearray(os.urandom(1 << 20) * 20))
    litter()
    threads()
    open_many()
    os.closerange(0, 64)


@task("isolated.spawn", isolation="process")
def isolated_spawn(seconds: float = 0.0) -> list[int]:
    return spawn(seconds)


leaked: list[bytearray] = []
