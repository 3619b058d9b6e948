"""The benchmark runs, so that it is there when somebody wants figures. The figures of such a short run mean nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec

from tests.bench.table import Results

ROOT = Path(__file__).parents[2]


def test_a_quick_benchmark_measures_taskq_and_the_floor(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick", "--repeat", "1", "--out", str(tmp_path)]
    command += ["--measures", "drain,ahead,enqueue,latency,burn,crowd,http"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    results = msgspec.json.decode((tmp_path / "results.json").read_bytes(), type=Results)
    assert results.errors == []
    assert {"drain", "drain_ahead", "single", "bulk", "latency_p99", "burn_100", "commands"} <= set(results.figures["floor"])
    assert {"drain_ahead", "burn_ahead"} <= set(results.figures["taskq"])
    assert {"post", "get", "batch", "worker_mib", "crowd_cpu_2"} <= set(results.figures["taskq"])
    text = (tmp_path / "results.md").read_text()
    assert "## Speed" in text
    assert "## Versions and settings" in text
    ElementTree.parse(tmp_path / "results.svg")


def test_a_peer_that_nobody_knows_is_refused_by_name() -> None:
    command = [sys.executable, "-m", "tests.bench", "--peers", "taskq,cellery"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "unknown: cellery" in done.stderr
