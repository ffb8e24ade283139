"""Assembles the FastAPI application."""

from collections.abc import AsyncIterator, Sequence, Set
from contextlib import asynccontextmanager
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, Final

import structlog
from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp

from entrypoints.http import docs_page, error_handlers, health, lists, openapi, tasks
from entrypoints.http.cors import Cors
from entrypoints.http.dependencies import Services
from entrypoints.http.middleware import OuterLayer

log = structlog.get_logger()

DESCRIPTION: Final = """
A multi-user to-do task service. A task belongs to exactly one user; for anybody else it does not exist.

- **Identity**: every request on tasks names its user in a header, which the authenticating layer in front sets.
- **Errors** are problems (RFC 9457) that differ by `type`; invalid input names each field and the rule it breaks.
- **No lost updates**: send the task's `ETag` back in `If-Match`.
- **Safe retries**: create with an `Idempotency-Key`.
- **Paging**: follow `next_cursor`, or the `Link` header.
- Every `GET` answers `HEAD`; unknown fields and query parameters are refused.
"""


class TaskwardApp(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        """Wrap the routes and their error handling in one layer. FastAPI's other layers would only cost time."""
        origins: Sequence[str] = self.state.cors_origins
        headers = (self.state.services.identity().header, *self.state.cors_headers)
        cors = Cors(origins, headers) if origins else None
        routes = AsyncExitStackMiddleware(self.router)
        return OuterLayer(ExceptionMiddleware(routes, self.exception_handlers), cors, self.state.own_hosts)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.complete(super().openapi(), self.state.services.identity())
        return self.openapi_schema


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with app.state.services.resources():
        log.info("ready", version=app.version)
        yield
    log.info("stopped")


def create_http_app(
    services: Services,
    *,
    max_body_bytes: int,
    cors_origins: Sequence[str],
    cors_headers: Sequence[str],
    own_hosts: Set[str] = frozenset(),
) -> FastAPI:
    """Return the application on these services. Nothing is opened before its lifespan starts."""
    app = TaskwardApp(
        title="Taskward",
        version=version("taskward"),
        description=DESCRIPTION.strip(),
        lifespan=_lifespan,
        servers=[{"url": ".", "description": "The service that serves this document."}],
        openapi_tags=[
            {"name": "tasks", "description": "The calling user's tasks."},
            {"name": "health", "description": "For load balancers and orchestrators."},
        ],
        contact={"name": "The operator of this service"},
        redirect_slashes=False,
        docs_url=None,  # our page needs no internet access
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours exports nothing that users write
    )
    app.dependency_overrides = MappingProxyType({})  # type: ignore[assignment]  # override the container instead
    app.state.services = services
    app.state.is_ending = False
    app.state.max_body_bytes = max_body_bytes
    app.state.cors_origins = cors_origins
    app.state.cors_headers = cors_headers
    app.state.own_hosts = own_hosts
    for router in (tasks.router, lists.router, health.router, docs_page.router):
        app.router.routes += router.routes  # include_router would match each request twice
    app.mount("/docs/assets", docs_page.ASSETS)
    error_handlers.install(app)
    return app
