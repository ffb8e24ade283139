"""The composition root: what stands behind each port. Only it and migrations/env.py name an adapter of a port."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from dependency_injector import containers, providers

from adapters.postgres import statements
from adapters.postgres.connections.connection import Connector
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.schema.distribution import distribute
from adapters.postgres.schema.readiness import FACTS, PostgresReadiness
from adapters.postgres.schema.revisions import create_migration_engine, upgrade, upgrade_if_needed
from adapters.postgres.schema.startup import wait_until_ready
from domain.repository import TaskRepository
from entrypoints.logs import configure_logging
from entrypoints.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from adapters.postgres.observer import Observer
    from entrypoints.http.dependencies import Readiness, Services
    from entrypoints.http.identity import Identity

START_PATIENCE_SECONDS = 7.0
"""Of the 10 s within which a start succeeds or says why not; loading the program takes its share."""


@asynccontextmanager
async def running(database: DatabaseExecutor) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await database.close()


# Imported when they are called for: what only starts others, or migrates, need not load the application.


def _tasks(database: DatabaseExecutor, observer: "Observer | None") -> TaskRepository:
    from adapters.postgres.repository import PostgresTaskRepository  # noqa: PLC0415

    return PostgresTaskRepository(database, observer)


def _identity(header: str) -> "Identity":
    from entrypoints.http.identity import HeaderIdentity  # noqa: PLC0415

    return HeaderIdentity(header)


def _app(services: "Services", **options: Any) -> "FastAPI":
    from adapters.postgres import repository  # noqa: F401, PLC0415 - so that no request waits for it
    from entrypoints.http.app import create_http_app  # noqa: PLC0415

    return create_http_app(services, **options)


class Container(containers.DeclarativeContainer):
    __self__ = providers.Self()

    settings = providers.Singleton(Settings.load)
    logging = providers.Callable(configure_logging, settings.provided.log_level, settings.provided.log_format)

    connector = providers.Singleton(
        Connector,
        settings.provided.serving_database.call()[1],
        (*statements.ALL, FACTS),
        timeout=settings.provided.database_connect_timeout_seconds,
        prepares=settings.provided.database_prepared_statements,
    )
    database = providers.Singleton(
        DatabaseExecutor,
        connector.provided.open,
        connections=settings.provided.database_connections,
        queue=settings.provided.database_queue,
        deadline=settings.provided.database_deadline_seconds,
    )
    resources: providers.Provider[AbstractAsyncContextManager[None]] = providers.Factory(running, database)

    observer: "providers.Provider[Observer | None]" = providers.Object(None)
    tasks: providers.Provider[TaskRepository] = providers.Singleton(_tasks, database, observer)
    readiness: "providers.Provider[Readiness]" = providers.Singleton(PostgresReadiness, database)
    identity: "providers.Provider[Identity]" = providers.Singleton(_identity, settings.provided.user_id_header)

    app: "providers.Provider[FastAPI]" = providers.Factory(
        _app,
        __self__,
        max_body_bytes=settings.provided.max_body_bytes,
        cors_origins=settings.provided.cors_origins,
        own_hosts=settings.provided.own_hosts,
        cors_headers=settings.provided.cors_headers,
    )

    migration_engine = providers.Singleton(create_migration_engine, settings.provided.migration_database.call()[1])
    upgrade_schema = providers.Callable(upgrade, migration_engine)
    upgrade_schema_if_needed = providers.Callable(upgrade_if_needed, migration_engine)
    distribute = providers.Callable(distribute, migration_engine)
    wait_to_migrate = providers.Callable(
        wait_until_ready,
        settings.provided.migration_database.call()[1],
        timeout=settings.provided.database_connect_timeout_seconds,
        patience=START_PATIENCE_SECONDS,
        schema=False,
    )
    wait_to_serve = providers.Callable(
        wait_until_ready,
        settings.provided.serving_database.call()[1],
        timeout=settings.provided.database_connect_timeout_seconds,
        patience=START_PATIENCE_SECONDS,
    )
