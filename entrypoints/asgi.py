"""The application as a process that serves loads it."""

import gc

from fastapi import FastAPI

from entrypoints.container import Container
from entrypoints.settings import Settings


def create_app(settings: Settings, *, with_telemetry: bool = False) -> FastAPI:
    container = Container(settings=settings)
    container.logging()
    app = container.app()
    if with_telemetry:
        from entrypoints.telemetry import install  # noqa: PLC0415 - it takes an extra

        install(app, container)
    _freeze_startup_objects()
    return app


def _freeze_startup_objects() -> None:
    """The garbage collector took a sixth of the CPU, mostly to look again at what start-up had made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
