"""What the supervisor tells maintenance arrives, however slowly that reads."""

from __future__ import annotations

from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import cast

from taskq.maintenance.messages import Died, Quit, ToMaintenance, for_maintenance
from taskq.supervisor.child import FORK
from taskq.supervisor.nurse import Nurse
from taskq.supervisor.outputs import Outputs

CROWD = 2000
"""More deaths than a pipe has room for."""


def test_the_word_to_quit_arrives_behind_more_deaths_than_the_pipe_has_room_for() -> None:
    ours, theirs = FORK.Pipe()
    nurse = Nurse(Outputs())
    nurse.process, nurse._pipe = cast("BaseProcess", object()), ours
    for number in range(CROWD):
        nurse.tell(Died(worker_id=f"w{number}", queue="default", cause="exited"))
    nurse.quit()

    heard = []
    with ours, theirs:
        at_once = _hear(theirs)
        for _ in range(CROWD):
            nurse.flush()
            heard += _hear(theirs)

    assert 0 < len(at_once) < CROWD
    names = [message.worker_id for message in (*at_once, *heard) if isinstance(message, Died)]
    assert names == [f"w{number}" for number in range(CROWD)]
    assert heard[-1] == Quit()


def _hear(pipe: Connection) -> list[ToMaintenance]:
    heard = []
    while pipe.poll(0):
        heard.append(for_maintenance(pipe.recv_bytes()))
    return heard
