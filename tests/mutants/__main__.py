"""Takes one rule at a time out of a copy of the source and requires the tests to notice.

    python -m tests.mutants [--update] [WORD ...]

With words only the mutations whose name contains one of them are tried. `--update` writes the table to results.md. The exit
code is 1 when a mutation survives, breaks the source instead of changing what it does, or no longer fits the source.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.mutants.claims import AHEAD, ATTEMPTS, FENCE, LEASES, REAP
from tests.mutants.gates import GATES
from tests.mutants.limits import LIMITS
from tests.mutants.lists import BELLS, CONNECTION, LISTS, OPERATIONS, STATS
from tests.mutants.mutation import Misfit, Mutation

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("results.md")
EVERYTHING = ("tests/unit", "tests/integration")
LEFT_OUT = (".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info", "build", "dist", "node_modules")

TEST_LIMIT_S = 60
"""A mutation may make a test wait for what never comes."""
RUN_LIMIT_S = 1800

_FAILED = re.compile(r"^FAILED (.+?)(?: - .*)?$", re.MULTILINE)
_BROKEN = re.compile(r"Error compiling script|Script attempted to access nonexistent|SyntaxError|ImportError|NameError")

MUTATIONS = AHEAD + STATS + LIMITS + FENCE + ATTEMPTS + LEASES + REAP + BELLS + LISTS + OPERATIONS + CONNECTION + GATES


class Run(NamedTuple):
    """One run of tests that stopped at the first failure."""

    output: str
    passed: bool

    @property
    def killer(self) -> str | None:
        """The test that failed; None when none did, or when the run could not test anything."""
        found = _FAILED.search(self.output)
        return found[1] if found and not self.passed and not _BROKEN.search(self.output) else None


class Trial(NamedTuple):
    """What became of one mutation."""

    mutation: Mutation
    killer: str | None
    seconds: float
    output: str


def main() -> int:
    options = _options()
    chosen = [mutation for mutation in MUTATIONS if not options.words or any(w in mutation.name for w in options.words)]
    if not chosen:
        raise Misfit(f"no mutation is called anything with {' or '.join(options.words)}")
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        tree = _copy(Path(directory) / "tree")
        for mutation in MUTATIONS:
            mutation.check(tree)
        _expect_green(tree, sorted({file for mutation in chosen for file in mutation.tests}))
        trials = []
        for mutation in chosen:
            trials.append(_try(tree, mutation))
            print(_row(trials[-1]), flush=True)
    survivors = [trial for trial in trials if trial.killer is None]
    for trial in survivors:
        print(f"\n== not killed: {trial.mutation.name}\n{trial.output[-4000:]}", file=sys.stderr)
    print(f"{len(trials) - len(survivors)} of {len(trials)} mutations killed")
    if options.update:
        TABLE.write_text(_table(trials), encoding="utf-8")
    return 1 if survivors else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--update", action="store_true", help="write the table to tests/mutants/results.md")
    parser.add_argument("words", nargs="*", metavar="WORD", help="try only mutations whose name contains it")
    options = parser.parse_args()
    if options.update and options.words:
        parser.error("--update needs every mutation")
    return options


def _copy(tree: Path) -> Path:
    """A copy of the checkout; makes sure that tests which run in it test it and not the checkout."""
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
    where = "import taskq; print(taskq.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=tree, env=_env(tree), capture_output=True, text=True, check=True
    )
    if tree not in Path(found.stdout.strip()).parents:
        raise Misfit(f"tests in a copy would import {found.stdout.strip()}")
    return tree


def _expect_green(tree: Path, files: Sequence[str]) -> None:
    """A kill says nothing unless the same tests pass without the mutation."""
    run = _pytest(tree, files)
    if not run.passed:
        raise Misfit(f"the tests fail without any mutation\n{run.output}")


def _try(tree: Path, mutation: Mutation) -> Trial:
    """The tests that should notice, and only if they do not, all of them."""
    began = time.monotonic()
    with _applied(tree, mutation):
        run = _pytest(tree, mutation.tests)
        noticed = not run.passed
        if not noticed:
            run = _pytest(tree, EVERYTHING)
    if run.killer and not noticed:
        _expect_green(tree, [run.killer.partition("::")[0]])
    return Trial(mutation, run.killer, time.monotonic() - began, run.output)


@contextmanager
def _applied(tree: Path, mutation: Mutation) -> Iterator[None]:
    path = tree / mutation.file
    source = path.read_text(encoding="utf-8")
    path.write_text(mutation.apply(source), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(source, encoding="utf-8")


def _pytest(tree: Path, tests: Sequence[str]) -> Run:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rf", "--tb=short", f"--timeout={TEST_LIMIT_S}"]
    # that file holds the list against the source, and so would notice every mutation
    command += ["-p", "no:cacheprovider", "--hypothesis-seed=0", "--ignore=tests/unit/test_mutants.py", *tests]
    try:
        done = subprocess.run(
            command, cwd=tree, env=_env(tree), capture_output=True, text=True, timeout=RUN_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise Misfit(f"the tests did not end within {RUN_LIMIT_S} s: {' '.join(tests)}") from late
    if done.returncode not in (0, 1):
        raise Misfit(f"pytest could not finish {' '.join(tests)}\n{done.stdout}{done.stderr}")
    return Run(done.stdout + done.stderr, done.returncode == 0)


def _env(tree: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "400"}


def _row(trial: Trial) -> str:
    killer = trial.killer.removeprefix("tests/") if trial.killer else "**nothing**"
    return f"| {trial.mutation.name} | {killer} | {trial.seconds:.0f} |"


def _table(trials: Sequence[Trial]) -> str:
    head = "# Mutations\n\nWritten by `python -m tests.mutants --update`: each line is one rule taken out of the source.\n\n"
    rows = "\n".join(_row(trial) for trial in trials)
    return f"{head}| mutation | killed by | seconds |\n|---|---|---|\n{rows}\n"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Misfit as misfit:
        sys.exit(f"mutants: {misfit}")
