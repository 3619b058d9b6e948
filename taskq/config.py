"""The configuration of the service: `load` merges everyone who may set a key, and reports every fault at once.

A flag beats the environment, the environment `.env`, `.env` the file, and the file the default. Nothing here opens a
connection or changes the environment.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from taskq import configfile, configkinds
from taskq.configfile import Layer, Setting, dotted
from taskq.configkinds import Address, Kind, Reason, integer, masked_url, quoted
from taskq.configschema import (
    KEYS,
    NAMED,
    REQUIRED,
    SECTIONS,
    Api,
    Config,
    Defaults,
    KeyPath,
    Leases,
    Logging,
    Pool,
    Redis,
    Retention,
    Schedule,
    Tasks,
    all_keys,
    build,
    pattern,
    value_at,
)
from taskq.errors import ConfigError, Fault
from taskq.task import NAME
from taskq.units import format_duration

__all__ = [
    "Address",
    "Api",
    "Config",
    "Defaults",
    "Leases",
    "Loaded",
    "Logging",
    "Pool",
    "Redis",
    "Retention",
    "Schedule",
    "Tasks",
    "load",
    "masked_url",
    "rows",
]

_LISTEN, _URL = ("api", "listen"), ("redis", "url")
_OPENING = (("api", "allow_unauthenticated"), ("api", "tokens_file"))
_HEARTBEAT, _LEASE = ("leases", "heartbeat"), ("leases", "lease")
_HEARTBEATS_PER_LEASE = 3
"""A live worker keeps its lease when two renewals in a row are late or lost."""

_PARTS: Mapping[KeyPath, Kind] = {
    (configfile.SERVER_PORT,): integer(1, 65535, "a port"),
    (configfile.REDIS_ADDR,): configkinds.REMOTE_ADDRESS,
    (configfile.REDIS_PASSWORD,): configkinds.PASSWORD,
    (configfile.REDIS_DB,): integer(0, 15, "a database"),
}
_LOCAL_REDIS = "redis://localhost:6379/0"


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration, and for each of its dotted keys who set it: `default`, `conf/taskq.yaml:12`, `environment
    SERVER_PORT`, `.env REDIS_ADDR`, `flag --workers`, or several of these when the value was put together."""

    config: Config
    origins: Mapping[str, str]


def load(path: Path | None, *, environ: Mapping[str, str], flags: Mapping[str, object], cwd: Path) -> Loaded:
    """The configuration of the file (None: the one that TASKQ_CONFIG names, or none), `.env` in `cwd`, `environ` and
    `flags`, which go from dotted key to value (None: not given). Raises ConfigError with every fault there is."""
    variables, faults = configfile.read_variables(environ, cwd)
    settings = []
    named = variables.get(configfile.CONFIG_VARIABLE)
    if path is not None:
        settings += _file_settings(path, cwd, ("flag", "--config"), faults)
    elif named is not None and named.value:
        place = configfile.layer_place(named.layer)
        settings += _file_settings(Path(named.value), cwd, (place, configfile.CONFIG_VARIABLE), faults)
    given, parts = _Given(KEYS, SECTIONS), _Given(_PARTS, {})
    given.add([*settings, *configfile.variable_settings(variables), *configfile.flag_settings(flags)])
    parts.add(configfile.part_settings(variables))
    loaded = _merge(given, parts)
    faults += [*given.faults, *parts.faults, *_faults_across_keys(loaded.config, given)]
    if faults:
        raise ConfigError(sorted(faults, key=_reading_order))
    return loaded


