"""`python -m tests.fuzz`: run after run, each from another seed, until enough requests were made or something was found."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.fuzz.run import Seen, attack, broken, handled, seen, served

REQUESTS = 20_000


def main() -> int:
    """Parse the arguments, run, print; exit code 1 if anything was found."""
    options = _options()
    began_at = time.monotonic()
    with served() as (service, token):
        seed = options.seed
        while (count := handled(service)) < options.requests:
            done = attack(service, token, seed, "--max-examples", str(options.examples), "--generation-database", "none")
            print(f"seed {seed}: {handled(service) - count} requests, exit code {done.returncode}", flush=True)
            wrong = broken(service)
            if done.returncode or wrong:
                print(done.stdout, done.stderr, *wrong, sep="\n")
                return 1
            seed += 1
        print(f"{count} requests in {time.monotonic() - began_at:.0f} s, nothing found\n")
        print(_table(seen(service)))
    return 0


def _table(found: Seen) -> str:
    """Answers by operation, and by status and code word."""
    operations: dict[str, Counter[str]] = {}
    for (method, path, status, code), count in found.items():
        operations.setdefault(f"{method} {path}", Counter())[f"{status} {code}".removesuffix(" -")] += count
    lines = [f"| {name} | {_counts(counts)} |" for name, counts in sorted(operations.items())]
    return "\n".join(["| operation | answers |", "|---|---|", *lines])


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{answer}: {count}" for answer, count in sorted(counts.items()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="stop after so many (default: %(default)s)")
    parser.add_argument("--examples", type=int, default=50, help="cases of each operation in a run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first run (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
