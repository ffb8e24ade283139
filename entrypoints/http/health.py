"""Says whether the process runs and can serve tasks, for load balancers. Needs no identity."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from domain.errors import StorageUnavailable
from entrypoints.http import openapi
from entrypoints.http.dependencies import ReadinessCheck
from entrypoints.http.problems import DATABASE_UNAVAILABLE, INTERNAL_ERROR, OVERLOADED, SCHEMA_OUTDATED

READINESS_SECONDS = 2.0


async def _no_store(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


router = APIRouter(
    prefix="/health",
    tags=["health"],
    generate_unique_id_function=openapi.operation_id,
    responses=openapi.problems(INTERNAL_ERROR),
    dependencies=[Depends(_no_store)],
)


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/live")
async def live() -> Health:
    """Check that the process runs. Does not ask the database."""
    return Health()


@router.get("/ready", responses=openapi.problems(DATABASE_UNAVAILABLE, OVERLOADED, SCHEMA_OUTDATED))
async def ready(readiness: ReadinessCheck) -> Health:
    """Check that the database answers and its schema is current."""
    try:
        async with asyncio.timeout(READINESS_SECONDS):
            await readiness.check()
    except TimeoutError:
        raise StorageUnavailable("no answer in time") from None
    return Health()
