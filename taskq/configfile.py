"""Where settings come from: the YAML file with its line numbers, `.env`, the environment and flags, as one list.

Which keys there are and what they take is checked elsewhere. The file is composed into nodes and never constructed: no
tag of it can make an object, and an alias that stands for gigabytes is refused before anybody follows it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from dotenv import dotenv_values

from taskq.configcron import Structure
from taskq.configschema import KEYS, NAMED, KeyPath, pattern
from taskq.errors import Fault

CONFIG_VARIABLE = "TASKQ_CONFIG"
WORKER_COUNT = "WORKER_COUNT"
SERVER_PORT = "SERVER_PORT"
REDIS_ADDR = "REDIS_ADDR"
REDIS_PASSWORD = "REDIS_PASSWORD"  # noqa: S105 - the name of a variable
REDIS_DB = "REDIS_DB"
PARTS = (SERVER_PORT, REDIS_ADDR, REDIS_PASSWORD, REDIS_DB)
"""Variables that set a part of a key and leave the rest of it alone."""

_PREFIX = "TASKQ_"
_DEPTH_MAX = 20
_KNOWN_TAG = re.compile(r"tag:yaml\.org,2002:(str|int|float|bool|null|timestamp|merge|value|map|seq)\Z")
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"[+-]?([0-9]+\.[0-9]*([eE][+-]?[0-9]+)?|\.inf|\.nan)\Z", re.IGNORECASE)
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Layer(enum.IntEnum):
    """Who says it; the higher wins."""

    FILE = 1
    DOTENV = 2
    ENVIRONMENT = 3
    FLAG = 4


class Setting(NamedTuple):
    """One value that somebody gave. A mapping appears as `{}`, before the settings in it; `place` and `key` are what a
    fault calls it."""

    path: KeyPath
    value: Any
    layer: Layer
    place: str
    key: str

    @property
    def origin(self) -> str:
        """Where the value comes from, for people."""
        return self.place if self.layer is Layer.FILE else f"{self.place} {self.key}"


class Variable(NamedTuple):
    """An environment variable and the layer that it was found in."""

    value: str
    layer: Layer


def dotted(path: Iterable[str]) -> str:
    """The key as a fault shows it: escaped and cut, because a key of the file may hold anything at all."""
    text = ".".join(path)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= 120 else text[:117] + "..."


def split_dotted(key: str) -> KeyPath:
    """The parts of a dotted key. The name of a pool or schedule may itself hold dots."""
    parts = key.split(".")
    return (parts[0], ".".join(parts[1:-1]), parts[-1]) if parts[0] in NAMED and len(parts) > 3 else tuple(parts)


def read_file(path: Path, shown_as: str) -> tuple[list[Setting], list[Fault]]:
    """Everything the YAML file says, in its order, and what is wrong with its form. Raises OSError."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
        reader = _Reader(shown_as)
        if reader.scan(text):
            reader.read(yaml.compose(text, Loader=yaml.SafeLoader))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return [], [Fault(f"{shown_as}:{line}", "encoding", "UTF-8", "other bytes")]
    except yaml.YAMLError as error:
        return [], [_syntax_fault(error, text, shown_as)]
    return reader.settings, reader.faults


