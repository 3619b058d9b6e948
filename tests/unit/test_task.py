"""The nouns and their closed sets of words."""

from __future__ import annotations

import pytest

from taskq.task import NAME, Attempt, ErrorDetail, ErrorKind, NewTask, Priority, Status, Task, Verdict


def test_the_states_are_those_of_the_interface() -> None:
    assert [str(status) for status in Status] == ["scheduled", "pending", "processing", "completed", "failed", "cancelled"]


def test_the_last_three_states_are_final() -> None:
    assert [status for status in Status if status.final] == [Status.COMPLETED, Status.FAILED, Status.CANCELLED]


def test_the_kinds_of_errors_are_those_of_the_interface() -> None:
    words = "exception timeout memory crash cancelled expired invalid_payload unknown_type result"

    assert [str(kind) for kind in ErrorKind] == words.split()


def test_the_other_closed_sets_have_the_words_that_the_scripts_use() -> None:
    assert [str(priority) for priority in Priority] == ["high", "normal", "low"]
    assert [str(verdict) for verdict in Verdict] == ["ok", "stale"]


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "x" * 128, "-", "."])
def test_a_name_is_made_of_letters_digits_and_a_few_signs(name: str) -> None:
    assert NAME.match(name)


@pytest.mark.parametrize("name", ["", "x" * 129, "a b", "a\n", "ä", "a:b", "a{b}", "!", "a\x00"])
def test_anything_else_is_no_name(name: str) -> None:
    assert not NAME.match(name)


def test_the_defaults_are_those_of_the_origin() -> None:
    new, task = NewTask(id="i", type="echo"), Task(id="i", type="echo", queue="default", status=Status.PENDING)

    assert (new.queue, new.priority, new.max_retry, new.delay_s) == ("default", Priority.NORMAL, 3, 0)
    assert (task.retries, task.max_retry, task.attempt, task.crashes) == (0, 3, 0, 0)


def test_values_cannot_be_changed() -> None:
    attempt = Attempt(id="i", type="echo", queue="default", attempt=1)

    with pytest.raises(AttributeError):
        attempt.attempt = 2  # type: ignore[misc]


def test_a_detail_says_nothing_of_what_it_does_not_know() -> None:
    from taskq.queue.record import detail_json

    assert detail_json(ErrorDetail(kind=ErrorKind.CRASH, signal="SIGKILL")) == b'{"kind":"crash","signal":"SIGKILL"}'
