"""Waits for a database, migrates it, distributes it. Does not load the application."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from adapters.postgres.schema.startup import wait_until_ready
from domain.errors import StorageError
from entrypoints.settings import ConfigurationError, Settings

START_PATIENCE_SECONDS: Final = 7.0
"""Part of the 10 s within which a start succeeds or says why not. Loading the program needs the rest."""


def wait_to_serve(settings: Settings) -> None:
    """Return once tasks can be served. Raises `ConfigurationError` with the variable and the reason if they cannot."""
    with _once_it_answers(settings, settings.serving_database(), schema=True):
        return


def migrate(settings: Settings) -> None:
    """Bring the schema to the newest revision. Raises `ConfigurationError` with the variable and the reason."""
    from adapters.postgres.schema.revisions import create_migration_engine, upgrade

    with _once_it_answers(settings, settings.migration_database(), schema=False) as url:
        upgrade(create_migration_engine(url))


def migrate_if_needed(settings: Settings) -> None:
    """Migrate if needed, without waiting: the database is known to answer. Raises `StorageError`."""
    from adapters.postgres.schema.revisions import create_migration_engine, upgrade_if_needed

    upgrade_if_needed(create_migration_engine(settings.migration_database()[1]))


def distribute(settings: Settings) -> bool:
    """Spread the tasks over a Citus cluster. Returns whether there was anything to do. Raises as `migrate` does."""
    from adapters.postgres.schema.distribution import distribute
    from adapters.postgres.schema.revisions import create_migration_engine

    with _once_it_answers(settings, settings.migration_database(), schema=False) as url:
        return distribute(create_migration_engine(url))


@contextmanager
def _once_it_answers(settings: Settings, database: tuple[str, str], *, schema: bool) -> Iterator[str]:
    """Yield the URL once the database answers. Errors inside the block name the URL's variable."""
    variable, url = database
    try:
        wait_until_ready(
            url, timeout=settings.database_connect_timeout_seconds, patience=START_PATIENCE_SECONDS, schema=schema
        )
        yield url
    except StorageError as error:
        raise ConfigurationError(f"{variable}: {error}") from None
