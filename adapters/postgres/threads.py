"""Calls that block, and for which the event loop does not wait: logging in, asking the server to cancel."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def on_thread(call: Callable[[], T]) -> T:
    """What `call` returns or raises, on a thread of its own, which does not keep the process from ending.

    A pool's threads would: Python joins them, and no timeout of the driver's bounds all that they may be blocked on.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def perform() -> None:
        try:
            outcome = call()
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the one who waits
            settle(answer.set_exception, error)
        else:
            settle(answer.set_result, outcome)

    def settle(how: Callable[[Any], None], what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settled, how, what)

    def settled(how: Callable[[Any], None], what: object) -> None:
        if not answer.done():
            how(what)

    threading.Thread(target=perform, daemon=True).start()
    return await answer
