"""HTTP/1.1 (RFC 9112) as the server reads it: uvicorn's fast parser, made strict where it is lenient."""

import asyncio
from typing import Final, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from entrypoints.server.transport import JoinedWrites

HEAD_BYTES_MAX: Final = 64 * 1024
"""Of a request's head, or of what follows a chunked body, before something has to come of it."""
PIPELINED_MAX: Final = 16
"""Requests that may wait on one connection while another is answered; all that come in one read are parsed at once."""


class StrictHttpProtocol(HttpToolsProtocol):
    _unused_bytes = 0
    _has_head = False
    _hosts = 0
    _is_refused = False
    _running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(cast("asyncio.Transport", JoinedWrites(transport, self.loop)))

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        self._unused_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse()
        else:
            if self._unused_bytes > HEAD_BYTES_MAX:
                self._refuse()

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as offer:
                self._decline_upgrade()
                data = data[offer.args[0] :]

    def _refuse(self) -> None:
        """Reads no more. Requests that came whole before are answered first: they may have been carried out."""
        self._is_refused = True
        if self.pipeline and self.pipeline[0][0].more_body:  # the newest, and its body has no right end
            self.pipeline.popleft()
        running = self._running
        if running and running.more_body:  # it is the newest
            self._give_up(running)
            self.transport.close() if running.response_started else self._send_refusal()
        elif running is None or running.response_complete:
            self._send_refusal()

    @staticmethod
    def _give_up(cycle: RequestResponseCycle) -> None:
        """Has the application see that nobody is there any more."""
        cycle.disconnected = True
        cycle.message_event.set()

    def _send_refusal(self) -> None:
        self.send_400_response("Invalid HTTP request received.")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last and self._is_refused and not self.transport.is_closing():
            self._send_refusal()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._running and not self._running.response_complete:
            self._give_up(self._running)

    def _decline_upgrade(self) -> None:
        """Reads the head anew without the offer (section 7.8 of RFC 9110 allows that).

        The parser takes for granted that it is accepted: what follows would no longer be the request's body, but could
        be read as a request of its own, in the name of a user whom the body's writer has chosen.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserError("no proxy")
        fields = b"".join(b"%s: %s\r\n" % field for field in self.headers if field[0] != b"upgrade")
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (method, self.url, self.parser.get_http_version().encode(), fields)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(head)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._has_head = False
        self._hosts = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_head:  # a trailer (section 6.5.1 of RFC 9110), which must not pass for what has been checked
            return
        super().on_header(name, value.strip(b" \t"))
        added, given = self.headers[-1]
        self._hosts += added == b"host"
        if added == b"transfer-encoding" and given.lower() != b"chunked":
            raise httptools.HttpParserError("unknown transfer coding")

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        if version not in {"1.0", "1.1"} or self._hosts > 1 or (version == "1.1" and not self._hosts):
            raise httptools.HttpParserError("not as section 3.2 of RFC 9112 has it")
        self._has_head = True
        if len(self.pipeline) >= PIPELINED_MAX:
            raise httptools.HttpParserError("too many at once")
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unused_bytes = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()
