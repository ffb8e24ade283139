"""Creating a route refuses whatever the route class would ignore."""
# ruff: noqa: ARG001 - only the parameters of these functions matter

import sys
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Cookie, Depends, File, Form, Query, Request, Response, WebSocket
from fastapi.security import SecurityScopes

from domain.task import UserId
from entrypoints.container import Container
from entrypoints.http.dependencies import CurrentUser, Tasks
from entrypoints.http.route import StrictRoute
from entrypoints.http.schemas import TaskInput


def plain_endpoint(user: CurrentUser) -> Response:
    return Response()


async def no_caller(tasks: Tasks) -> Response:
    return Response()


async def caller_late(tasks: Tasks, user: CurrentUser) -> Response:
    return Response()


async def cookies(user: CurrentUser, theme: Annotated[str, Cookie()]) -> Response:
    return Response()


async def background(user: CurrentUser, later: BackgroundTasks) -> Response:
    return Response()


async def response(user: CurrentUser, answer: Response) -> Response:
    return Response()


async def socket(user: CurrentUser, connection: WebSocket) -> Response:
    return Response()


async def scopes(user: CurrentUser, wanted: SecurityScopes) -> Response:
    return Response()


async def form(user: CurrentUser, title: Annotated[str, Form()]) -> Response:
    return Response()


async def file(user: CurrentUser, content: Annotated[bytes, File()]) -> Response:
    return Response()


async def two_bodies(user: CurrentUser, body: TaskInput, other: TaskInput) -> Response:
    return Response()


async def single_parameters(user: CurrentUser, limit: Annotated[int, Query()]) -> Response:
    return Response()


def _plain(request: Request) -> int:
    return 1


async def _generator(request: Request) -> AsyncIterator[int]:
    yield 1


async def _nested(request: Request, user: CurrentUser) -> UserId:
    return user


async def _with_parameter(request: Request, limit: int) -> int:
    return limit


async def _without_request() -> int:
    return 1


async def plain_dependency(user: CurrentUser, value: Annotated[int, Depends(_plain)]) -> Response:
    return Response()


async def generator_dependency(user: CurrentUser, value: Annotated[int, Depends(_generator)]) -> Response:
    return Response()


async def sub_dependency(user: CurrentUser, value: Annotated[UserId, Depends(_nested)]) -> Response:
    return Response()


async def dependency_with_parameter(user: CurrentUser, value: Annotated[int, Depends(_with_parameter)]) -> Response:
    return Response()


async def dependency_without_request(user: CurrentUser, value: Annotated[int, Depends(_without_request)]) -> Response:
    return Response()


UNSUPPORTED: dict[Callable[..., Any], str] = {
    plain_endpoint: "plain functions",
    no_caller: "callers without identity",
    caller_late: "callers without identity",
    cookies: "cookie_params",
    background: "background_tasks_param_name",
    response: "response_param_name",
    socket: "websocket_param_name",
    scopes: "security_scopes_param_name",
    form: "forms",
    file: "files",
    two_bodies: "several bodies",
    single_parameters: "single query parameters",
    plain_dependency: "dependencies other than async functions of the request",
    generator_dependency: "dependencies other than async functions of the request",
    sub_dependency: "dependencies",
    dependency_with_parameter: "query_params",
    dependency_without_request: "dependencies other than async functions of the request",
}


@pytest.mark.parametrize("endpoint", UNSUPPORTED, ids=lambda endpoint: endpoint.__name__)
def test_an_unsupported_endpoint_is_refused(endpoint: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    # Without its parser for forms the framework itself would refuse them.
    monkeypatch.setitem(sys.modules, "python_multipart", SimpleNamespace(__version__="1.0"))
    with pytest.raises(TypeError, match=f"{endpoint.__name__}.*{UNSUPPORTED[endpoint]}"):
        StrictRoute("/x", endpoint, methods=["POST"])


def test_a_dependency_of_the_route_is_refused() -> None:
    with pytest.raises(TypeError, match="dependencies other than"):
        StrictRoute("/x", scoped, dependencies=[Depends(_generator)])


async def scoped(user: CurrentUser) -> Response:
    return Response()


def test_dependencies_are_overridden_in_the_container_only(container: Container) -> None:
    with pytest.raises(TypeError):
        container.app().dependency_overrides[scoped] = scoped
