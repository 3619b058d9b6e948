"""A task that measures one Python source file: how long it is, and which of its functions is the most complex.

It reads whatever file it is told to, as the user that the service runs as: offer it to clients you trust.
"""

from __future__ import annotations

import ast
import tokenize
import warnings
from collections.abc import Iterator
from typing import NamedTuple, TypedDict

from taskq import task


class MostComplex(TypedDict):
    """A function by its qualified name, the line of its `def` and its complexity."""

    name: str
    line: int
    complexity: int


class Metrics(TypedDict):
    """What was measured. `most_complex` is None for a file without functions; of equals it is the first in the file."""

    path: str
    lines: int
    functions: int
    most_complex: MostComplex | None


class Unparsable(TypedDict):
    """The answer for a file that is not Python, or not the Python of this interpreter."""

    path: str
    error: str


class Function(NamedTuple):
    """A function of a file: `name` as its `__qualname__` would be, `line` that of its `def`."""

    name: str
    line: int
    node: ast.FunctionDef | ast.AsyncFunctionDef


@task("code.metrics", timeout="1m", memory_limit="1GiB", no_retry_on=(FileNotFoundError, IsADirectoryError, PermissionError))
def metrics(*, path: str) -> Metrics | Unparsable:
    """Measure the file at `path`, in the encoding that it declares. Raises OSError for one that cannot be read."""
    try:
        with tokenize.open(path) as file:
            text = file.read()
        tree = parse(text, path)
    except (SyntaxError, ValueError, RecursionError) as error:  # ValueError: bytes of another encoding, NUL
        return {"path": path, "error": f"{type(error).__name__}: {error}"}
    found = [(complexity(function.node), function) for function in functions(tree)]
    worst = max(found, key=lambda pair: (pair[0], -pair[1].line), default=None)
    return {
        "path": path,
        "lines": text.count("\n") + (not text.endswith("\n") and text != ""),
        "functions": len(found),
        "most_complex": worst and {"name": worst[1].name, "line": worst[1].line, "complexity": worst[0]},
    }


def parse(text: str, path: str) -> ast.Module:
    """The syntax tree, without the compiler's opinion on style. Raises SyntaxError, ValueError, RecursionError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text, path)
        except MemoryError:  # what the parser says when its stack is too small, whatever memory there is
            raise RecursionError("nested too deeply for the parser") from None


def functions(tree: ast.Module) -> Iterator[Function]:
    """Every function and method at any depth; a lambda is a part of the function around it."""
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, prefix = waiting.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield Function(prefix + node.name, node.lineno, node)
                prefix = f"{prefix}{node.name}.<locals>."
            case ast.ClassDef():
                prefix = f"{prefix}{node.name}."
        waiting += [(child, prefix) for child in ast.iter_child_nodes(node)]


def complexity(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The cyclomatic complexity: 1 + the number of decisions.

    McCabe, "A Complexity Measure", IEEE Transactions on Software Engineering SE-2 (4), 1976, pages 308-320: a structured
    program with one entry and one exit has as many independent paths as it has predicates, and one more; a compound
    predicate counts once for each of its conditions. In Python these are predicates:

    - `if`, `elif`, `a if b else c`, `assert`; `while`, `for`, and each `for` and `if` of a comprehension;
    - each `except`;
    - each `case` that may not match, and each guard of a case;
    - each `and` and `or`.

    `else`, `finally` and `with` decide nothing. What a nested function decides is its own; its decorators, defaults and
    annotations, and the body of a nested class, are run by the function around them.
    """
    decisions = 0
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        decisions += _decisions(node)
        waiting += _run_with(node)
    return 1 + decisions


def _decisions(node: ast.AST) -> int:
    match node:
        case ast.If() | ast.IfExp() | ast.Assert() | ast.While() | ast.For() | ast.AsyncFor() | ast.ExceptHandler():
            return 1
        case ast.comprehension(ifs=conditions):
            return 1 + len(conditions)
        case ast.BoolOp(values=operands):
            return len(operands) - 1
        case ast.match_case(pattern=pattern, guard=guard):
            return (not _matches_all(pattern)) + (guard is not None)
    return 0


def _matches_all(pattern: ast.pattern) -> bool:
    """Whether it is `_`, a name, or an alternative or alias of these."""
    match pattern:
        case ast.MatchAs(pattern=None):
            return True
        case ast.MatchAs(pattern=ast.pattern() as inner):
            return _matches_all(inner)
        case ast.MatchOr(patterns=alternatives):
            return _matches_all(alternatives[-1])  # the compiler takes such a one in the last place only
    return False


def _run_with(node: ast.AST) -> list[ast.AST]:
    """The children that run when the node itself does: not the body of a function."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
    return list(ast.iter_child_nodes(node))
