"""`python -m tests.chaos`: every phase in turn, then the table. Exit code 1 when a bound was missed."""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from . import soak
from .checker import Tally, check
from .phase_daemons import daemons, freezes, outages
from .phase_posts import posts
from .phase_rates import calm, poison
from .phase_workers import kills, silence, stale
from .plan import FULL_S, Plan, full, short
from .report import Report, missed, table
from .stage import Evidence, Stage

TALLY = "tally.json"

PHASES: Mapping[str, Callable[[Stage], Evidence]] = {
    "kills": kills,
    "stale": stale,
    "silence": silence,
    "daemons": daemons,
    "outages": outages,
    "freezes": freezes,
    "posts": posts,
    "poison": poison,
    "calm": calm,
}


LANES = (("kills", "poison", "calm"), ("stale", "silence", "freezes"), ("daemons", "outages", "posts"))
"""What a short run does side by side: a lane has processors to itself most of the time, for the others mostly wait."""

FORK = multiprocessing.get_context("fork")


def main() -> int:
    """Parse the arguments, run, print; the exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything started is ended
    if options.soak is not None:
        return _soak(options)
    plan = short(options.seed) if options.short else full(options.seed, options.seconds)
    names = options.only or list(PHASES)
    lanes = [[name for name in lane if name in names] for lane in LANES] if options.short else [names]
    directory = options.keep or Path(tempfile.mkdtemp(prefix="chaos-"))
    directory.mkdir(parents=True, exist_ok=True)
    try:
        report = run(plan, directory, [lane for lane in lanes if lane])
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
    print(table(report))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    return 1 if report.missed else 0


def run(plan: Plan, directory: Path, lanes: Sequence[Sequence[str]]) -> Report:
    """Run the phases of each lane in turn, the lanes side by side, and judge them."""
    began = time.monotonic()
    processes = [FORK.Process(target=_lane, args=(lane, plan, directory)) for lane in lanes]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
                process.join()
    names = [name for name in PHASES if any(name in lane for lane in lanes)]
    files = {name: directory / name / TALLY for name in names}
    broken = [f"{name}: the phase did not come to its end" for name, file in files.items() if not file.exists()]
    tallies = [msgspec.json.decode(file.read_bytes(), type=Tally) for file in files.values() if file.exists()]
    return Report(plan=plan, tallies=tallies, missed=broken + missed(plan, tallies), seconds=time.monotonic() - began)


def _soak(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
        soaked = soak.soak(options.soak, options.seed, options.keep or Path(directory))
    print(soak.table(soaked))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(soaked)))
    return 1 if soak.missed(soaked) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="every kind of fault at least once, in about 40 s")
    parser.add_argument("--seconds", type=float, default=FULL_S, metavar="N", help="about how long a full run takes (300)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of load and faults (failpoints are free)")
    parser.add_argument(
        "--soak",
        type=float,
        nargs="?",
        const=soak.SOAK_S,
        metavar="N",
        help="instead: so many seconds of everything at once, and then what has grown (600)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON too")
    parser.add_argument("--only", choices=PHASES, action="append", help="run this phase only (may be repeated)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the evidence in this directory")
    return parser.parse_args()


def _lane(names: Sequence[str], plan: Plan, directory: Path) -> None:
    for name in names:
        seen = directory / name
        seen.mkdir()
        with contextlib.ExitStack() as exits:
            evidence = PHASES[name](Stage(name, seen, plan, exits))
        tally = check(evidence)
        (seen / TALLY).write_bytes(msgspec.json.encode(tally))
        print(f"{name}: {tally.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
