"""What blocks does so on a thread of its own, which holds up neither the event loop nor the end of the process."""

import asyncio
import threading

import pytest

from adapters.postgres.connections.threads import on_thread


async def test_what_the_call_returns_or_raises_reaches_the_caller() -> None:
    def fail() -> None:
        raise LookupError("x")

    assert await on_thread(lambda: 7) == 7
    with pytest.raises(LookupError):
        await on_thread(fail)


async def test_it_keeps_no_process_from_ending() -> None:
    assert await on_thread(lambda: threading.current_thread().daemon)


async def test_an_answer_for_which_nobody_waits_any_more_is_dropped() -> None:
    release, ended = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    faults: list[object] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))

    def call() -> None:
        release.wait()
        loop.call_soon_threadsafe(loop.call_later, 0, ended.set)

    waiting = asyncio.ensure_future(on_thread(call))
    await asyncio.sleep(0)
    waiting.cancel()
    release.set()
    await ended.wait()
    await asyncio.sleep(0)
    assert faults == []


def test_an_answer_that_comes_after_the_event_loop_has_ended_is_dropped() -> None:
    release = threading.Event()
    threads: list[threading.Thread] = []

    async def begin() -> None:
        loop, begun = asyncio.get_running_loop(), asyncio.Event()

        def call() -> None:
            threads.append(threading.current_thread())
            loop.call_soon_threadsafe(begun.set)
            release.wait()

        waiting = asyncio.ensure_future(on_thread(call))
        await begun.wait()
        waiting.cancel()

    asyncio.run(begin())
    release.set()
    threads[0].join()  # what it raised would be a failure
