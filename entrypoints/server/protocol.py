"""Parses HTTP/1.1 (RFC 9112) with uvicorn's fast parser, made strict where it is lenient."""

from typing import Final

import httptools

from entrypoints.server.connection import BAD, BoundedConnection

HEAD_BYTES_MAX: Final = 64 * 1024
"""The most bytes of a head, or of a chunked body's framing and trailers."""
LINGER_BYTES_MAX: Final = 16 * 1024 * 1024
"""The most bytes that are read after the last answer."""
PIPELINED_MAX: Final = 16
"""Requests that may wait on one connection while another is answered. One read may hold more."""


class StrictHttpProtocol(BoundedConnection):
    __slots__ = ("_may_stay",)

    def data_received(self, data: bytes) -> None:
        self.unused_bytes += len(data)
        if self.refusal is not None or self.is_closing():  # nothing after the last answer is a request
            if self.unused_bytes > LINGER_BYTES_MAX:
                self.socket.abort()
            return
        if not self.owed:
            self._unset_keepalive_if_required()
            self.owed = 1
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.refuse(BAD)
        else:
            if self.unused_bytes > HEAD_BYTES_MAX:
                self.refuse(BAD)
            elif self.owed and not self.timeout_keep_alive_task:
                self.wait_for_rest()

    def _feed(self, data: bytes) -> None:
        """Parse the data, and again, without the offer, a head that offers an upgrade (RFC 9110 section 7.8).

        The parser assumes that the offer is accepted. What follows would then not be the request's body, but could be
        read as a request of its own, in the name of a user chosen by the body's author.
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

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.owed = 1

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.owed == 1:  # a trailer (section 6.5.1 of RFC 9110) must not pass for a checked header
            super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        version, method = self.parser.get_http_version(), self.parser.get_method()
        hosts, codings = 0, []
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding":
                codings.append(value.lower())
        if version == "1.0":
            is_http = hosts <= 1 and not codings
            self.expect_100_continue = False
        else:
            is_http = version == "1.1" and hosts == 1 and codings in ([], [b"chunked"])
        if not is_http or method == b"CONNECT" or len(self.pipeline) >= PIPELINED_MAX:
            raise httptools.HttpParserError
        self.owed = 2
        self._unset_keepalive_if_required()
        if self.parser.should_upgrade():
            return
        if not self.url.startswith(b"/"):
            url = httptools.parse_url(self.url)
            if url.path is None:  # section 3.2.1 of RFC 9112
                self.url = b"/?" + url.query if url.query else b"/"
        super().on_headers_complete()
        # Until the request has arrived whole, an answer closes the connection.
        self._may_stay, self.cycle.keep_alive = self.cycle.keep_alive, False

    def on_body(self, body: bytes) -> None:
        self.unused_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.unused_bytes = 0
        if not self.parser.should_upgrade():
            self.owed = 0
            self._unset_keepalive_if_required()
            super().on_message_complete()
            if not self.cycle.response_started:  # else it has said that the connection closes
                self.cycle.keep_alive = self._may_stay

    def shutdown(self) -> None:
        self._may_stay = False
        super().shutdown()
