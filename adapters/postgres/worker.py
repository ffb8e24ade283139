"""A thread that owns one connection and performs one job after the other on it."""

import contextlib
import socket
import threading
import time
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from adapters.postgres import failures
from adapters.postgres.engine import driver_connection
from adapters.postgres.job import Job
from adapters.postgres.prepared import forbid_prepared_statements, may_prepare
from adapters.postgres.sockets import cut, duplicate_socket, is_usable

CANCEL_ATTEMPTS: Final = 2
CANCEL_SECONDS: Final = 1.0
"""How often, and for how long each time, the server is asked to cancel a statement before its connection is cut."""
RECONNECT_SECONDS: Final = 0.5
"""How long a worker that cannot connect leaves the jobs to those that are connected."""

T = TypeVar("T")


class Worker(threading.Thread):
    def __init__(self, engine: Engine, jobs: SimpleQueue[Job[Any] | None], crew: "list[Worker]", number: int) -> None:
        super().__init__(name=f"database-{number}", daemon=True)
        self._engine = engine
        self._jobs = jobs
        self._crew = crew
        self._connection: Connection | None = None
        self._socket: socket.socket | None = None
        self._state = threading.Condition()  # guards the next two
        self._running: Job[Any] | None = None
        self._interrupter: threading.Thread | None = None

    def run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if not job.future.done():
                    self._connect()
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the one who waits
                if any(worker.is_connected for worker in self._crew):  # the server is there, but has no room for us
                    self._jobs.put(job)
                    time.sleep(RECONNECT_SECONDS)  # no event tells when there is room
                else:
                    job.settle(partial(job.future.set_exception, error))
                continue
            try:
                answer = partial(job.future.set_result, self._perform(job))
            except Exception as error:  # noqa: BLE001 - the same
                self._disconnect()
                if failures.is_crossed(error):
                    forbid_prepared_statements(self._engine)
                if job.is_repeated_after(error):
                    self._jobs.put(job)
                    continue
                answer = partial(job.future.set_exception, error)
            job.settle(answer)
        self._disconnect()

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    def _connect(self) -> None:
        if self._connection and not is_usable(driver_connection(self._connection)):
            self._disconnect()
        if not self._connection:
            self._connection = self._engine.connect()
            self._socket = duplicate_socket(driver_connection(self._connection))
        if not may_prepare(self._engine):
            driver_connection(self._connection).prepare_threshold = None

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            with contextlib.suppress(SQLAlchemyError, psycopg.Error):
                connection.invalidate()
                connection.close()
        if self._socket:
            self._socket.close()

    def _perform(self, job: Job[T]) -> T | None:
        """What the operation returns; `None` where nobody waits any more, and then the operation is not begun."""
        with self._state:
            job.interrupt = self.interrupt
            if job.future.done() or not self._connection:
                return None
            self._running = job
        try:
            return job.operation(self._connection)
        finally:
            with self._state:
                self._running = None
                interrupter, self._interrupter = self._interrupter, None
                self._state.notify_all()
            if interrupter:  # its cancel must not hit the connection's next statement
                interrupter.join()
                self._disconnect()

    def interrupt(self, job: Job[Any]) -> None:
        """Stops the job if it is still running; called on the event loop's thread, which it does not hold up."""
        with self._state:
            if self._running is job and self._connection and self._socket and not self._interrupter:
                what = (job, driver_connection(self._connection), self._socket)
                self._interrupter = threading.Thread(target=self._cancel_then_cut, args=what, daemon=True)
                self._interrupter.start()

    def _cancel_then_cut(self, job: Job[Any], driver: "psycopg.Connection[Any]", duplicate: socket.socket) -> None:
        for _ in range(CANCEL_ATTEMPTS):  # a cancel can overtake its statement, and is then lost
            with contextlib.suppress(psycopg.Error):
                driver.cancel_safe(timeout=CANCEL_SECONDS)
            with self._state:
                if self._state.wait_for(lambda: self._running is not job, CANCEL_SECONDS):
                    return
        cut(duplicate)  # frees the thread that is blocked on it
