"""For load balancers and orchestrators: does the process run, and can it serve tasks? Neither asks who calls."""

import asyncio
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from domain.errors import StorageUnavailable
from entrypoints.http.dependencies import ReadinessCheck

READINESS_SECONDS = 2.0

router = APIRouter(prefix="/health", tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/live")
async def live() -> Health:
    """The process runs. Does not ask the database."""
    return Health()


@router.get("/ready")
async def ready(readiness: ReadinessCheck) -> Health:
    """The database answers and its schema is current."""
    try:
        async with asyncio.timeout(READINESS_SECONDS):
            await readiness.check()
    except TimeoutError:
        raise StorageUnavailable("no answer in time") from None
    return Health()
