"""The threads that handle requests, and the queue in which these wait for one."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

from waitress.task import ThreadedTaskDispatcher


class Dispatcher(ThreadedTaskDispatcher):
    """Hands requests to threads through a queue in C: the condition that waitress uses costs a request three locks."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._waiting: SimpleQueue[Any] = SimpleQueue()
        self.set_thread_count(count)

    def add_task(self, task: Any) -> None:
        """Have `task.service()` called by a thread that is free, or by the first that will be."""
        self._waiting.put(task)

    def serve(self, task: Any) -> None:
        """Call `task.service()` in this very thread; what that raises is only logged."""
        try:
            task.service()
        except BaseException:
            self.logger.exception("Exception when servicing %r", task)

    def set_thread_count(self, count: int) -> None:
        """Start as many threads as are missing, or end those that are too many once they are free."""
        with self.lock:
            for _ in range(len(self.threads) - self.stop_count - count):
                self.stop_count += 1
                self._waiting.put(None)
            while len(self.threads) - self.stop_count < count:
                number = max(self.threads, default=-1) + 1
                self.threads.add(number)
                self.start_new_thread(self.handler_thread, number)

    def handler_thread(self, thread_no: int) -> None:
        """What each thread does until it takes the word to end."""
        while (task := self._waiting.get()) is not None:
            self.serve(task)
        with self.lock:
            self.stop_count -= 1
            self.threads.discard(thread_no)
            self.thread_exit_cv.notify()
