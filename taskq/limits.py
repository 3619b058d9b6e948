"""How many tasks of a type may run at once, and how often they may start. Pure.

A type says so itself, and the configuration overrules it key by key. What counts in a queue is what the newest configuration
says that a worker of the queue has published.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from taskq.registry import Registry
from taskq.units import NO_RATE, Rate


class TypeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of one type; None leaves it to the type."""

    max_concurrent: int | None = None
    rate_limit: Rate | None = None


class Limit(NamedTuple):
    """What is in force for a type. `max_concurrent` 0 means any number, `rate` of 0 starts any rate."""

    max_concurrent: int = 0
    rate: Rate = NO_RATE

    @property
    def stored(self) -> str:
        """The form in which the scripts read it: `most count period`, the period in ms."""
        return f"{self.max_concurrent} {self.rate.count} {round(self.rate.period_s * 1000)}"

    @classmethod
    def read(cls, stored: bytes | None) -> Limit:
        """The inverse of `stored`; no limits for None."""
        most, count, period_ms = (int(number) for number in (stored or b"0 0 0").split())
        return cls(most, Rate(count, period_ms / 1000))


class Limits(NamedTuple):
    """The limits of every type of a service, as one loading of its configuration has them, which `generation` marks."""

    generation: str
    types: Mapping[str, Limit]


def limits_of(registry: Registry, configured: Mapping[str, TypeLimits]) -> Limits:
    """What a service publishes: its own types and those that its configuration names, also the unlimited ones."""
    names = sorted({*registry.types(), *configured})
    return Limits(secrets.token_hex(8), {type_: limit_of(registry, type_, configured.get(type_)) for type_ in names})


def limit_of(registry: Registry, type_: str, configured: TypeLimits | None = None) -> Limit:
    """What counts for one type."""
    own, said = registry.options(type_), configured or TypeLimits()
    most = own.max_concurrent if said.max_concurrent is None else said.max_concurrent
    rate = own.rate_limit if said.rate_limit is None else said.rate_limit
    return Limit(most or 0, rate or NO_RATE)
