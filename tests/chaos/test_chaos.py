"""The chaos runs as tests: the short form always, the long form when asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
STOP_LIMIT_S = 30.0


def run(report: Path, *arguments: str, limit_s: float) -> dict[str, Any]:
    """Run the command in a process of its own; its report. Fails the test with the table when a bound was missed."""
    command = [sys.executable, "-m", "tests.chaos", "--seed", "1", "--json", str(report), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output, _ = process.communicate(timeout=limit_s)
    except BaseException:
        process.terminate()  # it ends everything that it started
        process.communicate(timeout=STOP_LIMIT_S)
        raise
    assert report.exists(), output
    found: dict[str, Any] = json.loads(report.read_bytes())
    assert found["missed"] == [], output
    assert process.returncode == 0, output
    return {tally["phase"]: tally for tally in found["tallies"]}


def check(phases: dict[str, Any], *, least: int) -> None:
    """What a run must have counted; `least` is how often each failpoint must have killed."""
    for tally in phases.values():
        assert tally["accepted"] > 0
        assert tally["completed"] + tally["failed"] == tally["accepted"]
        assert not any(
            tally[kind] for kind in ("lost", "unexpected", "overwritten", "unexplained", "doubled", "exits", "failures")
        )
    kills = phases["kills"]["faults"]
    assert all(kills[f"kill {point}"] >= least for point in ("P2", "P3", "P4", "P5", "P6"))
    assert phases["stale"]["refused"] > 0
    assert phases["silence"]["faults"] == {"stop P1": 4, "stop P4": 4}
    assert all(phases["daemons"]["faults"][f"down {name}"] for name in ("api", "broker", "maintenance", "supervisor"))
    assert phases["outages"]["duplicates"] == 0
    assert phases["freezes"]["duplicates"] > 0
    assert phases["posts"]["keys"] == phases["posts"]["accepted"] == phases["posts"]["runs"]
    assert phases["poison"]["failed"] > 0
    assert phases["calm"]["runs"] == phases["calm"]["accepted"]


def test_short_run_loses_repeats_and_overwrites_nothing(tmp_path: Path) -> None:
    check(run(tmp_path / "report.json", "--short", limit_s=180), least=3)


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_full_run_loses_repeats_and_overwrites_nothing(tmp_path: Path) -> None:
    phases = run(tmp_path / "report.json", limit_s=1100)
    check(phases, least=50)
    assert phases["stale"]["refused"] >= 200
    assert phases["posts"]["keys"] == 10_000
    assert phases["calm"]["runs"] == 200_000
