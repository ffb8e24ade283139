"""Cross-origin access for browsers, only from the origins that the operator lists."""

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS: Final = ("Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-Request-Id")
_EXPOSED: Final = (b"access-control-expose-headers", b"ETag, Location, Link, X-Request-Id, Retry-After")
_VARY: Final = (b"vary", b"Origin")
_MAX_AGE_SECONDS: Final = 7200
"""Chromium keeps the answer to a preflight no longer than this."""


class Cors:
    def __init__(self, origins: Sequence[str], request_headers: Sequence[str]) -> None:
        """The origins may send `request_headers`, and the headers that the API itself uses."""
        self._origins = frozenset(origin.encode() for origin in origins)
        self._preflight = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": ", ".join((*request_headers, *_REQUEST_HEADERS)),
            "Access-Control-Max-Age": str(_MAX_AGE_SECONDS),
        }

    def allows(self, request: Mapping[bytes, bytes]) -> bool:
        return request.get(b"origin") in self._origins

    def headers(self, request: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        """Return the headers to add to an answer. Every origin gets `Vary`: caches need it."""
        if not self.allows(request):
            return [_VARY]
        return [(b"access-control-allow-origin", request[b"origin"]), _EXPOSED, _VARY]

    def preflight(self) -> Response:
        """Return the answer to an allowed origin's preflight. The browser decides whether it suffices."""
        return Response(status_code=204, headers=self._preflight)
