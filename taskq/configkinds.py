"""What the value of a setting may be: how it is read, what a refusal says was expected, how it is shown.

Pure functions of values. Texts come from YAML and from the environment alike, so every kind also reads strings.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import SplitResult, quote, unquote, urlsplit

import msgspec

from taskq.sentinels import SCHEME, watched
from taskq.task import NAME
from taskq.units import DURATION, SIZE, format_duration, format_size, parse_duration, parse_size, shown

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}\Z")
_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})\Z")  # 010 is 8 to YAML and 10 to people
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?\Z")
_QUERY_PASSWORD = re.compile(r"(?i)([?&][^=&#]*password=)[^&#]*")
_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of value. `parse` raises ValueError for what is not `expected`; `show` writes a parsed value the way it
    is written in YAML; `words` returns the closed set of values, if there is one. The value of a `whole` kind is
    read as one, as a `configcron.Structure`, although it may be a mapping."""

    expected: str
    parse: Callable[[object], Any]
    show: Callable[[Any], str] = str
    words: Callable[[], Sequence[str]] = tuple
    whole: bool = False


class Reason(ValueError):
    """What in particular is wrong with a value, beyond that it is not what was expected."""


class Address(msgspec.Struct, frozen=True):
    """Where a socket listens or is found. An IPv6 host is kept without brackets; port 0 means any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """True if only this machine can reach it. A host name other than localhost may resolve to anything."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return self.host.lower() == "localhost"
        return address.is_loopback


def integer(low: int, high: int | None = None, noun: str = "an integer") -> Kind:
    """A whole number within the limits, both included. `noun` says in a refusal what the number is."""

    def parse(value: object) -> int:
        if isinstance(value, str) and _WHOLE.match(value.strip()):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
            _refuse()
        return value

    return Kind(expected=f"{noun} of {low} or more" if high is None else f"{noun} from {low} to {high}", parse=parse)


def number(low: float, high: float) -> Kind:
    """A number within the limits, both included."""

    def parse(value: object) -> float:
        if isinstance(value, str) and _DECIMAL.match(value.strip()):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            _refuse()
        return float(value)

    return Kind(expected=f"a number from {low:g} to {high:g}", parse=parse, show=lambda value: f"{value:g}")


