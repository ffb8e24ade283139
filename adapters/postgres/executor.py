"""The database executor: threads that each own one connection, behind one bounded queue. It knows nothing of tasks."""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from adapters.postgres.engine import driver_connection, is_usable
from domain.errors import StorageOverloaded, StorageUnavailable

CANCEL_ATTEMPTS: Final = 2
CANCEL_SECONDS: Final = 1.0
"""How often, and for how long each time, the server is asked to cancel a statement before its connection is cut."""

T = TypeVar("T")


class DatabaseExecutor:
    """Runs operations on `connections` threads; `queue` more may wait; each is answered within `deadline` seconds."""

    def __init__(self, engine: Engine, *, connections: int, queue: int, deadline: float) -> None:
        self._capacity = connections + queue
        self._deadline = deadline
        self._unfinished = 0  # touched by the event loop's thread alone, so it needs no lock
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._workers = [_Worker(engine, self._jobs, number) for number in range(connections)]

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    async def run(self, operation: Callable[[Connection], T]) -> T:
        """What `operation` returns or raises, called with an AUTOCOMMIT connection on one of the threads.

        Raises `StorageOverloaded` at once when the queue is full, `StorageUnavailable` when the deadline passes. An
        operation that has not begun by then never begins; one that has is cancelled on the server, then cut off.
        """
        if self._unfinished >= self._capacity:
            raise StorageOverloaded("the queue for the database is full")
        self._unfinished += 1
        loop = asyncio.get_running_loop()
        job = _Job(operation, loop, self._finished)
        job.timer = loop.call_later(self._deadline, job.expire)
        self._jobs.put(job)
        return await job.future

    async def close(self) -> None:
        """Lets what is accepted finish and closes the connections; returns after twice the deadline at most."""
        for _ in self._workers:
            self._jobs.put(None)
        await asyncio.to_thread(self._join, 2 * self._deadline / len(self._workers))

    def _join(self, limit: float) -> None:
        for worker in self._workers:
            worker.join(limit)

    def _finished(self) -> None:
        self._unfinished -= 1


class _Job(Generic[T]):
    """An operation and the future that answers it. Once the future is done, nobody waits for the outcome any more."""

    __slots__ = ("_finished", "_loop", "future", "operation", "timer", "worker")

    def __init__(
        self, operation: Callable[[Connection], T], loop: asyncio.AbstractEventLoop, finished: Callable[[], None]
    ) -> None:
        self.operation = operation
        self.future: asyncio.Future[T] = loop.create_future()
        self.timer: asyncio.TimerHandle | None = None
        self.worker: _Worker | None = None
        self._loop = loop
        self._finished = finished

    def expire(self) -> None:
        if not self.future.done():
            self.future.set_exception(StorageUnavailable("the deadline passed"))
        if self.worker:
            self.worker.interrupt(self)

    def settle(self, answer: Callable[[], None]) -> None:
        """Has the event loop give the answer; called on a worker's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._settled, answer)

    def _settled(self, answer: Callable[[], None]) -> None:
        self._finished()
        if self.timer:
            self.timer.cancel()
        if not self.future.done():
            answer()


class _Worker(threading.Thread):
    def __init__(self, engine: Engine, jobs: "SimpleQueue[_Job[Any] | None]", number: int) -> None:
        super().__init__(name=f"database-{number}", daemon=True)
        self._engine = engine
        self._jobs = jobs
        self._connection: Connection | None = None
        self._state = threading.Condition()  # guards the next two
        self._running: _Job[Any] | None = None
        self._interrupter: threading.Thread | None = None

    def run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                answer = partial(job.future.set_result, self._perform(job))
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the one who waits
                answer = partial(job.future.set_exception, error)
                self._disconnect()
            job.settle(answer)
        self._disconnect()

    def _perform(self, job: _Job[T]) -> T | None:
        """What the operation returns; `None` where nobody waits any more, and then the operation is not begun."""
        if job.future.done():
            return None
        connection = self._usable_connection()
        with self._state:
            job.worker = self
            if job.future.done():  # the deadline passed while connecting
                return None
            self._running = job
        try:
            return job.operation(connection)
        finally:
            with self._state:
                self._running = None
                interrupter, self._interrupter = self._interrupter, None
                self._state.notify_all()
            if interrupter:  # its cancel must not hit the connection's next statement
                interrupter.join()
                self._disconnect()

    def _usable_connection(self) -> Connection:
        if self._connection and not is_usable(self._connection):
            self._disconnect()
        if not self._connection:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            with contextlib.suppress(SQLAlchemyError, psycopg.Error):
                connection.invalidate()
                connection.close()

    def interrupt(self, job: _Job[Any]) -> None:
        """Stops the job if it is still running; called on the event loop's thread, which it does not hold up."""
        with self._state:
            if self._running is job and self._connection:
                driver = driver_connection(self._connection)
                self._interrupter = threading.Thread(target=self._cancel_then_cut, args=(job, driver), daemon=True)
                self._interrupter.start()

    def _cancel_then_cut(self, job: _Job[Any], driver: "psycopg.Connection[Any]") -> None:
        for _ in range(CANCEL_ATTEMPTS):  # a cancel can overtake its statement, and is then lost
            with contextlib.suppress(psycopg.Error):
                driver.cancel_safe(timeout=CANCEL_SECONDS)
            with self._state:
                if self._state.wait_for(lambda: self._running is not job, CANCEL_SECONDS):
                    return
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(driver.fileno())) as duplicate,
        ):
            duplicate.shutdown(socket.SHUT_RDWR)  # frees the thread that is blocked on it
