"""What the server writes to a connection: in as few system calls as it takes, and so that it arrives."""

import asyncio
from collections.abc import Callable
from typing import Any


class JoinedWrites:
    """A transport that sends what is written in one step of the loop with one system call: a head with its body.

    Closed after an answer, it ends only its own side and has the rest read (section 9.6 of RFC 9112): a socket that is
    closed with something unread resets the connection, and the client may lose the answer.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, read_rest: Callable[[], None]):
        self._transport = transport
        self._loop = loop
        self._read_rest = read_rest
        self._written: list[bytes] = []
        self._is_ended = False
        self.is_read_to_end = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._written:
            self._loop.call_soon(self.flush)
        self._written.append(data)

    def flush(self) -> None:
        if self._written and not self._transport.is_closing():
            self._transport.write(b"".join(self._written))
        self._written.clear()

    def is_closing(self) -> bool:
        return self._is_ended or self._transport.is_closing()

    def close(self) -> None:
        if self._written and not self.is_read_to_end:
            self.flush()
            self._is_ended = True
            self._transport.write_eof()
            self._read_rest()
        elif not self._is_ended:
            self.flush()
            self._transport.close()
