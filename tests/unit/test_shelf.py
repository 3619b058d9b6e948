"""The shelf: each ticket is taken by one reader only."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator

import pytest

from taskq.shelf import Shelf, Ticket

MOST = 64


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    made = Shelf()
    yield made
    made.close()


def test_tickets_come_back_in_the_order_in_which_they_were_laid(shelf: Shelf) -> None:
    tickets = [Ticket(n, "worker") for n in range(3)]
    for ticket in tickets:
        shelf.lay(ticket)

    assert shelf.take() == tickets[0]
    assert shelf.clear() == tickets[1:]
    assert shelf.take() is None


def test_a_shelf_has_room_for_the_largest_prefetch_of_a_worker_with_a_long_name(shelf: Shelf) -> None:
    tickets = [Ticket(n, "x" * 128) for n in range(MOST)]
    for ticket in tickets:
        shelf.lay(ticket)

    assert shelf.clear() == tickets


def test_two_processes_share_what_lies_there_without_doubles(shelf: Shelf) -> None:
    context = multiprocessing.get_context("fork")
    for n in range(MOST):
        shelf.lay(Ticket(n, "worker"))
    ours, theirs = context.Pipe()

    def child() -> None:
        theirs.send(shelf.clear())
        os._exit(0)

    process = context.Process(target=child)
    process.start()
    mine = shelf.clear()
    others = ours.recv()
    process.join()

    assert sorted(ticket.number for ticket in [*mine, *others]) == list(range(MOST))


def test_a_shelf_whose_sockets_a_task_has_closed_is_empty(shelf: Shelf) -> None:
    shelf.close()
    shelf.lay(Ticket(1, "worker"))

    assert shelf.take() is None
