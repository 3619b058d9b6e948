"""The floor: the scripts of taskq in a bare loop on a bare socket. No limits, no logs, no output.

with_floor.py work 1     claim and complete until killed
with_floor.py work 16    the same with 16 in each trip
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from typing import Any
from urllib.parse import urlsplit

import body
import hiredis
import msgspec
import producer

from taskq.ids import new_id
from taskq.queue.keys import Keys
from taskq.queue.record import alike_args
from taskq.queue.scripts import Script, load
from taskq.task import NewTask

KEYS = Keys("taskq", "default")
BLOCK_S = 1
LEASE_MS = 600_000
Words = tuple[bytes | str, ...]
HEAD, EVALSHA = 1 << 16, "EVALSHA"
_payload = msgspec.json.Decoder(dict[str, int])


class Bare:
    """One socket: a command out, its reply in."""

    def __init__(self) -> None:
        address = urlsplit(os.environ["BENCH_REDIS"])
        self._socket = socket.create_connection((address.hostname, address.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def call(self, *words: bytes | str) -> Any:
        """One command and its reply."""
        self._socket.sendall(hiredis.pack_command(words))
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(HEAD))
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def script(self, name: str) -> Script:
        """A script that the server knows from now on."""
        script = load(name)
        self.call("SCRIPT", "LOAD", script.text)
        return script


def names(script: Script, worker_id: str = "") -> list[str]:
    """The count of a script's keys and the keys."""
    keys = [KEYS.processing(worker_id) if name == "processing" else getattr(KEYS, name) for name in script.keys]
    return [str(len(keys)), *keys]


def work(held: int) -> None:
    """Claim and complete until killed, so many tasks in one trip."""
    bare, worker_id = Bare(), f"floor-{secrets.token_hex(4)}"
    join, claim = bare.script("join"), bare.script("claim")
    complete = bare.script("complete_many" if held > 1 else "complete")
    bare.call(EVALSHA, join.sha, *names(join), worker_id, str(LEASE_MS), "{}", "", "")
    claiming = (EVALSHA, claim.sha, *names(claim, worker_id), worker_id)
    completing = (EVALSHA, complete.sha, *names(complete, worker_id), worker_id)
    while True:
        if held > 1:
            several(bare, claiming, completing, held)
        else:
            singly(bare, claiming, completing)
        bare.call("BLMOVE", KEYS.pending, KEYS.processing(worker_id), "RIGHT", "LEFT", str(BLOCK_S))


def singly(bare: Bare, claiming: Words, completing: Words) -> None:
    """Until nothing waits: a completion and a claim in each trip."""
    reply = bare.call(*claiming)
    while reply[0] == b"task":
        id_, attempt = reply[1], reply[2]
        body.work(**_payload.decode(reply[4]))
        reply = bare.call(*completing, id_, str(attempt), b"null", b"1")[1:]


def several(bare: Bare, claiming: Words, completing: Words, held: int) -> None:
    """Until nothing waits: so many completions, and as many claims, in each trip."""
    reply = bare.call(*claiming)
    tasks = [reply] if reply[0] == b"task" else []
    while tasks:
        ended: list[bytes | str] = []
        for task in tasks:
            body.work(**_payload.decode(task[4]))
            ended += (task[1], str(task[2]), b"null")
        tasks = bare.call(*completing, str(held), *ended)[2]


def produce() -> None:
    """Enqueue what the arguments say."""
    bare = Bare()
    enqueue = bare.script("enqueue_alike")
    alike = map(str, alike_args(NewTask(id="", type="noop", max_retry=3)))
    head = (EVALSHA, enqueue.sha, *names(enqueue), *alike)

    def many(tasks: producer.Tasks) -> None:
        bare.call(*head, *(new_id() for _ in tasks), *(msgspec.json.encode({"n": n, "ms": ms}) for n, ms in tasks))

    producer.run(lambda n, ms: many([(n, ms)]), many)


if __name__ == "__main__":
    work(int(sys.argv[2])) if sys.argv[1] == "work" else produce()
