"""A connection of each thread's own: over forks, between threads, after an interruption, and when the server forgets."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest

from taskq.errors import QueueRefused, QueueUnavailable
from taskq.queue import connection, line
from taskq.queue.connection import Link
from taskq.queue.line import Command, FixedKeys, evalsha, packed
from taskq.queue.scripts import Script, load
from tests.integration.servers import OwnServer, linked, own_server

ECHO_TEXT = "#!lua\nreturn {ARGV[1], redis.call('INCR', KEYS[1])}"


def scripted(text: str) -> Script:
    import hashlib

    return Script("test", text, hashlib.sha1(text.encode()).hexdigest(), ("counter",))


ECHO = scripted(ECHO_TEXT)


@pytest.fixture
def key(prefix: str) -> str:
    return f"{prefix}:counter"


def echo(link: Link, key: str, word: str) -> bytes:
    said: bytes = link.script(ECHO, [key], [word])[0]
    return said


def runs(script: Script, key: str, *words: str) -> list[Callable[[], Command]]:
    return [partial(Command, script, evalsha(script, [key], [word])) for word in words]


def connections(link: Link) -> int:
    """The connections that the server has now."""
    clients: Any = link.redis.info("clients")
    return int(clients["connected_clients"])


def in_child(action: Callable[[], None]) -> int:
    """The exit code of a child that performs `action`: 0 unless it raised."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_connects_by_another_link_without_reading_the_url_again(
    link: Link, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_again(*_: object) -> None:
        raise AssertionError("the URL was read again")

    monkeypatch.setattr(connection, "client", read_again)

    def use() -> None:
        own = link.another(patience_s=1.0)
        assert echo(own, key, "a") == b"a"
        assert own.block_move(f"{key}:from", f"{key}:to", 0.001) is None
        assert not own.block_pop(f"{key}:from", 0.001)
        own.close()

    assert in_child(use) == 0
    assert echo(link, key, "b") == b"b"


def test_a_thread_uses_one_connection_for_all_its_scripts(link: Link, key: str) -> None:
    echo(link, key, "a")
    before = connections(link)

    for _ in range(20):
        echo(link, key, "a")

    assert connections(link) == before


