"""Task types that tell how far they are, print and log."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
import warnings

from taskq import Context, Retry, task
from tests.system.handlers.notes import note


@task("tell.then.hold")
def tell_then_hold(ctx: Context, seconds: int) -> str:
    """Speaks many times at once, then keeps the GIL."""
    for done in range(1, 101):
        ctx.progress(done, 100, f"step {done}")
    ctypes.PyDLL(None).sleep(seconds)
    return "held"


@task("tell.and.die")
def tell_and_die(ctx: Context) -> None:
    ctx.progress(7, 9, "about to die")
    os.kill(os.getpid(), signal.SIGKILL)


@task("tell.while.stopping")
def tell_while_stopping(ctx: Context) -> None:
    try:
        while True:
            time.sleep(0.01)
    except BaseException:
        note(ctx, f"cancelled={ctx.cancelled}")
        raise


@task("tell.slowly")
def tell_slowly(ctx: Context, seconds: float) -> None:
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        ctx.progress(time.monotonic() - began, seconds)
        time.sleep(0.001)
    note(ctx, "told")


@task("chatter")
def chatter(ctx: Context, seconds: float = 0.0) -> None:
    """Speaks in every way there is, then may keep the GIL."""
    print("by print")
    print("to stderr", file=sys.stderr)
    os.write(1, b"by descriptor\n")
    ctypes.CDLL(None).puts(b"by C")
    subprocess.run(["echo", "by a program"], check=True)
    logging.getLogger("somebody").warning("by logging")
    ctx.log.info("by the context")
    warnings.warn("by a warning", stacklevel=1)
    print("without an end", end="", flush=True)
    ctypes.PyDLL(None).sleep(int(seconds))


@task("flood")
def flood(ctx: Context, megabytes: int) -> float:
    """Prints binary without any end of line, as fast as it can; returns the slowest write in seconds."""
    piece = b"\xff\x00\x1b" * 349_525
    slowest_s = 0.0
    for _ in range(megabytes):
        began = time.monotonic()
        written = os.write(1, piece)
        slowest_s = max(slowest_s, time.monotonic() - began)
        assert written == len(piece)
    os.write(1, b"the end")
    return slowest_s


@task("flood.below.gil", timeout="60s")
def flood_below_gil(ctx: Context, megabytes: int) -> None:
    """A program floods standard output while the GIL is held."""
    ctypes.PyDLL(None).system(f"head -c {megabytes}M /dev/zero; echo the end".encode())


@task("speak.and.fault")
def speak_and_fault(ctx: Context) -> None:
    print("last words")
    ctypes.string_at(0)


@task("speak.until.stopped")
def speak_until_stopped(ctx: Context) -> None:
    print("begun")
    note(ctx, "start")
    try:
        time.sleep(60)
    finally:
        print("cleaned up")


@task("fail.aloud")
def fail_aloud(ctx: Context) -> None:
    print(f"attempt {ctx.attempt}")
    if ctx.attempt < 3:
        raise Retry(delay=0)


@task("count.aloud")
def count_aloud(seconds: float) -> None:
    for number in range(40):
        print(number)
        time.sleep(seconds / 40)
