"""Cross-origin access for browsers: from the origins that the operator lists, and no other."""

from collections.abc import Mapping, Sequence
from typing import Final

_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS: Final = ("Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-Request-Id")
_EXPOSED: Final = (b"access-control-expose-headers", b"ETag, Location, Link, X-Request-Id, Retry-After")
_VARY: Final = (b"vary", b"Origin")
_MAX_AGE_SECONDS: Final = 600


class Cors:
    def __init__(self, origins: Sequence[str], request_headers: Sequence[str]) -> None:
        """The origins may send these headers besides those that the API itself knows."""
        self._origins = frozenset(origin.encode() for origin in origins)
        self._preflight = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": ", ".join((*request_headers, *_REQUEST_HEADERS)),
            "Access-Control-Max-Age": str(_MAX_AGE_SECONDS),
        }

    def headers(self, request: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        """What each answer carries. Caches have to know the difference even where the origin is not allowed."""
        origin = request.get(b"origin", b"")
        if origin not in self._origins:
            return [_VARY]
        return [(b"access-control-allow-origin", origin), _EXPOSED, _VARY]

    def preflight(self, request: Mapping[bytes, bytes]) -> dict[str, str] | None:
        """What else answers a preflight of an allowed origin. Whether that is enough the browser judges."""
        is_one = b"access-control-request-method" in request and request.get(b"origin") in self._origins
        return self._preflight if is_one else None
