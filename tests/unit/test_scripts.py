"""The Lua scripts keep to their headers: names and counts of keys and arguments, what each piece needs, size, flags."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import pytest

import taskq.queue
from taskq.queue import scripts

LUA = Path(taskq.queue.__file__).parent / "lua"
PIECES = sorted(path.stem for path in (LUA / "lib").glob("*.lua"))
MOST_LINES = 40
REFUSED_WHEN_FULL = {"enqueue", "enqueue_alike", "requeue", "fire", "progress", "output", "plan", "fold", "count"}
"""What stores more than there was, or only informs; everything else must go on at maxmemory."""

STANDS_FOR = {"error": "err"}
"""`error` is a function of Lua, so a script calls that argument `err`."""

KEYWORDS = {"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not"}
KEYWORDS |= {"or", "repeat", "return", "then", "true", "until", "while"}
GLOBALS = {"redis", "tonumber", "tostring", "ipairs", "pairs", "unpack", "math", "string", "table", "cjson", "KEYS", "ARGV"}

_COMMENT = re.compile(r"--[^\n]*")
_STRING = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_LOCAL = re.compile(r"\blocal\s+(?!function\b)([\w, ]+?)\s*(?:=|$)", re.MULTILINE)
_FUNCTION = re.compile(r"\blocal function\s+(\w+)\s*\(([^)]*)\)")
_LOOP = re.compile(r"\bfor\s+([\w, ]+?)\s*(?:=|\bin\b)")
_NAME = re.compile(r"(?<![\w.:])[A-Za-z_]\w*")
_ASSIGNED = re.compile(r"^local ([\w, ]+?) = ([^\n]+)$", re.MULTILINE)
_INCLUDE = re.compile(r"^ *-- include (.+)$", re.MULTILINE)


class Header(NamedTuple):
    """What the first comment of a script declares. `variadic`: the last argument stands for all that follow."""

    flags: str
    name: str
    keys: list[str]
    arguments: list[str]
    variadic: bool
    returns: str


def code_of(source: str) -> str:
    """A source without comments and strings."""
    return _STRING.sub("''", _COMMENT.sub("", source))


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def header_of(source: str) -> Header:
    lines = source.splitlines()
    head = [line for line in lines[1:] if line.startswith("-- ") and not line.startswith("-- include")]
    text = "\n".join(head)
    keys = re.findall(r"^-- KEYS\[(\d+)\] (\w+)", text, re.MULTILINE)
    arguments = re.findall(r"^-- ARGV\[(\d+)\] (?:to the last: )?(\w+)", text, re.MULTILINE)
    for found in (keys, arguments):
        assert [int(number) for number, _ in found] == list(range(1, len(found) + 1)), "numbers have gaps"
    purpose = re.match(r"-- (\w+): \w", lines[1])
    assert purpose, "the second line must say what the script does"
    returns = re.search(r"^-- RETURNS (.+)", text, re.MULTILINE)
    assert returns, "RETURNS is missing"
    variadic = bool(re.search(r"^-- ARGV(?:\[\d+\] to the last:| +for each)", text, re.MULTILINE))
    names = [name for _, name in arguments]
    return Header(lines[0], purpose[1], [k for _, k in keys], names, variadic, returns[1])


def assigned(source: str, table: str) -> dict[int, str]:
    """The local names that a body gives to KEYS[n] or ARGV[n]."""
    found: dict[int, str] = {}
    for names, values in _ASSIGNED.findall(source):
        numbers = re.findall(rf"{table}\[(\d+)\]", values)
        if numbers:
            found.update(zip(map(int, numbers), words(names), strict=True))
    return found


def used(source: str, table: str) -> set[int]:
    return set(map(int, re.findall(rf"{table}\[(\d+)\]", code_of(source))))


def header_faults(name: str, source: str) -> list[str]:
    """Where header and body disagree, as sentences."""
    try:
        header = header_of(source)
    except AssertionError as error:
        return [f"{name}: {error}".partition("\n")[0]]
    faults = [] if header.name == name else [f"{name}: the header is that of {header.name}"]
    for table, declared in (("KEYS", header.keys), ("ARGV", header.arguments)):
        fixed = declared[:-1] if table == "ARGV" and header.variadic else declared
        named = assigned(source, table)
        for number, word in enumerate(fixed, start=1):
            local = named.get(number)
            if local != STANDS_FOR.get(word, word):
                faults.append(f"{name}: {table}[{number}] is {word} in the header and {local} in the body")
        surplus = used(source, table) - set(range(1, len(declared) + 1))
        faults += [f"{name}: {table}[{number}] is not in the header" for number in sorted(surplus)]
    return faults


def body_lines(source: str) -> int:
    """Lines of code: neither blank nor comment."""
    return sum(1 for line in source.splitlines() if line.strip() and not line.lstrip().startswith(("--", "#!")))


def free_names(source: str) -> set[str]:
    """Names that a source uses and does not define, beyond those of Lua and Redis."""
    code = code_of(source.partition("\n")[2] if source.startswith("#!") else source)
    bound = {name for group in (*_LOCAL.findall(code), *_LOOP.findall(code)) for name in words(group)}
    for function, parameters in _FUNCTION.findall(code):
        bound |= {function, *words(parameters)}
    return set(_NAME.findall(code)) - bound - KEYWORDS - GLOBALS


def provided(source: str) -> set[str]:
    """The names that a piece defines for those that include it."""
    code = code_of(source)
    top = {name for group in re.findall(r"^local (?!function\b)([\w, ]+?)\s*=", code, re.MULTILINE) for name in words(group)}
    return top | {function for function, _ in re.findall(r"^local function (\w+)(\()", code, re.MULTILINE)}


def piece(name: str) -> str:
    return (LUA / "lib" / f"{name}.lua").read_text()


def whole(name: str) -> str:
    """A piece with those it includes itself and what these include, indented as they are, without their headers."""
    return _INCLUDE.sub(lambda line: textwrap.indent("\n".join(map(bodied, line[1].split())), "  "), piece(name))


def bodied(name: str) -> str:
    return "\n".join(line for line in whole(name).splitlines() if not line.startswith("--"))


def script(name: str) -> str:
    return (LUA / f"{name}.lua").read_text()


def needs(source: str) -> set[str]:
    """The names that a piece says it needs."""
    text = " ".join(line[2:].strip() for line in source.splitlines() if line.startswith("--"))
    found = re.search(r"Needs: ([^.]+)\.", text)
    return set(re.split(r", | and ", found[1])) if found else set()


def stated(source: str, there: Collection[str] = ()) -> set[str]:
    """What a piece may use by its Needs: a piece named there brings what it defines and what it needs itself, unless what
    bears its name is `there` already.
    """
    names = set()
    for word in needs(source):
        names |= {word}
        if word in PIECES and word not in there:
            names |= provided(piece(word)) | stated(piece(word), there)
    return names


@pytest.mark.parametrize("name", scripts.names())
def test_header_and_body_of_a_script_agree(name: str) -> None:
    assert header_faults(name, script(name)) == []


@pytest.mark.parametrize("name", scripts.names())
def test_a_script_is_short(name: str) -> None:
    assert body_lines(script(name)) < MOST_LINES


@pytest.mark.parametrize("name", PIECES)
def test_a_piece_is_short(name: str) -> None:
    assert body_lines(piece(name)) < MOST_LINES


@pytest.mark.parametrize("name", scripts.names())
def test_only_what_stores_more_than_there_was_is_refused_when_redis_is_full(name: str) -> None:
    assert header_of(script(name)).flags == ("#!lua" if name in REFUSED_WHEN_FULL else "#!lua flags=allow-oom")


@pytest.mark.parametrize("name", scripts.names())
def test_every_included_piece_exists_and_comes_after_those_it_needs(name: str) -> None:
    source = script(name)
    before: set[str] = set()

    for line in _INCLUDE.finditer(source):
        before |= provided(source[: line.start()])
        for word in line[1].split():
            assert word in PIECES
            missing = {need for need in stated(piece(word), before) if need not in PIECES} - before - provided(piece(word))
            assert missing == set(), f"{word} is included too early"
            before |= provided(piece(word))


@pytest.mark.parametrize("name", scripts.names())
def test_a_composed_script_uses_no_name_that_nobody_defines(name: str) -> None:
    assert free_names(scripts.load(name).text) == set()


@pytest.mark.parametrize("name", PIECES)
def test_a_piece_says_what_it_needs_and_nothing_else(name: str) -> None:
    free, named = free_names(whole(name)), needs(piece(name))

    assert free <= stated(piece(name))
    assert {word for word in named if word not in PIECES} <= free
    assert all(provided(piece(word)) & free for word in named if word in PIECES and word != "now")


@pytest.mark.parametrize("name", PIECES)
def test_every_piece_is_included_somewhere(name: str) -> None:
    sources = [*(script(other) for other in scripts.names()), *(piece(other) for other in PIECES if other != name)]
    included = {word for source in sources for line in _INCLUDE.findall(source) for word in line.split()}

    assert name in included


# -- loading


def test_a_loaded_script_has_its_pieces_and_the_digest_of_the_whole() -> None:
    loaded = scripts.load("promote")

    assert "local function push" in loaded.text
    assert "-- include" not in loaded.text
    assert loaded.text.startswith("#!lua flags=allow-oom\n")
    assert loaded.keys == ("pending", "high", "low", "scheduled", "task_prefix", "paused", "limits")
    assert re.fullmatch("[0-9a-f]{40}", loaded.sha)


def test_an_unknown_script_cannot_be_loaded() -> None:
    with pytest.raises(FileNotFoundError):
        scripts.load("no_such_script")


# -- the checker itself

GOOD = """#!lua flags=allow-oom
-- sample: shows what a header looks like.
-- KEYS[1] pending
-- KEYS[2] processing of this worker
-- ARGV[1] id
-- ARGV[2] delay in ms
-- ARGV[3] error
-- RETURNS nothing
local pending, processing = KEYS[1], KEYS[2]
local id, delay, err = ARGV[1], tonumber(ARGV[2]), ARGV[3]
return {pending, processing, id, delay, err}
"""

BROKEN = {
    "a key has another name": ("local pending, processing", "local waiting, processing"),
    "two keys are exchanged": ("= KEYS[1], KEYS[2]", "= KEYS[2], KEYS[1]"),
    "an argument has another name": ("-- ARGV[1] id", "-- ARGV[1] task"),
    "an argument begins with no name": ("-- ARGV[2] delay in ms", "-- ARGV[2] the delay in ms"),
    "a key is used that is not declared": ("return {pending", "return {KEYS[3]"),
    "a key is declared that is not used": ("-- ARGV[1]", "-- KEYS[3] failed\n-- ARGV[1]"),
    "an argument is used that is not declared": ("return {pending", "return {ARGV[4]"),
    "an argument is declared that is not used": ("-- RETURNS", "-- ARGV[4] detail\n-- RETURNS"),
    "a number is left out": ("-- KEYS[2]", "-- KEYS[3]"),
    "the header is that of another script": ("-- sample:", "-- example:"),
    "the purpose is missing": ("-- sample: shows what a header looks like.\n", ""),
    "what it returns is missing": ("-- RETURNS nothing\n", ""),
}


def test_a_good_header_is_left_alone() -> None:
    assert header_faults("sample", GOOD) == []


@pytest.mark.parametrize(("old", "new"), BROKEN.values(), ids=BROKEN)
def test_a_broken_header_is_caught(old: str, new: str) -> None:
    assert old in GOOD

    assert header_faults("sample", GOOD.replace(old, new)) != []


def test_a_name_that_nobody_defines_is_caught() -> None:
    source = "local function f(a)\n  for _, b in ipairs(a) do\n    missing(b, a.field, 'text') -- nor this\n  end\nend\n"

    assert free_names(source) == {"missing"}