def one_of(*words: str) -> Kind:
    """One word of a closed set, in any case."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or value.strip().lower() not in words:
            _refuse()
        return value.strip().lower()

    return Kind(expected="one of " + ", ".join(words), parse=parse, words=lambda: words)


def some_of(*words: str) -> Kind:
    """Any number of words of a closed set, in any case; as a text, with commas."""

    def parse(value: object) -> tuple[str, ...]:
        if isinstance(value, str):
            value = [word for word in value.split(",") if word.strip()]
        if not isinstance(value, (list, tuple)):
            _refuse()
        found = [word.strip().lower() if isinstance(word, str) else "" for word in value]
        return tuple(found) if all(word in words for word in found) else _refuse()

    return Kind(expected=f"a list of {', '.join(words)}", parse=parse, show=lambda value: f"[{', '.join(value)}]")


def above_zero(kind: Kind) -> Kind:
    """The same kind without the zero, for values that would switch off what they measure."""

    def parse(value: object) -> Any:
        return kind.parse(value) or _refuse()

    article, _, rest = kind.expected.partition(" ")
    return Kind(expected=f"{article} non-zero {rest}", parse=parse, show=kind.show)


def at_most(kind: Kind, limit: int) -> Kind:
    """The same kind up to `limit`, which itself is allowed."""

    def parse(value: object) -> Any:
        return found if (found := kind.parse(value)) <= limit else _refuse()

    return Kind(expected=f"{kind.expected}, at most {kind.show(limit)}", parse=parse, show=kind.show)


def masked_url(url: str) -> str:
    """The URL with `***` in place of its password, or of a user without one, who often is a password that lacks its
    colon. Takes any text, because a refused one is shown as well, and masks too much rather than too little."""
    head, at, tail = url.rpartition("@")
    if at:
        scheme, slashes, credentials = head.partition("//") if "//" in head else ("", "", head)
        user, colon, _ = credentials.partition(":")
        head = f"{scheme}{slashes}{user}:***" if colon else f"{scheme}{slashes}***"
    return _QUERY_PASSWORD.sub(r"\1***", head + at + tail)


def quoted(value: object) -> str:
    """A refused value as a fault shows it: short and without passwords."""
    if isinstance(value, list):
        return shown([masked_url(item) if isinstance(item, str) else item for item in value])
    return shown(masked_url(value) if isinstance(value, str) else value)


def has_password(url: str) -> bool:
    """True if the Redis URL carries a password, before the host or as a parameter."""
    parts = urlsplit(url)
    # not parts.password: it wants a port, and a URL of sentinels has several
    return bool(parts.netloc.rpartition("@")[0].partition(":")[2]) or bool(_parameter(parts, "password"))


def with_password(url: str, password: str) -> str:
    """The Redis URL with this password, whatever characters it has, in place of its own."""
    parts = urlsplit(url)
    user, at, address = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0] if at else ''}:{quote(password, safe='')}@{address}"
    return _joined(parts._replace(netloc=netloc, query=_without(parts, "password")))


def with_address(url: str, address: Address) -> str:
    """The Redis URL at this host and port; user, password, database and parameters stay. A unix URL becomes a redis one, and
    so does one of sentinels."""
    parts = urlsplit(url)
    credentials, at, _ = parts.netloc.rpartition("@")
    moved = parts._replace(netloc=f"{credentials}{at}{address}")
    if parts.scheme == SCHEME:
        moved = moved._replace(scheme="redis", path=f"/{_database_of(parts)}", query="")
    if parts.scheme == "unix":
        moved = moved._replace(scheme="redis", path=f"/{_parameter(parts, 'db') or 0}", query=_without(parts, "db"))
    return _joined(moved)


def with_database(url: str, database: int) -> str:
    """The Redis URL with this database number in place of its own."""
    parts = urlsplit(url)
    query = _without(parts, "db")
    if parts.scheme == "unix":
        return _joined(parts._replace(query="&".join(filter(None, (query, f"db={database}")))))
    service = f"/{parts.path.strip('/').partition('/')[0]}" if parts.scheme == SCHEME else ""
    return _joined(parts._replace(path=f"{service}/{database}", query=query))


def _database_of(parts: SplitResult) -> str:
    return parts.path.strip("/").partition("/")[2] or "0"


def _refuse() -> NoReturn:
    raise ValueError  # the sentence is made of `Kind.expected` by whoever knows place and key


def _truth(value: object) -> bool:
    if isinstance(value, str):
        value = _TRUTH.get(value.strip().lower())
    return value if isinstance(value, bool) else _refuse()


def _name(value: object) -> str:
    # YAML reads an unquoted 2024 as a number, which still is a good name.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return text if isinstance(text, str) and NAME.match(text) else _refuse()


def _each(parse: Callable[[object], str]) -> Callable[[object], tuple[str, ...]]:
    """Reads a list, or a text with commas, of what `parse` reads."""

    def parse_all(value: object) -> tuple[str, ...]:
        if isinstance(value, str):
            value = [word for word in value.split(",") if word.strip()]
        return tuple(parse(word) for word in value) if isinstance(value, (list, tuple)) else _refuse()

    return parse_all


def _host_name(value: object) -> str:
    name = value.strip().lower().removesuffix(".") if isinstance(value, str) else ""
    return name if name == "*" or _HOST.match(name) else _refuse()


def _module(value: object) -> str:
    if not isinstance(value, str) or not all(part.isidentifier() for part in value.strip().split(".")):
        _refuse()
    return value.strip()


def _path(value: object) -> Path:
    # An empty path would be the working directory itself; no system call takes a NUL.
    good = isinstance(value, (str, Path)) and str(value).strip() and "\0" not in str(value)
    return Path(str(value)) if good else _refuse()


def _address(value: object) -> Address:
    host, _, port = value.strip().rpartition(":") if isinstance(value, str) else ("", "", "")
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        _refuse()
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif not _HOST.match(host):
        _refuse()
    return Address(host, int(port))


def _remote_address(value: object) -> Address:
    address = _address(value)
    return address if address.port else _refuse()


def _redis_url(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        _refuse()
    if watched(value):  # raises on a bad one
        return value
    if not value.startswith(("redis://", "rediss://", "unix://")):
        _refuse()
    parts = urlsplit(value)
    database = _parameter(parts, "db") or (parts.path.strip("/") if parts.scheme != "unix" else "")
    found = parts.path if parts.scheme == "unix" else parts.hostname and parts.port != 0  # raises on a bad port
    # redis-py ignores a database it cannot read, and would then use database 0 without a word.
    fits = not parts.fragment and re.fullmatch("[0-9]{0,9}", database)
    return value if found and fits else _refuse()


def _joined(parts: SplitResult) -> str:
    # Not geturl(): it drops the slashes of unix:///path.
    return f"{parts.scheme}://{parts.netloc}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def _parameter(parts: SplitResult, name: str) -> str:
    found = [item.partition("=")[2] for item in parts.query.split("&") if unquote(item.partition("=")[0]) == name]
    return found[0] if found else ""


def _without(parts: SplitResult, name: str) -> str:
    return "&".join(item for item in parts.query.split("&") if item and unquote(item.partition("=")[0]) != name)


SECONDS = Kind(expected=DURATION, parse=parse_duration, show=format_duration)
BYTES = Kind(expected=SIZE, parse=parse_size, show=format_size)
TRUTH = Kind(expected="true or false", parse=_truth, show=lambda value: "true" if value else "false")
NAME_ = Kind(expected="a name of 1 to 128 letters, digits, _ . or -", parse=_name)
MODULES = Kind(
    expected="a list of module names such as myapp.tasks", parse=_each(_module), show=lambda value: f"[{', '.join(value)}]"
)
HOSTS = Kind(
    expected='a list of host names without port, such as tasks.example.org, or "*"',
    parse=_each(_host_name),
    show=lambda value: "[{}]".format(", ".join(quote(name, safe="*").replace("*", '"*"') for name in value)),
)
PATH = Kind(expected="a path", parse=_path)
SOME_PATH = Kind(
    expected="a path or null",
    parse=lambda value: None if value in (None, "", "null") else _path(value),
    show=lambda value: "null" if value is None else str(value),
)
ADDRESS = Kind(expected="an address such as 127.0.0.1:8080 or [::1]:8080", parse=_address)
REMOTE_ADDRESS = Kind(expected="an address such as localhost:6379 or [::1]:6379", parse=_remote_address)
PASSWORD = Kind(expected="a password", parse=str, show=lambda _: "***")
REDIS_URL = Kind(
    expected="a URL such as redis://user:password@host:6379/0, rediss://..., unix:///path or "
    "redis+sentinel://host:26379/service/0, with a percent-encoded password",
    parse=_redis_url,
    show=lambda value: "null" if value is None else masked_url(value),
)
