"""What runs in each child right after the fork, and how a child is forked.

A child forgets what it inherited (handlers, sockets, seeds), ties its life to the parent's and opens its own connections.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import msgspec
from setproctitle import setproctitle

from taskq import failpoints, hosts, log, spans
from taskq.api.app import create_app
from taskq.api.context import ApiContext, ApiSettings
from taskq.api.knownhosts import ANY
from taskq.api.requests import Adder
from taskq.api.server import Server
from taskq.catalog import Catalog, Published
from taskq.children import become_subreaper, die_with_parent, leave_ending_to_parent
from taskq.config import Config, Pool
from taskq.errors import ExitCode, QueueError, QueueRefused, QueueUnavailable, StartupError
from taskq.limits import Limits
from taskq.log import emit
from taskq.maintenance.burial import Undertaker
from taskq.maintenance.claims import Claims
from taskq.maintenance.maintenance import Maintenance, Rhythm
from taskq.maintenance.schedules import Timekeeper, schedules_of
from taskq.queue import server
from taskq.queue.connection import Link
from taskq.queue.embedded import EmbeddedPlan, fsync_files
from taskq.queue.inspect import Inspector
from taskq.queue.limits import put_in_force
from taskq.queue.queue import Queue
from taskq.queue.schedules import Schedules
from taskq.registry import Registry
from taskq.supervisor.boardview import BoardView
from taskq.supervisor.descriptors import SPARE, allow_descriptors
from taskq.supervisor.outputs import Outputs
from taskq.supervisor.signals import STACKS, dump_between_instructions, reset_in_child
from taskq.supervisor.slots import Board
from taskq.supervisor.warden import watch
from taskq.task import Status
from taskq.tokens import Tokens
from taskq.worker.capture import Capture
from taskq.worker.control import State
from taskq.worker.executor import Defaults
from taskq.worker.worker import STOP_SIGNAL, Recycling, Worker

FORK = multiprocessing.get_context("fork")

WORKER_EXITS = {"drained": 0, "recycled": 0, "lease_lost": 75, "refused": 76}
"""Exit codes of a worker by the reason why its loop ended."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What every child of one service is made from; built before the first fork. `link` is never used itself, only the
    children make theirs of it. `sock` is None without an API, `tokens` None where nobody needs one."""

    config: Config
    registry: Registry
    catalog: Published
    limits: Limits
    board: Board
    link: Link
    outputs: Outputs
    sock: socket.socket | None
    embedded: EmbeddedPlan | None
    tokens: Tokens | None = None


def fork(target: Callable[..., None], *args: Any) -> BaseProcess:
    """Start a child from the main thread; the others of its threads would hold locks that the child can never take.

    STOP_SIGNAL does not reach the child before it has entered: until then it would end it, and not in order.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("children are forked from the main thread only")
    process = FORK.Process(target=target, args=(os.getpid(), *args))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {STOP_SIGNAL})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def new_id(kind: str) -> str:
    """An id that no other process of any machine has or will have."""
    host = "".join(c if c.isalnum() or c in "-." else "-" for c in socket.gethostname())[:60]
    return f"{host}-{kind}-{secrets.token_hex(4)}"


def worker_child(parent: int, service: Service, seat: int, worker_id: str, pool_name: str) -> None:
    """A worker of one pool, from its fork to its end."""
    signal.signal(STOP_SIGNAL, signal.SIG_IGN)  # until it runs: what the signal tells of stands in its slot
    os.setpgid(0, 0)
    service.board.slot(seat).report(State.STARTING)
    become_subreaper()
    pool = service.config.pools[pool_name]
    capture = _capture(service, worker_id)
    _enter(parent, service, "worker", worker_id, f"worker {pool_name} starting", keep_socket=False, capture=capture)
    leave_ending_to_parent()
    if pool.nice:
        os.nice(pool.nice)
    slot = service.board.slot(seat)
    link = service.link.another(patience_s=math.inf, give_up=slot.may_give_up)
    queue = Queue(link, prefix=service.config.redis.prefix, name=pool.queue)
    worker = Worker(
        worker_id,
        queue,
        service.registry,
        slot,
        pool=pool_name,
        defaults=_defaults(service.config),
        recycling=Recycling(max_tasks=pool.max_tasks, max_memory_bytes=pool.max_memory),
        capture=capture,
        prefetch=pool.prefetch,
    )
    try:
        queue.join(worker_id, service.config.leases.lease, _info(pool_name, pool, service), service.catalog)
        put_in_force(queue, service.limits)
    except QueueRefused as error:
        emit("queue.refused", message=str(error))
        sys.exit(WORKER_EXITS["refused"])
    except QueueError:
        sys.exit(0)  # Redis stayed away until the service ended
    slot.report(State.IDLE)
    emit("worker.started", pool=pool_name, queue=pool.queue)
    try:
        code = WORKER_EXITS[worker.run().reason]
        spans.flush()
    except Exception:
        capture.release()
        raise
    if threading.active_count() > 1:
        os._exit(code)  # what a task has left running would be waited for
    sys.exit(code)


