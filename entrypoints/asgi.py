"""Creates the application in a worker process."""

import gc
import sys

from fastapi import FastAPI

from domain.errors import StorageOutdated
from entrypoints import database
from entrypoints.container import Container
from entrypoints.logs import configure_logging
from entrypoints.settings import DevelopmentSettings, Settings


def create_app(settings: Settings, *, with_telemetry: bool = False) -> FastAPI:
    configure_logging(settings.log_level, settings.log_format)
    if isinstance(settings, DevelopmentSettings):
        _migrate(settings)
    container = Container(settings=settings)
    app = container.app()
    if with_telemetry:
        _install_telemetry(app, container)
    _freeze_startup_objects()
    return app


def _install_telemetry(app: FastAPI, container: Container) -> None:
    try:
        from entrypoints.telemetry import install  # noqa: PLC0415 - needs the `telemetry` extra

        install(app, container)
    except Exception as error:  # noqa: BLE001 - OpenTelemetry's errors share no class
        reason = " ".join(f"{type(error).__name__} {error}".split())
        sys.exit(f"taskward: OpenTelemetry does not take its variables (OTEL_…): {reason}")


def _migrate(settings: Settings) -> None:
    try:
        database.migrate_if_needed(settings)
    except StorageOutdated:
        remedy = "check out the version that wrote them, or set TASKWARD_DATA to another folder"
        sys.exit(f"taskward: the data are newer than this checkout: {remedy}")


def _freeze_startup_objects() -> None:
    """Freeze start-up objects. The garbage collector took a sixth of the CPU, mostly to look at these again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
