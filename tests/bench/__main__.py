"""`python -m tests.bench`: measure, interleaved and repeated, then write the table and the picture."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from taskq.queue.embedded import find_binary
from tests.bench import floor, table
from tests.bench.environments import environment
from tests.bench.measures import MEASURES, ONLY, Case
from tests.bench.peers import PEERS
from tests.bench.plan import FULL, QUICK, Plan

HERE = Path(__file__).parent
DEFAULT_CACHE = Path.home() / ".cache" / "taskq-bench"


def main() -> int:
    """Parse the arguments, measure, write; the exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything started is ended
    plan = QUICK if options.quick else FULL
    names = options.peers or (["floor", "taskq"] if options.quick else list(PEERS))
    results = table.Results(server=_version(options.server), machine=table.machine(), repeats=options.repeat)
    cases = _cases(names, options.server, options.cache, plan, results)
    for turn in range(options.repeat):
        for measure in options.measures or list(MEASURES):
            for case in cases:
                if case.peer.name in ONLY.get(measure, names):
                    _measure(measure, case, turn, results)
    if "floor" in names:
        results.floor.update(floor.redis_benchmark(options.server, plan.floor))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    (options.out / "results.md").write_text(table.markdown(results))
    (options.out / "results.svg").write_text(table.picture(results))
    print(table.markdown(results))
    return 1 if results.errors else 0


def _measure(measure: str, case: Case, turn: int, results: table.Results) -> None:
    """Run one peer once; what goes wrong is part of the result."""
    name = case.peer.name
    print(f"[{turn + 1}] {measure:8} {name:9}", end=" ", file=sys.stderr, flush=True)
    try:
        figures = MEASURES[measure](case)
    except Exception as error:  # one peer must not end the run of all
        results.errors.append(f"{name} {measure}: {error}")
        print(f"failed: {error}", file=sys.stderr)
        return
    own = results.figures.setdefault(name, defaultdict(list))
    for key, value in figures.items():
        own.setdefault(key, []).append(value)
    print("  ".join(f"{key} {value:.5g}" for key, value in figures.items()), file=sys.stderr)


def _cases(names: Sequence[str], server: str, cache: Path, plan: Plan, results: table.Results) -> list[Case]:
    cases = []
    for name in names:
        made = environment(PEERS[name], cache)
        if made is None:
            print(f"{name}: left out, node and npm are not installed", file=sys.stderr)
            continue
        results.versions[name] = made.version
        cases.append(Case(PEERS[name], made, server, plan))
    return cases


def _version(binary: str) -> str:
    said = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout
    return " ".join(said.split()[:3])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--peers", type=_words, help=f"some of {', '.join(PEERS)}")
    parser.add_argument("--measures", type=_words, help=f"some of {', '.join(MEASURES)}")
    parser.add_argument("--repeat", type=int, default=3, help="how often everything is measured (3)")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="where the environments of the peers are kept")
    parser.add_argument("--server", default=shutil.which("redis-server") or str(find_binary()), help="the server's binary")
    parser.add_argument("--out", type=Path, default=HERE, help="where results.md, results.svg and results.json go")
    parser.add_argument("--quick", action="store_true", help="only show that the harness works; the figures mean nothing")
    options = parser.parse_args()
    for given, known in ((options.peers, PEERS), (options.measures, MEASURES)):
        if unknown := set(given or ()) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    return options


def _words(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    sys.exit(main())
