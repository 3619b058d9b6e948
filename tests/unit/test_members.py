"""The members of a submission and the fields that they fill; what is wrong with a value is in test_api_submission.py."""

from __future__ import annotations

from msgspec.structs import fields

from taskq.members import OPTIONS, Members, read_options
from taskq.task import NewTask

NOT_OPTIONS = {"id", "type", "payload", "repeat_s", "trace"}


def test_every_field_of_a_new_task_has_an_option_and_every_option_a_field() -> None:
    assert {option.field for option in OPTIONS.values()} == {field.name for field in fields(NewTask)} - NOT_OPTIONS


def test_absent_members_set_nothing() -> None:
    assert read_options(Members({})) == {}
    assert read_options(Members(dict.fromkeys(OPTIONS))) == {}


def test_members_beside_the_options_are_left_alone() -> None:
    members = Members({"type": 5, "queue": "slow"})

    assert read_options(members) == {"queue": "slow"}
    assert members.faults == []


def test_tags_may_be_any_sequence_and_count_once() -> None:
    assert read_options(Members({"tags": ("b", "a", "b")})) == {"tags": ("b", "a")}
    assert read_options(Members({"tags": []})) == {"tags": ()}


def test_each_tag_at_fault_is_named() -> None:
    members = Members({"tags": ["ok", "", {}]})

    read_options(members)

    assert [fault["pointer"] for fault in members.faults] == ["/tags/1", "/tags/2"]
