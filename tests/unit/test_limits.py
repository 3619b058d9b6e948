"""Limits of types: who says them, what the configuration overrules, how they are stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskq.config import load, rows
from taskq.errors import ConfigError, TaskqError
from taskq.limits import Limit, TypeLimits, limit_of, limits_of
from taskq.registry import Registry, task
from taskq.typeoptions import Options
from taskq.units import NO_RATE, Rate, format_rate, parse_rate


def registry_of(**options: object) -> Registry:
    registry = Registry()
    registry.add("mail.send", lambda payload: payload, Options(**options))  # type: ignore[arg-type]
    return registry


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/1m", Rate(100, 60)),
        ("5/s", Rate(5, 1)),
        (" 1 / 500ms ", Rate(1, 0.5)),
        ("10/1h30m", Rate(10, 5400)),
        ("3/60", Rate(3, 60)),
        ("0", NO_RATE),
        (0, NO_RATE),
    ],
)
def test_a_rate_is_read_and_written_back(text: object, rate: Rate) -> None:
    assert parse_rate(text) == rate
    assert parse_rate(format_rate(rate)) == rate


@pytest.mark.parametrize(
    "value", ["100", 100, "0/1m", "/1m", "5/", "-1/s", "1.5/s", "5/0s", "5/2d", "100001/s", True, None, []]
)
def test_what_is_no_rate_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a rate"):
        parse_rate(value)


def test_the_configuration_overrules_a_type_key_by_key() -> None:
    registry = registry_of(max_concurrent=2, rate_limit=Rate(5, 1))

    assert limit_of(registry, "mail.send") == Limit(2, Rate(5, 1))
    assert limit_of(registry, "mail.send", TypeLimits(max_concurrent=7)) == Limit(7, Rate(5, 1))
    assert limit_of(registry, "mail.send", TypeLimits(rate_limit=NO_RATE)) == Limit(2, NO_RATE)
    assert limit_of(registry, "other") == Limit()


def test_a_service_publishes_its_own_types_and_those_that_its_configuration_names() -> None:
    limits = limits_of(registry_of(), {"elsewhere": TypeLimits(max_concurrent=1)})

    assert limits.types == {"elsewhere": Limit(1), "mail.send": Limit()}
    assert limits.generation != limits_of(registry_of(), {}).generation


@pytest.mark.parametrize("limit", [Limit(), Limit(3), Limit(0, Rate(100, 60)), Limit(2, Rate(1, 0.25))])
def test_stored_limits_are_read_back(limit: Limit) -> None:
    assert Limit.read(limit.stored.encode()) == limit


@pytest.mark.parametrize(("option", "value"), [("max_concurrent", -1), ("rate_limit", "often")])
def test_a_type_with_a_bad_limit_is_refused(option: str, value: object) -> None:
    with pytest.raises(TaskqError, match=r"task type 'x': .*expected"):
        task("x", **{option: value})  # type: ignore[arg-type]


def test_limits_are_read_from_the_file_and_shown(tmp_path: Path) -> None:
    text = "tasks:\n  limits:\n    mail.send: {max_concurrent: 2, rate_limit: 100/1m}\n    other: {rate_limit: 0}\n"
    (tmp_path / "c.yaml").write_text(text)

    loaded = load(Path("c.yaml"), environ={}, flags={}, cwd=tmp_path)

    expected = {"mail.send": TypeLimits(max_concurrent=2, rate_limit=Rate(100, 60)), "other": TypeLimits(rate_limit=NO_RATE)}
    assert loaded.config.tasks.limits == expected
    shown = {key: value for key, value, _ in rows(loaded)}["tasks.limits"]
    assert load(None, environ={"TASKQ_TASKS__LIMITS": shown}, flags={}, cwd=tmp_path).config.tasks.limits == expected


@pytest.mark.parametrize(
    ("limits", "hint"),
    [
        ("{mail.send: 3}", "mail.send: expected a mapping of max_concurrent, rate_limit, got 3"),
        ("{mail.send: {max_conc: 3}}", "did you mean max_concurrent?"),
        ("{mail.send: {max_concurrent: -1}}", "mail.send.max_concurrent: expected an integer from 0"),
        ("{mail.send: {rate_limit: often}}", "mail.send.rate_limit: expected a rate"),
        ("{'a b': {max_concurrent: 1}}", "'a b' is no task type"),
        ("3", ""),
    ],
)
def test_bad_limits_are_reported_with_their_place(tmp_path: Path, limits: str, hint: str) -> None:
    (tmp_path / "c.yaml").write_text(f"tasks:\n  limits: {limits}\n")

    with pytest.raises(ConfigError) as caught:
        load(Path("c.yaml"), environ={}, flags={}, cwd=tmp_path)

    fault = caught.value.faults[0]
    assert (fault.place, fault.key) == ("c.yaml:2", "tasks.limits")
    assert hint in fault.hint
