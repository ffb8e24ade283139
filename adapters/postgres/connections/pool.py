"""The pool: opens connections when they are needed, lends them, and retires those no longer trusted."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from math import inf
from time import monotonic
from typing import Final, Protocol

import psycopg

from adapters.postgres import failures
from adapters.postgres.connections.connection import Connection
from domain.errors import StorageUnavailable

REST_SECONDS: Final = 0.5
"""After a login fails while other connections are open, its place stays empty for this long."""
RETIRE_SECONDS: Final = 1.0
"""A read-only server retires all connections, but at most once in this time."""


class Opener(Protocol):
    def __call__(self, *, may_prepare: bool) -> Awaitable[Connection]: ...


class ConnectionPool:
    """Lends at most `size` connections, the last used first. Belongs to one event loop.

    If none is free, the caller waits for the next that is given back or opened.
    """

    def __init__(self, open_connection: Opener, size: int) -> None:
        self._open_connection = open_connection
        self._size = size
        self._places = 0
        """How many places are taken: by open connections, by logins, and by rests after a failed login."""
        self._connections: dict[Connection, int] = {}
        """The open connections, each with the epoch in which its login began."""
        self._epoch = 0
        self._free: list[Connection] = []
        self._waiting: deque[asyncio.Future[Connection]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._may_prepare = True
        self._last_retired = -inf

    def in_use(self) -> int:
        """Return how many connections are lent out."""
        return len(self._connections) - len(self._free)

    async def take(self) -> Connection:
        """Lend a usable connection. Raises psycopg's errors if none is open and none can be opened."""
        while self._free:
            connection = self._free.pop()
            if self._connections[connection] == self._epoch and connection.is_usable():
                return connection
            await self._drop(connection)
        self._open_one_more()
        waiter: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and not waiter.exception():  # one came just then
                await self.give_back(waiter.result())
            raise

    async def give_back(self, connection: Connection, *, reusable: bool = True) -> None:
        """Take a connection back. Closes it if it is not reusable, or no longer trusted."""
        if not reusable or self._connections[connection] != self._epoch:
            await self._drop(connection)
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._free.append(connection)

    def learn_from(self, error: psycopg.Error) -> None:
        """Retire all connections if the failure of a statement concerns the others, too."""
        if failures.is_crossed(error):
            self.stop_preparing()
        elif failures.is_stale_plan(error):
            self.retire_all()
        elif failures.is_read_only(error) and monotonic() - self._last_retired >= RETIRE_SECONDS:
            self._last_retired = monotonic()
            self.retire_all()

    def retire_all(self) -> None:
        """Use no connection again whose login began before now. Each is closed when its turn comes."""
        self._epoch += 1

    def stop_preparing(self) -> None:
        """Retire all connections and prepare nothing any more, since a pooler has crossed statements or answers."""
        self._may_prepare = False
        self.retire_all()

    async def close(self) -> None:
        """Close every connection, lent or not."""
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in list(self._connections):
            await self._drop(connection)

    async def _drop(self, connection: Connection) -> None:
        del self._connections[connection]
        self._places -= 1
        await connection.close()
        if self._waiting:
            self._open_one_more()

    def _open_one_more(self) -> None:
        if self._places < self._size:
            self._places += 1
            task = asyncio.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        epoch = self._epoch
        try:
            connection = await self._open_connection(may_prepare=self._may_prepare)
        except Exception as error:  # noqa: BLE001 - any error belongs to whoever waits
            if self._connections:  # the server is up, but has no room for one more
                await asyncio.sleep(REST_SECONDS)
            else:
                self._fail_next_waiter(error)
            self._places -= 1
            if self._waiting:
                self._open_one_more()
            return
        self._connections[connection] = epoch
        await self.give_back(connection)

    def _fail_next_waiter(self, error: Exception) -> None:
        if isinstance(error, OSError | RuntimeError):  # our process has no descriptor or thread left
            error = StorageUnavailable(f"no connection can be opened: {type(error).__name__}")
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(error)
                return
