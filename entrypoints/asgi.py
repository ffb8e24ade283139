"""The application as a process that serves loads it."""

import gc

from fastapi import FastAPI

from entrypoints.container import Container
from entrypoints.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    container = Container(settings=settings)
    container.logging()
    app = container.app()
    _freeze_startup_objects()
    return app


def _freeze_startup_objects() -> None:
    """The garbage collector took a sixth of the CPU, mostly to look again at what start-up had made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
