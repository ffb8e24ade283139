"""A task that owns one connection and performs one job after the other on it."""

import asyncio
import contextlib
import socket
from functools import partial
from typing import Any, Final, TypeVar

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.util.concurrency import greenlet_spawn

from adapters.postgres import failures
from adapters.postgres.connections.engine import driver_connection
from adapters.postgres.connections.job import Job
from adapters.postgres.connections.prepared import forbid_prepared_statements, may_prepare
from adapters.postgres.connections.sockets import cut, duplicate_socket, is_usable
from adapters.postgres.connections.threads import on_thread
from domain.errors import StorageUnavailable

CANCEL_ATTEMPTS: Final = 2
CANCEL_SECONDS: Final = 1.0
"""How often, and for how long each time, the server is asked to cancel a statement before its connection is cut."""
RECONNECT_SECONDS: Final = 0.5
"""How long a worker that cannot connect leaves the jobs to those that are connected."""

T = TypeVar("T")


class Worker:
    def __init__(self, engine: Engine, jobs: "asyncio.Queue[Job[Any] | None]", crew: "list[Worker]") -> None:
        self._engine = engine
        self._jobs = jobs
        self._crew = crew
        self._connection: Connection | None = None
        self._socket: socket.socket | None = None
        self._interruption: asyncio.Task[None] | None = None
        self._must_reconnect: bool = False

    async def run(self) -> None:
        try:
            while (job := await self._jobs.get()) is not None:
                if job.future.done():
                    job.finish()
                elif connection := await self._connected(job):
                    await self._answer(job, connection)
        finally:
            self._disconnect()

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    def leave_connection(self) -> None:
        """Before the next job."""
        self._must_reconnect = True

    async def _connected(self, job: Job[Any]) -> Connection | None:
        """A connection for the job, or none, and then the job is taken care of."""
        try:
            return await self._connect()
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the one who waits
            self._disconnect()
            if any(worker.is_connected for worker in self._crew):  # the server is there, but has no room for us
                self._jobs.put_nowait(job)
                await asyncio.sleep(RECONNECT_SECONDS)  # no event tells when there is room
            elif isinstance(error, OSError | RuntimeError):  # our own process has no descriptor or thread left
                job.fail(StorageUnavailable(f"no connection can be opened: {type(error).__name__}"))
            else:
                job.fail(error)
            return None

    async def _connect(self) -> Connection:
        if not self._connection or self._must_reconnect or not is_usable(driver_connection(self._connection)):
            self._disconnect()
            self._must_reconnect = False
            self._connection = await on_thread(self._engine.connect)
            self._socket = duplicate_socket(driver_connection(self._connection))
        if not may_prepare(self._engine):
            driver_connection(self._connection).prepare_threshold = None
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            with contextlib.suppress(SQLAlchemyError):  # the operation has closed it already
                connection.invalidate()  # without a rollback, for which the event loop would have to wait
                connection.close()  # or it stays until the collector comes
        if self._socket:
            self._socket.close()

    async def _answer(self, job: Job[Any], connection: Connection) -> None:
        if job.future.done():  # while it was connected
            job.finish()
            return
        try:
            outcome = await self._perform(job, connection)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the one who waits
            self._disconnect()
            if failures.is_crossed(error):
                forbid_prepared_statements(self._engine)
            if failures.is_read_only(error):
                for worker in self._crew:  # whose connections lead to the same server
                    worker.leave_connection()
            if job.is_repeated_after(error):
                self._jobs.put_nowait(job)
            else:
                job.fail(error)
        else:
            job.succeed(outcome)

    async def _perform(self, job: Job[T], connection: Connection) -> T:
        has_ended = asyncio.Event()
        job.interrupt = partial(self._interrupt, connection, has_ended)
        try:
            return await greenlet_spawn(job.operation, connection)
        finally:
            job.interrupt = None
            has_ended.set()
            if self._interruption:  # its cancel must not hit the connection's next statement
                await self._interruption
                self._interruption = None
                self._disconnect()

    def _interrupt(self, connection: Connection, has_ended: asyncio.Event) -> None:
        if self._socket and not self._interruption:
            stop = cancel_then_cut(driver_connection(connection), self._socket, has_ended)
            self._interruption = asyncio.create_task(stop)


async def cancel_then_cut(
    driver: "psycopg.Connection[Any]", duplicate: socket.socket, has_ended: asyncio.Event
) -> None:
    for _ in range(CANCEL_ATTEMPTS):  # a cancel can overtake its statement, and is then lost
        with contextlib.suppress(psycopg.Error, OSError, RuntimeError):  # no descriptor or thread is left, either
            await on_thread(partial(driver.cancel_safe, timeout=CANCEL_SECONDS))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(has_ended.wait(), CANCEL_SECONDS)
            return
    cut(duplicate)  # wakes the statement that waits for it
