"""Task types for the tests of the running service; each appends what it saw to the file named by TASKQ_TEST_LOG."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import redis

from taskq import Context, Fail, Retry, task
from taskq.queue.keys import Keys


def note(ctx: Context, word: str) -> None:
    """One line: word, task id, attempt, wall-clock time, pid."""
    line = f"{word} {ctx.id} {ctx.attempt} {time.time():.3f} {os.getpid()}\n".encode()
    fd = os.open(os.environ["TASKQ_TEST_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, line)
    os.close(fd)


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


@task("exit")
def exit_hard(code: int) -> None:
    os._exit(code)


@task("sys.exit", max_retry=0)
def exit_softly() -> None:
    sys.exit(3)


@task("interrupt", max_retry=0)
def interrupt() -> None:
    raise KeyboardInterrupt


@task("litter")
def litter() -> int:
    os.chdir("/")
    os.umask(0)
    os.environ["LITTER"] = "1"
    random.seed(1)
    sys.setrecursionlimit(5000)
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    signal.alarm(1)
    return os.getpid()


@task("look")
def look() -> dict[str, object]:
    umask = os.umask(0o022)
    os.umask(umask)
    return {
        "pid": os.getpid(),
        "cwd": os.getcwd(),
        "umask": umask,
        "litter": os.environ.get("LITTER"),
        "alarm": signal.getitimer(signal.ITIMER_REAL)[0],
        "mask": sorted(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "recursion": sys.getrecursionlimit(),
        "random": random.random(),
    }


@task("threads")
def threads() -> int:
    """Leaves threads; one of them is no daemon, so Python would wait for it."""
    for daemon in (True, False):
        threading.Thread(target=time.sleep, args=(600,), daemon=daemon).start()
    return os.getpid()


@task("close.all")
def close_all() -> int:
    os.closerange(0, 4096)
    return os.getpid()


@task("open.many")
def open_many() -> int:
    kept: list[int] = []
    try:
        while len(kept) < 200_000:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    return os.getpid()


@task("spawn")
def spawn(seconds: float = 0.0) -> list[int]:
    """Starts a program in its group and one that leaves it, and outlives neither."""
    inside = subprocess.Popen(["sleep", "600"])
    outside = subprocess.Popen(["sleep", "600"], start_new_session=True)
    Path(os.environ["TASKQ_TEST_LOG"] + ".pids").write_text(f"{inside.pid} {outside.pid}")
    time.sleep(seconds)
    return [inside.pid, outside.pid]


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


@task("deaf")
def deaf(ctx: Context) -> None:
    """Takes over logging, as some libraries do."""
    logging.basicConfig(force=True, handlers=[logging.NullHandler()])
    logging.getLogger("taskq").disabled = True
    logging.disable(logging.CRITICAL)


@task("end.children")
def end_children(rounds: int = 20) -> list[int]:
    """How programs and processes end that are asked to at once; the worker itself, asked as well, goes on."""
    ended = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        program = subprocess.Popen(["sleep", "600"])
        program.send_signal(number)
        ended.append(program.wait(5))
        os.kill(os.getpid(), number)
    for _ in range(rounds):
        process = multiprocessing.Process(target=time.sleep, args=(600,))
        process.start()
        process.terminate()
        process.join(5)
        ended.append(process.exitcode or 0)
    return ended


@task("helpers")
def helpers() -> int:
    """Lets multiprocessing start its fork server and its tracker of resources."""
    process = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(0,))
    process.start()
    process.join()
    return os.getpid()


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


@task("count.aloud")
def count_aloud(seconds: float) -> None:
    for number in range(40):
        print(number)
        time.sleep(seconds / 40)


@task("take.over")
def take_over(path: str) -> int:
    """Closes what it does not know and opens files of its own, which get the same numbers."""
    os.closerange(3, 20_000)
    for _ in range(200):
        os.open(path, os.O_RDWR)
    return os.getpid()
