"""How long a connection lasts and how it ends: no client holds an unused one, and the last answer arrives."""

import asyncio
import resource
from typing import ClassVar, Final

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CLIENT_SECONDS: Final = 20.0
"""The time for a head to arrive, or a write to make progress. A body has twice that; the application limits it, too."""
LINGER_SECONDS: Final = 5.0
"""How long a connection is still read after its last answer."""
DESCRIPTORS_KEPT: Final = 32
"""Reserved for what is not a client: database connections, files."""
BAD: Final = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
log = structlog.get_logger()


class BoundedConnection(HttpToolsProtocol):
    """Stands in for uvicorn's transport, too: joins what is written in one turn of the loop, as a head and its body.

    After the last answer it closes only its own side and reads on (section 9.6 of RFC 9112): closing a socket with
    unread input resets the connection, and the client may lose the answer.
    """

    # Python stores the first 30 attributes of an object fast, and uvicorn has 28.
    __slots__ = ("_completion_waits", "_got_eof", "_sent_eof", "_written", "owed", "refusal", "socket", "unused_bytes")
    _next_warning: ClassVar[float] = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self.socket, self._written = transport, list[bytes]()
        self.transport = self  # type: ignore[assignment]  # as much of one as uvicorn uses
        self.owed = 1  # what the client has not sent completely: 1 a head, 2 a body, 0 nothing
        self.unused_bytes = 0  # received since the last body data or complete request
        self.refusal: bytes | None = None
        self._sent_eof = self._got_eof = self._completion_waits = False
        transport.set_write_buffer_limits(0)  # to notice at once that a client does not read
        self._wait(CLIENT_SECONDS)
        limit, now = resource.getrlimit(resource.RLIMIT_NOFILE)[0], self.loop.time()
        if transport.get_extra_info("socket").fileno() >= limit - DESCRIPTORS_KEPT:
            transport.abort()
            if now > self._next_warning:
                BoundedConnection._next_warning = now + 60
                log.error("too many connections", descriptors=limit)

    def write(self, data: bytes) -> None:
        if not self._written:
            self.loop.call_soon(self._flush)
        self._written.append(data)

    def _flush(self) -> None:
        if self._written and not self.socket.is_closing():
            self.socket.write(b"".join(self._written))
        self._written.clear()

    def is_closing(self) -> bool:
        return self._sent_eof or self.socket.is_closing()

    def close(self) -> None:
        if self._written and not self._got_eof:
            self._sent_eof = True
            self._flush()
            self.socket.write_eof()
            self._read_rest()
        elif not self._sent_eof:
            self._flush()
            self.socket.close()

    def _read_rest(self) -> None:
        self.flow.resume_reading()
        if not self.flow.write_paused:
            self._wait(LINGER_SECONDS)

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio's own
        """Return whether the connection stays open: a client may close its side and still read."""
        self._got_eof = True
        self.refuse(b"")
        return not self.is_closing()

    def refuse(self, answer: bytes) -> None:
        """Read no more. Requests that arrived whole are answered first: they may have been carried out."""
        self.refusal = answer
        if self.pipeline:
            if self.cycle.more_body:  # the newest request has no proper end
                self.pipeline.popleft()
        elif self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]  # None at first
            self._send_refusal()
        elif self.cycle.more_body and not self.cycle.response_started:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._send_refusal()

    def _send_refusal(self) -> None:
        if self.refusal:
            self.write(self.refusal)
        self.close()

    def wait_for_rest(self) -> None:
        self._wait(self.owed * CLIENT_SECONDS)

    def _wait(self, seconds: float) -> None:
        """Restart uvicorn's own timer. One is enough: a connection waits for one thing at a time."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self._expire, self.socket.get_write_buffer_size())

    def _expire(self, before: int) -> None:
        left = self.socket.get_write_buffer_size()
        if left < before or (self.flow.read_paused and not left):  # paused: what is owed may have come
            self._wait(CLIENT_SECONDS)
        elif left or self.is_closing():
            self.socket.abort()
        elif self.unused_bytes or self.cycle is not None:
            self.refuse(LATE)
        else:
            self.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.flow.pause_reading()
        self._wait(CLIENT_SECONDS)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._sent_eof:
            self._read_rest()
        elif self._completion_waits:
            self.on_response_complete()

    def on_response_complete(self) -> None:
        self._flush()
        self._completion_waits = self.flow.write_paused
        if self._completion_waits or self.is_closing():
            return
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last and self.refusal is not None:
            self._send_refusal()
        elif self.owed:
            self.wait_for_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        del self.transport, self.cycle  # reference cycles would keep this object alive