def read_variables(environ: Mapping[str, str], cwd: Path) -> tuple[dict[str, Variable], list[Fault]]:
    """The variables of `.env` in the working directory under those of the environment; touches neither."""
    faults = []
    written: Mapping[str, str | None] = {}
    try:
        # No interpolation: it would read the real environment, and a password may well hold a ${.
        written = dotenv_values(cwd / ".env", interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        got = (error.strerror or "an error") if isinstance(error, OSError) else "other bytes"
        faults.append(Fault(".env", "file", "a readable UTF-8 file", got))
    variables = {name: Variable(value, Layer.DOTENV) for name, value in written.items() if value is not None}
    return variables | {name: Variable(value, Layer.ENVIRONMENT) for name, value in environ.items()}, faults


def variable_settings(variables: Mapping[str, Variable]) -> Iterator[Setting]:
    """The keys that variables set, the stronger after the weaker. A TASKQ_ name without a double underscore is left
    alone: Kubernetes makes such names for a service."""
    for layer in (Layer.DOTENV, Layer.ENVIRONMENT):
        here = {name: variable.value for name, variable in variables.items() if variable.layer is layer}
        if here.get(WORKER_COUNT):
            yield Setting(("pools", "default", "workers"), here[WORKER_COUNT], layer, layer_place(layer), WORKER_COUNT)
        for name in sorted(here):
            if name.startswith(_PREFIX) and "__" in name:
                path = tuple(name.removeprefix(_PREFIX).lower().split("__"))
                yield Setting(path, here[name], layer, layer_place(layer), name)


def part_settings(variables: Mapping[str, Variable]) -> Iterator[Setting]:
    """What the variables in `PARTS` say, each under its own name; an empty one says nothing."""
    for name in PARTS:
        if name in variables and variables[name].value:
            layer = variables[name].layer
            yield Setting((name,), variables[name].value, layer, layer_place(layer), name)


def flag_settings(flags: Mapping[str, object]) -> Iterator[Setting]:
    """The flags that were given, from dotted key to value; None was not. A flag is called as the last part of its key."""
    for key, value in flags.items():
        if value is not None:
            path = split_dotted(key)
            yield Setting(path, value, Layer.FLAG, layer_place(Layer.FLAG), "--" + path[-1].replace("_", "-"))


def layer_place(layer: Layer) -> str:
    """What a fault calls a layer that has no lines."""
    return {Layer.DOTENV: ".env", Layer.ENVIRONMENT: "environment", Layer.FLAG: "flag"}[layer]


def variable_name(path: KeyPath) -> str:
    """The environment variable that sets the key."""
    return _PREFIX + "__".join(path).upper()


class _Reader:
    """Collects settings and faults from the nodes of one file."""

    def __init__(self, shown_as: str) -> None:
        self.settings: list[Setting] = []
        self.faults: list[Fault] = []
        self._shown_as = shown_as
        self._seen: set[int] = set()

    def scan(self, text: str) -> bool:
        """A fault for every anchor and alias. False if the nesting is so deep that it must not be composed: that takes
        stack and, with brackets, time that grows with the square of the depth."""
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEPTH_MAX:
                self._fault(event, ("syntax",), f"at most {_DEPTH_MAX} levels of nesting", "more")
                return False
            if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
                sign, word = ("*", "an alias") if isinstance(event, yaml.AliasEvent) else ("&", "an anchor")
                self._fault(event, (sign + event.anchor,), "every value written out", word)
        return True

    def read(self, root: yaml.Node | None) -> None:
        """Everything under the root; an empty file says nothing."""
        if isinstance(root, yaml.MappingNode):
            self._mapping(root, ())
        elif root is not None and not (isinstance(root, yaml.ScalarNode) and root.tag.endswith(":null")):
            self._fault(root, ("top level",), "a mapping of sections", _noun(root))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> None:
        if self._again(node):
            return
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(key, path or ("top level",), "plain keys", _noun(key))
            elif key.value in lines:
                hint = f"first set on line {lines[key.value]}"
                self._fault(key, (*path, key.value), "each key once", "it again", hint)
            else:
                lines[key.value] = _line(key)
                self._entry(key, value, (*path, key.value))

    def _entry(self, key: yaml.ScalarNode, node: yaml.Node, path: KeyPath) -> None:
        items = node.value if isinstance(node, yaml.SequenceNode) else []
        tagged = next((each for each in (node, *items) if not _KNOWN_TAG.match(each.tag)), None)
        if tagged is not None:
            self._fault(tagged, path, "a value without a tag", dotted([tagged.tag]))
            return
        kind = KEYS.get(pattern(path))
        if kind is not None and kind.whole:
            place = f"{self._shown_as}:{_line(key)}"
            self.settings.append(Setting(path, Structure(self._structure(node, path)), Layer.FILE, place, dotted(path)))
            return
        value = [] if isinstance(node, yaml.SequenceNode) and self._again(node) else _value(node)
        self.settings.append(Setting(path, value, Layer.FILE, f"{self._shown_as}:{_line(key)}", dotted(path)))
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, path)

    def _structure(self, node: yaml.Node, path: KeyPath) -> Any:
        """The node as Python values, however deep; the scan has seen to it that this ends."""
        if not _KNOWN_TAG.match(node.tag):
            self._fault(node, path, "a value without a tag", dotted([node.tag]))
            return None
        if isinstance(node, yaml.ScalarNode) or self._again(node):
            return _scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(node, yaml.SequenceNode):
            return [self._structure(item, path) for item in node.value]
        members: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(key, path, "plain keys", _noun(key))
            elif key.value in members:
                self._fault(key, (*path, key.value), "each key once", "it again")
            else:
                members[key.value] = self._structure(value, (*path, key.value))
        return members

    def _again(self, node: yaml.Node) -> bool:
        """True if an alias leads here a second time, perhaps in a circle."""
        seen = id(node) in self._seen
        self._seen.add(id(node))
        return seen

    def _fault(self, at: yaml.Node | yaml.Event, path: KeyPath, expected: str, got: str, hint: str = "") -> None:
        self.faults.append(Fault(f"{self._shown_as}:{_line(at)}", dotted(path), expected, got, hint))


def _line(at: yaml.Node | yaml.Event) -> int:
    return at.start_mark.line + 1 if at.start_mark else 1


def _value(node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return {}
    if isinstance(node, yaml.SequenceNode):
        # Only one level: no key takes a list of lists, and a deeper walk could follow aliases.
        return [[] if isinstance(item, yaml.SequenceNode) else _value(item) for item in node.value]
    return _scalar(node)


def _scalar(node: yaml.Node) -> object:
    """The value of a scalar. What YAML 1.1 alone calls a number (010, 1:30, 1_000) stays the text that was written."""
    text: str = node.value
    kind = node.tag.rpartition(":")[2]
    if kind == "null" and text.lower() in ("", "~", "null"):
        return None
    if kind == "bool":
        return _WORDS.get(text.lower(), text)
    if kind == "int" and _INTEGER.match(text):
        return int(text)
    if kind == "float" and _FLOAT.match(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _noun(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a plain value"


def _syntax_fault(error: yaml.YAMLError, text: str, shown_as: str) -> Fault:
    """Where and what; never the excerpt that the error carries, which may hold a password."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0)) + 1
    got = getattr(error, "problem", None) or getattr(error, "reason", None) or "something else"
    alias = getattr(error, "context", None) == "while scanning an alias"
    hint = 'a value that begins with a star must be quoted, such as "*/5 * * * *"' if alias else ""
    return Fault(f"{shown_as}:{line}", "syntax", "YAML", dotted([got]), hint)
