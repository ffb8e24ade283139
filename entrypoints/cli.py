"""The command line: dev, migrate, distribute, serve, openapi."""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from domain.errors import StorageError
from entrypoints.asgi import create_app
from entrypoints.container import Container
from entrypoints.server.processes import address_of, end_in_order, end_with_terminal, listen, run
from entrypoints.settings import HOME, ConfigurationError

T = TypeVar("T")

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def main() -> None:
    try:
        cli()
    except (ConfigurationError, StorageError) as error:
        sys.exit("\n".join(f"taskward: {line}" for line in str(error).splitlines()))


@cli.command()
def dev() -> None:
    """Serve on an embedded PostgreSQL, for development: migrated, with reload; the data survive a restart."""
    end_in_order()
    container = Container()
    settings = container.settings()
    if "log_format" not in settings.model_fields_set:
        os.environ["LOG_FORMAT"] = "console"
        container.settings.reset()
    container.logging()
    listener = listen(settings)
    folder = HOME.resolve() / ".taskward" / "postgres"
    with container.embedded_postgres(folder) as url:
        # Over what the environment or .env may say: development must not touch any other database.
        os.environ |= {"DATABASE_URL": url, "MIGRATION_DATABASE_URL": url}
        container.settings.reset()
        container.upgrade_schema()
        address = address_of(listener)
        typer.echo(
            f"\n  Taskward serves on {address}\n\n"
            f"  API documentation   {address}/docs\n"
            f"  Data, kept          {folder}\n"
            f"  Ctrl-C stops it. A first request to paste:\n\n"
            f"    curl {address}/v1/tasks -H '{settings.user_id_header}: alice' "
            f"-H 'Content-Type: application/json' -d '{{\"title\": \"Buy milk\"}}'\n"
        )
        run(settings, listener, reload=True)


@cli.command()
def migrate() -> None:
    """Bring the schema of the database to the newest revision. Does nothing where it is there already."""
    _end_by_interrupt()
    container = Container()
    container.logging()
    variable, _ = container.settings().migration_database()
    _about(variable, container.wait_to_migrate)
    container.upgrade_schema()
    typer.echo("The schema is at the newest revision.")


@cli.command()
def distribute() -> None:
    """Spread the tasks over the servers of a Citus cluster, by user. Does nothing where they are already."""
    _end_by_interrupt()
    container = Container()
    container.logging()
    variable, _ = container.settings().migration_database()
    _about(variable, container.wait_to_migrate)
    if _about(variable, container.distribute):
        typer.echo("The tasks are now distributed by user_id.")
    else:
        typer.echo("The tasks were distributed by user_id already. Nothing was changed.")


@cli.command()
def serve(
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; WORKERS or 1 if not given.")] = None,
) -> None:
    """Serve on the database of DATABASE_URL, for production."""
    end_in_order()
    container = Container()
    settings = container.settings()
    container.logging()
    variable, _ = settings.serving_database()
    _about(variable, container.wait_to_serve)
    run(settings.model_copy(update={"workers": workers} if workers else {}), listen(settings), reload=False)


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    typer.echo(json.dumps(create_app().openapi(), indent=2, ensure_ascii=False))


def _end_by_interrupt() -> None:
    """SIGTERM and a closed terminal interrupt as Ctrl-C does: the driver then cancels on the server before we end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end_with_terminal()


def _about(variable: str, action: Callable[[], T]) -> T:
    """Does what has to do with the database of this variable, which is named where it fails."""
    try:
        return action()
    except StorageError as error:
        raise ConfigurationError(f"{variable}: {error}") from None
