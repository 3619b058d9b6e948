"""Schedules in the configuration: what they may say, and every fault with its line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from taskq.config import Loaded, Schedule, load, rows
from taskq.configfile import read_file
from taskq.configschema import all_keys
from taskq.errors import ConfigError

DOCUMENTED = Path(__file__).parents[2] / "conf" / "taskq.yaml"
CRON = "a cron line of five fields (minute hour day month weekday), or of six with seconds first"


def loaded(cwd: Path, yaml: str, environ: Mapping[str, str] | None = None) -> Loaded:
    (cwd / "c.yaml").write_text(yaml)
    return load(Path("c.yaml"), environ=environ or {}, flags={}, cwd=cwd)


def faults(cwd: Path, yaml: str, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        loaded(cwd, yaml, environ)
    return [str(fault) for fault in refused.value.faults]


def payload(cwd: Path, text: str) -> str | None:
    yaml = f"schedules:\n  a:\n    cron: 0 3 * * *\n    type: t\n    payload: {text}\n"
    return loaded(cwd, yaml).config.schedules["a"].payload


def documented_example(cwd: Path) -> Path:
    """The documented file with the example of a schedule put in force."""
    before, after = DOCUMENTED.read_text().split("schedules: {}\n")
    example = [line[1:] for line in after.splitlines() if line.startswith("#  ")]
    (cwd / "example.yaml").write_text(before + "schedules:\n" + "\n".join(example) + "\n")
    return cwd / "example.yaml"


def test_the_least_that_a_schedule_says_is_a_line_and_a_type(tmp_path: Path) -> None:
    config = loaded(tmp_path, "schedules:\n  nightly: {cron: 0 3 * * *, type: report}\n").config

    assert config.schedules == {"nightly": Schedule(cron="0 3 * * *", type="report")}
    assert list(config.pools) == ["default"]


def test_the_documented_example_has_every_key_with_its_default(tmp_path: Path) -> None:
    path = documented_example(tmp_path)
    settings, found = read_file(path, "example.yaml")

    config = load(path, environ={}, flags={}, cwd=tmp_path).config

    assert found == []
    keys = {key for key, _ in all_keys({"schedules": ["nightly-report"]}) if key[0] == "schedules"}
    assert len(keys) == len(Schedule.__struct_fields__)
    assert keys <= {setting.path for setting in settings}
    assert config.schedules == {
        "nightly-report": Schedule(cron="30 2 * * *", type="report.build", payload='{"days":1}'),
    }


def test_every_key_of_the_documented_example_has_a_comment_above_it(tmp_path: Path) -> None:
    path = documented_example(tmp_path)
    lines = path.read_text().splitlines()
    settings, _ = read_file(path, "example.yaml")

    for setting in settings:
        if setting.path[:1] == ("schedules",) and len(setting.path) == 3:
            assert lines[int(setting.place.rpartition(":")[2]) - 2].lstrip().startswith("#"), setting.path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a: [1, 2.5, {b: null}], c: yes}", {"a": [1, 2.5, {"b": None}], "c": True}),
        ("[]", []),
        ("text", "text"),
        ("'5'", "5"),
        ("7", 7),
        ("{1: one, on: 2024-01-01}", {"1": "one", "on": "2024-01-01"}),
        ("ü", "ü"),
    ],
)
def test_a_payload_has_any_shape_that_json_has(tmp_path: Path, text: str, value: object) -> None:
    found = payload(tmp_path, text)

    assert found is not None
    assert json.loads(found) == value


@pytest.mark.parametrize("text", ["null", "~", ""])
def test_nothing_is_no_payload(tmp_path: Path, text: str) -> None:
    assert payload(tmp_path, text) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{a: .nan}", "c.yaml:5: schedules.a.payload: expected a value that JSON can hold, got a mapping"),
        ("[1, -.inf]", "c.yaml:5: schedules.a.payload: expected a value that JSON can hold, got [1, -inf]"),
        ('"\\uD800"', "c.yaml:5: schedules.a.payload: expected a value that JSON can hold, got '\\ud800'"),
        ("{a: 1, a: 2}", "c.yaml:5: schedules.a.payload.a: expected each key once, got it again"),
        ("{[1]: 2}", "c.yaml:5: schedules.a.payload: expected plain keys, got a list"),
        (
            "{a: !!binary aGk=}",
            "c.yaml:5: schedules.a.payload.a: expected a value without a tag, got tag:yaml.org,2002:binary",
        ),
    ],
)
def test_a_payload_that_json_cannot_hold_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    yaml = f"schedules:\n  a:\n    cron: 0 3 * * *\n    type: t\n    payload: {text}\n"

    assert faults(tmp_path, yaml) == [fault]


def test_an_alias_in_a_payload_is_refused_and_not_followed(tmp_path: Path) -> None:
    yaml = "schedules:\n  a:\n    cron: 0 3 * * *\n    type: t\n    payload: &x [*x, *x]\n"

    assert {fault.partition(": expected")[0] for fault in faults(tmp_path, yaml)} == {"c.yaml:5: &x", "c.yaml:5: *x"}


def test_every_fault_of_every_schedule_is_named_with_its_line(tmp_path: Path) -> None:
    yaml = """\
