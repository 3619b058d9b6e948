"""What the server itself can do, as redis-benchmark tells it."""

from __future__ import annotations

import csv
import shutil
import subprocess

from tests.bench.stage import Server

COMMANDS = ("ping_mbulk", "set", "lpush", "hset")
CLIENTS = 2


def redis_benchmark(binary: str, requests: int) -> dict[str, float]:
    """Requests a second of two clients, by command, one at a time and 16 a trip; empty where it is not installed."""
    program = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    if program is None:
        return {}
    figures = {}
    server = Server(binary)
    try:
        for pipeline in (1, 16):
            command = [
                program,
                "-p",
                str(server.port),
                "-n",
                str(requests),
                "-c",
                str(CLIENTS),
                "-P",
                str(pipeline),
                "--csv",
            ]
            said = subprocess.run([*command, "-t", ",".join(COMMANDS)], check=True, capture_output=True, text=True).stdout
            for row in csv.DictReader(said.splitlines()):
                figures[f"{row['test']} x {pipeline}"] = float(row["rps"])
    finally:
        server.close()
    return figures
