"""The Lua scripts: loading, composing and their declared shape.

A script's header is its contract: `-- KEYS[n] name`, `-- ARGV[n] name`, `-- RETURNS`. A line `-- include a b` is replaced by
the shared pieces lua/lib/a.lua and lua/lib/b.lua. Nothing here talks to Redis; `connection.py` runs a script by its digest.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_LUA = files("taskq.queue") / "lua"
_INCLUDE = re.compile(r"^( *)-- include (.+)$", re.MULTILINE)
_KEY_LINE = re.compile(r"^-- KEYS\[(\d+)\] (\w+)", re.MULTILINE)


class Script(NamedTuple):
    """One composed script. `keys` are the names of its KEYS in order; `sha` is what EVALSHA takes."""

    name: str
    text: str
    sha: str
    keys: tuple[str, ...]


@cache
def load(name: str) -> Script:
    """The script lua/<name>.lua with its shared pieces put in. Raises FileNotFoundError for an unknown name."""
    source = (_LUA / f"{name}.lua").read_text(encoding="utf-8")
    text = _INCLUDE.sub(_pieces, source)
    keys = tuple(key for _, key in _KEY_LINE.findall(source))
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), keys)


def names() -> list[str]:
    """Every script, in alphabetical order."""
    return sorted(entry.name.removesuffix(".lua") for entry in _LUA.iterdir() if entry.name.endswith(".lua"))


def _pieces(include: re.Match[str]) -> str:
    """What stands instead of a line `-- include`: pieces may include others, and inside of a function they are indented."""
    text = "\n".join(_piece(word) for word in include[2].split())
    return textwrap.indent(text, include[1])


@cache
def _piece(name: str) -> str:
    return _INCLUDE.sub(_pieces, (_LUA / "lib" / f"{name}.lua").read_text(encoding="utf-8").rstrip())


# Read before any worker is forked: a task that uses up all descriptors must not keep its own settle from being read.
for _name in names():
    load(_name)
