"""The class of all routes on tasks: what a request must be, what it is called with, what its answer carries."""

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import fields as fields_of
from inspect import iscoroutinefunction
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import BaseModel

from entrypoints.http import openapi
from entrypoints.http.bodies import NAMES_MAX, read_json
from entrypoints.http.dependencies import IdentityScheme, identity_of
from entrypoints.http.faults import Place, invalid

_CONDITIONS: Final = ("If-Match", "If-None-Match")
# A cache must ask each time, and must not answer one user with what another was told. A proxy that compresses would
# weaken the ETag.
_CACHE_CONTROL: Final = (b"cache-control", b"private, no-cache, no-transform")

_OF_A_DEPENDENCY: Final = {"call", "name", "path", "request_param_name", "scope", "use_cache"}
_OF_A_ROUTE: Final = _OF_A_DEPENDENCY | {
    *("body_params", "dependencies", "header_params", "path_params", "query_params"),
}


def task_router() -> APIRouter:
    return APIRouter(
        prefix="/v1/tasks",
        tags=["tasks"],
        route_class=StrictRoute,
        generate_unique_id_function=openapi.operation_id,
        responses=openapi.EVERYWHERE,
    )


class StrictRoute(APIRoute):
    """Works out at start what the function is called with. The framework would do so for each request.

    The function is `async` and may take the request, dependencies that take the request only, parameters of the path,
    headers (each a list of its lines; a missing one takes its default), one model of the whole query and one value for
    the whole body. The caller's identity is the first dependency. Anything else raises `TypeError` at start.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        dependant = self.dependant
        if unsupported := list(_unsupported(dependant)):
            raise TypeError(f"{self.endpoint.__qualname__}: StrictRoute does not support {', '.join(unsupported)}")
        self._dependencies: list[tuple[str, Any]] = [(str(each.name), each.call) for each in dependant.dependencies]
        self._fields: list[tuple[Any, Place]] = [
            *((field, ("path", field.alias)) for field in dependant.path_params),
            *((field, ("header", field.alias)) for field in dependant.header_params),
            *((field, ("query",)) for field in dependant.query_params),
            *((field, ("body",)) for field in dependant.body_params),
        ]
        names = {*_CONDITIONS, *(field.alias for field in dependant.header_params)}
        self._headers: dict[bytes, Place] = {name.lower().encode(): ("header", name) for name in names}
        self._ignored = set(self._headers.values()) - {place for _, place in self._fields}
        return self._handle

    async def _handle(self, request: Request) -> Response:
        arguments: dict[str, Any] = {}
        for name, dependency in self._dependencies:  # identity first, before all that a stranger could make us read
            arguments[name] = await dependency(request)
        given = self._given(request)
        if self.dependant.body_params:
            given["body",] = await read_json(request, request.app.state.max_body_bytes)
        faults: list[Any] = []
        for field, place in self._fields:
            if place in given:
                arguments[field.name], found = field.validate(given[place], loc=place)
                faults += found
        if faults:
            raise RequestValidationError(faults)
        if self.dependant.request_param_name:
            arguments[self.dependant.request_param_name] = request
        response: Response = await self.endpoint(**arguments)
        response.raw_headers += [_CACHE_CONTROL, (b"vary", identity_of(request).header.encode())]
        return response

    def _given(self, request: Request) -> dict[Place, Any]:
        """What was sent, but for the body. Raises `RequestValidationError` for what this route would ignore."""
        given: dict[Place, Any] = {}
        for name, value in request.scope["headers"]:
            if place := self._headers.get(name):
                given.setdefault(place, []).append(value.decode("latin-1"))
        if in_vain := self._ignored & given.keys():
            raise invalid("is not known here", *sorted(in_vain))
        for name, value in request.path_params.items():
            given["path", name] = value
        if self.dependant.query_params or request.scope["query_string"]:
            given["query",] = _query(request, is_taken=bool(self.dependant.query_params))
        return given


def _query(request: Request, *, is_taken: bool) -> dict[str, str]:
    """The query's parameters. Where the route takes a query, its own model knows their names."""
    if request.scope["query_string"].count(b"&") >= NAMES_MAX:
        raise invalid(f"must have at most {NAMES_MAX} names", ("query",))
    times = Counter(name for name, _ in request.query_params.multi_items())
    wrong = [name for name in times if not is_taken or times[name] > 1]
    if wrong:
        raise invalid("must be given once" if is_taken else "is not known here", *(("query", name) for name in wrong))
    return dict(request.query_params)


def _unsupported(dependant: Dependant) -> Iterator[str]:
    """What the function asks for, in the framework's words, that would be ignored."""
    yield from _used(dependant, besides=_OF_A_ROUTE)
    if not iscoroutinefunction(dependant.call):
        yield "plain functions"
    if not dependant.dependencies or not isinstance(dependant.dependencies[0].call, IdentityScheme):
        yield "callers without identity"
    for each in dependant.dependencies:
        yield from _used(each, besides=_OF_A_DEPENDENCY)
        is_async = iscoroutinefunction(each.call) or iscoroutinefunction(type(each.call).__call__)
        if not (each.name and each.request_param_name == "request" and is_async):
            yield "dependencies other than async functions of the request"
    if len(dependant.body_params) > 1 or any(isinstance(field.field_info, Form) for field in dependant.body_params):
        yield "forms, files, several bodies"
    models = [field.field_info.annotation for field in dependant.query_params]
    if len(models) > 1 or not all(isinstance(model, type) and issubclass(model, BaseModel) for model in models):
        yield "single query parameters"


def _used(dependant: Dependant, *, besides: set[str]) -> Iterator[str]:
    return (each.name for each in fields_of(dependant) if each.name not in besides and getattr(dependant, each.name))