schedules:
  one:
    cron: 61 * * * *
    timezone: europe/berlin
    type: a b
    overlap: skipp
  two:
    cron: "0 0 30 2 *"
    type: t
    catchup: last
    queue: ""
    priority: urgent
    enabled: maybe
  "bad name": {cron: 0 3 * * *, type: t}
  three:
    timezone: localtime
"""

    assert faults(tmp_path, yaml) == [
        f"c.yaml:3: schedules.one.cron: expected {CRON}, got '61 * * * *'; bad minute",
        "c.yaml:4: schedules.one.timezone: expected an IANA time zone such as Europe/Berlin, got 'europe/berlin'; "
        "did you mean Europe/Berlin?",
        "c.yaml:5: schedules.one.type: expected a name of 1 to 128 letters, digits, _ . or -, got 'a b'",
        "c.yaml:6: schedules.one.overlap: expected one of skip, allow, got 'skipp'; did you mean skip?",
        f"c.yaml:8: schedules.two.cron: expected {CRON}, got '0 0 30 2 *'; bad day-of-month",
        "c.yaml:10: schedules.two.catchup: expected one of cron, timezone, type, payload, queue, priority, overlap, "
        "catch_up, enabled, got an unknown key; did you mean catch_up?",
        "c.yaml:11: schedules.two.queue: expected a name of 1 to 128 letters, digits, _ . or -, got ''",
        "c.yaml:12: schedules.two.priority: expected one of high, normal, low, got 'urgent'",
        "c.yaml:13: schedules.two.enabled: expected true or false, got 'maybe'",
        "c.yaml:14: schedules.bad name: expected a schedule name of 1 to 128 letters, digits, _ . or -, got 'bad name'",
        f"c.yaml:15: schedules.three.cron: expected {CRON}, got nothing",
        "c.yaml:15: schedules.three.type: expected a name of 1 to 128 letters, digits, _ . or -, got nothing",
        "c.yaml:16: schedules.three.timezone: expected an IANA time zone such as Europe/Berlin, got 'localtime'; "
        "unknown time zone",
    ]


def test_a_section_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    assert faults(tmp_path, "schedules: [a]") == [
        "c.yaml:1: schedules: expected a mapping of schedules by name, got ['a']",
    ]


def test_a_line_that_begins_with_a_bare_star_is_told_to_be_quoted(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "schedules:\n  a: {type: t, cron: */5 * * * *}\n")

    assert fault.startswith("c.yaml:2: syntax: expected YAML, got expected alphabetic or numeric character")
    assert fault.endswith('; a value that begins with a star must be quoted, such as "*/5 * * * *"')


def test_a_variable_changes_or_makes_a_schedule(tmp_path: Path) -> None:
    environ = {
        "TASKQ_SCHEDULES__NIGHTLY__ENABLED": "false",
        "TASKQ_SCHEDULES__NIGHTLY__PAYLOAD": '{"days": 2}',
        "TASKQ_SCHEDULES__OTHER__CRON": "*/5 * * * *",
        "TASKQ_SCHEDULES__OTHER__TYPE": "t",
    }

    found = loaded(tmp_path, "schedules: {nightly: {cron: 0 3 * * *, type: report}}", environ).config.schedules

    assert found == {
        "nightly": Schedule(cron="0 3 * * *", type="report", enabled=False, payload='{"days":2}'),
        "other": Schedule(cron="*/5 * * * *", type="t"),
    }


@pytest.mark.parametrize("text", ["{days: 2}", "NaN", "[" * 100_000])
def test_a_variable_with_a_payload_that_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    environ = {"TASKQ_SCHEDULES__A__PAYLOAD": text}

    (fault,) = faults(tmp_path, "schedules: {a: {cron: 0 3 * * *, type: t}}", environ)

    assert fault.startswith("environment: TASKQ_SCHEDULES__A__PAYLOAD: expected a value that JSON can hold, got ")


def test_a_schedule_that_only_a_variable_names_lacks_what_it_lacks(tmp_path: Path) -> None:
    environ = {"TASKQ_SCHEDULES__A__CRON": "0 3 * * *"}

    (fault,) = faults(tmp_path, "", environ)

    assert fault == ("environment: schedules.a.type: expected a name of 1 to 128 letters, digits, _ . or -, got nothing")


def test_rows_show_schedules_as_they_are_written(tmp_path: Path) -> None:
    yaml = 'schedules:\n  a.b: {cron: "*/5  *   * * *", type: t, payload: {x: [1]}}\n'

    shown = {key: (value, origin) for key, value, origin in rows(loaded(tmp_path, yaml))}

    assert shown["schedules.a.b.cron"] == ("*/5 * * * *", "c.yaml:2")
    assert shown["schedules.a.b.payload"] == ('{"x":[1]}', "c.yaml:2")
    assert shown["schedules.a.b.timezone"] == ("UTC", "default")
    assert len([key for key in shown if key.startswith("schedules.")]) == 9
