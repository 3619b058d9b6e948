"""One run of one peer: a fresh server, its workers, its producer, and the file in which every task notes itself."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import redis

from tests.bench.environments import PROGRAMS, Environment
from tests.bench.peers import WORKERS, Peer
from tests.bench.programs.layout import PID_SHIFT, RECORD

ROOT = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")  # a file there costs no disk
LIMIT_S = 300.0
POLL_S = 0.002
MASK = (1 << PID_SHIFT) - 1


class Ran(NamedTuple):
    """One run of a task. Moments in ns."""

    n: int
    pid: int
    start: int
    end: int


class Server:
    """A server without an append-only file, on a loopback port; its data goes with it."""

    def __init__(self, binary: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        options += ["--maxmemory-policy", "noeviction"]
        self.process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port)
        limit = time.monotonic() + LIMIT_S
        while True:
            try:
                self.client.ping()
            except redis.RedisError:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.01)
            else:
                return

    def info(self, section: str) -> dict[str, Any]:
        """INFO of one section."""
        found: Any = self.client.info(section)
        return dict(found)

    def close(self) -> None:
        """End it."""
        self.client.close()
        self.process.kill()
        self.process.wait()


class Stage:
    """Where one peer runs once. `config` is what taskq is configured with, beside what every run needs."""

    def __init__(self, peer: Peer, environment: Environment, binary: str, config: Mapping[str, Any]) -> None:
        self.peer = peer
        self.environment = environment
        self.directory = Path(tempfile.mkdtemp(prefix="tqb-", dir=MEMORY if MEMORY.is_dir() else None))
        self.records = self.directory / "records"
        self.records.touch()
        self.port = free_port()
        self.server = Server(binary)
        self._config = config
        self._started: list[subprocess.Popen[bytes]] = []

    # -- programs

    def produce(self, action: str, count: int, ms: int = 0) -> dict[str, Any]:
        """Run the peer's producer to its end; what it printed."""
        command = [self.environment.python, self.environment.program, action, str(count), str(ms)]
        done = subprocess.run(
            command, env=self._env(), cwd=self.directory, check=False, capture_output=True, text=True, timeout=LIMIT_S
        )
        if done.returncode != 0:
            raise RuntimeError(f"{self.peer.name} {action}: {done.stderr[-2000:]}")
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))

    def start(self, workers: int = WORKERS, prefetch: int = 1) -> None:
        """Start the workers, of which taskq's and the floor's may hold `prefetch` tasks; does not wait for them."""
        words = {
            "bin": self.environment.bin,
            "python": self.environment.python,
            "program": self.environment.program,
            "url": self.server.url,
            "workers": str(workers),
            "prefetch": str(prefetch),
            "config": self._configure(workers, prefetch),
        }
        command = [word.format(**words) for word in self.peer.worker]
        for copy in range(workers if self.peer.copies else 1):
            with (self.directory / f"log-{copy}").open("wb") as log:
                self._started.append(
                    subprocess.Popen(
                        command,
                        env=self._env(),
                        cwd=self.directory,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )

    def tree(self) -> list[psutil.Process]:
        """Every living process of the workers, whatever started it."""
        found = []
        for started in self._started:
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = psutil.Process(started.pid)
                found += [parent, *parent.children(recursive=True)]
        return found

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """All of it stands still meanwhile."""
        processes = self.tree()
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def close(self) -> None:
        """End everything."""
        processes = self.tree()
        for started in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for started in self._started:
            started.wait()
        self.server.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    # -- what ran

    def await_records(self, count: int) -> None:
        """Wait until so many tasks have run."""
        limit = time.monotonic() + LIMIT_S
        while self.records.stat().st_size < count * RECORD.size:
            if time.monotonic() > limit or not any(started.poll() is None for started in self._started):
                raise RuntimeError(f"{self.peer.name}: {self.ran_count()} of {count} tasks ran; {self.log()}")
            time.sleep(POLL_S)

    def warm(self) -> int:
        """Run one task for each worker, so that all of them are up; how many have run now."""
        self.produce("fill", 2 * WORKERS)
        self.await_records(2 * WORKERS)
        time.sleep(0.3)
        return 2 * WORKERS

    def ran_count(self) -> int:
        """How many tasks have run."""
        return self.records.stat().st_size // RECORD.size

    def ran(self, skip: int = 0) -> list[Ran]:
        """The runs in the order of their ends, without the first ones."""
        words = RECORD.iter_unpack(self.records.read_bytes())
        found = (Ran(word & MASK, word >> PID_SHIFT, start, end) for word, start, end in words)
        return sorted(itertools.islice(found, skip, None), key=lambda run: run.end)

    def log(self) -> str:
        """The end of what the workers said."""
        return " ".join(path.read_text(errors="replace")[-1500:] for path in self.directory.glob("log-*"))

    # -- helpers

    def _configure(self, workers: int, prefetch: int) -> str:
        """The file from which taskq reads its settings; JSON is YAML too."""
        config = {
            "redis": {"url": self.server.url},
            "api": {"listen": f"127.0.0.1:{self.port}"},
            "tasks": {"import": ["with_taskq"]},
            "pools": {"default": {"workers": workers, "prefetch": prefetch}},
            "logging": {"level": "warning"},
        }
        path = self.directory / "taskq.yaml"
        path.write_text(json.dumps({**config, **self._config}))
        return str(path)

    def _env(self) -> dict[str, str]:
        ours = ("TASKQ_", "REDIS_", "SERVER_PORT", "WORKER_COUNT")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        address = {"BENCH_REDIS": self.server.url, "BENCH_PORT": str(self.server.port)}
        return {**inherited, **address, "BENCH_RECORDS": str(self.records), "PYTHONPATH": f"{PROGRAMS}{os.pathsep}{ROOT}"}


@contextlib.contextmanager
def staged(peer: Peer, environment: Environment, binary: str, config: Mapping[str, Any]) -> Iterator[Stage]:
    """A stage that is cleared at the end."""
    stage = Stage(peer, environment, binary, config)
    try:
        yield stage
    finally:
        stage.close()


def rate(runs: Sequence[Ran]) -> float:
    """Tasks a second from the first end to the last."""
    return (len(runs) - 1) / (runs[-1].end - runs[0].end) * 1e9


def efficiency(runs: Sequence[Ran], ms: int) -> float:
    """The share of their time in which workers did what they are for, from each one's first start to its last end, in %.

    Only so does it hold for a worker that runs several at once: from its first end on, the rest of what ran beside would
    count as time of its own.
    """
    of_workers: dict[int, list[Ran]] = defaultdict(list)
    for run in runs:
        of_workers[run.pid].append(run)
    spent = sum(max(run.end for run in own) - min(run.start for run in own) for own in of_workers.values())
    return 100 * len(runs) * ms * 1e6 / max(1, spent)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and most."""
    return statistics.median(values), min(values), max(values)


def pss_mib(processes: Sequence[psutil.Process]) -> float:
    """The memory of processes in MiB, what they share counted once."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
