"""Turns each exception into the problem that the caller receives."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from domain.errors import (
    IdempotencyKeyReused,
    StorageOutdated,
    StorageOverloaded,
    StorageUnavailable,
    TaskChanged,
    TaskNotFound,
)
from entrypoints.http.bodies import BodyTooLarge, BodyTooSlow, MalformedBody, UnsupportedMediaType
from entrypoints.http.dependencies import identity_of
from entrypoints.http.faults import pointer, rule
from entrypoints.http.identity import IdentityRequired
from entrypoints.http.problems import (
    BODY_TOO_LARGE,
    DATABASE_UNAVAILABLE,
    IDENTITY_REQUIRED,
    INVALID_REQUEST,
    MALFORMED_BODY,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    OVERLOADED,
    PRECONDITION_FAILED,
    REQUEST_TIMEOUT,
    SCHEMA_OUTDATED,
    TASK_NOT_FOUND,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
)

ERRORS_MAX: Final = 100
"""The most faults in one answer, so that it is not many times as large as its request."""

_BY_ERROR: Final[dict[type[Exception], Problem]] = {
    MalformedBody: MALFORMED_BODY,
    BodyTooSlow: REQUEST_TIMEOUT,
    TaskNotFound: TASK_NOT_FOUND,
    TaskChanged: PRECONDITION_FAILED,
    BodyTooLarge: BODY_TOO_LARGE,
    IdempotencyKeyReused: replace(
        INVALID_REQUEST,
        errors=[{"pointer": "header: Idempotency-Key", "detail": "stands for a task that was made with other values"}],
    ),
    StorageUnavailable: DATABASE_UNAVAILABLE,
    StorageOutdated: SCHEMA_OUTDATED,
}
"""Errors with a fixed answer. The handlers below answer the others."""


def install(app: FastAPI) -> None:
    for error, problem in _BY_ERROR.items():
        app.exception_handler(error)(_answer_with(problem))
    app.exception_handler(StorageOverloaded)(_overloaded)
    app.exception_handler(UnsupportedMediaType)(_unsupported_media_type)
    app.exception_handler(IdentityRequired)(_identity_required)
    app.exception_handler(RequestValidationError)(_invalid_request)
    app.exception_handler(HTTPException)(_not_found)
    app.exception_handler(405)(_method_not_allowed)


def _answer_with(problem: Problem) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    async def respond(request: Request, _: Exception) -> JSONResponse:
        return problem.response(request)

    return respond


async def _overloaded(request: Request, error: StorageOverloaded) -> JSONResponse:
    return replace(OVERLOADED, headers={"Retry-After": str(error.seconds)}).response(request)


async def _unsupported_media_type(request: Request, error: UnsupportedMediaType) -> JSONResponse:
    return replace(UNSUPPORTED_MEDIA_TYPE, detail=str(error), headers=error.headers).response(request)


async def _identity_required(request: Request, error: IdentityRequired) -> JSONResponse:
    challenge = {"WWW-Authenticate": identity_of(request).challenge}
    return replace(IDENTITY_REQUIRED, detail=str(error), headers=challenge).response(request)


async def _invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
    faults = error.errors()[:ERRORS_MAX]
    errors = [{"pointer": pointer(fault["loc"]), "detail": rule(fault)} for fault in faults]
    return replace(INVALID_REQUEST, errors=errors).response(request)


async def _not_found(request: Request, _: Exception) -> JSONResponse:
    return NOT_FOUND.response(request)


async def _method_not_allowed(request: Request, _: Exception) -> JSONResponse:
    """Name all methods of the path. The framework would name only those of its first route."""
    path = getattr(request.scope.get("route"), "path_format", None)
    methods = {method.upper() for method in request.app.openapi()["paths"].get(path, {"get": ...})}
    if "GET" in methods:
        methods.add("HEAD")
    return replace(METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(sorted(methods))}).response(request)
