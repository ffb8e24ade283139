"""The load: keep-alive connections that each send the next request as soon as they have the last one's answer."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import cast

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
    server_cpu: float
    load_cpu: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        return self.operations / self.seconds

    @property
    def cpu(self) -> float:
        """Of the server, in seconds per operation."""
        return self.server_cpu / self.operations


class _Slice:
    """What the connections of a slice share."""

    def __init__(self, requests: Iterator[bytes], status: bytes, server_cpu: Callable[[], float]) -> None:
        self.requests = requests
        self.status = status
        self.latencies: list[float] = []
        self.done: asyncio.Future[Sample] = asyncio.get_running_loop().create_future()
        self._server_cpu = server_cpu

    def begin(self) -> None:
        self.latencies.clear()
        self._cpu = self._server_cpu(), process_time()
        self._began = perf_counter()

    def end(self) -> None:
        if not self.done.done():
            seconds = perf_counter() - self._began
            load_cpu = process_time() - self._cpu[1]
            server_cpu = self._server_cpu() - self._cpu[0]
            self.done.set_result(Sample(len(self.latencies), seconds, server_cpu, load_cpu, self.latencies.copy()))


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
    port: int, requests: Iterator[bytes], status: int, server_cpu: Callable[[], float], connections: int, seconds: float
) -> Sample:
    """What happens in so many seconds after a short warm-up. Raises `UnexpectedAnswer` on any other status."""
    loop = asyncio.get_running_loop()
    shared = _Slice(requests, str(status).encode(), server_cpu)
    clients = [_Connection(shared) for _ in range(connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]  # a default
    loop.call_later(WARM_UP_SECONDS, shared.begin)
    loop.call_later(WARM_UP_SECONDS + seconds, shared.end)
    async with asyncio.timeout(WARM_UP_SECONDS + seconds + PATIENCE_SECONDS):
        sample = await shared.done
        await asyncio.gather(*(client.idle for client in clients))
    return sample
