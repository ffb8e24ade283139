"""The composition root: chooses what implements each port. Importing it loads the whole application.

Routes reach it through the application's state. Wiring is global to the process and costs a thread for each parameter.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from dependency_injector import containers, providers
from fastapi import FastAPI

from adapters.postgres import statements
from adapters.postgres.connections.connection import Connector
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.observer import Observer
from adapters.postgres.repository import PostgresTaskRepository
from adapters.postgres.schema.readiness import FACTS, PostgresReadiness
from domain.repository import TaskRepository
from entrypoints.http.app import create_http_app
from entrypoints.http.dependencies import Readiness
from entrypoints.http.identity import HeaderIdentity, Identity
from entrypoints.settings import Settings


@asynccontextmanager
async def closing(database: DatabaseExecutor) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await database.close()


class Container(containers.DeclarativeContainer):
    __self__ = providers.Self()

    settings = providers.Singleton(Settings.load)

    connector = providers.Singleton(
        Connector,
        settings.provided.serving_database.call()[1],
        (*statements.ALL, FACTS),
        timeout=settings.provided.database_connect_timeout_seconds,
        prepare=settings.provided.database_prepared_statements,
    )
    database = providers.Singleton(
        DatabaseExecutor,
        connector.provided.open,
        connections=settings.provided.database_connections,
        queue=settings.provided.database_queue,
        deadline=settings.provided.database_deadline_seconds,
    )
    resources: providers.Provider[AbstractAsyncContextManager[None]] = providers.Factory(closing, database)

    observer: providers.Provider[Observer | None] = providers.Object(None)
    tasks: providers.Provider[TaskRepository] = providers.Singleton(PostgresTaskRepository, database, observer)
    readiness: providers.Provider[Readiness] = providers.Singleton(PostgresReadiness, database)
    identity: providers.Provider[Identity] = providers.Singleton(HeaderIdentity, settings.provided.user_id_header)

    app: providers.Provider[FastAPI] = providers.Factory(
        create_http_app,
        __self__,
        max_body_bytes=settings.provided.max_body_bytes,
        cors_origins=settings.provided.cors_origins,
        own_hosts=settings.provided.own_hosts,
        cors_headers=settings.provided.cors_headers,
    )