def maintenance_child(parent: int, service: Service, pipe: Connection) -> None:
    """The maintenance process: first the examination of the server, then its duties."""
    process_id = new_id("maintenance")
    _enter(parent, service, "maintenance", process_id, "maintenance", keep_socket=False)
    config = service.config
    link = service.link.another(patience_s=0.5)
    try:
        patient = service.link.another(patience_s=math.inf, give_up=lambda: service.board.draining)
        _examine(patient, require_persistence=config.redis.require_persistence)
    except QueueUnavailable:
        sys.exit(0)  # Redis stayed away until the service ended
    except StartupError as error:
        emit("child.failed", level=40, message=str(error))
        sys.exit(error.exit_code)
    inspector = Inspector(link, prefix=config.redis.prefix)
    leases, retention = config.leases, config.retention
    view = BoardView(service.board, max(2.0, leases.heartbeat))
    maintenance = Maintenance(
        inspector,
        Undertaker(
            inspector,
            service.registry,
            backoff=config.tasks.defaults.backoff,
            max_crashes=config.tasks.max_crashes,
        ),
        view,
        pipe,
        output_kept_bytes=config.tasks.output_max,
        rhythm=Rhythm(heartbeat_s=leases.heartbeat, lease_s=leases.lease, reap_s=leases.reap),
        retention={
            Status.COMPLETED: retention.completed,
            Status.FAILED: retention.failed,
            Status.CANCELLED: retention.cancelled,
        },
        timekeeper=Timekeeper(Schedules(inspector), schedules_of(config, service.registry)),
        claims=Claims(inspector, view) if service.board.shelves else None,
        fsync=partial(fsync_files, service.embedded.data_dir) if service.embedded else None,
    )
    service.board.ready = True
    emit("maintenance.started")
    maintenance.run()
    sys.exit(0)


def api_child(parent: int, service: Service, index: int) -> None:
    """An API process, serving on the socket that the supervisor bound."""
    signal.signal(STOP_SIGNAL, _raise_exit)
    process_id = new_id(f"api{index}")
    _enter(parent, service, "api", process_id, f"api {index}", keep_socket=True)
    dump_between_instructions()
    config = service.config
    allow_descriptors(config.api.connections + SPARE)
    inspector = Inspector(service.link.another(patience_s=2.0), prefix=config.redis.prefix)
    settings = ApiSettings(
        max_body_bytes=config.api.max_body,
        max_batch_bytes=config.api.max_batch_body,
        default_max_retry=config.tasks.defaults.max_retry,
        threads=config.api.threads,
        connection_limit=config.api.connections,
        output_max_bytes=config.tasks.output_max,
        open=config.api.open,
        # No browser sends a token by itself, so that where one is needed nothing can be had under a borrowed name.
        hosts=config.api.hosts or (() if service.tokens is None else (ANY,)),
        own_name=config.api.listen.host,
    )
    context = ApiContext(
        inspector=inspector,
        registry=service.registry,
        own_queues=frozenset(pool.queue for pool in config.pools.values()),
        own_types=Catalog.decode(service.catalog.text).types,
        settings=settings,
        tokens=service.tokens,
        draining=lambda: service.board.draining,
    )
    if service.sock is None:
        raise RuntimeError("an API process needs the listening socket")
    server = Server(create_app(context), service.sock, context)
    signal.signal(STOP_SIGNAL, lambda *_: server.stop())
    with Adder(context):
        server.run()
    spans.flush()
    sys.exit(0)


def warden_child(parent: int, service: Service) -> None:
    """The warden: outlives the supervisor for the moment that it takes to end what would be left."""
    _enter(parent, service, "warden", new_id("warden"), "warden", keep_socket=False, outlive=True)
    watch(parent, service.board)
    os._exit(0)  # nothing of ours is left to be tidied up, and the parent is gone


def listening_on(sock: socket.socket) -> str:
    """The URL of a bound socket."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _enter(
    parent: int,
    service: Service,
    process: str,
    process_id: str,
    title: str,
    *,
    keep_socket: bool,
    outlive: bool = False,
    capture: Capture | None = None,
) -> None:
    reset_in_child()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {STOP_SIGNAL})
    if not outlive:
        die_with_parent(parent)
    random.seed()
    failpoints.reseed()
    if capture is None:
        service.outputs.keep_only()
    else:
        capture.install(STACKS)
        log.divert(capture.log_fd, capture.fd)
    log.identify(process=process, worker_id=process_id)
    setproctitle(f"taskq: {title}")
    if service.sock is not None and not keep_socket:
        service.sock.close()
    if service.embedded is not None:
        os.close(service.embedded.lock)  # only the supervisor and the server hold the data directory


def _capture(service: Service, worker_id: str) -> Capture:
    service.outputs.keep_only(worker_id)
    fd = service.outputs.fd(worker_id)
    if fd is None:
        raise RuntimeError("a worker needs the file for its output")
    return Capture(fd, service.config.tasks.output_max)


def _examine(link: Link, *, require_persistence: bool) -> None:
    """Wait for the server, then examine it. Raises StartupError when it is unfit or refuses us."""
    try:
        report = server.check(link, require_persistence=require_persistence)
    except QueueRefused as error:
        raise StartupError(str(error), ExitCode.SERVER_UNFIT) from error
    emit("server.checked", software=report.software, version=report.version)
    for warning in report.warnings:
        emit("server.warned", level=30, message=warning)


def _defaults(config: Config) -> Defaults:
    tasks = config.tasks
    return Defaults(
        timeout_s=tasks.defaults.timeout,
        memory_limit_bytes=tasks.defaults.memory_limit,
        backoff=tasks.defaults.backoff,
        result_max_bytes=tasks.result_max,
        max_crashes=tasks.max_crashes,
    )


def _info(pool_name: str, pool: Pool, service: Service) -> bytes:
    identity = hosts.identity()
    where = {"host": identity.host, "pid": identity.pid, "pool": pool_name, "queue": pool.queue, "process": identity}
    resident = hosts.resident_bytes(identity.pid)  # what is shown until the first heartbeat
    brings = {"catalog": service.catalog.digest, "limits": service.limits.generation}
    return msgspec.json.encode({**where, **brings, "resident_bytes": resident})


def _raise_exit(_number: int, _frame: object) -> None:
    raise SystemExit(0)
