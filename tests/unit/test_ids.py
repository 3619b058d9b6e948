from __future__ import annotations

import os
import uuid

import pytest

from taskq.ids import LENGTH, derived_ids, new_id, new_ids, read_id


def test_an_id_is_a_random_uuid_in_its_usual_form() -> None:
    for text in [new_id(), *new_ids(500), *derived_ids("base", 500)]:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)


def test_ids_differ() -> None:
    assert len({*new_ids(10_000), *new_ids(10_000)}) == 20_000


def test_a_child_has_no_id_of_its_parent() -> None:
    new_id()  # others are made with it
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, "".join(new_id() for _ in range(50)).encode())
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    said = os.read(reading, 50 * LENGTH).decode()
    os.close(reading)
    os.close(writing)

    assert len(said) == 50 * LENGTH
    assert not {new_id() for _ in range(200)} & {said[at : at + LENGTH] for at in range(0, len(said), LENGTH)}


def test_as_many_are_made_as_were_asked_for() -> None:
    assert [len(new_ids(count)) for count in (0, 1, 7)] == [0, 1, 7]


def test_derived_ids_follow_from_their_base_however_many_there_are() -> None:
    assert derived_ids("base", 3) == derived_ids("base", 1000)[:3]
    assert len({*derived_ids("a", 1000), *derived_ids("b", 1000)}) == 2000


def test_an_id_is_read_in_any_letters() -> None:
    made = new_id()

    assert read_id(made) == read_id(made.upper()) == made


@pytest.mark.parametrize("form", ["", "x", "{}0", " {}", "{}\n", "urn:uuid:{}", "{{{}}}"])
def test_nothing_else_is_an_id(form: str) -> None:
    assert read_id(form.format(new_id())) is None


@pytest.mark.parametrize("hyphen", ["", "_", "--"])
def test_an_id_has_its_hyphens(hyphen: str) -> None:
    assert read_id(new_id().replace("-", hyphen)) is None
