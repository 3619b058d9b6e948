"""The model in claim.pml is searched to its end: as it stands no property fails, and without any one rule one does.

Skipped where `spin` is not installed. A run that ends without an error proves something only when it reached every state,
so that a search cut short by depth or memory is an error here as well.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

MODEL = Path(__file__).with_name("claim.pml")
MEMORY_MIB = 2048
DEPTH = 100_000
LIMIT_S = 240

pytestmark = pytest.mark.skipif(shutil.which("spin") is None, reason="the model checker `spin` is not installed")

# How the checker words the property that failed.
COUNTED_ONCE = r"assertion violated +!\(\(accepted\["
NO_STALE_WRITE = r"assertion violated \(\(\(starter\["
TOLD_THE_TRUTH = r"assertion violated \(.*\|\| !\(\(accepted\["
ONE_PLACE = r"assertion violated \(places_==1\)"
CRASHES_HAPPENED = r"assertion violated \(\(crashes\["
EVENTUALLY_FINAL = "acceptance cycle"

BROKEN = [
    ("NO_FENCE", COUNTED_ONCE),
    ("NO_FENCE LOSSES=0", NO_STALE_WRITE),
    ("NO_FENCE ONLY_STATES", ONE_PLACE),
    ("NO_ATTEMPT_CHECK", NO_STALE_WRITE),
    ("REUSED_WORKER_ID", NO_STALE_WRITE),
    ("REAP_WITHOUT_LEASE_CHECK", CRASHES_HAPPENED),
    ("REAP_NOT_ATOMIC", ONE_PLACE),
    ("SETTLE_NOT_IDEMPOTENT", TOLD_THE_TRUTH),
    ("SETTLE_COUNTS_TWICE", COUNTED_ONCE),
    ("SETTLE_COUNTS_TWICE ONLY_STATES", ONE_PLACE),
]
STUCK = ["NO_OWN_LIST_CHECK REAPERS=1", "LEAVE_AT_ONCE REAPERS=1"]


class Search(NamedTuple):
    """What the checker said about one set of flags."""

    output: str

    @property
    def complete(self) -> bool:
        """True when no state was left out."""
        return "max search depth too small" not in self.output and "Search not completed" not in self.output

    @property
    def errors(self) -> int:
        """How many properties failed; the search ends with the first."""
        found = re.search(r"errors: (\d+)", self.output)
        assert found is not None, self.output
        return int(found[1])

    @property
    def states(self) -> int:
        """How many states were looked at."""
        found = re.search(r"(\d+) states, stored", self.output)
        assert found is not None, self.output
        return int(found[1])


def search(directory: Path, flags: str, *, fairly: bool = False, level: str = "-O2") -> Search:
    """Look at every state: for the assertions, or `fairly` for eventually_final. `level` is the C compiler's."""
    run(directory, "spin", "-a", *(f"-D{flag}" for flag in flags.split()), str(MODEL))
    kind = ["-DNFAIR=3"] if fairly else ["-DSAFETY", "-DNOCLAIM"]
    run(directory, "cc", "-w", level, f"-DMEMLIM={MEMORY_MIB}", *kind, "-o", "pan", "pan.c")
    return Search(run(directory, "./pan", "-n", f"-m{DEPTH}", *(["-a", "-f"] if fairly else [])))


def run(directory: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "flags",
    ["REAPERS=2 FAULTS=2 LOSSES=1", "REAPERS=1 FAULTS=2 LOSSES=2", "TASKS=2 REAPERS=1 FAULTS=1 LOSSES=1"],
)
def test_no_assertion_fails_in_any_state(tmp_path: Path, flags: str) -> None:
    found = search(tmp_path, flags)

    assert found.errors == 0, found.output
    assert found.complete, found.output
    assert found.states > 100_000


@pytest.mark.parametrize("flags", ["REAPERS=1 FAULTS=2 LOSSES=1", "REAPERS=2 FAULTS=1 LOSSES=1"])
def test_every_task_reaches_a_final_state(tmp_path: Path, flags: str) -> None:
    found = search(tmp_path, flags, fairly=True)

    assert found.errors == 0, found.output
    assert found.complete, found.output
    assert found.states > 10_000


@pytest.mark.parametrize(("flags", "property_"), BROKEN)
def test_an_assertion_fails_without_one_of_the_rules(tmp_path: Path, flags: str, property_: str) -> None:
    found = search(tmp_path, flags, level="-O0")

    assert found.errors == 1, found.output
    assert re.search(property_, found.output), found.output


@pytest.mark.parametrize("flags", STUCK)
def test_a_task_is_stuck_without_one_of_the_rules(tmp_path: Path, flags: str) -> None:
    found = search(tmp_path, flags, fairly=True)

    assert found.errors == 1, found.output
    assert EVENTUALLY_FINAL in found.output, found.output


def test_every_rule_that_a_flag_takes_away_is_tried() -> None:
    _, _, list_of_flags = MODEL.read_text(encoding="utf-8").partition("Each of these flags")
    named = re.findall(r"^ \*   ([A-Z_]+) {2,}", list_of_flags, re.MULTILINE)

    assert named
    assert set(named) <= {word for flags in (*(flags for flags, _ in BROKEN), *STUCK) for word in flags.split()}
