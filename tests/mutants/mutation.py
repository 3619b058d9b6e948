"""One mutation: a change to one file that the tests must notice."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Misfit(Exception):
    """A mutation cannot be applied, or the tests fail without one."""


class Mutation(NamedTuple):
    """One change to one file. `old` must occur in it exactly once; `tests` are tried before all others."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, source: str) -> str:
        """The mutated source. Raises Misfit when the mutation does not fit it."""
        if source.count(self.old) != 1:
            raise Misfit(
                f"{self.name}: expected the text once in {self.file}, found it {source.count(self.old)} times: {self.old!r}"
            )
        return source.replace(self.old, self.new)

    def check(self, tree: Path) -> None:
        """Raises Misfit when the mutation does not fit the source in `tree`, or when a test file is gone."""
        self.apply((tree / self.file).read_text(encoding="utf-8"))
        missing = [test for test in self.tests if not (tree / test).exists()]
        if missing:
            raise Misfit(f"{self.name}: no such test file: {', '.join(missing)}")


def lua(name: str, script: str, old: str, new: str, *tests: str) -> Mutation:
    """A mutation of a script."""
    return Mutation(name, f"taskq/queue/lua/{script}.lua", old, new, tuple(f"tests/integration/test_{t}.py" for t in tests))


def python(name: str, module: str, old: str, new: str, *tests: str) -> Mutation:
    """A mutation of a module."""
    return Mutation(name, f"taskq/{module}.py", old, new, tuple(f"tests/integration/test_{t}.py" for t in tests))


def gate(name: str, module: str, old: str, new: str, *tests: str) -> Mutation:
    """A mutation of what lets a request in; its tests are named with their folder."""
    return Mutation(name, f"taskq/{module}.py", old, new, tuple(f"tests/{t}.py" for t in tests))
