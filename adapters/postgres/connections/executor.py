"""The database executor: a crew of workers behind one bounded queue. It knows nothing of tasks."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from math import ceil, inf
from time import monotonic
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from adapters.postgres import failures
from adapters.postgres.connections.job import Job
from adapters.postgres.connections.prepared import forbid_prepared_statements
from adapters.postgres.connections.worker import Worker
from domain.errors import StorageOverloaded, StorageUnavailable

log = structlog.get_logger()

T = TypeVar("T")

STUCK_SECONDS: Final = 1.0
"""After so long without anything that finishes, none may before the first that was accepted is given up."""


class DatabaseExecutor:
    """Runs operations on `connections` connections; `queue` more may wait; each is answered within `deadline` seconds.

    Its methods belong to one event loop, whose thread alone touches it.
    """

    def __init__(self, engine: Engine, *, connections: int, queue: int, deadline: float) -> None:
        self._engine = engine
        self._capacity = connections + queue
        self._share = max(1, connections // 2)
        self._deadline = deadline
        self._unfinished: dict[Job[Any], float] = {}
        """Each with the time when it was accepted, in this order."""
        self._alike: dict[Hashable, int] = {}
        self._behind: dict[Hashable, deque[Job[Any]]] = {}
        self._last_success = -inf
        self._last_finish = -inf
        self._is_lost = False
        self._jobs: asyncio.Queue[Job[Any] | None] = asyncio.Queue()
        self._workers: list[Worker] = []
        self._workers += [Worker(engine, self._jobs, self._workers) for _ in range(connections)]
        self._running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._running = [asyncio.create_task(worker.run()) for worker in self._workers]

    async def run(
        self,
        operation: Callable[[Connection], T],
        *,
        about: Hashable = None,
        may_repeat: Callable[[Exception], bool] = lambda _: False,
    ) -> T:
        """What `operation` returns or raises, called with an AUTOCOMMIT connection of its own meanwhile.

        It is a plain function, and the event loop goes on wherever it waits for the server.

        Of the operations `about` one thing only so many run at once that those about others are served. One that has
        failed is called once more if `may_repeat` says so of what it raised.

        Raises `StorageOverloaded` at once when the queue is full, `StorageUnavailable` when the deadline passes. An
        operation that has not begun by then never begins; one that has is cancelled on the server, then cut off.
        """
        if len(self._unfinished) >= self._capacity:
            raise StorageOverloaded("the queue for the database is full", self._seconds_until_room())
        job: Job[T] = Job(operation, about, may_repeat, self._deadline, self._finished)
        self._unfinished[job] = monotonic()
        self._admit(job)
        try:
            outcome = await job.future
        except (StorageUnavailable, SQLAlchemyError) as error:
            self._last_success = -inf
            if failures.is_connection_loss(error) and not self._is_lost:
                self._is_lost = True
                log.warning("database lost", **failures.describe(error))
            raise
        self._last_success = monotonic()
        if self._is_lost:
            self._is_lost = False
            log.info("database regained")
        return outcome

    def has_succeeded_within(self, seconds: float) -> bool:
        """Whether an operation has, and none has failed since."""
        return monotonic() - self._last_success < seconds

    def distrust(self) -> None:
        """Leaves all connections and prepares no statements any more: for when one has been seen to cross answers."""
        forbid_prepared_statements(self._engine)
        for worker in self._workers:
            worker.leave_connection()

    def _seconds_until_room(self) -> int:
        accepted = next(iter(self._unfinished.values()))
        waited = monotonic() - accepted
        is_stuck = waited > STUCK_SECONDS and self._last_finish < accepted
        return max(1, ceil(self._deadline - waited)) if is_stuck else 1

    def _admit(self, job: Job[Any]) -> None:
        if job.about is not None:
            running = self._alike.get(job.about, 0)
            if running >= self._share:
                self._behind.setdefault(job.about, deque()).append(job)
                return
            self._alike[job.about] = running + 1
        self._jobs.put_nowait(job)

    def _finished(self, job: Job[Any]) -> None:
        self._unfinished.pop(job, None)
        self._last_finish = monotonic()
        if job.about is None:
            return
        if behind := self._behind.get(job.about):
            self._jobs.put_nowait(behind.popleft())  # it takes over the place
            return
        self._behind.pop(job.about, None)
        self._alike[job.about] -= 1
        if not self._alike[job.about]:
            del self._alike[job.about]

    async def close(self) -> None:
        """Closes the connections. What nobody waits for any more is cancelled, the rest may finish first.

        Returns after twice the deadline at most.
        """
        for job in self._unfinished:
            if job.future.done():
                job.expire()
        for _ in self._workers:
            self._jobs.put_nowait(None)
        _, late = await asyncio.wait(self._running, timeout=2 * self._deadline)
        for worker in late:
            worker.cancel()
        await asyncio.gather(*late, return_exceptions=True)
