"""The composition root: what stands behind each port. With migrations/env.py the only module that names an adapter."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from dependency_injector import containers, providers
from fastapi import FastAPI

from adapters.embedded_postgres import embedded_postgres
from adapters.postgres.connections.engine import create_postgres_engine
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.repository import PostgresTaskRepository
from adapters.postgres.schema.distribution import distribute
from adapters.postgres.schema.readiness import PostgresReadiness, wait_until_ready
from adapters.postgres.schema.revisions import upgrade
from domain.repository import TaskRepository
from entrypoints.http.app import create_http_app
from entrypoints.http.dependencies import Readiness
from entrypoints.http.identity import HeaderIdentity, Identity
from entrypoints.logs import configure_logging
from entrypoints.settings import Settings

START_PATIENCE_SECONDS = 7.0
"""Of the 10 s within which a start succeeds or says why not; loading the program takes its share."""


@asynccontextmanager
async def running(database: DatabaseExecutor) -> AsyncIterator[None]:
    database.start()
    try:
        yield
    finally:
        await database.close()


class Container(containers.DeclarativeContainer):
    __self__ = providers.Self()

    settings = providers.Singleton(Settings.load)
    logging = providers.Callable(configure_logging, settings.provided.log_level, settings.provided.log_format)

    engine = providers.Singleton(
        create_postgres_engine,
        settings.provided.serving_database.call()[1],
        connect_timeout=settings.provided.database_connect_timeout_seconds,
        prepared_statements=settings.provided.database_prepared_statements,
        initialize=False,
    )
    database = providers.Singleton(
        DatabaseExecutor,
        engine,
        connections=settings.provided.database_connections,
        queue=settings.provided.database_queue,
        deadline=settings.provided.database_deadline_seconds,
    )
    resources: providers.Provider[AbstractAsyncContextManager[None]] = providers.Factory(running, database)

    tasks: providers.Provider[TaskRepository] = providers.Singleton(PostgresTaskRepository, database)
    readiness: providers.Provider[Readiness] = providers.Singleton(PostgresReadiness, database)
    identity: providers.Provider[Identity] = providers.Singleton(HeaderIdentity, settings.provided.user_id_header)

    app: providers.Provider[FastAPI] = providers.Factory(
        create_http_app,
        __self__,
        max_body_bytes=settings.provided.max_body_bytes,
        cors_origins=settings.provided.cors_origins,
        cors_headers=settings.provided.cors_headers,
    )

    migration_engine = providers.Singleton(create_postgres_engine, settings.provided.migration_database.call()[1])
    upgrade_schema = providers.Callable(upgrade, migration_engine)
    distribute = providers.Callable(distribute, migration_engine)
    wait_to_migrate = providers.Callable(
        wait_until_ready, migration_engine, patience=START_PATIENCE_SECONDS, schema=False
    )
    wait_to_serve = providers.Callable(wait_until_ready, engine, patience=START_PATIENCE_SECONDS)
    embedded_postgres = providers.Factory(embedded_postgres)
