"""HTTP/1.1 (RFC 9112) as the server reads it: uvicorn's fast parser, made strict where it is lenient."""

import asyncio
import resource
from typing import ClassVar, Final

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entrypoints.server.transport import JoinedWrites

HEAD_BYTES_MAX: Final = 64 * 1024
"""Of a request's head, or of what follows a chunked body, before something has to come of it."""
PIPELINED_MAX: Final = 16
"""Requests that may wait on one connection while another is answered; all that come in one read are parsed at once."""
CLIENT_SECONDS: Final = 20.0
"""Within which a head has to come and a write to make progress; twice that for a body, which the application times."""
LINGER_SECONDS: Final = 5.0
LINGER_BYTES_MAX: Final = 16 * 1024 * 1024
"""For how long and how much a connection is read on after its last answer."""
DESCRIPTORS_KEPT: Final = 32
"""For what is no client: the database's connections, files."""
_BAD: Final = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
log = structlog.get_logger()


class StrictHttpProtocol(HttpToolsProtocol):
    transport: JoinedWrites  # type: ignore[assignment]  # which does what uvicorn needs of a transport
    _unused_bytes = 0
    _owed = 1
    """What the client has begun to send and not ended: 1 a head, 2 a body, 0 nothing."""
    _may_stay = False
    _refusal: bytes | None = None
    _is_held = False
    _warned: ClassVar[float] = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(JoinedWrites(transport, self.loop, self._read_rest))  # type: ignore[arg-type]
        transport.set_write_buffer_limits(0)  # so that a client that does not read is noticed at once
        self._wait(CLIENT_SECONDS)
        limit, now = resource.getrlimit(resource.RLIMIT_NOFILE)[0], self.loop.time()
        if transport.get_extra_info("socket").fileno() >= limit - DESCRIPTORS_KEPT:
            transport.abort()
            if now > self._warned:
                StrictHttpProtocol._warned = now + 60
                log.error("too many connections", descriptors=limit)

    def _wait(self, seconds: float) -> None:
        """With uvicorn's own timer: a connection waits for one thing at a time."""
        self._unset_keepalive_if_required()
        left = self.transport.get_write_buffer_size()
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self._is_late, left)

    def _is_late(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < before or (self.flow.read_paused and not left):  # the client may have sent it
            self._wait(CLIENT_SECONDS)
        elif left or self.transport.is_closing():
            self.transport.abort()
        elif self._unused_bytes or self.cycle is not None:
            self._refuse(_LATE)
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._unused_bytes += len(data)
        if self._refusal is not None or self.transport.is_closing():  # nothing after the last answer is a request
            if self._unused_bytes > LINGER_BYTES_MAX:
                self.transport.abort()
            return
        if not self._owed:
            self._unset_keepalive_if_required()
            self._owed = 1
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(_BAD)
        else:
            if self._unused_bytes > HEAD_BYTES_MAX:
                self._refuse(_BAD)
            elif self._owed and not self.timeout_keep_alive_task:
                self._wait(self._owed * CLIENT_SECONDS)

    def _feed(self, data: bytes) -> None:
        """Reads the head of a request that offers an upgrade anew without it (section 7.8 of RFC 9110 allows that).

        The parser takes for granted that it is accepted: what follows would no longer be the request's body, but could
        be read as a request of its own, in the name of a user whom the body's writer has chosen.
        """
        while data:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as offer:
                method, version = self.parser.get_method(), self.parser.get_http_version().encode()
                fields = b"".join(b"%s: %s\r\n" % field for field in self.headers if field[0] != b"upgrade")
                self.parser = httptools.HttpRequestParser(self)
                self.parser.feed_data(b"%s %s HTTP/%s\r\n%s\r\n" % (method, self.url, version, fields))
                data = data[offer.args[0] :]

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio's own
        """Returns whether the connection stays: a client may close its side and read on."""
        self.transport.is_read_to_end = True
        self._refuse(b"")
        return not self.transport.is_closing()

    def _refuse(self, answer: bytes) -> None:
        """Reads no more. Requests that came whole before are answered first: they may have been carried out."""
        self._refusal = answer
        if self.pipeline:
            if self.cycle.more_body:  # the newest's, and it has no right end
                self.pipeline.popleft()
        elif self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]  # None at first
            self._send_refusal()
        elif self.cycle.more_body and not self.cycle.response_started:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._send_refusal()

    def _send_refusal(self) -> None:
        self.transport.write(self._refusal or b"")
        self.transport.close()

    def _read_rest(self) -> None:
        self.flow.resume_reading()
        if not self.flow.write_paused:
            self._wait(LINGER_SECONDS)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.flow.pause_reading()
        self._wait(CLIENT_SECONDS)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.transport.is_closing():
            self._read_rest()
        elif self._is_held:
            self.on_response_complete()

    def on_response_complete(self) -> None:
        self.transport.flush()
        self._is_held = self.flow.write_paused
        if self._is_held or self.transport.is_closing():
            return
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last and self._refusal is not None:
            self._send_refusal()
        elif self._owed:
            self._wait(self._owed * CLIENT_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self.pipeline.clear()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._owed = 1

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._owed == 1:  # else a trailer (section 6.5.1 of RFC 9110), which must not pass for what has been checked
            super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        version, method = self.parser.get_http_version(), self.parser.get_method()
        hosts = sum(name == b"host" for name, _ in self.headers)
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if version == "1.0":
            is_http = hosts <= 1 and not codings
            self.expect_100_continue = False
        else:
            is_http = version == "1.1" and hosts == 1 and codings in ([], [b"chunked"])
        if not is_http or method == b"CONNECT" or len(self.pipeline) >= PIPELINED_MAX:
            raise httptools.HttpParserError
        self._owed = 2
        self._unset_keepalive_if_required()
        if self.parser.should_upgrade():
            return
        if not self.url.startswith(b"/"):
            url = httptools.parse_url(self.url)
            if url.path is None:  # section 3.2.1 of RFC 9112
                self.url = b"/?" + url.query if url.query else b"/"
        super().on_headers_complete()
        self._may_stay, self.cycle.keep_alive = self.cycle.keep_alive, False

    def on_body(self, body: bytes) -> None:
        self._unused_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unused_bytes = 0
        if not self.parser.should_upgrade():
            self._owed = 0
            self._unset_keepalive_if_required()
            super().on_message_complete()
            if not self.cycle.response_started:  # else it says that it is the last on this connection
                self.cycle.keep_alive = self._may_stay

    def shutdown(self) -> None:
        self._may_stay = False
        super().shutdown()
