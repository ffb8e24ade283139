"""One operation on its way from the event loop to a worker's thread and back."""

import asyncio
import contextlib
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from sqlalchemy import Connection

from domain.errors import StorageUnavailable

T = TypeVar("T")


class Job(Generic[T]):
    """An operation and the future that answers it. Once the future is done, nobody waits for the outcome any more."""

    __slots__ = ("_finished", "_loop", "_may_repeat", "about", "future", "interrupt", "operation", "timer")

    def __init__(
        self,
        operation: Callable[[Connection], T],
        about: Hashable,
        may_repeat: Callable[[Exception], bool],
        loop: asyncio.AbstractEventLoop,
        finished: "Callable[[Job[T]], None]",
    ) -> None:
        self.operation = operation
        self.about = about
        self.future: asyncio.Future[T] = loop.create_future()
        self.timer: asyncio.TimerHandle | None = None
        self.interrupt: Callable[[Job[T]], None] | None = None
        self._may_repeat: Callable[[Exception], bool] | None = may_repeat
        self._loop = loop
        self._finished = finished

    def expire(self) -> None:
        if not self.future.done():
            self.future.set_exception(StorageUnavailable("the deadline passed"))
        if self.interrupt:
            self.interrupt(self)

    def is_repeated_after(self, error: Exception) -> bool:
        """Whether it is to be performed again: once at most."""
        may_repeat, self._may_repeat = self._may_repeat, None
        return may_repeat is not None and may_repeat(error)

    def settle(self, answer: Callable[[], None]) -> None:
        """Has the event loop give the answer; called on a worker's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._settled, answer)

    def _settled(self, answer: Callable[[], None]) -> None:
        self._finished(self)
        if self.timer:
            self.timer.cancel()
        if not self.future.done():
            answer()
