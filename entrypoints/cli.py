"""The command line. Each command imports what it needs when it runs: it starts fast, and a supervisor stays small."""

import argparse
import os
import signal
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import StorageError
from entrypoints.processes.signals import on_stop, open_standard_streams

if TYPE_CHECKING:
    from entrypoints.logs import Output
    from entrypoints.settings import Settings


def main() -> None:
    """Run the command in `sys.argv`. Exits with one line for each reason if it cannot go on."""
    on_stop(lambda number, _: os._exit(128 + number))  # first: a container's process 1 has no default action
    open_standard_streams()
    arguments = vars(_parser().parse_args())
    try:
        Path.cwd()
    except OSError as error:
        sys.exit(f"taskward: the working folder: {error.strerror}")
    try:
        arguments.pop("run")(**arguments)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        from entrypoints.settings import ConfigurationError

        if not isinstance(error, ConfigurationError | StorageError):
            raise
        sys.exit("\n".join(f"taskward: {line}" for line in str(error).splitlines()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="taskward", description=metadata.metadata("taskward")["Summary"])
    parser.add_argument("--version", action="version", version=f"taskward {metadata.version('taskward')}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for run in (dev, migrate, serve, distribute, openapi):
        text = str(run.__doc__)
        command = commands.add_parser(run.__name__, help=text.partition(".")[0], description=text)
        command.set_defaults(run=run)
        if run is serve:
            command.add_argument(
                "--workers", type=int, metavar="N", help="how many worker processes (default: WORKERS, else 1)"
            )
    return parser


def dev() -> None:
    """Serve on an embedded PostgreSQL, for development: migrated, with reload; the data survive a restart."""
    on_stop(lambda *_: sys.exit(0))  # unwinds the `with` blocks, which stop the database
    from adapters.embedded_postgres import embedded_postgres
    from adapters.unprivileged import default_data_folder
    from entrypoints.logs import configure_logging
    from entrypoints.processes.listener import address_of, bind
    from entrypoints.processes.supervisor import run
    from entrypoints.settings import HOME, DevelopmentSettings

    settings = DevelopmentSettings.load()
    output = configure_logging(settings.log_level, settings.log_format)
    listener = bind(settings)
    address = address_of(listener)
    folder = (settings.taskward_data or default_data_folder(HOME.resolve())).resolve()
    with embedded_postgres(folder / "postgres") as url:
        output.msg(
            f"\n  Taskward serves on {address}\n\n"
            f"  API documentation   {address}/docs\n"
            f"  Another port        PORT=8001 make run\n"
            f"  Data, kept          {folder}\n"
            f"  Database            {url}\n"
            f"  Ctrl-C stops it. A first request to paste:\n\n"
            f"    curl {address}/v1/tasks -H '{settings.user_id_header}: alice' "
            f"-H 'Content-Type: application/json' -d '{{\"title\": \"Buy milk\"}}'\n"
        )
        run(settings.on(url), listener, reload=True)


def migrate() -> None:
    """Bring the schema of the database to the newest revision. Does nothing where it is there already."""
    settings, output = _prepare_schema_change()
    from entrypoints import database

    database.migrate(settings)
    output.msg("The schema is at the newest revision.")


def serve(workers: int | None) -> None:
    """Serve on the database of DATABASE_URL, for production."""
    on_stop(lambda *_: os._exit(0))  # no request has been accepted before all is loaded
    import structlog

    from entrypoints import database
    from entrypoints.logs import configure_logging
    from entrypoints.processes.listener import bind
    from entrypoints.processes.supervisor import run
    from entrypoints.settings import Settings

    settings = Settings.load(**({"workers": workers} if workers is not None else {}))
    configure_logging(settings.log_level, settings.log_format)
    database.wait_to_serve(settings)
    if settings.telemetry() == "not installed":
        structlog.get_logger().warning("telemetry is off", reason="taskward[telemetry] is not installed")
    run(settings, bind(settings), reload=False)


def distribute() -> None:
    """Spread the tasks over the servers of a Citus cluster, by user. Does nothing if they are spread already."""
    settings, output = _prepare_schema_change()
    from entrypoints import database

    if database.distribute(settings):
        output.msg("The tasks are now distributed by user_id.")
    else:
        output.msg("The tasks were distributed by user_id already. Nothing was changed.")


def openapi() -> None:
    """Print the OpenAPI document."""
    import json

    from entrypoints.asgi import create_app
    from entrypoints.settings import Settings

    document = json.dumps(create_app(Settings.load()).openapi(), indent=2, ensure_ascii=False)
    try:
        with open(1, "w", encoding="utf-8", closefd=False) as output:
            output.write(f"{document}\n")
    except OSError as error:
        sys.exit(f"taskward: standard output: {error.strerror}")


def _prepare_schema_change() -> "tuple[Settings, Output]":
    # Raise KeyboardInterrupt, as Ctrl-C does: the driver then cancels on the server before the process ends.
    on_stop(signal.default_int_handler)
    from entrypoints.logs import configure_logging
    from entrypoints.settings import Settings

    settings = Settings.load()
    return settings, configure_logging(settings.log_level, settings.log_format)
