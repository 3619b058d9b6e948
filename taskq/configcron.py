"""What a schedule's settings may be beside the usual kinds: cron lines, time zones, payloads. Pure functions of values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

from taskq import schedule
from taskq.configkinds import Kind, Reason
from taskq.units import shown


class Structure(msgspec.Struct, frozen=True):
    """A value of any shape, as the YAML file has it: a mapping, a list or a plain value."""

    value: Any

    def __repr__(self) -> str:
        return shown(self.value)


def _cron(value: object) -> str:
    return _checked(schedule.check_cron, value)


def _zone(value: object) -> str:
    return _checked(schedule.check_timezone, value)


def _checked(check: Callable[[str], str], value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    try:
        return check(value.strip())
    except ValueError as error:
        raise Reason(*error.args) from error


def _json(value: object) -> str | None:
    """JSON text of what the file has; a variable holds such a text itself. None for nothing at all."""
    if isinstance(value, str):
        value = Structure(loaded(value))
    if not isinstance(value, Structure):
        raise ValueError
    if value.value is None:
        return None
    text = json.dumps(value.value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text.encode()  # half of a surrogate pair has no UTF-8
    return text


def loaded(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError from error


def _no_constant(_name: str) -> NoReturn:
    raise ValueError


CRON = Kind(expected=schedule.CRON, parse=_cron)
ZONE = Kind(expected="an IANA time zone such as Europe/Berlin", parse=_zone, words=schedule.time_zones)
JSON = Kind(
    expected="a value that JSON can hold",
    parse=_json,
    show=lambda value: "null" if value is None else str(value),
    whole=True,
)
