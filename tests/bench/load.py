"""The load: keep-alive connections that each send the next request as soon as they have the last one's answer."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import cast

from tests.bench.meter import Cost, Meter

WARM_UP_SECONDS = 0.1
PATIENCE_SECONDS = 10
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class UnexpectedAnswer(Exception):
    """The server did not answer as it does when all is well."""


@dataclass(frozen=True)
class Sample:
    """What one server did in one slice of time."""

    operations: int
    seconds: float
    cost: Cost
    latencies: list[float]

    def rate(self) -> float:
        """Operations per second."""
        return self.operations / self.seconds

    def p50(self) -> float:
        """In seconds."""
        return median(self.latencies)


class _Slice:
    """What the connections of a slice share."""

    def __init__(self, requests: Iterator[bytes], status: bytes, meter: Meter) -> None:
        self.requests = requests
        self.status = status
        self.latencies: list[float] = []
        self.done: asyncio.Future[Sample] = asyncio.get_running_loop().create_future()
        self._meter = meter
        self._began = 0.0

    def begin(self) -> None:
        self._meter.start()
        self.latencies.clear()
        self._began = perf_counter()

    def end(self) -> None:
        if not self.done.done():
            seconds = perf_counter() - self._began
            self.done.set_result(Sample(len(self.latencies), seconds, self._meter.stop(), self.latencies.copy()))


class _Connection(asyncio.Protocol):
    def __init__(self, shared: _Slice) -> None:
        self._slice = shared
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._length = 0
        self._sent = 0.0
        self.idle = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by name
        self._send()

    def _send(self) -> None:
        request = None if self._slice.done.done() else next(self._slice.requests, None)
        if request is None:
            self._finish()
        elif self._transport:
            self._sent = perf_counter()
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        if not self._length:
            head = received.find(_HEAD_END)
            if head < 0:
                return
            self._length = head + len(_HEAD_END) + _length_of_body(received[:head].lower())
        if len(received) < self._length:
            return
        self._slice.latencies.append(perf_counter() - self._sent)
        if received[9:12] != self._slice.status:
            self._fail(UnexpectedAnswer(received.decode()))
            return
        self._received, self._length = b"", 0
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.idle.done():
            self._fail(exc or UnexpectedAnswer("the server has closed the connection"))

    def _fail(self, error: Exception) -> None:
        if not self._slice.done.done():
            self._slice.done.set_exception(error)
        self._finish()

    def _finish(self) -> None:
        if not self.idle.done():
            self.idle.set_result(None)
        if self._transport:
            self._transport.close()


def _length_of_body(head: bytes) -> int:
    start = head.find(_LENGTH)
    if start >= 0:
        return int(head[start + len(_LENGTH) :].split(b"\r\n", 1)[0])
    if head[9:12] == b"204":
        return 0
    raise UnexpectedAnswer("no Content-Length")


async def load(
    port: int, requests: Iterator[bytes], status: int, meter: Meter, connections: int, seconds: float
) -> Sample:
    """What happens in so many seconds after a short warm-up. Raises `UnexpectedAnswer` on any other status."""
    loop = asyncio.get_running_loop()
    shared = _Slice(requests, str(status).encode(), meter)
    made = [await loop.create_connection(lambda: _Connection(shared), "127.0.0.1", port) for _ in range(connections)]
    loop.call_later(WARM_UP_SECONDS, shared.begin)
    loop.call_later(WARM_UP_SECONDS + seconds, shared.end)
    async with asyncio.timeout(WARM_UP_SECONDS + seconds + PATIENCE_SECONDS):
        sample = await shared.done
        await asyncio.gather(*(connection.idle for _, connection in made))
    return sample
