"""The limits of task types as settings: a mapping of type to `max_concurrent` and `rate_limit`. Pure functions of values."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from taskq.configcron import Structure, loaded
from taskq.configkinds import Kind, Reason, integer, quoted
from taskq.limits import TypeLimits
from taskq.task import NAME
from taskq.typeoptions import MAX_CONCURRENT
from taskq.units import RATE, Rate, format_rate, parse_rate

_MOST = integer(0, MAX_CONCURRENT)
_RATE = Kind(expected=RATE, parse=parse_rate)
_KEYS: Mapping[str, Kind] = {"max_concurrent": _MOST, "rate_limit": _RATE}


def _limits(value: object) -> Mapping[str, TypeLimits]:
    if isinstance(value, str):
        value = Structure(loaded(value))
    found = value.value if isinstance(value, Structure) else value
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ValueError
    return {_name(type_): _of_type(str(type_), said) for type_, said in found.items()}


def _name(type_: object) -> str:
    text = str(type_) if isinstance(type_, int) and not isinstance(type_, bool) else type_
    if not isinstance(text, str) or not NAME.match(text):
        raise Reason(f"{quoted(type_)} is no task type: expected 1 to 128 letters, digits, _ . or -")
    return text


def _of_type(type_: str, said: object) -> TypeLimits:
    if not isinstance(said, Mapping):
        raise Reason(f"{type_}: expected a mapping of {', '.join(_KEYS)}, got {quoted(said)}")
    values: dict[str, Any] = {}
    for key, value in said.items():
        kind = _KEYS.get(key)
        if kind is None:
            near = difflib.get_close_matches(str(key), _KEYS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise Reason(f"{type_}: expected one of {', '.join(_KEYS)}, got {quoted(key)}{hint}")
        try:
            values[key] = kind.parse(value)
        except ValueError as error:
            raise Reason(f"{type_}.{key}: expected {kind.expected}, got {quoted(value)}") from error
    return TypeLimits(**values)


def _shown(limits: Mapping[str, TypeLimits]) -> str:
    views = {type_: {key: _written(getattr(said, key)) for key in _KEYS} for type_, said in limits.items()}
    kept = {type_: {key: value for key, value in view.items() if value is not None} for type_, view in views.items()}
    return json.dumps(kept)


def _written(value: int | Rate | None) -> int | str | None:
    return format_rate(value) if isinstance(value, Rate) else value


LIMITS = Kind(expected="a mapping of task types to max_concurrent and rate_limit", parse=_limits, show=_shown, whole=True)
