"""The FastAPI application, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp

from entrypoints.http import health, problems, tasks
from entrypoints.http.dependencies import Services
from entrypoints.http.middleware import RequestLog

log = structlog.get_logger()


class TaskwardApp(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        """Wraps even the framework's own error handling, so that a 500 too has its request id and its log line."""
        return RequestLog(super().build_middleware_stack())

    def openapi(self) -> dict[str, Any]:
        """The document as the framework makes it, with the identity header's configured name."""
        document = super().openapi()
        document["components"]["securitySchemes"]["UserId"]["name"] = self.state.services.identity().header
        return document


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with app.state.services.resources():
        log.info("ready", version=app.version)
        yield
    log.info("stopped")


def create_http_app(services: Services, *, max_body_bytes: int) -> FastAPI:
    """The application on these services. Nothing is opened before its lifespan begins."""
    app = TaskwardApp(
        title="Taskward",
        version=version("taskward"),
        description="A multi-user to-do task service: a task belongs to one user, for anybody else it does not exist.",
        lifespan=_lifespan,
        redirect_slashes=False,
        max_body_size=max_body_bytes,
        telemetry={"logs": False},  # that signal would carry titles and descriptions
    )
    app.state.services = services
    app.include_router(tasks.router)
    app.include_router(health.router)
    problems.install(app)
    return app
