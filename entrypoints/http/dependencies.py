"""The dependencies of routes. The application's state holds the container; routes see it as `Services`."""

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Protocol

from fastapi import Depends, Request
from fastapi.openapi.models import SecurityBase as SecurityModel
from fastapi.openapi.models import SecuritySchemeType
from fastapi.security.base import SecurityBase

from domain.errors import StorageUnavailable
from domain.repository import TaskRepository
from domain.task import UserId
from entrypoints.http.identity import Identity


class Readiness(Protocol):
    @abstractmethod
    async def check(self) -> None:
        """Raise a `StorageError` if tasks cannot be served."""


class Services(Protocol):
    """What HTTP needs from the container. It is asked for each request, so that an override takes effect."""

    @abstractmethod
    def tasks(self) -> TaskRepository: ...

    @abstractmethod
    def identity(self) -> Identity: ...

    @abstractmethod
    def readiness(self) -> Readiness: ...

    @abstractmethod
    def resources(self) -> AbstractAsyncContextManager[None]:
        """Return a context. It is entered before the first request and left after the last."""


def identity_of(request: Request) -> Identity:
    services: Services = request.app.state.services
    return services.identity()


class IdentityScheme(SecurityBase):
    """Returns the caller's user id. Marks the route as secured in OpenAPI; `Identity.scheme` says how."""

    def __init__(self) -> None:
        self.scheme_name = "UserId"
        self.model = SecurityModel(type=SecuritySchemeType.apiKey)

    async def __call__(self, request: Request) -> UserId:
        return await identity_of(request)(request)


# These functions are `async` although they wait for nothing: FastAPI runs plain functions on its thread pool.


async def _tasks(request: Request) -> TaskRepository:
    services: Services = request.app.state.services
    return services.tasks()


async def _readiness(request: Request) -> Readiness:
    if request.app.state.is_ending:
        raise StorageUnavailable("the process is stopping")
    services: Services = request.app.state.services
    return services.readiness()


CurrentUser = Annotated[UserId, Depends(IdentityScheme())]
Tasks = Annotated[TaskRepository, Depends(_tasks)]
ReadinessCheck = Annotated[Readiness, Depends(_readiness)]
