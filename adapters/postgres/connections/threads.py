"""Calls that block, and for which the event loop does not wait: logging in, asking the server to cancel."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


async def on_thread(call: Callable[[], T]) -> T:
    """What `call` returns or raises, on a thread of its own, which does not keep the process from ending.

    A pool's threads would: Python joins them, and no timeout of the driver's bounds all that they may be blocked on.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()
    threading.Thread(target=_perform, args=[call, loop, answer], daemon=True).start()
    try:
        return await answer
    finally:
        del answer  # as below


def _perform(call: Callable[[], T], loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[T]") -> None:
    try:
        settle = partial(_settle, answer, answer.set_result, call())
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the one who waits
        settle = partial(_settle, answer, answer.set_exception, error)
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
        loop.call_soon_threadsafe(settle)
    # No frame that an exception has come through may hold it, or its connection stays until the collector comes.
    del answer, settle


def _settle(answer: "asyncio.Future[T]", how: Callable[[Any], None], what: object) -> None:
    if not answer.done():
        how(what)