def test_threads_that_use_one_link_each_get_their_own_replies(link: Link, key: str) -> None:
    wrong: list[str] = []

    def talk(name: str) -> None:
        for i in range(300):
            word = f"{name}-{i}"
            if echo(link, key, word) != word.encode():
                wrong.append(word)

    threads = [threading.Thread(target=talk, args=(f"t{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert link.redis.get(key) == b"1800"


def test_a_child_opens_its_own_connection_and_leaves_that_of_its_parent_alone(link: Link, key: str) -> None:
    assert echo(link, key, "parent") == b"parent"

    def child() -> None:
        for i in range(50):
            assert echo(link, key, f"child-{i}") == f"child-{i}".encode()
        link.close()

    assert in_child(child) == 0
    assert echo(link, key, "parent again") == b"parent again"


def test_parent_and_child_talk_at_the_same_time_without_mixing_replies(link: Link, key: str) -> None:
    echo(link, key, "before")
    pid = os.fork()
    name = "child" if pid == 0 else "parent"
    right = all(echo(link, key, f"{name}-{i}") == f"{name}-{i}".encode() for i in range(500))
    if pid == 0:
        os._exit(0 if right else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert right


def test_a_forgotten_script_costs_one_more_trip(key: str) -> None:
    with own_server() as server, linked(server.url) as link, contextlib.closing(server.client()) as client:
        echo(link, key, "a")
        client.script_flush()
        client.config_resetstat()

        assert echo(link, key, "b") == b"b"

        commands = client.info("commandstats")
        calls = {name: commands[f"cmdstat_{name}"]["calls"] for name in ("evalsha", "script|load")}
        assert calls == {"evalsha": 2, "script|load": 1}


def test_a_hash_and_what_else_is_asked_come_together(link: Link, key: str) -> None:
    link.redis.hset(key, "a", "1")

    assert link.hash_and(key, packed(("STRLEN", f"{key}:none"))) == ({b"a": b"1"}, 0)
    assert link.hash_and(f"{key}:none", packed(("ECHO", "x"))) == ({}, b"x")
    assert link.hash_and(key, packed(("EVALSHA", "0" * 40, 0))) == ({b"a": b"1"}, None)
    link.redis.set(f"{key}:text", "x")
    assert link.hash_and(f"{key}:text", packed(("ECHO", "x"))) == ({}, b"x")
    assert link.hash(key) == {b"a": b"1"}
    link.redis.delete(key, f"{key}:text")


def test_a_script_that_the_server_has_forgotten_is_loaded_again(link: Link, key: str) -> None:
    echo(link, key, "a")
    link.redis.script_flush()

    assert echo(link, key, "b") == b"b"
    link.redis.script_flush()
    assert [reply[0] for reply in link.stream(runs(ECHO, key, "c", "d", "e"))] == [b"c", b"d", b"e"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_many_runs_are_answered_in_order(link: Link, key: str, count: int) -> None:
    words = [f"w{i}" for i in range(count)]

    replies = link.stream(runs(ECHO, key, *words))

    assert replies == [[word.encode(), at] for at, word in enumerate(words, start=1)]


def test_an_error_amid_many_runs_is_raised_and_leaves_the_link_usable(link: Link, key: str) -> None:
    picky = scripted("#!lua\nif ARGV[1] == 'c' then return redis.error_reply('ERR not c') end\nreturn ARGV[1]")

    with pytest.raises(QueueRefused, match="not c"):
        link.stream(runs(picky, key, "a", "b", "c", "d", "e"))

    assert echo(link, key, "after") == b"after"


def test_many_runs_go_on_where_a_lost_connection_ended_them(key: str) -> None:
    with own_server() as server, linked(server.url, patience_s=10) as link:
        made: list[str] = []

        def make(word: str) -> Command:
            made.append(word)
            if word == "c" and made.count("c") == 1:
                server.client().client_kill_filter(_type="normal", skipme=True)
            return Command(ECHO, evalsha(ECHO, [key], [word]))

        replies = link.stream([partial(make, word) for word in "abcdef"])

        assert [reply[0] for reply in replies] == [b"a", b"b", b"c", b"d", b"e", b"f"]
        assert made[:3] == ["a", "b", "c"]
        assert made.count("a") == 1


def forget_scripts(server: OwnServer) -> None:
    server.client().script_flush()


def cut_connections(server: OwnServer) -> None:
    server.client().client_kill_filter(_type="normal", skipme=True)


def do_nothing(_server: OwnServer) -> None:
    pass


@pytest.mark.parametrize("early", [do_nothing, forget_scripts, cut_connections])
@pytest.mark.parametrize("late", [do_nothing, forget_scripts, cut_connections])
@pytest.mark.parametrize("known", [True, False], ids=["connected", "new"])
def test_what_was_posted_is_answered_later_whatever_happens_meanwhile(
    key: str, early: Callable[[OwnServer], None], late: Callable[[OwnServer], None], *, known: bool
) -> None:
    with own_server() as server, linked(server.url, patience_s=10) as link:
        if known:
            echo(link, key, "before")

        early(server)
        answer = link.post(ECHO, [key], ["posted"])
        late(server)

        assert answer()[0] == b"posted"
        assert echo(link, key, "after") == b"after"


def test_what_was_posted_is_sent_before_it_is_asked_for(link: Link, key: str) -> None:
    echo(link, key, "before")
    seen = link.redis.get(key)

    answer = link.post(ECHO, [key], ["posted"])
    while link.redis.get(key) == seen:
        time.sleep(0.001)

    assert answer() == [b"posted", 2]


class Interrupted(BaseException):
    pass


@contextlib.contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    def strike(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_interrupted_script_leaves_its_reply_to_nobody(link: Link, key: str) -> None:
    """A time limit strikes between a command and its reply, again and again at another moment."""
    echo(link, key, "connected")  # a socket that is interrupted while it connects is closed by Python, with a warning
    struck = 0
    for i in range(60):
        try:
            with interrupted_after(0.0004 + 0.00003 * i):
                for n in range(1000):
                    word = f"{i}-{n}"
                    assert echo(link, key, word) == word.encode()
        except Interrupted:
            struck += 1
        assert echo(link, key, f"after-{i}") == f"after-{i}".encode()

    assert struck > 0


def test_the_connection_of_a_thread_that_ended_is_closed(link: Link, key: str) -> None:
    echo(link, key, "mine")
    before = connections(link)

    thread = threading.Thread(target=echo, args=(link, key, "its"))
    thread.start()
    thread.join()

    assert connections(link) == before


def test_closing_a_link_closes_the_connections_of_all_threads(redis_url: str, link: Link, key: str) -> None:
    before = connections(link)
    entered, leave = threading.Event(), threading.Event()
    other = Link(redis_url)

    def hold() -> None:
        echo(other, key, "its")
        entered.set()
        leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    assert entered.wait(10)
    echo(other, key, "mine")
    assert connections(link) == before + 2

    other.close()

    left = connections(link)
    leave.set()
    thread.join()
    assert left == before


def test_without_a_server_a_script_is_unavailable_and_comes_back_with_it(key: str) -> None:
    with own_server() as server, linked(server.url, patience_s=0) as link:
        echo(link, key, "a")
        server.kill()
        with pytest.raises(QueueUnavailable):
            echo(link, key, "b")
        server.start()

        assert echo(link, key, "c") == b"c"


def test_every_script_of_the_queue_goes_over_a_line(link: Link, prefix: str) -> None:
    keys = [f"{{{prefix}}}:queues"]

    assert link.script(load("announce"), keys, ["a"]) == 1
    assert link.script(load("announce"), keys, ["a"]) == 0


def test_a_socket_that_is_more_than_a_socket_is_left_to_redis_py(
    link: Link, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "_wire", line._Wire)
    assert echo(link, key, "a") == b"a"
    link.redis.script_flush()
    assert echo(link, key, "b") == b"b"
    assert [reply[0] for reply in link.stream(runs(ECHO, key, "c", "d"))] == [b"c", b"d"]


def test_a_reply_that_does_not_come_in_time_is_not_waited_for(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskq.queue.connection.COMMAND_TIMEOUT_S", 0.2)
    with own_server() as server, linked(server.url, patience_s=0) as link:
        echo(link, key, "a")
        server.pause()
        try:
            with pytest.raises(QueueUnavailable, match="in time"):
                echo(link, key, "b")
        finally:
            server.go_on()

        assert echo(link, key, "c") == b"c"


@pytest.mark.parametrize("count", range(12))
def test_arguments_are_packed_alike_however_many_follow_fixed_keys(key: str, count: int) -> None:
    args = ["", "ä", b"\xff\r\n", 12, -1.5, "b" * 1000, b""][:count] + ["x"] * (count - 7)

    assert evalsha(ECHO, FixedKeys([key]), args) == evalsha(ECHO, [key], args)


def test_keys_that_are_packed_once_say_the_same(link: Link, key: str) -> None:
    fixed = FixedKeys([key])
    assert [link.script(ECHO, fixed, [word]) for word in ("a", b"b", 3, "ä")] == [
        [b"a", 1],
        [b"b", 2],
        [b"3", 3],
        ["ä".encode(), 4],
    ]
    link.redis.script_flush()
    assert link.script(ECHO, fixed, ["e"]) == [b"e", 5]
