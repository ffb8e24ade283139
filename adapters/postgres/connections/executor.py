"""The database executor: limits how many operations run and for how long, and shares fairly. Knows nothing of tasks."""

import asyncio
from collections.abc import Hashable, Mapping
from math import ceil, inf
from time import monotonic
from typing import Final

import psycopg

from adapters.postgres import failures
from adapters.postgres.connections.connection import Rows
from adapters.postgres.connections.fairness import Shares
from adapters.postgres.connections.guard import Statement
from adapters.postgres.connections.health import DatabaseHealth
from adapters.postgres.connections.operation import Operation
from adapters.postgres.connections.pool import ConnectionPool, Opener
from domain.errors import StorageOverloaded, StorageUnavailable

STUCK_SECONDS: Final = 1.0
"""If nothing finishes for this long, Retry-After runs to the oldest deadline."""


class DatabaseExecutor:
    """Runs `connections` operations at once; `queue` more may wait; each has `deadline` seconds. For one event loop."""

    def __init__(self, open_connection: Opener, *, connections: int, queue: int, deadline: float) -> None:
        self._pool = ConnectionPool(open_connection, connections)
        self._capacity = connections + queue
        self._shares = Shares(max(1, connections // 2))
        self._deadline = deadline
        self._accepted: dict[asyncio.Task[Rows], Operation] = {}
        """The operations that have not ended, the oldest first."""
        self._last_end = -inf
        self.health = DatabaseHealth()

    def new_deadline(self) -> float:
        """Return the time, on the event loop's clock, by which an operation that begins now is answered."""
        return asyncio.get_running_loop().time() + self._deadline

    async def run(
        self,
        statement: Statement,
        parameters: Mapping[str, object],
        *,
        resource: Hashable = None,
        user: Hashable = None,
        until: float | None = None,
    ) -> Rows:
        """Run the statement and return its rows. Raises psycopg's errors.

        Raises `StorageOverloaded` at once if the queue is full, and `StorageUnavailable` at `until`, as returned by
        `new_deadline`. A statement not sent by then is never sent; a running one is cancelled on the server, or its
        connection is cut. At most half of the connections serve one `resource`, and at most half serve late users.
        """
        loop, until = asyncio.get_running_loop(), self.new_deadline() if until is None else until
        if len(self._accepted) >= self._capacity:
            raise StorageOverloaded("the queue for the database is full", self._seconds_until_room())
        if until <= loop.time():
            raise StorageUnavailable("the deadline passed")
        # psycopg takes seconds to react to a cancellation. So the statement runs in a task that the caller can leave.
        operation = Operation(statement, parameters, resource, user, accepted_at=monotonic())
        task = asyncio.create_task(self._perform(operation))
        self._accepted[task] = operation
        task.add_done_callback(self._forget)
        try:
            await asyncio.wait((task,), timeout=until - loop.time())
        except asyncio.CancelledError:  # the client is gone: give up a read, let a write finish
            operation.has_caller = False
            loop.call_at(loop.time() if statement.is_read else until, self._give_up, task)
            raise
        if not task.done():
            self._give_up(task)
            self.health.record_failure(late := StorageUnavailable("the deadline passed"))
            raise late
        try:
            rows = task.result()
        except (StorageUnavailable, psycopg.Error) as error:
            self.health.record_failure(error)
            raise
        self.health.record_success()
        self._shares.mark_on_time(user)
        return rows

    def usage(self) -> tuple[int, int]:
        """Return how many connections are in use, and how many operations wait for one. Safe in any thread."""
        in_use = self._pool.in_use()
        return in_use, max(0, len(self._accepted) - in_use)

    def distrust(self) -> None:
        """Retire all connections and stop preparing statements, since one returned somebody else's answer."""
        self._pool.stop_preparing()

    async def close(self) -> None:
        """Let operations with a caller finish, for at most twice the deadline. Then close every connection."""
        for task, operation in self._accepted.items():
            if not operation.has_caller:
                self._give_up(task)
        if self._accepted:
            await asyncio.wait(self._accepted, timeout=2 * self._deadline)
        for task, operation in self._accepted.items():
            operation.connection.cut() if operation.connection else task.cancel()
        await asyncio.gather(*self._accepted, return_exceptions=True)
        await self._pool.close()

    async def _perform(self, operation: Operation) -> Rows:
        """Run the statement, and once more if it may be repeated. A repeat goes to the end of the queue."""
        has_failed = False
        while True:
            async with self._shares.of_user(operation.user), self._shares.of_resource(operation.resource):
                try:
                    operation.connection = await self._pool.take()
                    return await operation.connection.execute(operation.statement, operation.parameters)
                except psycopg.Error as error:
                    self._pool.learn_from(error)
                    may_repeat = failures.may_be_repeated(error, is_read=operation.statement.is_read)
                    if has_failed or operation.stopping or not may_repeat:
                        raise
                    has_failed = True
                finally:
                    connection, operation.connection = operation.connection, None
                    if operation.stopping and operation.has_ended:
                        operation.has_ended.set()
                        await operation.stopping  # its cancel must not hit the connection's next statement
                    if connection:
                        await self._pool.give_back(connection, reusable=not operation.stopping and connection.is_idle())

    def _give_up(self, task: "asyncio.Task[Rows]") -> None:
        operation = self._accepted.get(task)
        if operation is None or operation.stopping:
            return
        if operation.connection is None:
            task.cancel()
            return
        self._shares.mark_late(operation.user)
        operation.has_ended = asyncio.Event()
        operation.stopping = asyncio.create_task(operation.connection.stop(operation.has_ended))

    def _forget(self, task: "asyncio.Task[Rows]") -> None:
        del self._accepted[task]
        self._last_end = monotonic()
        if not task.cancelled():
            task.exception()  # marks it as seen: its caller may be gone

    def _seconds_until_room(self) -> int:
        oldest = next(iter(self._accepted.values())).accepted_at
        waited = monotonic() - oldest
        is_stuck = waited > STUCK_SECONDS and self._last_end < oldest
        return max(1, ceil(self._deadline - waited)) if is_stuck else 1
