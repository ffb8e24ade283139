"""The command line: dev, migrate, serve, openapi."""

import json
import os
import signal
import socket
import sys
from types import FrameType
from typing import Annotated

import structlog
import typer
import uvicorn
from uvicorn.supervisors import ChangeReload, Multiprocess

from domain.errors import StorageError, StorageUnavailable
from entrypoints.container import Container, create_app
from entrypoints.settings import HOME, ConfigurationError, Settings

log = structlog.get_logger()
cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def main() -> None:
    try:
        cli()
    except (ConfigurationError, StorageError) as error:
        sys.exit("\n".join(f"taskward: {line}" for line in str(error).splitlines()))


@cli.command()
def dev() -> None:
    """Serve on an embedded PostgreSQL, for development: migrated, with reload; the data survive a restart."""
    container = Container()
    settings = container.settings()
    folder = HOME.resolve() / ".taskward" / "postgres"
    with container.embedded_postgres(folder) as url:
        # Over what the environment or .env may say: development must not touch any other database.
        os.environ |= {"DATABASE_URL": url, "MIGRATION_DATABASE_URL": url}
        if "log_format" not in settings.model_fields_set:
            os.environ["LOG_FORMAT"] = "console"
        container.settings.reset()
        container.logging()
        container.upgrade_schema()
        listener = _listen(settings)
        address = _address(listener)
        typer.echo(
            f"\n  Taskward serves on {address}\n\n"
            f"  API documentation   {address}/docs\n"
            f"  Data, kept          {folder}\n"
            f"  Ctrl-C stops it. A first request to paste:\n\n"
            f"    curl {address}/v1/tasks -H '{settings.user_id_header}: alice' "
            f"-H 'Content-Type: application/json' -d '{{\"title\": \"Buy milk\"}}'\n"
        )
        _serve(settings, listener, reload=True)


@cli.command()
def migrate() -> None:
    """Bring the schema of the database to the newest revision. Does nothing where it is there already."""
    container = Container()
    container.logging()
    _reach(container, *container.settings().migration_database())
    container.upgrade_schema()
    typer.echo("The schema is at the newest revision.")


@cli.command()
def serve(
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; WORKERS or 1 if not given.")] = None,
) -> None:
    """Serve on the database of DATABASE_URL, for production."""
    container = Container()
    settings = container.settings()
    container.logging()
    _reach(container, *settings.serving_database())
    container.require_ready()
    _serve(settings.model_copy(update={"workers": workers} if workers else {}), _listen(settings), reload=False)


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    typer.echo(json.dumps(create_app().openapi(), indent=2, ensure_ascii=False))


def _reach(container: Container, variable: str, url: str) -> None:
    try:
        container.wait_for_server(url)
    except StorageUnavailable as error:
        raise ConfigurationError(f"{variable}: {error}") from None


def _listen(settings: Settings) -> socket.socket:
    """A socket that listens before any worker runs, so that the address is known and refused early."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
        listener.set_inheritable(True)
    except OSError as error:
        raise ConfigurationError(
            f"HOST, PORT: cannot listen on {settings.host}:{settings.port}: {error.strerror}"
        ) from None
    log.info("listening", address=_address(listener))
    return listener


def _address(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _serve(settings: Settings, listener: socket.socket, *, reload: bool) -> None:
    """Serves until SIGTERM or SIGINT, then exits with 0."""
    config = uvicorn.Config(
        "entrypoints.container:create_app",
        factory=True,
        workers=settings.workers,
        reload=reload,
        reload_dirs=[str(HOME / package) for package in ("domain", "adapters", "entrypoints")] if reload else None,
        log_config=None,  # the factory configures logging in each process
        access_log=False,  # the application's own request log has more to say
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_grace_seconds,
    )
    signal.signal(signal.SIGTERM, _exit)  # uvicorn raises the signal anew after its own orderly end
    signal.signal(signal.SIGINT, _exit)
    server = uvicorn.Server(config)
    if reload:
        ChangeReload(config, target=server.run, sockets=[listener]).run()
    elif settings.workers > 1:
        Multiprocess(config, sockets=[listener]).run()
    else:
        server.run(sockets=[listener])


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
