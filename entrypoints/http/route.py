"""The class of all routes on tasks: what each request must be before it is heard, what each answer carries."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from entrypoints.http.arguments import Arguments
from entrypoints.http.bodies import JSON, MERGE_PATCH, read_json
from entrypoints.http.dependencies import services_of

_CONDITIONS: Final = ("If-Match", "If-None-Match")


class StrictRoute(APIRoute):
    def __init__(self, path: str, endpoint: Callable[..., Awaitable[Response]], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._arguments = Arguments(self.dependant)
        self._takes_query = bool(self.dependant.query_params)
        self._takes_conditions = {header.alias.lower() for header in self.dependant.header_params}
        self._takes_body = bool(self.dependant.body_params)
        self._media_types = {JSON, MERGE_PATCH} if "PATCH" in (self.methods or ()) else {JSON}
        self.app = self._serve  # in place of the framework's, which makes ready for dependencies that want an end

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive, send))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        identity = services_of(request).identity()
        request.state.user = await identity(request)  # before anything that a stranger could make us read
        if request.scope["query_string"]:
            _check_query(request, self._takes_query)
        _check_conditions(request, self._takes_conditions)
        body = None
        if self._takes_body:
            body = await read_json(request, self._media_types, request.app.state.max_body_bytes)
        response: Response = await self.endpoint(**await self._arguments.of(request, body))
        # A cache must ask each time, and must not answer one user with what another was told.
        response.raw_headers += [(b"cache-control", b"private, no-cache"), (b"vary", identity.header.encode())]
        return response


def _check_conditions(request: Request, taken: set[str]) -> None:
    """A condition that is not going to be looked at must not seem to hold."""
    ignored = [name for name in _CONDITIONS if name.lower() not in taken and name in request.headers]
    if ignored:
        raise RequestValidationError(
            [{"type": "condition", "loc": ("header", name), "msg": "is not known here"} for name in ignored]
        )


def _check_query(request: Request, takes_query: bool) -> None:
    """Where the route takes a query, its own model tells which parameters are known."""
    times = Counter(name for name, _ in request.query_params.multi_items())
    wrong = [name for name in times if not takes_query or times[name] > 1]
    if wrong:
        reason = "must be given once" if takes_query else "is not known here"
        raise RequestValidationError([{"type": "query", "loc": ("query", name), "msg": reason} for name in wrong])
