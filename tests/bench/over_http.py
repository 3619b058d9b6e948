"""The API of taskq: one process, asked by wrk where it is installed, else by a client of our own; how soon it answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tests.bench.plan import Plan
from tests.bench.stage import ROOT, Stage, free_port

CONNECTIONS = 8
BATCH = 1000
LIMIT_S = 30.0
TASK = json.dumps({"type": "noop", "payload": {"n": 1, "ms": 0}})
WRK_POST = "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = '{body}'\n"


def requests(stage: Callable[..., Stage], plan: Plan) -> dict[str, float]:
    """Requests a second, and tasks a second by batches of 1,000. The queue is paused, so that only the API works."""
    with contextlib.closing(stage()) as own:
        own.start()
        known = own.warm()
        ended = _post(own.port, "/tasks", TASK)["id"]
        own.await_records(known + 1)
        _post(own.port, "/queues/default/pause", "{}")
        waiting = _post(own.port, "/tasks", TASK)["id"]
        api = next(p for p in own.tree() if " ".join(p.cmdline()).startswith("taskq: api"))
        figures = {}
        for name, path, body in (
            ("post", "/tasks", TASK),
            ("get", f"/tasks/{ended}", ""),
            ("get_waiting", f"/tasks/{waiting}", ""),
        ):
            with _spent(api) as spent:
                figures[name], done = _load(own.port, path, body, plan.http_s, own.directory)
            figures[f"{name}_per_core"] = done / max(spent[0], 1e-9)
        figures["batch"] = _batches(own.port, plan.batches)
        return figures


def first_post(_stage: Callable[..., Stage]) -> dict[str, float]:
    """Seconds from the start of `taskq run`, with the embedded server, to the answer to the first POST."""
    directory, port = Path(tempfile.mkdtemp(prefix="tqb-", dir="/tmp")), free_port()
    config = {"api": {"listen": f"127.0.0.1:{port}"}, "redis": {"data_dir": str(directory)}}
    (directory / "taskq.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-m", "taskq", "run", "--config", str(directory / "taskq.yaml")]
    began = time.monotonic()
    with (directory / "log").open("wb") as log:
        service = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                _post(port, "/tasks", json.dumps({"type": "echo", "payload": "x"}))
                return {"start_s": time.monotonic() - began}
            if service.poll() is not None or time.monotonic() - began > LIMIT_S:
                raise RuntimeError((directory / "log").read_text()[-2000:])
            time.sleep(0.002)
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(LIMIT_S)
        shutil.rmtree(directory, ignore_errors=True)


def _load(port: int, path: str, body: str, seconds: float, directory: Path) -> tuple[float, int]:
    """Requests a second, and how many were answered."""
    wrk = shutil.which("wrk")
    if wrk is None or seconds < 1:  # wrk counts in seconds
        return _own_load(port, path, body, seconds)
    script = directory / "post.lua"
    script.write_text(WRK_POST.format(body=body) if body else "")
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "-s", str(script), f"http://127.0.0.1:{port}{path}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    rate, done = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"(\d+) requests in", said)
    assert rate
    assert done
    return float(rate[1]), int(done[1])


def _own_load(port: int, path: str, body: str, seconds: float) -> tuple[float, int]:
    until, counts = time.monotonic() + seconds, [0] * CONNECTIONS

    def ask(slot: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
        with contextlib.closing(connection):
            while time.monotonic() < until:
                _exchange(connection, path, body)
                counts[slot] += 1

    threads = [threading.Thread(target=ask, args=(slot,)) for slot in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds, sum(counts)


def _batches(port: int, count: int) -> float:
    body = json.dumps({"tasks": [json.loads(TASK)] * BATCH})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    with contextlib.closing(connection):
        began = time.monotonic()
        for _ in range(count):
            _exchange(connection, "/tasks/batch", body)
        return count * BATCH / (time.monotonic() - began)


def _post(port: int, path: str, body: str) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    with contextlib.closing(connection):
        return dict(json.loads(_exchange(connection, path, body)))


def _exchange(connection: http.client.HTTPConnection, path: str, body: str) -> bytes:
    connection.request("POST" if body else "GET", path, body or None, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status not in (200, 201):
        raise OSError(f"{answer.status}: {said[:500]!r}")
    return said


@contextlib.contextmanager
def _spent(process: psutil.Process) -> Iterator[list[float]]:
    """The processor seconds that a process uses in the block."""
    used = process.cpu_times()
    spent = [0.0]
    yield spent
    now = process.cpu_times()
    spent[0] = now.user + now.system - used.user - used.system
