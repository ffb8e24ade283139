"""Every error as a problem of RFC 9457: the one place that gives a status to what went wrong."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from domain.errors import StorageOutdated, StorageOverloaded, StorageUnavailable, TaskNotFound
from entrypoints.http.identity import IdentityRequired


@dataclass(frozen=True, slots=True)
class Problem:
    status: int
    type: str
    title: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)
    errors: Sequence[dict[str, str]] = ()

    def response(self, request: Request) -> JSONResponse:
        body: dict[str, object] = {
            "type": f"urn:taskward:problem:{self.type}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": quote(request.url.path),
            "request_id": request.state.request_id,
        }
        if self.errors:
            body["errors"] = self.errors
        return JSONResponse(body, self.status, self.headers, media_type="application/problem+json")


_RETRY_SOON: Final = {"Retry-After": "1"}

PROBLEMS: Final[dict[type[Exception], Problem]] = {
    TaskNotFound: Problem(404, "task-not-found", "Task not found", "You have no task with this id."),
    StorageUnavailable: Problem(
        503, "database-unavailable", "Database unavailable", "The database did not answer in time.", _RETRY_SOON
    ),
    StorageOverloaded: Problem(
        503,
        "overloaded",
        "Overloaded",
        "The service has more requests than it can serve; nothing was done.",
        _RETRY_SOON,
    ),
    StorageOutdated: Problem(
        503,
        "schema-outdated",
        "Schema outdated",
        "The database's schema is not the one this release needs.",
        _RETRY_SOON,
    ),
    Exception: Problem(500, "internal-error", "Internal error", "A defect in the service; it has been logged."),
}
"""What is the same each time it happens; the handlers below fill in what depends on the request."""

_STATUSES: Final = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}


def install(app: FastAPI) -> None:
    for kind, problem in PROBLEMS.items():
        app.exception_handler(kind)(_always(problem))
    app.exception_handler(IdentityRequired)(_identity_required)
    app.exception_handler(RequestValidationError)(_invalid_request)
    app.exception_handler(HTTPException)(_http_exception)


def _always(problem: Problem) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    async def respond(request: Request, _: Exception) -> JSONResponse:
        return problem.response(request)

    return respond


async def _identity_required(request: Request, error: IdentityRequired) -> JSONResponse:
    header = request.app.state.services.identity().header
    challenge = {"WWW-Authenticate": f'APIKey in="header", name="{header}"'}
    return Problem(401, "identity-required", "Identity required", str(error), challenge).response(request)


async def _invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
    faults = error.errors()
    if any(
        fault["type"] == "json_invalid" or (fault["loc"] == ("body",) and fault["type"] == "missing")
        for fault in faults
    ):
        return _malformed_body.response(request)
    errors = [{"pointer": _pointer(fault["loc"]), "detail": _reason(fault)} for fault in faults]
    detail = "A value breaks a rule: see errors."
    return Problem(422, "invalid-request", "Invalid request", detail, errors=errors).response(request)


async def _http_exception(request: Request, error: HTTPException) -> JSONResponse:
    """What the framework refuses by itself."""
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return _malformed_body.response(request)
    phrase = HTTPStatus(error.status_code).phrase
    kind = _STATUSES.get(error.status_code, phrase.lower().replace(" ", "-"))
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed_methods(request) or headers["Allow"]
    return Problem(error.status_code, kind, phrase.capitalize(), f"{phrase.capitalize()}.", headers).response(request)


def _allowed_methods(request: Request) -> str:
    """Of all routes on the path; the router names those of the first alone."""
    path = getattr(request.scope.get("route"), "path", None)
    operations: dict[str, object] = request.app.openapi()["paths"].get(path, {})
    return ", ".join(method.upper() for method in operations)


_malformed_body: Final = Problem(400, "malformed-body", "Malformed body", "The body is empty or not JSON in UTF-8.")


def _pointer(location: tuple[int | str, ...]) -> str:
    """Where the fault is: a JSON pointer (RFC 6901) into the body as a URI fragment, or the parameter's name."""
    place, *path = location
    if place != "body":
        return f"{place}: {'.'.join(map(str, path))}"
    tokens = (quote(str(step).replace("~", "~0").replace("/", "~1"), errors="replace") for step in path)
    return "#" + "".join(f"/{token}" for token in tokens)


def _reason(fault: dict[str, Any]) -> str:
    """The rule that was broken, without the value that broke it."""
    broken = fault.get("ctx", {}).get("error")
    return str(getattr(broken, "reason", broken)) if broken else str(fault["msg"])
