"""One operation on its way from the caller to a worker and back."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from sqlalchemy import Connection

from domain.errors import StorageUnavailable

T = TypeVar("T")


class Job(Generic[T]):
    """An operation and the future that answers it. Once the future is done, nobody waits for the outcome any more."""

    __slots__ = ("_finished", "_may_repeat", "_timer", "about", "future", "interrupt", "operation")

    def __init__(
        self,
        operation: Callable[[Connection], T],
        about: Hashable,
        may_repeat: Callable[[Exception], bool],
        deadline: float,
        finished: "Callable[[Job[T]], None]",
    ) -> None:
        self.operation = operation
        self.about = about
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = loop.create_future()
        self.interrupt: Callable[[], None] | None = None
        """While the operation runs: stops it."""
        self._may_repeat: Callable[[Exception], bool] | None = may_repeat
        self._timer = loop.call_later(deadline, self.expire)
        self._finished = finished

    def expire(self) -> None:
        if not self.future.done():
            self.future.set_exception(StorageUnavailable("the deadline passed"))
        if self.interrupt:
            self.interrupt()

    def is_repeated_after(self, error: Exception) -> bool:
        """Whether it is to be performed again: once at most."""
        may_repeat, self._may_repeat = self._may_repeat, None
        return may_repeat is not None and may_repeat(error)

    def succeed(self, outcome: T) -> None:
        self.finish()
        if not self.future.done():
            self.future.set_result(outcome)

    def fail(self, error: Exception) -> None:
        self.finish()
        if not self.future.done():
            self.future.set_exception(error)

    def finish(self) -> None:
        """Gives up its place; what nobody waits for needs no more than that."""
        self._finished(self)
        self._timer.cancel()
