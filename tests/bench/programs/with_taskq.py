"""taskq: the handler, and a producer that goes straight to Redis."""

from __future__ import annotations

import os

import body
import producer

from taskq import Queue, task


@task("noop")
def noop(n: int, ms: int) -> None:
    """The body of every peer's task."""
    body.work(n, ms)


def main() -> None:
    """Enqueue what the arguments say."""
    queue = Queue(os.environ["BENCH_REDIS"])
    producer.run(
        lambda n, ms: queue.enqueue("noop", {"n": n, "ms": ms}),
        lambda tasks: queue.enqueue_many("noop", [{"n": n, "ms": ms} for n, ms in tasks]),
    )


if __name__ == "__main__":
    main()
