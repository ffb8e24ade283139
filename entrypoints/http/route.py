"""The class of all routes on tasks. It checks requests, passes arguments and adds headers to answers."""

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
# A cache must revalidate each time, and must not give one user another's answer. A proxy that compresses would weaken
# the ETag.
_CACHE_CONTROL: Final = (b"cache-control", b"private, no-cache, no-transform")

# The fields of the framework's `Dependant` that StrictRoute supports.
_DEPENDENCY_FEATURES: Final = {"call", "name", "path", "request_param_name", "scope", "use_cache"}
_ROUTE_FEATURES: Final = _DEPENDENCY_FEATURES | {
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
    """Works out the function's arguments once, at start. The framework would do so for each request.

    The function must be `async`, and its first dependency must be the caller's identity. It may also take the request,
    dependencies that take only the request, path parameters, headers (each a list of its lines; a missing one takes its
    default), one model for the whole query and one value for the whole body. Anything else raises `TypeError` at start.
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
        self._ignored_headers = set(self._headers.values()) - {place for _, place in self._fields}
        return self._handle

    async def _handle(self, request: Request) -> Response:
        arguments: dict[str, Any] = {}
        for name, dependency in self._dependencies:  # identity first: a stranger must not make us read more
            arguments[name] = await dependency(request)
        given = self._read_all_but_body(request)
        if self.dependant.body_params:
            given["body",] = await read_json(request, request.app.state.max_body_bytes)
        faults: list[Any] = []
        for field, place in self._fields:
            if place in given:
                arguments[field.name], errors = field.validate(given[place], loc=place)
                faults += errors
        if faults:
            raise RequestValidationError(faults)
        if self.dependant.request_param_name:
            arguments[self.dependant.request_param_name] = request
        response: Response = await self.endpoint(**arguments)
        response.raw_headers += [_CACHE_CONTROL, (b"vary", identity_of(request).header.encode())]
        return response

    def _read_all_but_body(self, request: Request) -> dict[Place, Any]:
        """Return the values sent. Raises `RequestValidationError` for one that this route would ignore."""
        given: dict[Place, Any] = {}
        for name, value in request.scope["headers"]:
            if place := self._headers.get(name):
                given.setdefault(place, []).append(value.decode("latin-1"))
        if ignored := self._ignored_headers & given.keys():
            raise invalid("is not known here", *sorted(ignored))
        for name, value in request.path_params.items():
            given["path", name] = value
        if self.dependant.query_params or request.scope["query_string"]:
            given["query",] = _query(request, takes_query=bool(self.dependant.query_params))
        return given


def _query(request: Request, *, takes_query: bool) -> dict[str, str]:
    """Return the query's parameters. If the route takes a query, its model checks their names."""
    if request.scope["query_string"].count(b"&") >= NAMES_MAX:
        raise invalid(f"must have at most {NAMES_MAX} names", ("query",))
    times = Counter(name for name, _ in request.query_params.multi_items())
    wrong = [name for name in times if not takes_query or times[name] > 1]
    if wrong:
        raise invalid(
            "must be given once" if takes_query else "is not known here", *(("query", name) for name in wrong)
        )
    return dict(request.query_params)


def _unsupported(dependant: Dependant) -> Iterator[str]:
    """Yield everything that the function asks for but this route would ignore."""
    yield from _features(dependant, besides=_ROUTE_FEATURES)
    if not iscoroutinefunction(dependant.call):
        yield "plain functions"
    if not dependant.dependencies or not isinstance(dependant.dependencies[0].call, IdentityScheme):
        yield "callers without identity"
    for each in dependant.dependencies:
        yield from _features(each, besides=_DEPENDENCY_FEATURES)
        is_async = iscoroutinefunction(each.call) or iscoroutinefunction(type(each.call).__call__)
        if not (each.name and each.request_param_name == "request" and is_async):
            yield "dependencies other than async functions of the request"
    if len(dependant.body_params) > 1 or any(isinstance(field.field_info, Form) for field in dependant.body_params):
        yield "forms, files, several bodies"
    models = [field.field_info.annotation for field in dependant.query_params]
    if len(models) > 1 or not all(isinstance(model, type) and issubclass(model, BaseModel) for model in models):
        yield "single query parameters"


def _features(dependant: Dependant, *, besides: set[str]) -> Iterator[str]:
    return (each.name for each in fields_of(dependant) if each.name not in besides and getattr(dependant, each.name))
