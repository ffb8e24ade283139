"""The database executor: a crew of workers behind one bounded queue. It knows nothing of tasks."""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from adapters.postgres.job import Job
from adapters.postgres.worker import Worker
from domain.errors import StorageOverloaded

T = TypeVar("T")


class DatabaseExecutor:
    """Runs operations on `connections` threads; `queue` more may wait; each is answered within `deadline` seconds."""

    def __init__(self, engine: Engine, *, connections: int, queue: int, deadline: float) -> None:
        self._capacity = connections + queue
        self._deadline = deadline
        self._unfinished: set[Job[Any]] = set()  # touched by the event loop's thread alone, so it needs no lock
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._workers: list[Worker] = []
        self._workers += [Worker(engine, self._jobs, self._workers, number) for number in range(connections)]

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    async def run(self, operation: Callable[[Connection], T]) -> T:
        """What `operation` returns or raises, called with an AUTOCOMMIT connection on one of the threads.

        Raises `StorageOverloaded` at once when the queue is full, `StorageUnavailable` when the deadline passes. An
        operation that has not begun by then never begins; one that has is cancelled on the server, then cut off.
        """
        if len(self._unfinished) >= self._capacity:
            raise StorageOverloaded("the queue for the database is full")
        loop = asyncio.get_running_loop()
        job = Job(operation, loop, self._unfinished.discard)
        self._unfinished.add(job)
        job.timer = loop.call_later(self._deadline, job.expire)
        self._jobs.put(job)
        return await job.future

    async def close(self) -> None:
        """Closes the connections. What nobody waits for any more is cancelled, the rest may finish first.

        Returns after twice the deadline at most.
        """
        for job in self._unfinished:
            if job.future.done():
                job.expire()
        for _ in self._workers:
            self._jobs.put(None)
        await asyncio.to_thread(self._join, monotonic() + 2 * self._deadline)

    def _join(self, until: float) -> None:
        for worker in self._workers:
            worker.join(max(0, until - monotonic()))
