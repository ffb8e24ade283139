"""What routes ask for. The application's state holds the container, and routes see of it what `Services` says."""

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
        """Raises a `StorageError` where tasks cannot be served."""


class Services(Protocol):
    """What the HTTP side needs of the composition root; asked anew for each request, so that it can be overridden."""

    @abstractmethod
    def tasks(self) -> TaskRepository: ...

    @abstractmethod
    def identity(self) -> Identity: ...

    @abstractmethod
    def readiness(self) -> Readiness: ...

    @abstractmethod
    def resources(self) -> AbstractAsyncContextManager[None]:
        """Entered before the first request is served, left after the last."""


def identity_of(request: Request) -> Identity:
    services: Services = request.app.state.services
    return services.identity()


class IdentityScheme(SecurityBase):
    """The caller's identity. OpenAPI learns here that there is one, and from `Identity.scheme` what it is like."""

    def __init__(self) -> None:
        self.scheme_name = "UserId"
        self.model = SecurityModel(type=SecuritySchemeType.apiKey)

    async def __call__(self, request: Request) -> UserId:
        return await identity_of(request)(request)


# The functions are `async` though they wait for nothing: the framework would run plain ones on its thread pool.


async def _tasks(request: Request) -> TaskRepository:
    services: Services = request.app.state.services
    return services.tasks()


async def _readiness(request: Request) -> Readiness:
    if request.app.state.is_ending:
        raise StorageUnavailable("the process ends")
    services: Services = request.app.state.services
    return services.readiness()


CurrentUser = Annotated[UserId, Depends(IdentityScheme())]
Tasks = Annotated[TaskRepository, Depends(_tasks)]
ReadinessCheck = Annotated[Readiness, Depends(_readiness)]
