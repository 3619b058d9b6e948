from __future__ import annotations

import ast
import sys
import textwrap
from pathlib import Path

import pytest

from taskq.errors import InvalidPayload
from taskq.registry import registry

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import code_metrics


def complexity_of(body: str) -> int:
    """Of a function with this body."""
    tree = ast.parse(f"async def f(x):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n")
    function = tree.body[0]
    assert isinstance(function, ast.AsyncFunctionDef)
    return code_metrics.complexity(function)


def measured(tmp_path: Path, source: str | bytes) -> dict[str, object]:
    path = tmp_path / "source.py"
    path.write_bytes(source if isinstance(source, bytes) else textwrap.dedent(source).encode())
    result = dict(code_metrics.metrics(path=str(path)))
    assert result.pop("path") == str(path)
    return result


@pytest.mark.parametrize(
    ("body", "complexity"),
    [
        ("pass", 1),
        ("if x: pass", 2),
        ("if x: pass\nelse: pass", 2),
        ("if x: pass\nelif y: pass\nelse: pass", 3),
        ("return 1 if x else 2", 2),
        ("assert x", 2),
        ("while x: pass", 2),
        ("for y in x: pass\nelse: pass", 2),
        ("async for y in x: pass", 2),
        ("with x: pass", 1),
        ("async with x: pass", 1),
        ("try: pass\nfinally: pass", 1),
        ("try: pass\nexcept A: pass\nexcept B: pass\nelse: pass", 3),
        ("try: pass\nexcept* A: pass", 2),
        ("return x and y", 2),
        ("return x and y and z", 3),
        ("return x and y or z", 3),
        ("return not x", 1),
        ("return a < b < c", 1),
        ("return [y for y in x]", 2),
        ("return {y for y in x if y if z}", 4),
        ("return {y: z for y in x for z in y}", 3),
        ("return (y for y in x if y and z)", 4),
        ("return lambda: 1 if x else 2", 2),
        ("if x:\n    for y in x:\n        while y: pass", 4),
    ],
)
def test_each_decision_adds_one_to_the_complexity(body: str, complexity: int) -> None:
    assert complexity_of(body) == complexity


@pytest.mark.parametrize(
    ("case", "decisions"),
    [
        ("1", 1),
        ("1 | 2", 1),
        ("[1, *_]", 1),
        ("int()", 1),
        ("int() as y", 1),
        ("_", 0),
        ("y", 0),
        ("_ as y", 0),
        ("1 | _", 0),
        ("_ if y", 1),
        ("1 if y", 2),
        ("1 if y and z", 3),
    ],
)
def test_a_case_decides_unless_it_always_matches(case: str, decisions: int) -> None:
    assert complexity_of(f"match x:\n    case {case}: pass") == 1 + decisions


@pytest.mark.parametrize(
    ("body", "complexity"),
    [
        ("def g():\n    if x: pass", 1),
        ("async def g():\n    if x: pass", 1),
        ("def g(y=1 if x else 2): pass", 2),
        ("def g(y: (1 if x else 2)): pass", 2),
        ("def g() -> (1 if x else 2): pass", 2),
        ("@(x or y)\ndef g(): pass", 2),
        ("class G:\n    if x: y = 1\n    def g(self):\n        if x: pass", 2),
    ],
)
def test_a_nested_function_keeps_its_decisions_to_itself(body: str, complexity: int) -> None:
    assert complexity_of(body) == complexity


def test_functions_are_named_as_python_names_them() -> None:
    source = textwrap.dedent(
        """
        def f():
            def g(): pass
            class A:
                def h(self): pass
        class B:
            class C:
                async def i(self):
                    if True:
                        def j(): pass
        """
    )

    found = {(function.name, function.line) for function in code_metrics.functions(ast.parse(source))}

    assert found == {
        ("f", 2),
        ("f.<locals>.g", 3),
        ("f.<locals>.A.h", 5),
        ("B.C.i", 8),
        ("B.C.i.<locals>.j", 10),
    }


def test_the_most_complex_function_is_reported_with_its_line(tmp_path: Path) -> None:
    source = """\
        def simple(): pass

        class Shape:
            @property
            def area(self):
                return 1 if self else 2
        """

    assert measured(tmp_path, source) == {
        "lines": 6,
        "functions": 2,
        "most_complex": {"name": "Shape.area", "line": 5, "complexity": 2},
    }


def test_of_equally_complex_functions_the_first_is_reported(tmp_path: Path) -> None:
    result = measured(tmp_path, "def b(): pass\ndef a(): pass\ndef c(): pass\n")

    assert result["most_complex"] == {"name": "b", "line": 1, "complexity": 1}


@pytest.mark.parametrize(
    ("source", "lines"), [("", 0), ("x = 1", 1), ("x = 1\n", 1), ("x = 1\r\ny = 2\r\n", 2), ("\f\n\n", 2)]
)
def test_a_file_without_functions_has_no_most_complex_one(tmp_path: Path, source: str, lines: int) -> None:
    assert measured(tmp_path, source) == {"lines": lines, "functions": 0, "most_complex": None}


@pytest.mark.parametrize(
    "source",
    [
        "# coding: latin-1\ndef größe(): pass\n".encode("latin-1"),
        "# coding: cp1251\ndef размер(): pass\n".encode("cp1251"),
        b"\xef\xbb\xbfdef f(): pass\n",
    ],
)
def test_a_file_is_read_in_the_encoding_that_it_declares(tmp_path: Path, source: bytes) -> None:
    encoding = {b"# coding: l": "latin-1", b"# coding: c": "cp1251"}.get(source[:11], "utf-8-sig")
    text = source.decode(encoding)
    name = text[text.index("def ") + 4 : text.index("(")]

    result = measured(tmp_path, source)

    assert result["most_complex"] == {"name": name, "line": text.count("\n"), "complexity": 1}


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (b"print 'x'\n", "SyntaxError: Missing parentheses in call to 'print'"),
        (b"if x:\ny\n", "IndentationError: expected an indented block"),
        (b"# coding: klingon\n", "SyntaxError: unknown encoding"),
        (b"x = '\xff'\n", "SyntaxError: invalid or missing encoding declaration"),
        (b"# coding: utf-8\n" + b"#\n" * 9 + b"x = '\xff'\n", "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff"),
        (b"x = 1\0\n", ""),  # which exception it is depends on the version of Python
        (b"-" * 100_000 + b"1\n", ""),
    ],
)
def test_a_file_that_is_not_python_has_an_error_as_its_result(tmp_path: Path, source: bytes, error: str) -> None:
    result = measured(tmp_path, source)

    assert list(result) == ["error"]
    assert str(result["error"]).startswith(error)


def test_a_style_that_the_compiler_dislikes_is_measured_without_a_warning(tmp_path: Path) -> None:
    assert measured(tmp_path, "x = '\\d' is 1\n") == {"lines": 1, "functions": 0, "most_complex": None}


def test_a_file_that_is_not_there_fails_the_task_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        code_metrics.metrics(path=str(tmp_path / "absent.py"))

    assert FileNotFoundError in registry.options("code.metrics").no_retry_on


def test_the_payload_is_an_object_with_the_path() -> None:
    signature = registry.get("code.metrics").signature

    assert signature.bind(b'{"path": "a.py"}') == ((), {"path": "a.py"})
    with pytest.raises(InvalidPayload):
        signature.bind(b'{"path": 1}')