def rows(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Key, value as it is written in YAML (without the password) and origin of every setting, in the schema's order."""
    return [
        (".".join(path), kind.show(value_at(loaded.config, path)), loaded.origins[".".join(path)])
        for path, kind in all_keys({section: getattr(loaded.config, section) for section in NAMED})
    ]


class _Given:
    """What each layer gave for each key, checked; `bad` are the paths that have faults."""

    def __init__(self, keys: Mapping[KeyPath, Kind], sections: Mapping[KeyPath, tuple[str, ...]]) -> None:
        self.values: dict[KeyPath, dict[Layer, Setting]] = {}
        self.named: dict[str, dict[str, Setting]] = {section: {} for section in NAMED}
        self.faults: list[Fault] = []
        self.bad: set[KeyPath] = set()
        self._keys = keys
        self._sections = sections

    def add(self, settings: Iterable[Setting]) -> None:
        """Takes settings, the weaker before the stronger. What stands in the file under a bad key is not looked at."""
        for setting in settings:
            path = setting.path
            if setting.layer is Layer.FILE and any(path[:depth] in self.bad for depth in range(1, len(path))):
                continue
            if (fault := self._take(setting)) is not None:
                self.faults.append(fault)
                self.bad.add(path)

    def at(self, path: KeyPath, layer: Layer) -> Setting | None:
        """The setting of the key in this layer."""
        return self.values.get(path, {}).get(layer)

    def top(self, path: KeyPath) -> Setting | None:
        """The strongest setting of the key; None means that it has its default."""
        layers = self.values.get(path)
        return layers[max(layers)] if layers else None

    def _take(self, setting: Setting) -> Fault | None:
        at = pattern(setting.path)
        if at[1:2] == ("*",):
            section, name = setting.path[:2]
            if not NAME.match(name):
                expected = f"a {section.removesuffix('s')} {configkinds.NAME_.expected.removeprefix('a ')}"
                return Fault(setting.place, setting.key, expected, quoted(name))
            self.named[section].setdefault(name, setting)
        if at in self._keys:
            return self._parse(setting, self._keys[at])
        if at not in self._sections:
            return _unknown_key(setting)
        if setting.value is None or setting.value == {}:
            return None
        names = ", ".join(self._sections[at]) or f"{at[-1]} by name"
        return Fault(setting.place, setting.key, f"a mapping of {names}", quoted(setting.value))

    def _parse(self, setting: Setting, kind: Kind) -> Fault | None:
        try:
            value = kind.parse(setting.value)
        except ValueError as error:
            hint = _nearest_word(str(setting.value), kind.words()) or (str(error) if isinstance(error, Reason) else "")
            return Fault(setting.place, setting.key, kind.expected, quoted(setting.value), hint)
        self.values.setdefault(setting.path, {})[setting.layer] = setting._replace(value=value)
        return None


def _file_settings(path: Path, cwd: Path, named_by: tuple[str, str], faults: list[Fault]) -> list[Setting]:
    try:
        settings, found = configfile.read_file(cwd / path, str(path))
    except OSError as error:
        got, hint = quoted(str(path)), error.strerror or str(error)
        settings, found = [], [Fault(*named_by, "a readable YAML file", got, hint)]
    faults += found
    return settings


def _merge(given: _Given, parts: _Given) -> Loaded:
    """The strongest value of each key. The pools of the file replace the default one, those of other layers join."""
    pools = given.named["pools"]
    in_file = [name for name, setting in pools.items() if setting.layer is Layer.FILE]
    names: dict[str, Iterable[str]] = {**given.named, "pools": dict.fromkeys([*(in_file or ["default"]), *pools])}
    values: dict[KeyPath, object] = {}
    origins: dict[KeyPath, list[Setting]] = {}
    for path, _ in all_keys(names):
        setting = given.top(path)
        values |= {path: setting.value} if setting else {}
        origins[path] = [setting] if setting else []
    values[_LISTEN], origins[_LISTEN] = _listen(given, parts)
    values[_URL], origins[_URL] = _redis_url(given, parts)
    texts = {".".join(path): ", ".join(setting.origin for setting in found) for path, found in origins.items()}
    return Loaded(config=build(values, names), origins={key: text or "default" for key, text in texts.items()})


def _listen(given: _Given, parts: _Given) -> tuple[Address, list[Setting]]:
    """The address to listen on: SERVER_PORT replaces the port that its own layer or a weaker one says."""
    address, origins = Api().listen, list[Setting]()
    for layer in Layer:
        if setting := given.at(_LISTEN, layer):
            address, origins = setting.value, [setting]
        if port := parts.at((configfile.SERVER_PORT,), layer):
            address, origins = Address(address.host, port.value), [*origins, port]
    return address, origins


def _redis_url(given: _Given, parts: _Given) -> tuple[str | None, list[Setting]]:
    """The URL of Redis: host and database of a weaker layer's URL give way to REDIS_ADDR and REDIS_DB, its password to
    REDIS_PASSWORD. A URL from a variable or a flag gives way to nothing, and only lacks a password or not."""
    url: str | None = None
    origins: list[Setting] = []
    for layer in Layer:
        if setting := given.at(_URL, layer):
            url, origins = setting.value, [setting]
            continue
        if address := parts.at((configfile.REDIS_ADDR,), layer):
            url, origins = configkinds.with_address(url or _LOCAL_REDIS, address.value), [*origins, address]
        if database := parts.at((configfile.REDIS_DB,), layer):
            url, origins = configkinds.with_database(url or _LOCAL_REDIS, database.value), [*origins, database]
    password, named = parts.top((configfile.REDIS_PASSWORD,)), given.top(_URL)
    keeps_its_own = url is not None and named is not None and named.layer > Layer.FILE and configkinds.has_password(url)
    if password is None or keeps_its_own:
        return url, origins
    return configkinds.with_password(url or _LOCAL_REDIS, password.value), [*origins, password]


def _faults_across_keys(config: Config, given: _Given) -> list[Fault]:
    """What no key is to blame for alone. Silent about keys that already have a fault: their value is not the one meant."""
    faults = []
    listen, lease = given.top(_LISTEN), given.top(_LEASE) or given.top(_HEARTBEAT)
    if listen and config.api.exposed and not given.bad & {_LISTEN, *_OPENING}:
        expected = "a loopback address while there is no api.tokens_file and api.allow_unauthenticated is false"
        hint = "set api.tokens_file, or api.allow_unauthenticated to true to serve everyone who can reach this address"
        faults.append(Fault(listen.place, listen.key, expected, quoted(str(config.api.listen)), hint))
    least_s = _HEARTBEATS_PER_LEASE * config.leases.heartbeat
    if lease and config.leases.lease < least_s and not given.bad & {_LEASE, _HEARTBEAT}:
        expected = f"at least {_HEARTBEATS_PER_LEASE} x leases.heartbeat ({format_duration(least_s)}) for leases.lease"
        faults.append(Fault(lease.place, lease.key, expected, format_duration(config.leases.lease)))
    return faults + list(_missing(given))


def _missing(given: _Given) -> Iterator[Fault]:
    """Keys that have no default and were not given."""
    for section, _, key in REQUIRED:
        for name, first in given.named[section].items():
            path = (section, name, key)
            if given.top(path) is None and path not in given.bad and (section, name) not in given.bad:
                yield Fault(first.place, dotted(path), KEYS[pattern(path)].expected, "nothing")


def _nearest_word(text: str, words: Iterable[str]) -> str:
    lower = {word.lower(): word for word in words}
    near = difflib.get_close_matches(text.lower(), lower, 1)
    return f"did you mean {lower[near[0]]}?" if near else ""


def _unknown_key(setting: Setting) -> Fault:
    path = setting.path
    depth = max(depth for depth in range(len(path)) if pattern(path[:depth]) in SECTIONS)
    names = SECTIONS[pattern(path[:depth])]
    near = _nearest(path, depth, names)
    hint = ""
    if setting.layer in (Layer.DOTENV, Layer.ENVIRONMENT):
        hint = configfile.variable_name(near) if pattern(near) in KEYS else ""
    elif near:
        hint = near[-1] if near[:-1] == path[:-1] else dotted(near)
    got, hint = "an unknown key", f"did you mean {hint}?" if hint else ""
    return Fault(setting.place, setting.key, f"one of {', '.join(names)}", got, hint)


def _nearest(path: KeyPath, depth: int, names: tuple[str, ...]) -> KeyPath:
    """The key that was probably meant: a neighbour with a similar name, else a key elsewhere with almost this name."""
    for near in difflib.get_close_matches(path[depth].lower(), names, 1):
        whole = (*path[:depth], near, *path[depth + 1 :])
        return whole if pattern(whole) in {**KEYS, **SECTIONS} else whole[: depth + 1]
    elsewhere = {key[-1]: key for key in KEYS if key[0] != "schedules"}
    for near in difflib.get_close_matches(path[-1].lower(), elsewhere, 1, cutoff=0.85):
        return tuple("default" if part == "*" else part for part in elsewhere[near])
    return ()


def _reading_order(fault: Fault) -> tuple[bool, int]:
    """Those of the file first and by line, so that it can be mended from top to bottom."""
    _, colon, line = fault.place.rpartition(":")
    return (False, int(line)) if colon and line.isdecimal() else (True, 0)
