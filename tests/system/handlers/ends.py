"""Task types for every way in which an attempt ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import redis

from taskq import Context, Fail, Retry, task
from taskq.queue.keys import Keys
from tests.system.handlers.notes import note


@task("nap")
def nap(ctx: Context, seconds: float = 0.0) -> dict[str, int]:
    note(ctx, "start")
    time.sleep(seconds)
    note(ctx, "end")
    return {"attempt": ctx.attempt, "pid": os.getpid()}


@task("span")
def span(ctx: Context, seconds: float = 0.15) -> None:
    """Notes the start as Redis knows it, and again and again that this attempt is alive."""
    with contextlib.closing(redis.Redis.from_url(os.environ["TASKQ_REDIS__URL"])) as client:
        started_at: Any = client.hget(Keys(os.environ["TASKQ_REDIS__PREFIX"], "default").task(ctx.id), "started_at")
    note(ctx, f"started {started_at.decode()}")
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        note(ctx, "alive")
        time.sleep(0.005)
    note(ctx, "alive")


@task("bad")
def bad(ctx: Context) -> None:
    note(ctx, "start")
    raise ValueError("always")


@task("retry.soon")
def retry_soon(ctx: Context) -> int:
    note(ctx, "start")
    if ctx.attempt == 1:
        raise Retry(delay=0.2)
    return ctx.attempt


@task("give.up")
def give_up(ctx: Context) -> None:
    note(ctx, "start")
    raise Fail("no use")


@task("stubborn", timeout="500ms", max_retry=0)
def stubborn() -> None:
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            continue


@task("tidy", timeout="500ms", max_retry=0)
def tidy(path: str) -> None:
    try:
        time.sleep(60)
    finally:
        Path(path).write_text("tidied")


@task("holds.gil", timeout="500ms", max_retry=0)
def holds_gil() -> None:
    # PyDLL keeps the GIL during the call, as a badly behaved C extension does
    ctypes.PyDLL(None).sleep(60)


@task("hold.until")
def hold_until(path: str) -> None:
    """Holds the GIL, but for the blink of a look, until there is such a file."""
    hold = ctypes.PyDLL(None).usleep
    while not Path(path).exists():
        hold(20_000)


@task("regex", timeout="500ms", max_retry=0)
def regex() -> None:
    re.match(r"(a+)+$", "a" * 64 + "b")


@task("hog", memory_limit="120MiB", max_retry=0)
def hog() -> None:
    kept = []
    while True:
        kept.append(bytearray(5_000_000))
        time.sleep(0.01)


@task("die")
def die(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(5)


@task("swell.and.die")
def swell_and_die(ctx: Context, megabytes: int, seconds: float) -> None:
    note(ctx, "start")
    kept = bytearray(os.urandom(1 << 20) * megabytes)
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(len(kept))


@task("exit")
def exit_hard(code: int) -> None:
    os._exit(code)


@task("sys.exit", max_retry=0)
def exit_softly() -> None:
    sys.exit(3)


@task("interrupt", max_retry=0)
def interrupt() -> None:
    raise KeyboardInterrupt
