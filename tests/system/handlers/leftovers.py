"""Task types that leave something behind, take over what is not theirs, or look what is there."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from taskq import Context, task


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


@task("take.over")
def take_over(path: str) -> int:
    """Closes what it does not know and opens files of its own, which get the same numbers."""
    os.closerange(3, 20_000)
    for _ in range(200):
        os.open(path, os.O_RDWR)
    return os.getpid()
