"""What a route's function is called with. The framework would work that out for each request; here it is done once."""

from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError


class Arguments:
    """Reads what the function's signature declares.

    That may be the request, dependencies that take it and no more, parameters of the path, headers (each a list of its
    lines; one that is not there takes its default), one model of the whole query and one of the whole body.
    """

    def __init__(self, dependant: Dependant) -> None:
        self._request = dependant.request_param_name
        self._dependencies: list[tuple[str, Any]] = [(str(each.name), each.call) for each in dependant.dependencies]
        self._path = [(field, ("path", field.alias)) for field in dependant.path_params]
        self._headers = [(field, ("header", field.alias)) for field in dependant.header_params]
        self._query = [(field, ("query",)) for field in dependant.query_params]
        self._body = [(field, ("body",)) for field in dependant.body_params]

    async def of(self, request: Request, body: object) -> dict[str, Any]:
        """The arguments by name. Raises `RequestValidationError` with all that is wrong."""
        sent: list[tuple[Any, tuple[str, ...], object]] = []
        sent += [(field, place, request.path_params[field.alias]) for field, place in self._path]
        sent += [
            (field, place, lines) for field, place in self._headers if (lines := request.headers.getlist(field.alias))
        ]
        sent += [(field, place, dict(request.query_params)) for field, place in self._query]
        sent += [(field, place, body) for field, place in self._body]
        arguments: dict[str, Any] = {}
        faults: list[Any] = []
        for field, place, value in sent:
            arguments[field.name], wrong = field.validate(value, loc=place)
            faults += wrong
        if faults:
            raise RequestValidationError(faults)
        for name, dependency in self._dependencies:
            arguments[name] = await dependency(request)
        if self._request:
            arguments[self._request] = request
        return arguments
