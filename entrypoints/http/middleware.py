"""The one layer around the framework. It adds what every answer needs, the framework's own included."""

import asyncio
import re
from collections.abc import Set
from secrets import token_hex
from time import perf_counter
from typing import Final

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.cors import Cors
from entrypoints.http.problems import CROSS_SITE, DATABASE_UNAVAILABLE, INTERNAL_ERROR, MISDIRECTED_REQUEST

_PORT: Final = re.compile(rb":[0-9]*$")
_SAFE_METHODS: Final = {"GET", "HEAD", "OPTIONS", "TRACE"}
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class OuterLayer:
    """Adds the request id and CORS headers, logs the request, answers HEAD, and answers 503 when the server stops."""

    def __init__(self, app: ASGIApp, cors: Cors | None, own_hosts: Set[str]) -> None:
        self._app = app
        self._cors = cors
        self._own_hosts = {host.encode() for host in own_hosts}
        self._log = structlog.get_logger().bind()  # binding once saves a third of each line's time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        headers = dict(scope["headers"])
        request_id = _request_id(scope)
        added = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
        if self._cors:
            added += self._cors.headers(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        # HEAD is GET without the body (RFC 9110 section 9.3.2). Only the copy says GET; the server needs HEAD.
        is_head = scope["method"] == "HEAD"
        inner = {**scope, "method": "GET"} if is_head else scope
        status: int | None = None

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *added]
            elif is_head:
                message["body"] = b""
            await send(message)

        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await (self._early_answer(scope, headers) or self._app)(inner, receive, send_on)
        except asyncio.CancelledError:  # the server stops and no longer waits
            if status is None:
                await DATABASE_UNAVAILABLE.response(Request(scope))(scope, receive, send_on)
            raise
        except Exception:  # noqa: BLE001 - every other error is a defect
            self._log.exception("defect")
            if status is None:
                await INTERNAL_ERROR.response(Request(scope))(scope, receive, send_on)
        finally:
            facts = scope["state"]["facts"] = {
                "method": scope["method"],
                "route": getattr(inner.get("route"), "path_format", None),
                "status": status,
                "duration_ms": round((perf_counter() - started) * 1000, 3),
            }
            self._log.info("request", **facts)
            structlog.contextvars.reset_contextvars(**bound)

    def _early_answer(self, scope: Scope, headers: dict[bytes, bytes]) -> ASGIApp | None:
        """Return the answer if the application must not see the request, else `None`."""
        if self._own_hosts and _PORT.sub(b"", headers.get(b"host", b"").lower()) not in self._own_hosts:
            return MISDIRECTED_REQUEST.response(Request(scope))
        method, is_allowed = scope["method"], self._cors is not None and self._cors.allows(headers)
        if method not in _SAFE_METHODS and headers.get(b"sec-fetch-site") == b"cross-site" and not is_allowed:
            return CROSS_SITE.response(Request(scope))
        if method == "OPTIONS" and self._cors and is_allowed and b"access-control-request-method" in headers:
            return self._cors.preflight()
        return None


def _request_id(scope: Scope) -> str:
    """Return the caller's id if it is well-formed, else a new one."""
    given: list[bytes] = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0].decode("ascii")
    return token_hex(16)
