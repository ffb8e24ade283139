"""A network of a known delay between a server and its database: a proxy, in a process of its own.

Bytes go on in the order in which they came, each so many milliseconds later, as many at a time as there are.
"""

import asyncio
import contextlib
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from typing import cast

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.bench.database import free_port


class _Side(asyncio.Protocol):
    """One of the two connections: what it receives, the other sends later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._other: _Side | None = None
        self._on_the_way: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.pause_reading()

    def join(self, other: "_Side") -> None:
        self._other = other
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._on_the_way.append(data)
        asyncio.get_running_loop().call_later(self._seconds, self._arrive)

    def _arrive(self) -> None:
        if self._other:
            self._other.transport.write(self._on_the_way.popleft())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._other:
            self._other.transport.close()


async def _serve(port: int, host: str, host_port: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    joining: set[asyncio.Task[None]] = set()

    async def join(client: _Side) -> None:
        _, server = await loop.create_connection(lambda: _Side(seconds), host, host_port)
        client.join(server)
        server.join(client)

    def accept() -> _Side:
        client = _Side(seconds)
        joining.add(loop.create_task(join(client)))
        return client

    listener = await loop.create_server(accept, "127.0.0.1", port)
    await listener.serve_forever()


@contextlib.contextmanager
def delayed(url: str, milliseconds: float) -> Iterator[str]:
    """A URL that leads to the same database, so many milliseconds away each way."""
    if not milliseconds:
        yield url
        return
    parameters, port = conninfo_to_dict(url), free_port()
    arguments = [port, parameters["host"], parameters["port"], milliseconds / 1000]
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.delay", *map(str, arguments)])
    try:
        far = f"postgresql://{parameters['user']}@127.0.0.1:{port}/{parameters['dbname']}"
        while True:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(far):
                break
        yield far
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    _port, _host, _host_port, _seconds = sys.argv[1:]
    # The usual selector rounds a timeout up to a whole millisecond.
    _loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with contextlib.suppress(KeyboardInterrupt):
        _loop.run_until_complete(_serve(int(_port), _host, int(_host_port), float(_seconds)))
