"""The connections: opened when they are needed, taken and given back, left when they are no longer trusted."""

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
"""How long nothing is opened in a place whose connection could not be opened while others stand."""
LEAVE_SECONDS: Final = 1.0
"""A server that takes no writes costs all connections at most once in this time."""


class Opener(Protocol):
    def __call__(self, *, may_prepare: bool) -> Awaitable[Connection]: ...


class ConnectionPool:
    """At most `size` connections, the last used first. Belongs to one event loop.

    Whoever finds none free waits for the first that becomes free, be it given back or opened anew.
    """

    def __init__(self, open_connection: Opener, size: int) -> None:
        self._open_connection = open_connection
        self._size = size
        self._places = 0
        """How many connections stand, are being opened, or rest after they could not be."""
        self._standing: dict[Connection, int] = {}
        """Each with the epoch in which it was asked for."""
        self._epoch = 0
        self._free: list[Connection] = []
        self._waiting: deque[asyncio.Future[Connection]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._may_prepare = True
        self._last_left = -inf

    def in_use(self) -> int:
        """How many connections are taken."""
        return len(self._standing) - len(self._free)

    async def take(self) -> Connection:
        """A usable connection, to be given back. Raises psycopg's errors where none stands and none can be opened."""
        while self._free:
            connection = self._free.pop()
            if self._standing[connection] == self._epoch and connection.is_usable():
                return connection
            await self._drop(connection)
        self._open_one_more()
        waiter: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and not waiter.exception():  # it came at the same moment
                await self.give(waiter.result())
            raise

    async def give(self, connection: Connection, *, is_sound: bool = True) -> None:
        """Takes a connection back. What is not sound, or no longer trusted, is closed."""
        if not is_sound or self._standing[connection] != self._epoch:
            await self._drop(connection)
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._free.append(connection)

    def learn(self, error: psycopg.Error) -> None:
        """Draws from a statement's failure what it says about the other connections."""
        if failures.is_crossed(error):
            self.prepare_no_more()
        elif failures.is_stale_plan(error):
            self.leave_all()
        elif failures.is_read_only(error) and monotonic() - self._last_left >= LEAVE_SECONDS:
            self._last_left = monotonic()
            self.leave_all()

    def leave_all(self) -> None:
        """No connection that was asked for before now serves again: each is closed when its turn comes."""
        self._epoch += 1

    def prepare_no_more(self) -> None:
        """For when a pooler has been seen to cross prepared statements, or answers."""
        self._may_prepare = False
        self.leave_all()

    async def close(self) -> None:
        """Closes every connection, taken or not."""
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in list(self._standing):
            await self._drop(connection)

    async def _drop(self, connection: Connection) -> None:
        del self._standing[connection]
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
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits
            if self._standing:  # the server is there, but has no room for one more
                await asyncio.sleep(REST_SECONDS)
            else:
                self._fail_one(error)
            self._places -= 1
            if self._waiting:
                self._open_one_more()
            return
        self._standing[connection] = epoch
        await self.give(connection)

    def _fail_one(self, error: Exception) -> None:
        if isinstance(error, OSError | RuntimeError):  # our own process has no descriptor or thread left
            error = StorageUnavailable(f"no connection can be opened: {type(error).__name__}")
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(error)
                return
